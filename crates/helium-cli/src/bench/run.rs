//! Threads doing a piece of work, and how long each operation took.

use std::{
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use heliumdb::Datastore;

use super::{
    keys::Values,
    work::{Work, Worker},
    zipf::Zipf,
};
use crate::{
    failure::{Code, Failure, Result},
    interrupt,
    progress::Progress,
};

/// Operations between two looks at Ctrl-C.
const STEP_OPERATIONS: u64 = 256;
/// Longest latency that is told from longer ones, in nanoseconds: 100 seconds.
const LONGEST_NS: u64 = 100_000_000_000;
/// Digits of a latency that are kept.
const DIGITS: u8 = 3;

/// What stays the same from piece to piece.
pub struct Setting {
    /// Where.
    pub datastore: Datastore,
    /// How many at once.
    pub threads: u64,
    /// Operations of each thread.
    pub operations: u64,
    /// Length of values.
    pub value_bytes: usize,
    /// What random numbers start from.
    pub seed: u64,
}

/// What came of a piece of work.
pub struct Measured {
    /// Which.
    pub work: Work,
    /// With how many threads.
    pub threads: u64,
    /// Operations of all threads.
    pub operations: u64,
    /// How long it took, until it was durable.
    pub time: Duration,
    /// Nanoseconds of each operation.
    pub latencies: Histogram<u64>,
}

impl Measured {
    /// Operations per second.
    pub fn rate(&self) -> f64 {
        self.operations as f64 / self.time.as_secs_f64().max(1e-9)
    }
}

impl Setting {
    /// Does `work`.
    pub fn run(&self, work: Work) -> Result<Measured> {
        interrupt::check()?;
        let values = Values::new(self.value_bytes, self.seed);
        let zipf = Zipf::new(self.threads * self.operations);
        let progress = Progress::items(work.name(), self.threads * self.operations);
        let worker = |number| Worker {
            number,
            threads: self.threads,
            operations: self.operations,
            datastore: &self.datastore,
            values: &values,
            zipf: Some(zipf),
            seed: self.seed,
            round: work as u64,
        };
        let start = Instant::now();
        let parts: Vec<Result<Histogram<u64>>> = thread::scope(|scope| {
            let one = |number| {
                let (worker, progress) = (worker(number), &progress);
                scope.spawn(move || {
                    let mut clock = Clock::new(progress)?;
                    worker.run(work, &mut clock)?;
                    Ok(clock.latencies)
                })
            };
            let running: Vec<_> = (0..self.threads).map(one).collect();
            let ended = running.into_iter().map(|thread| {
                let failed = |_| {
                    Err(Failure::new(
                        Code::Failed,
                        "a thread of the measurement failed",
                    ))
                };
                thread.join().unwrap_or_else(failed)
            });
            ended.collect()
        });
        let mut latencies = histogram()?;
        for part in parts {
            latencies
                .add(part?)
                .map_err(|why| Failure::new(Code::Failed, why.to_string()))?;
        }
        if work.writes() {
            self.datastore.volume().flush()?;
        }
        Ok(Measured {
            work,
            threads: self.threads,
            operations: latencies.len(),
            time: start.elapsed(),
            latencies,
        })
    }
}

fn histogram() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, LONGEST_NS, DIGITS)
        .map_err(|why| Failure::new(Code::Failed, why.to_string()))
}

/// Counts and times the operations of one thread.
pub struct Clock<'a> {
    last: Instant,
    latencies: Histogram<u64>,
    progress: &'a Progress,
}

impl<'a> Clock<'a> {
    fn new(progress: &'a Progress) -> Result<Self> {
        Ok(Self {
            latencies: histogram()?,
            last: Instant::now(),
            progress,
        })
    }

    /// An operation is done.
    pub fn tick(&mut self) -> Result<()> {
        let now = Instant::now();
        let took = now.duration_since(self.last).as_nanos();
        self.last = now;
        self.latencies
            .saturating_record(took.try_into().unwrap_or(u64::MAX));
        if self.latencies.len().is_multiple_of(STEP_OPERATIONS) {
            self.progress.add(STEP_OPERATIONS);
            interrupt::check()?;
        }
        Ok(())
    }
}
