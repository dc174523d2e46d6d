//! Measures random overwrites of a volume that is filled to a part of its size, for as long as wanted:
//! writes a second, bytes written to the devices for one of the user's, and how long single puts take.
//!
//! Half of the time is left out of the totals: by then the volume is in the state that it stays in.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use heliumdb::{Datastore, Volume, VolumeOptions, upkeep::Stats};
use rand::{Rng, SeedableRng, rngs::SmallRng};

/// How much to measure.
#[derive(Parser)]
struct Options {
    /// Size of the volume in MiB.
    #[arg(long, default_value_t = 1024)]
    size_mib: u64,
    /// Bytes of a value; keys have 16.
    #[arg(long, default_value_t = 200)]
    value_bytes: usize,
    /// Part of the volume that live items take, in per cent.
    #[arg(long, default_value_t = 70)]
    fill_pct: u64,
    /// Seconds of overwriting.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Threads that write.
    #[arg(long, default_value_t = 1)]
    threads: u64,
    /// Puts a second and thread, at most; 0 for no limit.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// Memory for log segments, in MiB.
    #[arg(long, default_value_t = 64)]
    write_cache_mib: u64,
    /// A line every so many seconds.
    #[arg(long, default_value_t = 5)]
    every: u64,
    /// Folder to work in; the system's temporary one by default.
    #[arg(long)]
    folder: Option<std::path::PathBuf>,
}

/// Bytes that the log keeps with each item: header, checksum.
const ITEM_HEADER_BYTES: usize = 24;

fn main() -> Result<()> {
    let options = Options::parse();
    let folder = match &options.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let url = format!("he://./{}", folder.path().join("volume").display());
    let mut how = VolumeOptions::default();
    how.limit_bytes = Some(options.size_mib << 20);
    how.write_cache_bytes = options.write_cache_mib << 20;
    let volume = Volume::open(&url, &how)?;
    let store = volume.create_datastore(b"items")?;
    let item = (ITEM_HEADER_BYTES + 16 + options.value_bytes).next_multiple_of(16) as u64;
    let items = (options.size_mib << 20) * options.fill_pct / 100 / item;
    let value = vec![7; options.value_bytes];
    let started = Instant::now();
    for number in 0..items {
        store
            .put(key(number), &value)
            .with_context(|| format!("item {number}: {:?}", volume.stats()))?;
    }
    println!(
        "{items} items of {item} bytes in {} MiB, loaded in {:.1} s",
        options.size_mib,
        started.elapsed().as_secs_f64()
    );
    overwrite(&options, &volume, &store, items, &value)?;
    let started = Instant::now();
    volume.close()?;
    drop((store, volume));
    println!("closed in {:.1} s", started.elapsed().as_secs_f64());
    let started = Instant::now();
    let volume = Volume::open(&url, &how)?;
    println!(
        "opened in {:.1} s, {} items replayed",
        started.elapsed().as_secs_f64(),
        volume.stats().recovered_items
    );
    Ok(())
}

/// Spread, so that neighbours in the log are not neighbours in order.
fn key(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    key[..8].copy_from_slice(&mixed.to_be_bytes());
    key[8..].copy_from_slice(&number.to_le_bytes());
    key
}

