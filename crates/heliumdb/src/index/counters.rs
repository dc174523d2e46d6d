//! How much a tree holds, counted without a cache line that all writers share.
//!
//! Invariant: each counter is the wrapping sum of its shards; a single shard means
//! nothing, because what one thread added another may subtract.

use crate::threads;
use std::sync::atomic::{AtomicU64, Ordering};

const SHARDS: usize = 8;

/// Items and bytes of a tree.
#[derive(Default)]
pub(super) struct Counters {
    shards: [Shard; SHARDS],
}

#[derive(Default)]
#[repr(align(64))]
struct Shard {
    items: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    pub(super) fn items(&self) -> u64 {
        self.sum(|shard| &shard.items)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.sum(|shard| &shard.bytes)
    }

    pub(super) fn add_item(&self) {
        self.mine().items.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_items(&self, items: u64) {
        self.mine().items.fetch_add(items, Ordering::Relaxed);
    }

    pub(super) fn subtract_item(&self) {
        self.mine().items.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn add_bytes(&self, bytes: usize) {
        self.mine().bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn subtract_bytes(&self, bytes: usize) {
        self.mine().bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    fn sum(&self, counter: impl Fn(&Shard) -> &AtomicU64) -> u64 {
        let sum = self.shards.iter().fold(0u64, |sum, shard| {
            sum.wrapping_add(counter(shard).load(Ordering::Relaxed))
        });
        // Caught between an addition and a later subtraction elsewhere, a sum can be
        // off; it must not come out as a huge number.
        if sum > u64::MAX / 2 { 0 } else { sum }
    }

    fn mine(&self) -> &Shard {
        &self.shards[threads::number() % SHARDS]
    }
}
