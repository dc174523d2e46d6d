//! Room: free segments, the reserve that keeps deletes working, and what is promised.
//!
//! Invariant: the sum of promises never exceeds what is free beyond the reserve when
//! the last of them was made.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

/// What is free and promised, and who waits for more.
#[derive(Default)]
pub(super) struct Free {
    space: Arc<Mutex<Space>>,
    /// Woken when a segment can be used again.
    roomier: Condvar,
    /// No free segment could be given blocks when that was last tried.
    out_of_blocks: AtomicBool,
}

impl Free {
    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, Space> {
        self.space.lock()
    }

    /// A promise of nothing.
    pub(super) fn no_promise(&self) -> Reservation {
        Reservation {
            space: Arc::clone(&self.space),
            bytes: 0,
        }
    }

    /// A segment can be used again.
    pub(super) fn is_roomier(&self) {
        self.roomier.notify_all();
    }

    /// Waits until one can, or for so long.
    pub(super) fn await_room(&self, most: Duration) {
        self.roomier.wait_for(&mut self.lock(), most);
    }

    /// Whether a free segment could be given blocks when that was last tried.
    pub(super) fn out_of_blocks(&self, is_out: bool) {
        self.out_of_blocks.store(is_out, Relaxed);
    }

    pub(super) fn is_out_of_blocks(&self) -> bool {
        self.out_of_blocks.load(Relaxed)
    }
}

/// Free segments and promises. Of segments that are alike the one with the lowest number is used, so that the ends of
/// files come free.
pub(super) struct Space {
    /// Free, and written ahead.
    pub(super) ready: BTreeSet<u64>,
    /// Free, with all of their blocks, not (or not wholly) written ahead.
    pub(super) raw: BTreeSet<u64>,
    /// Free, and perhaps without blocks: no room before that was found out.
    pub(super) unknown: BTreeSet<u64>,
    /// Free, and without blocks: no room before they have some.
    pub(super) hollow: BTreeSet<u64>,
    pub(super) promised: u64,
    /// Segments from this number on are used only where there are no others: a number that files are to end at.
    pub(super) end: u64,
}

impl Default for Space {
    fn default() -> Self {
        Self {
            ready: BTreeSet::new(),
            raw: BTreeSet::new(),
            unknown: BTreeSet::new(),
            hollow: BTreeSet::new(),
            promised: 0,
            end: u64::MAX,
        }
    }
}

impl Space {
    /// The next one to be used, and whether it was written ahead.
    pub(super) fn take(&mut self) -> Option<(u64, bool)> {
        let end = self.end;
        let before = |list: &mut BTreeSet<u64>, end: u64| {
            let first = list.first().copied();
            first.filter(|id| *id < end && list.remove(id))
        };
        let mut next = |end| {
            let ready = before(&mut self.ready, end).map(|id| (id, true));
            ready.or_else(|| before(&mut self.raw, end).map(|id| (id, false)))
        };
        next(end).or_else(|| next(u64::MAX))
    }

    /// Those that are room and lie in front of the segment `end`.
    pub(super) fn free_before(&self, end: u64) -> u64 {
        (self.ready.range(..end).count() + self.raw.range(..end).count()) as u64
    }

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
        let raw = self.raw.pop_first().map(|id| (id, true));
        let mut others = || self.unknown.pop_first().or_else(|| self.hollow.pop_first());
        raw.or_else(|| Some((others()?, false)))
    }

    /// Takes in a free segment that has its blocks.
    pub(super) fn admit(&mut self, id: u64, written: bool) {
        if written {
            self.ready.insert(id);
        } else {
            self.raw.insert(id);
        }
    }
}

/// Space promised to a transaction; released when dropped. Feed it to [`super::Log::append_promised`].
pub(crate) struct Reservation {
    space: Arc<Mutex<Space>>,
    bytes: u64,
}

impl Reservation {
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
