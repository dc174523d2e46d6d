//! What is set aside: for deletes, for the cleaner and for checkpoints.
//!
//! Invariant: ordinary writes leave alone what deletes may need, deletes what the cleaner may need, and the cleaner what
//! was promised. So however full a volume is, its items can be deleted, and that gives room again.

use super::core::Log;
use crate::limits::{self, BLOCK_BYTES};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::*};

/// So many records say how transactions ended, or change the catalog, where there are no items to delete.
const OUTCOMES: u64 = 64;
/// What cleaning loses where there is little to move: at the ends of its batches, and of a segment.
const LOST_BY_MOVES_BYTES: u64 = 256 << 10;
/// More than any log has: nobody knows how much of one is live.
const UNKNOWN_BYTES: i64 = i64::MAX / 8;
/// The second segment has its blocks before this part of the first one is filled.
const YOUNG_PART: u64 = 8;
/// Live bytes are counted in as many segments: in more there is more than it takes for all to be kept.
const COUNTED_SEGMENTS: usize = 64;
/// Room that the last batches of a checkpoint want beside what they take.
const LOST_AT_END_BYTES: u64 = 512 << 10;

/// What decides how much is set aside.
pub(super) struct Reserve {
    items: Items,
    /// As much as there can be for anything but a checkpoint, however many items there are.
    most_beside_checkpoints: u64,
    /// Bytes that the next checkpoint may need, at worst.
    checkpoint_bytes: AtomicU64,
    /// What the one that is being taken has appended.
    checkpoint_taken: AtomicU64,
    /// A segment was begun since that was last said.
    is_old: AtomicBool,
}

impl Reserve {
    /// In segments with so much room each.
    pub(super) fn new(usable: u64) -> Self {
        let deletes = limits::DELETES_WHEN_FULL * BLOCK_BYTES as u64;
        Self {
            items: Items::default(),
            most_beside_checkpoints: deletes + (1 + limits::CLEANER_SEGMENTS) * usable,
            checkpoint_bytes: AtomicU64::new(0),
            checkpoint_taken: AtomicU64::new(0),
            is_old: AtomicBool::new(true),
        }
    }

    /// Bytes that the next checkpoint may need, at worst.
    pub(super) fn checkpoint_bytes(&self) -> u64 {
        self.checkpoint_bytes.load(Relaxed)
    }

    /// As much as may be set aside for all together, whatever comes to the log: who leaves so much alone need not reckon how
    /// much it is now. It changes with what a checkpoint may need, and with nothing else.
    #[inline]
    pub(super) fn at_most(&self) -> u64 {
        self.most_beside_checkpoints + self.checkpoint_bytes()
    }

    /// The checkpoint that is being taken has so much more.
    pub(super) fn checkpoint_takes(&self, bytes: u64) {
        self.checkpoint_taken.fetch_add(bytes, AcqRel);
    }

    /// A segment was begun.
    pub(super) fn gets_old(&self) {
        self.is_old.store(true, Relaxed);
    }
}

/// How many items there may be, and how many bytes of what is live.
struct Items {
    /// When that was last said.
    counted: AtomicU64,
    /// How many had been appended for users by then.
    appended: AtomicU64,
    /// By how many bytes what was live, when that was last counted, was more than what had been appended by then.
    live_beyond: AtomicI64,
}

