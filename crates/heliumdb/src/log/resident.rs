//! Which segments' bytes stay in memory: decided here, and nowhere else.
//!
//! A segment that was written stays for as long as there is room for it, in the write cache's budget
//! or in what the read cache has not taken of its own; the oldest make room. What is read from
//! it needs no device, no checksum, no look into the read cache, and no second copy there.
//! What the cleaner gathers items in comes out of the same budgets, and so does spare memory.
//!
//! Invariants:
//! - All of these and the read cache take no more than both budgets together, unless so many
//!   segments are not wholly written, or readers still look at some that were let go.
//! - A segment that is listed as written is in that same use: who frees it takes it out before
//!   anybody can use it again.

use super::{buffer::SegmentBuffer, core::Core, pool};
use crate::cache::Cache;
use std::{collections::VecDeque, sync::atomic::Ordering::Relaxed};

/// Segments whose bytes are in memory.
#[derive(Default)]
pub(super) struct Resident {
    /// How many are not wholly written.
    filling: usize,
    /// The others, oldest first.
    written: VecDeque<u64>,
}

impl Resident {
    /// All of them.
    pub(super) fn count(&self) -> usize {
        self.filling + self.written.len()
    }

    /// A segment that was being filled is on its device.
    pub(super) fn now_written(&mut self, segment: u64, buffer: &SegmentBuffer) {
        buffer.set_written();
        self.filling -= 1;
        self.written.push_back(segment);
    }
}

impl Core {
    /// A segment more is in memory: others leave room for it. Now, and not when the flusher has
    /// time: what it waits for may take long.
    pub(super) fn one_more_resident(&self) {
        let mut resident = self.resident.lock();
        resident.filling += 1;
        self.let_go(&mut resident);
    }

    /// The read cache has taken memory: segments leave room for it.
    #[cold]
    pub(super) fn read_cache_grew(&self) {
        self.let_go(&mut self.resident.lock());
    }

    /// The cleaner has taken so many bytes in all: segments leave room for them.
    pub(crate) fn lend_to_cleaner(&self, bytes: usize) {
        if self.lent_bytes.swap(bytes, Relaxed) < bytes {
            self.let_go(&mut self.resident.lock());
        }
    }

    /// Memory that is set aside for what was written lately.
    pub(crate) fn write_cache_bytes(&self) -> u64 {
        self.write_cache_bytes as u64
    }

    /// A segment was freed: nobody needs its bytes but those who look at them already.
    pub(super) fn no_more_resident(&self, segment: u64) {
        let mut resident = self.resident.lock();
        resident.written.retain(|written| *written != segment);
        self.drop_buffer(segment);
    }

    /// Whether there is room for what is in memory, and for a segment more.
    pub(super) fn has_spare_memory(&self) -> bool {
        self.resident.lock().count() + pool::KEPT < self.segments_most()
    }

    /// Segments that there is room for.
    fn segments_most(&self) -> usize {
        let unused = self.cache.as_ref().map_or(0, Cache::unused_bytes);
        let lent = self.lent_bytes.load(Relaxed);
        let most = (self.write_cache_bytes + unused).saturating_sub(lent);
        most / self.medium.segment_bytes() as usize
    }

    /// Lets go of the oldest written segments that there is no room for.
    pub(super) fn let_go(&self, resident: &mut Resident) {
        let most = self.segments_most();
        while resident.count() + pool::KEPT > most {
            let Some(oldest) = resident.written.pop_front() else {
                return;
            };
            self.drop_buffer(oldest);
        }
    }

    fn drop_buffer(&self, segment: u64) {
        if let Some(segment) = self.table.get(segment) {
            segment.set_buffer(None);
        }
    }
}
