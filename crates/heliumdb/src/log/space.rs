//! Room: free segments, the reserve that keeps deletes working, and what is promised.
//!
//! Invariant: the sum of promises never exceeds what is free beyond the reserve when
//! the last of them was made.

use parking_lot::Mutex;
use std::{collections::VecDeque, sync::Arc};

/// Free segments and promises.
#[derive(Default)]
pub(super) struct Space {
    /// Free, and written ahead.
    pub(super) ready: VecDeque<u64>,
    /// Free, with all of their blocks, not (or not wholly) written ahead.
    pub(super) raw: VecDeque<u64>,
    /// Free, and perhaps without blocks: no room before that was found out.
    pub(super) unknown: VecDeque<u64>,
    /// Free, and without blocks: no room before they have some.
    pub(super) hollow: VecDeque<u64>,
    pub(super) promised: u64,
}

impl Space {
    /// Those that are room.
    pub(super) fn free_segments(&self) -> u64 {
        (self.ready.len() + self.raw.len()) as u64
    }

    /// Those that are room once they have blocks.
    pub(super) fn hollow_segments(&self) -> u64 {
        (self.unknown.len() + self.hollow.len()) as u64
    }

    /// One that was not written ahead, best one that has its blocks; and whether it does.
    pub(super) fn take_unwritten(&mut self) -> Option<(u64, bool)> {
        let raw = self.raw.pop_front().map(|id| (id, true));
        raw.or_else(|| {
            Some((
                self.unknown
                    .pop_front()
                    .or_else(|| self.hollow.pop_front())?,
                false,
            ))
        })
    }

    /// Takes in a free segment that has its blocks.
    pub(super) fn admit(&mut self, id: u64, written: bool) {
        if written {
            self.ready.push_back(id);
        } else {
            self.raw.push_back(id);
        }
    }
}

/// Space promised to a transaction; released when dropped. Feed it to [`super::Core::append_promised`].
pub(crate) struct Reservation {
    space: Arc<Mutex<Space>>,
    bytes: u64,
}

impl Reservation {
    pub(super) fn new(space: Arc<Mutex<Space>>, bytes: u64) -> Self {
        Self { space, bytes }
    }

    /// The promise has become one for so many bytes more.
    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Gives back what an append has used.
    pub(super) fn draw(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        let mut space = self.space.lock();
        space.promised = space.promised.saturating_sub(bytes);
    }

    /// Bytes still promised.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.draw(self.bytes);
    }
}
