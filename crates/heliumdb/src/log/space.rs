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
    /// Free, not (or not wholly) written ahead.
    pub(super) raw: VecDeque<u64>,
    pub(super) promised: u64,
}

impl Space {
    pub(super) fn free_segments(&self) -> u64 {
        (self.ready.len() + self.raw.len()) as u64
    }

    /// Takes in a free segment.
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