impl Default for Items {
    /// Until somebody has counted them: enough.
    fn default() -> Self {
        Self {
            counted: AtomicU64::new(limits::DELETES_WHEN_FULL),
            appended: AtomicU64::new(0),
            live_beyond: AtomicI64::new(UNKNOWN_BYTES),
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

    /// As many bytes are live as there can be, now that so many were appended.
    fn bytes_at_most(&self, appended: u64) -> u64 {
        appended.saturating_add_signed(self.live_beyond.load(Acquire))
    }
}

impl Log {
    /// Room that only deletes and outcomes may use.
    pub(crate) fn reserve_bytes(&self) -> u64 {
        self.reserve_beside(0)
    }

    /// The same once the log has so many bytes more.
    pub(super) fn reserve_beside(&self, more: u64) -> u64 {
        // A segment more for what is lost at the ends of segments, and for what cleaning takes before it gives.
        let lost = match self.is_young(more) {
            true => 0,
            false => self.medium.usable(),
        };
        self.deletes_bytes() + lost + self.kept_beside(more) + self.checkpoint_left()
    }

    /// Whether there is next to nothing in the log yet, nor will be with so much more: all of it can be deleted without
    /// any cleaning, and the rest of the first segment is the reserve.
    pub(super) fn is_young(&self, more: u64) -> bool {
        self.reach.end_lately().saturating_add(more)
            <= self.medium.segment_bytes() + self.medium.usable() / YOUNG_PART
    }

    /// So many segments has a new volume in files that grow, and none has fewer: as many as a full one may keep, and
    /// two.
    pub(super) fn least_segments(&self) -> u64 {
        let deletes = limits::DELETES_WHEN_FULL * BLOCK_BYTES as u64;
        deletes.div_ceil(self.medium.usable()) + limits::CLEANER_SEGMENTS + 3
    }

    /// Room for the deletes that a full volume accepts, but for no more of them than there are items: each may have
    /// to be synced alone.
    fn deletes_bytes(&self) -> u64 {
        let items = self.reserve.items.at_most(self.written.user_items());
        items
            .saturating_add(OUTCOMES)
            .min(limits::DELETES_WHEN_FULL)
            * BLOCK_BYTES as u64
    }

    /// There are so many items, those that were appended and are not in the index yet included, of what
    /// `Written::user_items` said before they were counted: what came meanwhile counts twice rather than not at all.
    pub(crate) fn keep_for_items(&self, items: u64, appended: u64) {
        self.reserve.items.are(items, appended);
    }

    /// Room that only the cleaner and checkpoints may use.
    pub(super) fn cleaner_bytes(&self) -> u64 {
        self.kept_for_cleaner() + self.checkpoint_left()
    }

    fn checkpoint_left(&self) -> u64 {
        // What the one that is being taken has had already is not free any more.
        let taken = self.reserve.checkpoint_taken.load(Acquire);
        self.reserve.checkpoint_bytes().saturating_sub(taken)
    }

    /// Room that a checkpoint leaves to the cleaner, who can always make more with it.
    pub(crate) fn kept_for_cleaner(&self) -> u64 {
        self.kept_beside(0)
    }

    /// The same once so many bytes more are live: cleaning moves no more than is.
    fn kept_beside(&self, more: u64) -> u64 {
        let live = self.reserve.items.bytes_at_most(self.written.user_bytes());
        let moved = live.saturating_add(more).saturating_mul(2);
        let most = limits::CLEANER_SEGMENTS * self.medium.usable();
        moved.saturating_add(LOST_BY_MOVES_BYTES).min(most)
    }

    /// Counts what cleaning may have to move.
    pub(crate) fn keep_for_live(&self) {
        // In this order: what is appended meanwhile counts twice rather than not at all.
        let appended = self.written.user_bytes();
        let beyond = self.live_at_most().saturating_sub_unsigned(appended);
        self.reserve.items.live_beyond.store(beyond, Release);
    }

    fn live_at_most(&self) -> i64 {
        let ledger = self.ledger.lock();
        if ledger.in_use.len() > COUNTED_SEGMENTS || !self.freeing.is_live_known() {
            return UNKNOWN_BYTES;
        }
        let segments = ledger.in_use.values();
        let segments = segments.filter_map(|id| self.table.get(*id));
        segments
            .map(|s| s.live.load(Acquire).max(0) + s.tombstones.load(Acquire) as i64)
            .sum()
    }

    /// What is set aside for a checkpoint.
    pub(crate) fn checkpoint_reserve(&self) -> u64 {
        self.reserve.checkpoint_bytes()
    }

    /// Sets room aside for a checkpoint of so many bytes, of items of `largest` bytes at most.
    pub(crate) fn keep_for_checkpoint(&self, bytes: u64, largest: u64) {
        let takes = checkpoint_takes(bytes, largest, self.medium.usable());
        self.reserve.checkpoint_bytes.store(takes, Relaxed);
    }

    /// Whether a segment was begun since the caller last asked, so that the index may need more room than is
    /// set aside.
    #[inline]
    pub(crate) fn takes_old_reserve(&self) -> bool {
        self.reserve.is_old.load(Relaxed) && self.reserve.is_old.swap(false, Relaxed)
    }

    /// A checkpoint is there, or has failed: what is set aside is for the next one.
    pub(crate) fn end_checkpoint(&self) {
        self.reserve.checkpoint_taken.store(0, Release);
    }
}

/// What a checkpoint takes of the log that writes so many bytes of pages, the `largest` of so many, at most.
pub(crate) fn checkpoint_takes(bytes: u64, largest: u64, segment_bytes: u64) -> u64 {
    // An item is lost at the end of each segment, at worst, and part of a block with each sync.
    bytes + bytes / segment_bytes * largest + bytes / 64 + LOST_AT_END_BYTES
}
