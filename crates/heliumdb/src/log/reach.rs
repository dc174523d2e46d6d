//! How far the log reaches: where it ends, up to where it is durable, and in which epoch it is written.
//!
//! Invariants: `durable` only grows while the log is open, and never passes the end of what was appended. The end, and
//! the room behind it, change under the appender's lock only; anybody may look.

use crate::location::Lsn;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// See the module.
pub(crate) struct Reach {
    end: AtomicU64,
    durable: AtomicU64,
    /// End of what was appended last that is not a checkpoint's.
    written_end: AtomicU64,
    /// Room left in the segment being filled.
    rest: AtomicU64,
    /// Of this session, once it has begun one; until then the highest that was met.
    epoch: AtomicU64,
}

impl Reach {
    pub(super) fn new(epoch: u64) -> Self {
        Self {
            end: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            written_end: AtomicU64::new(0),
            rest: AtomicU64::new(0),
            epoch: AtomicU64::new(epoch),
        }
    }

    #[inline]
    pub(crate) fn end(&self) -> Lsn {
        self.end.load(Acquire)
    }

    /// For estimates: as old as it may be.
    #[inline]
    pub(super) fn end_lately(&self) -> Lsn {
        self.end.load(Relaxed)
    }

    #[inline]
    pub(crate) fn durable(&self) -> Lsn {
        self.durable.load(Acquire)
    }

    /// End of what was appended last that is not a checkpoint's.
    pub(crate) fn written_end(&self) -> Lsn {
        self.written_end.load(Acquire)
    }

    #[inline]
    pub(super) fn rest(&self) -> u64 {
        self.rest.load(Relaxed)
    }

    #[inline]
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Relaxed)
    }

    /// The log ends here now.
    #[inline]
    pub(super) fn end_at(&self, end: Lsn) {
        self.end.store(end, Release);
    }

    /// The same, and what was appended last is more than a part of a checkpoint.
    #[inline]
    pub(super) fn written_to(&self, end: Lsn) {
        self.end_at(end);
        self.written_end.store(end, Release);
    }

    /// Everything before this was written, and the devices it lies on were synced.
    pub(super) fn durable_to(&self, end: Lsn) {
        self.durable.fetch_max(end, AcqRel);
    }

    /// The log was found, or made, with its end here.
    pub(super) fn begin_at(&self, end: Lsn) {
        self.end_at(end);
        self.durable.store(end, Release);
    }

    /// There is so much room in the segment being filled.
    #[inline]
    pub(super) fn leave(&self, rest: u64) {
        self.rest.store(rest, Relaxed);
    }

    /// There are frames of this epoch.
    pub(super) fn meet_epoch(&self, epoch: u64) {
        self.epoch.fetch_max(epoch, Relaxed);
    }

    /// This epoch is durable, and none of its frames is there yet.
    pub(super) fn begin_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Relaxed);
    }
}
