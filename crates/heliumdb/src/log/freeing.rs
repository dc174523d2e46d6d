//! When segments may be freed, and which of them wait for their readers.
//!
//! Invariant: nothing is freed before what is alive has been counted, nor while anybody holds the log.

use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

/// See the module.
#[derive(Default)]
pub(super) struct Freeing {
    /// What is alive has been counted.
    live_known: AtomicBool,
    /// How many want no segment to be freed. Locked while some are: the first lock of who does that.
    holds: Mutex<u64>,
    /// No item with a lower number will be appended any more.
    oldest_pending: AtomicU64,
    /// Segments that were freed and wait for readers to be gone.
    leaving: AtomicU64,
    /// How many have waited for that, and can be used again.
    readmitted: AtomicU64,
}

impl Freeing {
    pub(super) fn is_live_known(&self) -> bool {
        self.live_known.load(Acquire)
    }

    pub(super) fn live_is_known(&self) {
        self.live_known.store(true, Release);
    }

    /// Lets nothing be freed before [`Freeing::let_go`]. Waits for a free that is under way.
    pub(super) fn hold(&self) {
        *self.holds.lock() += 1;
    }

    pub(super) fn let_go(&self) {
        *self.holds.lock() -= 1;
    }

    /// Leave to free segments, for as long as it lives: nobody begins to hold them meanwhile. `None` if somebody does.
    pub(super) fn alone(&self) -> Option<MutexGuard<'_, u64>> {
        let holds = self.holds.lock();
        (*holds == 0).then_some(holds)
    }

    pub(super) fn oldest_pending(&self) -> u64 {
        self.oldest_pending.load(Acquire)
    }

    pub(super) fn raise_oldest_pending(&self, seq: u64) {
        self.oldest_pending.fetch_max(seq, AcqRel);
    }

    pub(super) fn leaving(&self) -> u64 {
        self.leaving.load(Acquire)
    }

    pub(super) fn readmitted(&self) -> u64 {
        self.readmitted.load(Acquire)
    }

    /// A segment is about to be freed.
    pub(super) fn begins_to_leave(&self) {
        self.leaving.fetch_add(1, AcqRel);
    }

    /// Its readers are gone, and it can be used again.
    pub(super) fn has_left(&self) {
        self.readmitted.fetch_add(1, AcqRel);
        self.leaving.fetch_sub(1, AcqRel);
    }
}
