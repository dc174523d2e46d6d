//! Random gets by some threads, and where their items came from.

use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, ensure};
use heliumdb::{Datastore, upkeep::Stats};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::key;
use crate::{latency::Latencies, process};

/// What gets did.
pub(super) struct Gets {
    pub(super) gets: u64,
    pub(super) seconds: f64,
    pub(super) latencies: Latencies,
    /// Reads of the device, as the store counts them.
    pub(super) reads: u64,
    /// Gets that neither cache answered.
    pub(super) misses: u64,
    /// Gets that the read cache answered.
    pub(super) hits: u64,
    /// Bytes that the kernel fetched from the device.
    pub(super) device_bytes: u64,
}

impl Gets {
    /// Gets a second.
    pub(super) fn rate(&self) -> f64 {
        self.gets as f64 / self.seconds
    }
}

/// Which items are asked for.
#[derive(Clone, Copy)]
pub(super) enum Which {
    /// Any of so many, by chance.
    Any(u64),
    /// The first ones, each once and in turn, shared out to the threads.
    Each(u64),
}

/// `gets` gets by `threads` threads, or as many as are done in `most`.
pub(super) fn gets(
    store: &Datastore,
    which: Which,
    (gets, threads): (u64, u64),
    most: Duration,
) -> Result<Gets> {
    let barrier = Barrier::new(threads as usize);
    let (before, bytes) = (store.volume().stats(), process::device_bytes());
    let (seconds, latencies) = std::thread::scope(|scope| -> Result<_> {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let barrier = &barrier;
                scope.spawn(move || -> Result<_> {
                    let mut random = SmallRng::seed_from_u64(thread + 5);
                    let mut latencies = Latencies::new()?;
                    let mut value = Vec::new();
                    barrier.wait();
                    let started = Instant::now();
                    for i in (thread..gets).step_by(threads as usize) {
                        let number = match which {
                            Which::Any(items) => random.random_range(0..items),
                            Which::Each(items) => i % items,
                        };
                        let key = key(number);
                        let found = latencies.time(|| Ok(store.get_into(key, &mut value)?))?;
                        ensure!(found && value[..16] == key, "a wrong value");
                        if started.elapsed() > most {
                            break;
                        }
                    }
                    Ok((started.elapsed().as_secs_f64(), latencies))
                })
            })
            .collect();
        let (mut longest, mut all) = (0f64, Latencies::new()?);
        for worker in workers {
            let done = worker.join().map_err(|_| anyhow!("a worker panicked"))?;
            let (seconds, latencies) = done?;
            longest = longest.max(seconds);
            all.add(&latencies)?;
        }
        Ok((longest, all))
    })?;
    let after = store.volume().stats();
    let since = |of: fn(&Stats) -> u64| of(&after) - of(&before);
    Ok(Gets {
        gets: latencies.len(),
        seconds,
        latencies,
        reads: since(|stats| stats.device_reads),
        misses: since(|stats| stats.read_cache_misses),
        hits: since(|stats| stats.read_cache_hits),
        device_bytes: process::device_bytes() - bytes,
    })
}
