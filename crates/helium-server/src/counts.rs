//! What commands were done, how often and for how long: for metrics, the page, and INFO.
//!
//! Invariant: counting takes no lock, but for a command that was slow anyway.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{
    commands::{Spec, all},
    slowest::Slowest,
};

/// A command is counted with the first of these times that it did not exceed; with none, if it took longer.
pub const BOUNDS: [Duration; 11] = {
    let mut bounds = [Duration::ZERO; 11];
    let mut index = 0;
    while index < bounds.len() {
        // From 4 us to 4 s.
        bounds[index] = Duration::from_micros(4 << (2 * index));
        index += 1;
    }
    bounds
};

/// How often commands took how long, by [`BOUNDS`].
pub type Buckets = [u64; BOUNDS.len() + 1];

/// Counters of all commands.
#[derive(Debug)]
pub struct Counts {
    /// In the order of the table.
    counts: Vec<Count>,
    /// Those that took longest.
    pub slowest: Slowest,
}

#[derive(Debug, Default)]
struct Count {
    calls: AtomicU64,
    failed: AtomicU64,
    nanoseconds: AtomicU64,
    buckets: [AtomicU64; BOUNDS.len() + 1],
}

/// What one command has come to.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// The command.
    pub name: &'static str,
    /// How often it was done.
    pub calls: u64,
    /// How often that ended with an error.
    pub failed: u64,
    /// For how long, all together.
    pub time: Duration,
    /// How often for how long.
    pub buckets: Buckets,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            counts: all().iter().map(|_| Count::default()).collect(),
            slowest: Slowest::default(),
        }
    }
}

impl Counts {
    /// It was done once more.
    pub fn add(&self, spec: &'static Spec, time: Duration, has_failed: bool) {
        if let Some(count) = self.counts.get(spec.index()) {
            let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            count.calls.fetch_add(1, Ordering::Relaxed);
            count
                .failed
                .fetch_add(u64::from(has_failed), Ordering::Relaxed);
            count.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
            let bucket = BOUNDS.partition_point(|&bound| bound < time);
            if let Some(bucket) = count.buckets.get(bucket) {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Those that were done at least once.
    pub fn list(&self) -> Vec<Counted> {
        let counted = all().iter().zip(&self.counts).map(|(spec, count)| Counted {
            name: spec.name,
            calls: count.calls.load(Ordering::Relaxed),
            failed: count.failed.load(Ordering::Relaxed),
            time: Duration::from_nanos(count.nanoseconds.load(Ordering::Relaxed)),
            buckets: std::array::from_fn(|index| {
                let bucket = count.buckets.get(index);
                bucket.map_or(0, |bucket| bucket.load(Ordering::Relaxed))
            }),
        });
        counted.filter(|counted| counted.calls > 0).collect()
    }

    /// How many commands that were.
    pub fn calls(&self) -> u64 {
        let calls = self
            .counts
            .iter()
            .map(|count| count.calls.load(Ordering::Relaxed));
        calls.sum()
    }
}
