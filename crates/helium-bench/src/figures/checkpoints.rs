//! What a checkpoint does to the latency of writes: the same writes with none and with one after the
//! other, in turns.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use clap::Args;
use heliumdb::{Datastore, Volume, VolumeOptions};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::{Options, Place, fill, key, setup::STORE};
use crate::{latency::Latencies, run::human};

const VALUE_BYTES: usize = 200;

/// How much to measure.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Number of items.
    #[arg(long, default_value_t = 3_000_000)]
    items: u64,
    /// Seconds of each turn.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Turns with, and as many without.
    #[arg(long, default_value_t = 3)]
    turns: usize,
}

pub(super) fn run(options: &Options, arguments: &Arguments) -> Result<()> {
    let items = options.scaled(arguments.items);
    let place = Place::new(options.folder.as_deref())?;
    let mut how = VolumeOptions::default();
    // None but ours, and nothing else in the background.
    how.checkpoint_log_bytes = Some(u64::MAX);
    how.clean_dirty_pct = 100;
    let volume = place.open(&how)?;
    let store = volume.create_datastore(STORE)?;
    fill(&store, items, VALUE_BYTES)?;
    volume.checkpoint()?;
    println!("{items} items of {VALUE_BYTES} bytes; random updates by one thread:");
    println!();
    println!(
        "| updates | meanwhile | a second | {} |",
        Latencies::COLUMNS
    );
    println!("|---|---|---|---|---|---|---|---|");
    let time = Duration::from_secs_f64(arguments.seconds * options.scale.min(1.0));
    for (title, is_durable) in [("buffered", false), ("each durable", true)] {
        let mut done = [Done::new()?, Done::new()?];
        for _ in 0..arguments.turns {
            for (is_checkpointed, done) in [false, true].into_iter().zip(&mut done) {
                done.turn((&volume, &store, items), is_durable, is_checkpointed, time)?;
            }
        }
        for (done, other) in done.iter().zip(["nothing", "checkpoints"]) {
            let rate = done.latencies.len() as f64 / done.seconds;
            let other = match done.checkpoints {
                0 => other.to_owned(),
                n => format!(
                    "{n} {other} of {:.2} s",
                    done.checkpoint_seconds / f64::from(n)
                ),
            };
            println!(
                "| {title} | {other} | {} | {} |",
                human(rate),
                done.latencies.row()
            );
        }
    }
    Ok(())
}

/// What was done in some turns.
struct Done {
    latencies: Latencies,
    seconds: f64,
    checkpoints: u32,
    checkpoint_seconds: f64,
}

impl Done {
    fn new() -> Result<Self> {
        Ok(Self {
            latencies: Latencies::new()?,
            seconds: 0.0,
            checkpoints: 0,
            checkpoint_seconds: 0.0,
        })
    }

    fn turn(
        &mut self,
        (volume, store, items): (&Volume, &Datastore, u64),
        is_durable: bool,
        is_checkpointed: bool,
        time: Duration,
    ) -> Result<()> {
        // What the turn before left to be written is not this one's.
        volume.flush()?;
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let checkpoints = is_checkpointed.then(|| {
                scope.spawn(|| -> Result<_> {
                    let (mut count, started) = (0, Instant::now());
                    while !is_over.load(Relaxed) {
                        volume.checkpoint()?;
                        count += 1;
                    }
                    Ok((count, started.elapsed().as_secs_f64()))
                })
            });
            let started = Instant::now();
            let written = self.write((volume, store, items), is_durable, time);
            self.seconds += started.elapsed().as_secs_f64();
            is_over.store(true, Relaxed);
            if let Some(checkpoints) = checkpoints {
                let done = checkpoints.join().map_err(|_| anyhow!("it panicked"))?;
                let (count, seconds) = done?;
                self.checkpoints += count;
                self.checkpoint_seconds += seconds;
            }
            written
        })
    }

    fn write(
        &mut self,
        (volume, store, items): (&Volume, &Datastore, u64),
        is_durable: bool,
        time: Duration,
    ) -> Result<()> {
        let mut random = SmallRng::seed_from_u64(self.latencies.len() + 1);
        let mut value = [8; VALUE_BYTES];
        let started = Instant::now();
        while started.elapsed() < time {
            let key = key(random.random_range(0..items));
            value[..16].copy_from_slice(&key);
            self.latencies.time(|| {
                store.put(key, value)?;
                if is_durable {
                    volume.flush()?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
