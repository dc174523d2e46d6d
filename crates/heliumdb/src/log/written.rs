//! What was appended, by what for, and what became of it.
//!
//! Invariant: who sees that an item was counted sees those who are between the log and the index, too.

use super::{BatchKind, batch::Batch};
use crate::limits::BLOCK_BYTES;
use crossbeam_utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Bytes of items, unless it says something else.
#[derive(Default)]
pub(crate) struct Written {
    user: AtomicU64,
    user_items: AtomicU64,
    moved: AtomicU64,
    checkpoint: AtomicU64,
    /// Of values that were to be compressed: as given, and as kept.
    given: AtomicU64,
    kept: AtomicU64,
    frames: AtomicU64,
    /// Given back to the devices.
    trimmed: AtomicU64,
    /// Found behind the log's end.
    discarded: AtomicU64,
    /// Not what was written: what users have made die since. By itself, since all of them count here.
    died: CachePadded<AtomicU64>,
}

impl Written {
    /// A batch was appended.
    #[inline]
    pub(super) fn count(&self, batch: &Batch) {
        if batch.given_bytes > 0 {
            self.given.fetch_add(batch.given_bytes, Relaxed);
            self.kept.fetch_add(batch.kept_bytes, Relaxed);
        }
        let counter = match &batch.kind {
            BatchKind::Move { .. } => &self.moved,
            BatchKind::Checkpoint => &self.checkpoint,
            BatchKind::Commit
            | BatchKind::Prepare { .. }
            | BatchKind::Spill { .. }
            | BatchKind::CommitSpilled(_) => {
                // Who sees them counted sees who is between, too.
                self.user_items.fetch_add(batch.len() as u64, Release);
                &self.user
            }
        };
        counter.fetch_add(batch.bytes.len() as u64, Release);
    }

    #[inline]
    pub(super) fn count_frame(&self) {
        self.frames.fetch_add(1, Relaxed);
    }

    pub(super) fn count_trimmed(&self, bytes: u64) {
        self.trimmed.fetch_add(bytes, Relaxed);
    }

    pub(super) fn found_behind_end(&self, bytes: u64) {
        self.discarded.store(bytes, Relaxed);
    }

    /// Users have replaced or deleted so much.
    #[inline]
    pub(super) fn count_died(&self, bytes: u64) {
        self.died.fetch_add(bytes, Relaxed);
    }
}

/// Since the volume was opened.
impl Written {
    /// Bytes of items appended so far, but for those of checkpoints.
    pub(crate) fn appended_bytes(&self) -> u64 {
        self.user.load(Relaxed) + self.moved.load(Relaxed)
    }

    /// Bytes of items appended so far for users.
    #[inline]
    pub(crate) fn user_bytes(&self) -> u64 {
        self.user.load(Acquire)
    }

    /// Items appended so far for users.
    #[inline]
    pub(crate) fn user_items(&self) -> u64 {
        self.user_items.load(Acquire)
    }

    /// What users have taken of the log so far, at most: each item may have been synced alone.
    pub(crate) fn user_log_bytes(&self) -> u64 {
        self.user_bytes() + self.user_items() * BLOCK_BYTES as u64
    }

    /// Bytes that users have made die, whatever their deletes take.
    pub(crate) fn died_bytes(&self) -> u64 {
        self.died.load(Relaxed)
    }

    pub(super) fn moved_bytes(&self) -> u64 {
        self.moved.load(Relaxed)
    }

    pub(super) fn checkpointed_bytes(&self) -> u64 {
        self.checkpoint.load(Relaxed)
    }

    /// Bytes of values that were to be compressed: as given, and as kept.
    pub(super) fn compressed_bytes(&self) -> (u64, u64) {
        (self.given.load(Relaxed), self.kept.load(Relaxed))
    }

    pub(super) fn frames(&self) -> u64 {
        self.frames.load(Relaxed)
    }

    pub(super) fn trimmed_bytes(&self) -> u64 {
        self.trimmed.load(Relaxed)
    }

    pub(super) fn discarded_bytes(&self) -> u64 {
        self.discarded.load(Relaxed)
    }
}
