//! How long single calls take.
//!
//! Each call is timed by the clock, which costs some 50 ns that are in the figures; the next call
//! begins when the last has ended, so a pause shows once for each thread, however many calls it
//! would have delayed.

use std::time::Instant;

use anyhow::Result;
use hdrhistogram::Histogram;

/// Longest time that is told from longer ones.
const NANOS_MAX: u64 = 600_000_000_000;

/// Times of calls.
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// None yet.
    pub fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, NANOS_MAX, 3)?))
    }

    /// Times a call.
    pub fn time<T>(&mut self, call: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let done = call()?;
        self.0
            .saturating_record(started.elapsed().as_nanos() as u64);
        Ok(done)
    }

    /// Adds those of another thread.
    pub fn add(&mut self, others: &Self) -> Result<()> {
        Ok(self.0.add(&others.0)?)
    }

    /// How many.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Columns of [`Latencies::row`].
    pub const COLUMNS: &str = "p50 | p99 | p99.9 | p99.99 | worst";

    /// As cells of a table.
    pub fn row(&self) -> String {
        let at = |quantile| micros(self.0.value_at_quantile(quantile));
        let quantiles = [0.5, 0.99, 0.999, 0.9999].map(at);
        format!("{} | {}", quantiles.join(" | "), micros(self.0.max()))
    }
}

fn micros(nanos: u64) -> String {
    match nanos {
        n if n >= 1_000_000 => format!("{:.1} ms", n as f64 / 1e6),
        n => format!("{:.1} us", n as f64 / 1e3),
    }
}
