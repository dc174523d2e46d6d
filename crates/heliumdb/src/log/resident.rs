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

use super::{
    buffer::SegmentBuffer,
    core::Log,
    pool::{self, Pool},
    table::Table,
};
use crate::cache::{Budgets, Cache, CacheStats};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// The memory of segments, and the read cache beside them.
pub(super) struct Residency {
    /// Taken last of all locks.
    listed: Mutex<Listed>,
    pool: Arc<Pool>,
    cache: Option<Cache>,
    /// Memory for segments, beside what the read cache leaves.
    write_cache_bytes: usize,
    /// Of that, what the cleaner has.
    lent_bytes: AtomicUsize,
    segment_bytes: usize,
}

/// Segments whose bytes are in memory.
#[derive(Default)]
struct Listed {
    /// How many are not wholly written.
    filling: usize,
    /// The others, oldest first.
    written: VecDeque<u64>,
}

impl Listed {
    /// All of them.
    fn count(&self) -> usize {
        self.filling + self.written.len()
    }
}

impl Residency {
    pub(super) fn new(budgets: &Budgets, segment_bytes: u64) -> Self {
        Self {
            listed: Mutex::default(),
            pool: Arc::default(),
            cache: Cache::new(budgets.read_cache_bytes),
            write_cache_bytes: budgets.write_cache_bytes,
            lent_bytes: AtomicUsize::new(0),
            segment_bytes: segment_bytes as usize,
        }
    }

    /// The read cache, if there is one.
    #[inline]
    pub(super) fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// Where segments have their memory from.
    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(super) fn cache_stats(&self) -> CacheStats {
        self.cache().map(Cache::stats).unwrap_or_default()
    }

    /// How many segments are listed.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.listed.lock().count()
    }

    /// A segment more is in memory: others leave room for it. Now, and not when the flusher has
    /// time: what it waits for may take long.
    pub(super) fn one_more(&self, table: &Table) {
        let mut listed = self.listed.lock();
        listed.filling += 1;
        self.let_go(&mut listed, table);
    }

    /// Segments that were being filled are on their devices: those go that there is no room for.
    pub(super) fn now_written(
        &self,
        segments: impl Iterator<Item = (u64, Arc<SegmentBuffer>)>,
        table: &Table,
    ) {
        let mut listed = self.listed.lock();
        for (segment, buffer) in segments {
            buffer.set_written();
            listed.filling -= 1;
            listed.written.push_back(segment);
        }
        self.let_go(&mut listed, table);
    }

    /// The read cache has taken memory: segments leave room for it.
    #[cold]
    pub(super) fn read_cache_grew(&self, table: &Table) {
        self.let_go(&mut self.listed.lock(), table);
    }

    /// The cleaner has taken so many bytes in all: segments leave room for them.
    fn lend(&self, bytes: usize, table: &Table) {
        if self.lent_bytes.swap(bytes, Relaxed) < bytes {
            self.let_go(&mut self.listed.lock(), table);
        }
    }

    /// A segment was freed: nobody needs its bytes but those who look at them already.
    pub(super) fn no_more(&self, segment: u64, table: &Table) {
        let mut listed = self.listed.lock();
        listed.written.retain(|written| *written != segment);
        drop_buffer(segment, table);
    }

    /// Whether there is room for what is in memory, and for a segment more.
    pub(super) fn has_spare_memory(&self) -> bool {
        self.listed.lock().count() + pool::KEPT < self.segments_most()
    }

    /// Segments that there is room for.
    fn segments_most(&self) -> usize {
        let unused = self.cache().map_or(0, Cache::unused_bytes);
        let lent = self.lent_bytes.load(Relaxed);
        let most = (self.write_cache_bytes + unused).saturating_sub(lent);
        most / self.segment_bytes
    }

    /// Lets go of the oldest written segments that there is no room for.
    fn let_go(&self, listed: &mut Listed, table: &Table) {
        let most = self.segments_most();
        while listed.count() + pool::KEPT > most {
            let Some(oldest) = listed.written.pop_front() else {
                return;
            };
            drop_buffer(oldest, table);
        }
    }
}

fn drop_buffer(segment: u64, table: &Table) {
    if let Some(segment) = table.get(segment) {
        segment.set_buffer(None);
    }
}

impl Log {
    /// The cleaner has taken so many bytes in all: segments leave room for them.
    pub(crate) fn lend_to_cleaner(&self, bytes: usize) {
        self.residency.lend(bytes, &self.table);
    }

    /// Memory that is set aside for what was written lately.
    pub(crate) fn write_cache_bytes(&self) -> u64 {
        self.residency.write_cache_bytes as u64
    }
}
