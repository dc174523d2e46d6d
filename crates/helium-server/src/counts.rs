//! What commands were done, how often and for how long: for metrics and INFO.
//!
//! Invariant: counting takes no lock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::commands::{Spec, all};

/// Counters of all commands, in the order of the table.
#[derive(Debug)]
pub struct Counts(Vec<Count>);

#[derive(Debug, Default)]
struct Count {
    calls: AtomicU64,
    failed: AtomicU64,
    nanoseconds: AtomicU64,
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
}

impl Default for Counts {
    fn default() -> Self {
        Self(all().iter().map(|_| Count::default()).collect())
    }
}

impl Counts {
    /// It was done once more.
    pub fn add(&self, spec: &'static Spec, time: Duration, has_failed: bool) {
        if let Some(count) = self.0.get(spec.index()) {
            let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            count.calls.fetch_add(1, Ordering::Relaxed);
            count
                .failed
                .fetch_add(u64::from(has_failed), Ordering::Relaxed);
            count.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        }
    }

    /// Those that were done at least once.
    pub fn list(&self) -> Vec<Counted> {
        let counted = all().iter().zip(&self.0).map(|(spec, count)| Counted {
            name: spec.name,
            calls: count.calls.load(Ordering::Relaxed),
            failed: count.failed.load(Ordering::Relaxed),
            time: Duration::from_nanos(count.nanoseconds.load(Ordering::Relaxed)),
        });
        counted.filter(|counted| counted.calls > 0).collect()
    }

    /// How many commands that were.
    pub fn calls(&self) -> u64 {
        let calls = self
            .0
            .iter()
            .map(|count| count.calls.load(Ordering::Relaxed));
        calls.sum()
    }
}
