//! The read cache: items that were read from a device, kept in case they are read again.
//!
//! An item is kept under its *position* in the log (segment sequence and offset), which is never
//! used twice: what lies in a segment that was freed and filled again has other positions, so
//! an item that is gone is never found, and needs no dropping. Only bytes whose checksum was
//! compared come in. Copies of neighbours are kept too, under names that were made for them.
//!
//! Invariants:
//! - Memory never exceeds the budget: a [`shard`] is cut into blocks of one size, taken as they
//!   are needed and never more than fit. While blocks wait for readers, nothing new is kept.
//! - Who looks takes no lock. What was found stays as it is for as long as the guard lives.
//! - What is removed makes room as soon as most of its block is removed.
//! - A walk over everything leaves what is read again and again where it is: it counts as a use of what walks have
//!   brought only, and takes no memory of the log's young segments but an eighth of the budget.

mod arena;
mod budgets;
mod shard;
#[cfg(test)]
mod tests;

pub(crate) use arena::By;
pub(crate) use budgets::Budgets;

use crate::threads;
use arena::Entry;
use crossbeam_epoch::Guard;
use crossbeam_utils::CachePadded;
use shard::Shard;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
};

/// With less than this a cache is not worth its table.
const BUDGET_BYTES_MIN: usize = 1 << 20;

/// A volume's read cache.
pub(crate) struct Cache {
    shards: Box<[Arc<Shard>]>,
    counts: Box<[CachePadded<Counts>]>,
    /// Nothing was ever put in: no need to look.
    is_empty: AtomicBool,
    budget_bytes: usize,
    /// How many names were given.
    names: AtomicU32,
}

/// Set in what stands for a name in place of a position.
const NAMED: u64 = 1 << 63;

/// What is kept under a name has this in place of a position.
pub(crate) fn named(name: u32) -> u64 {
    NAMED | u64::from(name) << 4
}

/// Whether this stands for a name, and is no position.
fn is_named(position: u64) -> bool {
    position & NAMED != 0
}

/// Counted by threads in turns, so that readers do not fight for a line.
#[derive(Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    packed: AtomicU64,
}

/// Figures of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheStats {
    /// Point reads that found their item here.
    pub(crate) hits: u64,
    /// Point reads that had to go to a device.
    pub(crate) misses: u64,
    /// Items that walks found in copies of neighbours.
    pub(crate) packed: u64,
    /// Memory taken.
    pub(crate) bytes: u64,
}

impl Cache {
    /// A cache that takes `budget_bytes` of memory at most; `None` if that is too little for one.
    pub(crate) fn new(budget_bytes: usize) -> Option<Self> {
        if budget_bytes < BUDGET_BYTES_MIN {
            return None;
        }
        let shards = match budget_bytes >> 20 {
            256.. => 16,
            32.. => 4,
            _ => 1,
        };
        let shards: Option<_> = (0..shards)
            .map(|_| Shard::new(budget_bytes / shards).map(Arc::new))
            .collect();
        Some(Self {
            shards: shards?,
            is_empty: AtomicBool::new(true),
            budget_bytes,
            names: AtomicU32::new(0),
            counts: (0..16).map(|_| CachePadded::default()).collect(),
        })
    }

    /// The item at `position`, for whoever it is.
    #[inline]
    pub(crate) fn find<'g>(&'g self, position: u64, by: By, guard: &'g Guard) -> Option<&'g [u8]> {
        let found = if self.is_empty.load(Relaxed) {
            None
        } else {
            let hash = mix(position);
            self.shard(hash).find(hash, position, Some(by), guard)
        };
        if by == By::Point {
            let of_thread = self.of_thread();
            match found {
                Some(_) => of_thread.hits.fetch_add(1, Relaxed),
                None => of_thread.misses.fetch_add(1, Relaxed),
            };
        }
        found
    }

    /// Asks the processor for what leads to what is kept at a position.
    #[inline]
    pub(crate) fn prefetch(&self, position: u64) {
        let hash = mix(position);
        self.shard(hash).prefetch(hash);
    }

    /// Whether it has something at this position, which does not count as a use.
    pub(crate) fn has(&self, position: u64, guard: &Guard) -> bool {
        let hash = mix(position);
        self.shard(hash).find(hash, position, None, guard).is_some()
    }

    /// Keeps a checked item, if there is room for it now; true if the cache took memory for it, which it does if it
    /// `may_grow`.
    pub(crate) fn insert(
        &self,
        position: u64,
        item: &[u8],
        by: By,
        may_grow: &dyn Fn() -> bool,
        guard: &Guard,
    ) -> bool {
        let hash = mix(position);
        let entry = Entry { position, by, item };
        let has_grown = self.shard(hash).insert(hash, entry, may_grow, guard);
        if self.is_empty.load(Relaxed) {
            self.is_empty.store(false, Relaxed);
        }
        has_grown
    }

    /// Lets go of what is kept at a position, since nobody will look for it again.
    pub(crate) fn remove(&self, position: u64, guard: &Guard) {
        let hash = mix(position);
        self.shard(hash).remove(hash, position, guard);
    }

    /// A name for what is no item, never 0. After four billion of them they come again.
    pub(crate) fn new_name(&self) -> u32 {
        loop {
            let name = self.names.fetch_add(1, Relaxed);
            if name != 0 {
                return name;
            }
        }
    }

    /// Whether it has less memory than what walks may take whoever else could use it.
    pub(crate) fn is_small(&self) -> bool {
        let taken: usize = self.shards.iter().map(|s| s.memory_bytes()).sum();
        taken < self.budget_bytes / 8
    }

    /// What of the budget others may use for now: what is not taken, less a block for each shard,
    /// so that the next ones that are taken are within it too.
    pub(crate) fn unused_bytes(&self) -> usize {
        let due: usize = self.shards.iter().map(|s| s.bytes_soon()).sum();
        self.budget_bytes.saturating_sub(due)
    }

    /// Blocks that have something in them.
    #[cfg(test)]
    fn blocks_in_use(&self) -> usize {
        self.shards.iter().map(|s| s.blocks_in_use()).sum()
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let count = |of: fn(&Counts) -> &AtomicU64| -> u64 {
            self.counts.iter().map(|c| of(c).load(Relaxed)).sum()
        };
        CacheStats {
            hits: count(|c| &c.hits),
            misses: count(|c| &c.misses),
            packed: count(|c| &c.packed),
            bytes: self.shards.iter().map(|s| s.memory_bytes() as u64).sum(),
        }
    }

    /// A walk found so many items in a copy of neighbours.
    pub(crate) fn count_packed(&self, items: usize) {
        let packed = &self.of_thread().packed;
        packed.fetch_add(items as u64, Relaxed);
    }

    #[inline]
    fn of_thread(&self) -> &Counts {
        &self.counts[threads::number() % self.counts.len()]
    }

    fn shard(&self, hash: u64) -> &Arc<Shard> {
        &self.shards[(hash >> 60) as usize % self.shards.len()]
    }
}

/// Spreads positions, which are multiples of 16 and close together, over all 64 bits.
fn mix(position: u64) -> u64 {
    let mixed = (position >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
}
