//! How much went to and came from the devices: counted by shards, as reads share no line.

use crate::threads;
use crossbeam_utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering::*};

const SHARDS: usize = 16;

/// Counters of one shard.
#[derive(Default)]
struct Shard {
    reads: AtomicU64,
    read_bytes: AtomicU64,
    writes: AtomicU64,
}

/// What [`Traffic`] adds up to.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) reads: u64,
    pub(super) read_bytes: u64,
    pub(super) writes: u64,
}

#[derive(Default)]
pub(super) struct Traffic([CachePadded<Shard>; SHARDS]);

impl Traffic {
    fn shard(&self) -> &Shard {
        &self.0[threads::number() % SHARDS]
    }

    /// Counts a read, and says how many there were before it, of threads that count together.
    pub(super) fn read(&self, bytes: usize) -> u64 {
        let shard = self.shard();
        shard.read_bytes.fetch_add(bytes as u64, Relaxed);
        shard.reads.fetch_add(1, Relaxed)
    }

    pub(super) fn written(&self) {
        self.shard().writes.fetch_add(1, Relaxed);
    }

    pub(super) fn sums(&self) -> Sums {
        self.0.iter().fold(Sums::default(), |sums, shard| Sums {
            reads: sums.reads + shard.reads.load(Relaxed),
            read_bytes: sums.read_bytes + shard.read_bytes.load(Relaxed),
            writes: sums.writes + shard.writes.load(Relaxed),
        })
    }
}