fn overwrite(
    options: &Options,
    volume: &Volume,
    store: &Datastore,
    items: u64,
    value: &[u8],
) -> Result<()> {
    let (done, stop) = (Times::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        let (done, stop) = (&done, &stop);
        let writers: Vec<_> = (0..options.threads)
            .map(|thread| {
                scope.spawn(move || -> Result<()> {
                    let mut random = SmallRng::seed_from_u64(thread);
                    let began = Instant::now();
                    let mut puts = 0;
                    while !stop.load(Relaxed) {
                        let number = random.random_range(0..items);
                        let before = Instant::now();
                        store.put(key(number), value)?;
                        done.add(before.elapsed());
                        puts += 1;
                        if options.rate > 0 {
                            let due = Duration::from_secs_f64(puts as f64 / options.rate as f64);
                            thread::sleep(due.saturating_sub(began.elapsed()));
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        let seconds = |n| Duration::from_secs(n);
        let began = Instant::now();
        let mut last = Mark::new(volume, done);
        let mut half = None;
        while began.elapsed() < seconds(options.seconds) && writers.iter().any(|w| !w.is_finished())
        {
            thread::sleep(seconds(options.every.max(1)));
            let now = Mark::new(volume, done);
            println!("{:4} s: {}", began.elapsed().as_secs(), now.since(&last));
            if half.is_none() && began.elapsed() * 2 >= seconds(options.seconds) {
                half = Some(now.clone());
            }
            last = now;
        }
        stop.store(true, Relaxed);
        if let Some(half) = half {
            println!("second half: {}", last.since(&half));
        }
        for writer in writers {
            writer.join().map_err(|_| anyhow!("a writer panicked"))??;
        }
        Ok(())
    })
}

/// How often something took how long: eight classes for each doubling, from 16 ns on.
struct Times {
    classes: [AtomicU64; 8 * 40],
}

impl Default for Times {
    fn default() -> Self {
        Self {
            classes: [const { AtomicU64::new(0) }; 8 * 40],
        }
    }
}

impl Times {
    fn add(&self, time: Duration) {
        let time = (time.as_nanos() as u64).max(16);
        let doublings = time.ilog2();
        let class = (doublings as usize - 4) * 8 + (time >> (doublings - 3) & 7) as usize;
        if let Some(class) = self.classes.get(class) {
            class.fetch_add(1, Relaxed);
        }
    }

    fn counts(&self) -> Vec<u64> {
        self.classes.iter().map(|c| c.load(Relaxed)).collect()
    }
}

/// The time below which a part of those counted is, rounded up to a class.
fn quantile(counts: &[u64], part: f64) -> Duration {
    let wanted = (counts.iter().sum::<u64>() as f64 * part).ceil() as u64;
    let mut sum = 0;
    for (class, count) in counts.iter().enumerate() {
        sum += count;
        if sum >= wanted {
            let (doublings, eighth) = (class as u32 / 8 + 4, class as u64 % 8);
            return Duration::from_nanos((9 + eighth) << (doublings - 3));
        }
    }
    Duration::MAX
}

/// A moment.
#[derive(Clone)]
struct Mark {
    at: Instant,
    stats: Stats,
    counts: Vec<u64>,
}

impl Mark {
    fn new(volume: &Volume, times: &Times) -> Self {
        Self {
            at: Instant::now(),
            stats: volume.stats(),
            counts: times.counts(),
        }
    }

    fn since(&self, then: &Self) -> String {
        let counts: Vec<u64> = self
            .counts
            .iter()
            .zip(&then.counts)
            .map(|(a, b)| a - b)
            .collect();
        let puts: u64 = counts.iter().sum();
        let (now, then_stats) = (&self.stats, &then.stats);
        let user = (now.user_bytes - then_stats.user_bytes).max(1) as f64;
        let part = |now: u64, then: u64| (now - then) as f64 / user;
        format!(
            "{:.0} puts/s; bytes for one: {:.2} written, {:.2} moved, {:.2} in checkpoints; in use for one live: {:.2}; \
             p50 {:?}, p99 {:?}, p99.9 {:?}, p99.99 {:?}, worst {:?}",
            puts as f64 / (self.at - then.at).as_secs_f64(),
            part(now.written_bytes, then_stats.written_bytes),
            part(now.cleaner_bytes, then_stats.cleaner_bytes),
            part(
                now.checkpoint_written_bytes,
                then_stats.checkpoint_written_bytes
            ),
            now.space_amplification(),
            quantile(&counts, 0.5),
            quantile(&counts, 0.99),
            quantile(&counts, 0.999),
            quantile(&counts, 0.9999),
            quantile(&counts, 1.0),
        )
    }
}
