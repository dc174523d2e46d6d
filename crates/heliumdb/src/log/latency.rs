//! How long it takes to wait for the devices: for a commit to be durable, for a sync, for a read.
//!
//! Invariants: what needs no device is not timed, so that it costs nothing; neither is anything counted by a lock.
//! A wait is in the bucket whose bound is at most a quarter above it.

use crate::clock;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// Buckets of an octave, and of all octaves of nanoseconds up to 2^40: some 18 minutes.
const STEPS: u64 = 4;
const BUCKETS: usize = (40 * STEPS) as usize;

/// One read in so many is timed: the clock takes as long as a hundredth of one that the page cache answers.
const READS_PER_TIMED: u64 = 16;

/// See the module.
pub(super) struct Timing {
    pub(super) commits: Counts,
    pub(super) syncs: Counts,
    pub(super) device_reads: Counts,
}

impl Timing {
    pub(super) fn new() -> Self {
        Self {
            commits: Counts::new(),
            syncs: Counts::new(),
            device_reads: Counts::new(),
        }
    }

    /// The clock for the read with this number, if it is one that is timed.
    pub(super) fn of_read(&self, number: u64) -> Option<Instant> {
        number.is_multiple_of(READS_PER_TIMED).then(clock::now)
    }

    pub(super) fn report(&self) -> Latencies {
        Latencies {
            commits: self.commits.report(),
            syncs: self.syncs.report(),
            device_reads: self.device_reads.report(),
        }
    }
}

/// Counts of waits, by their length.
pub(super) struct Counts(Box<[AtomicU64]>);

impl Counts {
    fn new() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }

    /// Does what waits, and counts how long it takes.
    pub(super) fn of<T>(&self, wait: impl FnOnce() -> T) -> T {
        let start = clock::now();
        let done = wait();
        self.ended(start);
        done
    }

    /// A wait that began at `start` is over.
    pub(super) fn ended(&self, start: Instant) {
        self.add(clock::since(start));
    }

    fn add(&self, wait: Duration) {
        let bucket = bucket_of(wait.as_nanos().try_into().unwrap_or(u64::MAX));
        if let Some(count) = self.0.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
    }

    fn report(&self) -> Vec<(u64, u64)> {
        let counts = self.0.iter().enumerate();
        let counts = counts.map(|(bucket, count)| (bound_of(bucket), count.load(Relaxed)));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

/// How long the devices were waited for since the volume was opened: pairs of a number of nanoseconds and how many
/// waits took no longer, and longer than the bound before; in order, without those that have none. The bounds are
/// always the same ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latencies {
    /// Commits and flushes that waited until they were durable.
    pub commits: Vec<(u64, u64)>,
    /// Syncs of devices, whoever asked for them.
    pub syncs: Vec<(u64, u64)>,
    /// Reads of devices for single items: a sample, one in 16.
    pub device_reads: Vec<(u64, u64)>,
}

fn bucket_of(ns: u64) -> usize {
    let ns = ns.max(STEPS);
    let octave = u64::from(ns.ilog2());
    let step = (ns >> (octave - 2)) & (STEPS - 1);
    ((octave * STEPS + step) as usize).min(BUCKETS - 1)
}

/// The longest wait of a bucket.
fn bound_of(bucket: usize) -> u64 {
    let (octave, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    if octave < 2 {
        return STEPS - 1;
    }
    ((STEPS + step + 1) << (octave - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_waits_up_to_a_quarter_below_its_bound() {
        for ns in (4..5000).chain([99_999, 1 << 20, (1 << 30) + 1, 17 << 30]) {
            let bound = bound_of(bucket_of(ns));
            assert!(bound >= ns && bound - ns <= ns / 4, "{ns}: {bound}");
        }
        let bounds: Vec<u64> = (8..BUCKETS).map(bound_of).collect();
        assert!(bounds.is_sorted_by(|a, b| a < b));
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket_of(0), bucket_of(4));
    }

    #[test]
    fn waits_are_counted_by_length() {
        let timing = Timing::new();
        timing.syncs.add(Duration::from_micros(100));
        timing.syncs.add(Duration::from_micros(100));
        timing.syncs.add(Duration::from_millis(9));
        let report = timing.report();
        let counts: Vec<u64> = report.syncs.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 1]);
        assert!(report.syncs[0].0 < 125_000 && report.commits.is_empty());
        let timed = (0..160).filter_map(|number| timing.of_read(number));
        assert_eq!(timed.count(), 10);
    }
}
