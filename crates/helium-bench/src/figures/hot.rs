//! Ranges that are read again and again: how fast before a volume is closed and after it was opened anew, and whether one pass
//! over everything takes them out of memory.
//!
//! What a range read asks of the device is counted beside its time, as the page cache of the system hides the time of it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use heliumdb::{Datastore, Position, VolumeOptions};

use super::{Options, Place, fill, key, mix, setup::STORE};
use crate::run::human;

const VALUE_BYTES: usize = 1000;
/// What an item takes in the log, roughly.
const ITEM_BYTES: u64 = 1056;
/// Items of a range.
const RANGE_ITEMS: u64 = 100;

/// How much to measure.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Bytes of items that fit into the read cache, in MB.
    #[arg(long, default_value_t = 30)]
    data_mb: u64,
    /// The read cache beside which everything is ten times as large, in MiB.
    #[arg(long, default_value_t = 64)]
    cache_mib: u64,
    /// Rows for one volume, each of a second.
    #[arg(long, default_value_t = 5)]
    rows: u32,
}

pub(super) fn run(options: &Options, arguments: &Arguments) -> Result<()> {
    reopened(options, arguments)?;
    println!();
    passed(options, arguments)
}

/// Ranges anywhere in what fits into the cache.
fn reopened(options: &Options, arguments: &Arguments) -> Result<()> {
    let items = options.scaled(arguments.data_mb * 1_000_000 / VALUE_BYTES as u64);
    let items = items.max(10 * RANGE_ITEMS);
    let row_time = Duration::from_secs_f64(options.scale.min(1.0));
    let place = Place::new(options.folder.as_deref())?;
    let mut volume = place.open(&VolumeOptions::default())?;
    let mut store = volume.create_datastore(STORE)?;
    fill(&store, items, VALUE_BYTES)?;
    println!(
        "Ranges of {RANGE_ITEMS} items, anywhere in {items} items of {VALUE_BYTES} bytes, one thread; caches as they are by default:"
    );
    println!();
    println!("| when | ranges a second | device reads for a range |");
    println!("|---|---|---|");
    let row = |store: &Datastore, when: &str| -> Result<()> {
        let done = Ranges {
            store,
            low: 0,
            high: items,
        }
        .read(items, row_time)?;
        println!(
            "| {when} | {} | {:.3} |",
            human(done.rate()),
            done.reads_each()
        );
        Ok(())
    };
    row(&store, "as written")?;
    volume.close()?;
    drop((volume, store));
    place.evict()?;
    volume = place.open(&VolumeOptions::default())?;
    store = volume.datastore(STORE)?;
    for number in 1..=arguments.rows {
        row(&store, &format!("opened anew, second {number}"))?;
    }
    volume.close()?;
    Ok(())
}

/// A hot tenth of what is ten times as large as the cache takes half of that.
fn passed(options: &Options, arguments: &Arguments) -> Result<()> {
    let cache_bytes = arguments.cache_mib << 20;
    let items = options
        .scaled(10 * cache_bytes / ITEM_BYTES)
        .max(40 * RANGE_ITEMS);
    let row_time = Duration::from_secs_f64(options.scale.min(1.0));
    let place = Place::new(options.folder.as_deref())?;
    let volume = place.open(&VolumeOptions::default())?;
    fill(&volume.create_datastore(STORE)?, items, VALUE_BYTES)?;
    volume.close()?;
    drop(volume);
    let (volume, store) = place.open_cold(cache_bytes)?;
    let high = items / 20;
    let hot = Ranges {
        store: &store,
        low: 0,
        high,
    };
    println!(
        "Ranges in the first {high} of {items} items, half of a read cache of {} MiB, before and after all items are read once:",
        arguments.cache_mib
    );
    println!();
    println!("| when | ranges a second | device reads for a range |");
    println!("|---|---|---|");
    let row = |when: &str| -> Result<()> {
        let done = hot.read(items, row_time)?;
        println!(
            "| {when} | {} | {:.3} |",
            human(done.rate()),
            done.reads_each()
        );
        Ok(())
    };
    row("opened, nothing of it in memory")?;
    for _ in 1..arguments.rows {
        hot.read(items, row_time)?;
    }
    row("read again and again")?;
    for (from, way) in [(Position::First, "forward"), (Position::Last, "backward")] {
        let mut seen = 0;
        store.visit(from, &mut |_, _| {
            seen += 1;
            true
        })?;
        ensure!(seen == items, "a pass saw {seen} items");
        row(&format!("after a pass {way}"))?;
    }
    volume.close()?;
    Ok(())
}

/// Ranges that begin between two items, by their order.
struct Ranges<'a> {
    store: &'a Datastore,
    low: u64,
    high: u64,
}

/// What was read.
struct Done {
    ranges: u64,
    reads: u64,
    seconds: f64,
}

impl Ranges<'_> {
    /// Reads ranges for so long, and at least ten of them. What is read is looked at.
    fn read(&self, items: u64, time: Duration) -> Result<Done> {
        let mut keys: Vec<_> = (0..items).map(key).collect();
        keys.sort_unstable();
        let starts = self.high.min(items - RANGE_ITEMS) - self.low;
        let before = self.store.volume().stats().device_reads;
        let started = Instant::now();
        let mut ranges = 0;
        while ranges < 10 || started.elapsed() < time {
            let at = (self.low + mix(ranges) % starts.max(1)) as usize;
            let expected = &keys[at..at + RANGE_ITEMS as usize];
            let mut right = 0;
            let range = self.store.range(keys[at]..).take(expected.len());
            for (item, expected) in range.zip(expected) {
                let (key, value) = item?;
                right += u64::from(key == expected && value.get(..16) == Some(&key[..]));
            }
            ensure!(right == RANGE_ITEMS, "a range is not what was written");
            ranges += 1;
        }
        Ok(Done {
            ranges,
            reads: self.store.volume().stats().device_reads - before,
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}

impl Done {
    fn rate(&self) -> f64 {
        self.ranges as f64 / self.seconds
    }

    fn reads_each(&self) -> f64 {
        self.reads as f64 / self.ranges as f64
    }
}
