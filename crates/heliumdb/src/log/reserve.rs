//! What is set aside: for deletes, for the cleaner and for checkpoints.
//!
//! Invariant: ordinary writes leave alone what deletes may need, deletes what the cleaner may need, and the cleaner what
//! was promised. So however full a volume is, its items can be deleted, and that gives room again.

use super::core::Core;
use crate::limits::{self, BLOCK_BYTES};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// So many records say how transactions ended, or change the catalog, where there are no items to delete.
const OUTCOMES: u64 = 64;
/// Room that the last batches of a checkpoint want beside what they take.
const LOST_AT_END_BYTES: u64 = 512 << 10;

/// How many items there may be.
pub(super) struct Items {
    /// When that was last said.
    counted: AtomicU64,
    /// How many had been appended for users by then.
    appended: AtomicU64,
}

impl Default for Items {
    /// Until somebody has counted them: enough.
    fn default() -> Self {
        Self {
            counted: AtomicU64::new(limits::DELETES_WHEN_FULL),
            appended: AtomicU64::new(0),
        }
    }
}

impl Items {
    /// There are `counted`, of the `appended` so far.
    fn are(&self, counted: u64, appended: u64) {
        // In this order: who looks meanwhile takes them for more than they are.
        self.counted.store(counted, Relaxed);
        self.appended.store(appended, Release);
    }

    /// As many as there can be, now that so many were appended.
    fn at_most(&self, appended: u64) -> u64 {
        let since = appended.saturating_sub(self.appended.load(Acquire));
        self.counted.load(Relaxed).saturating_add(since)
    }
}

impl Core {
    /// Room that only deletes and outcomes may use.
    pub(crate) fn reserve_bytes(&self) -> u64 {
        // A segment more for what is lost at the ends of segments, and for what cleaning takes before it gives.
        self.deletes_bytes() + self.usable() + self.cleaner_bytes()
    }

    /// So many segments has a new volume in files that grow, and none has fewer: as many as a full one may keep, and
    /// two.
    pub(super) fn least_segments(&self) -> u64 {
        let deletes = limits::DELETES_WHEN_FULL * BLOCK_BYTES as u64;
        deletes.div_ceil(self.usable()) + limits::CLEANER_SEGMENTS + 3
    }

    /// Room for the deletes that a full volume accepts, but for no more of them than there are items: each may have
    /// to be synced alone.
    fn deletes_bytes(&self) -> u64 {
        let items = self.items.at_most(self.user_items());
        items
            .saturating_add(OUTCOMES)
            .min(limits::DELETES_WHEN_FULL)
            * BLOCK_BYTES as u64
    }

    /// Items appended for users since the log was opened.
    pub(crate) fn user_items(&self) -> u64 {
        self.written.user_items.load(Acquire)
    }

    /// There are so many items, those that were appended and are not in the index yet included, of what
    /// [`Core::user_items`] said before they were counted: what came meanwhile counts twice rather than not at all.
    pub(crate) fn keep_for_items(&self, items: u64, appended: u64) {
        self.items.are(items, appended);
    }

    /// Room that only the cleaner and checkpoints may use.
    pub(super) fn cleaner_bytes(&self) -> u64 {
        // What the one that is being taken has had already is not free any more.
        let taken = self.checkpoint_taken.load(Acquire);
        let checkpoint = self.checkpoint_bytes.load(Relaxed).saturating_sub(taken);
        self.kept_for_cleaner() + checkpoint
    }

    /// Room that a checkpoint leaves to the cleaner, who can always make more with it.
    pub(crate) fn kept_for_cleaner(&self) -> u64 {
        limits::CLEANER_SEGMENTS * self.usable()
    }

    /// Sets room aside for a checkpoint of so many bytes, of items of `largest` bytes at most.
    pub(crate) fn keep_for_checkpoint(&self, bytes: u64, largest: u64) {
        // An item is lost at the end of each segment, at worst, and part of a block with each sync.
        let lost = bytes / self.usable() * largest + bytes / 64 + LOST_AT_END_BYTES;
        self.checkpoint_bytes.store(bytes + lost, Relaxed);
    }

    /// Whether a segment was begun since the caller last asked, so that the index may need more room than is
    /// set aside.
    #[inline]
    pub(crate) fn takes_old_reserve(&self) -> bool {
        self.is_reserve_old.load(Relaxed) && self.is_reserve_old.swap(false, Relaxed)
    }

    /// A checkpoint is there, or has failed: what is set aside is for the next one.
    pub(crate) fn end_checkpoint(&self) {
        self.checkpoint_taken.store(0, Release);
    }
}
