//! How many items there are, counted without a cache line that all writers share.
//!
//! Invariant: the sum is the number of keys whose newest committed state is an item, as soon as
//! the writes that are under way have returned. What a transaction has not committed, removals
//! and older versions do not count.

use std::sync::atomic::{AtomicI64, Ordering};

use crossbeam_utils::CachePadded;

use crate::threads;

const SHARDS: usize = 8;

/// A number of items, in parts that mean nothing by themselves.
#[derive(Default)]
pub(crate) struct LiveCount {
    shards: [CachePadded<AtomicI64>; SHARDS],
}

impl LiveCount {
    pub(crate) fn of(items: u64) -> Self {
        let count = Self::default();
        count.add(items as i64);
        count
    }

    pub(crate) fn add(&self, items: i64) {
        if items != 0 {
            self.shards[threads::number() % SHARDS].fetch_add(items, Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self) -> u64 {
        let sum: i64 = self.shards.iter().map(|s| s.load(Ordering::Relaxed)).sum();
        // Between an addition here and a subtraction there a sum can be off.
        sum.max(0) as u64
    }
}
