//! Whether the process stays within its budgets, what a cold get costs, and what a scan does to the
//! read cache.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use heliumdb::{Datastore, Position, Volume, VolumeOptions};

use super::{
    Options, Place, fill,
    gets::{Gets, Which, gets},
    key,
    setup::STORE,
};
use crate::{latency::Latencies, process, run::human};

const VALUE_BYTES: usize = 1000;
/// What an item takes in the log, roughly.
const ITEM_BYTES: u64 = 1056;
const MIB: f64 = (1 << 20) as f64;
/// No piece of work takes much longer.
const MOST: Duration = Duration::from_secs(12);

/// How much to measure.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Write cache, and read cache, in MiB each; the data is ten times both together.
    #[arg(long, default_value_t = 64)]
    cache_mib: u64,
    /// Only this part, in this process.
    #[arg(long)]
    part: Option<String>,
}

const PARTS: &[&str] = &["lazy", "budget", "gets"];

pub(super) fn run(options: &Options, arguments: &Arguments) -> Result<()> {
    let cache_bytes = arguments.cache_mib << 20;
    let items = options.scaled(20 * cache_bytes / ITEM_BYTES).max(1000);
    match arguments.part.as_deref() {
        Some("lazy") => lazy(options),
        Some("budget") => budget(options, cache_bytes, items),
        Some("gets") => cold(options, cache_bytes, items),
        Some(other) => anyhow::bail!("no part called {other}"),
        None => {
            let mib = arguments.cache_mib.to_string();
            for part in PARTS {
                options.run_again(&["caches", "--cache-mib", &mib, "--part", part])?;
                println!();
            }
            Ok(())
        }
    }
}

/// Memory of a volume that was just opened, with budgets larger than the machine.
fn lazy(options: &Options) -> Result<()> {
    let place = Place::new(options.folder.as_deref())?;
    let mut how = VolumeOptions::default();
    how.write_cache_bytes = 64 << 30;
    how.read_cache_bytes = 1 << 40;
    let before = process::resident_bytes()?;
    let volume = place.open(&how)?;
    let store = volume.create_datastore(STORE)?;
    let opened = process::resident_bytes()?;
    fill(&store, 1000, VALUE_BYTES)?;
    let filled = process::resident_bytes()?;
    println!("A new volume, opened with a write cache of 64 GiB and a read cache of 1 TiB:");
    println!(
        "{:.1} MiB resident more than before, {:.1} MiB after 1,000 items of {VALUE_BYTES} bytes",
        (opened - before) as f64 / MIB,
        (filled - before) as f64 / MIB
    );
    Ok(())
}

/// Peaks of resident memory while data ten times the caches is worked on.
fn budget(options: &Options, cache_bytes: u64, items: u64) -> Result<()> {
    let place = Place::new(options.folder.as_deref())?;
    let mut how = VolumeOptions::default();
    how.write_cache_bytes = cache_bytes;
    how.read_cache_bytes = cache_bytes;
    println!(
        "{items} items of {VALUE_BYTES} bytes, write cache and read cache of {} MiB each; MiB:",
        cache_bytes >> 20
    );
    println!();
    println!("| while | resident at most | index | write cache | read cache | all the rest |");
    println!("|---|---|---|---|---|---|");
    let base = process::resident_bytes()?;
    let volume = place.open(&how)?;
    let store = volume.create_datastore(STORE)?;
    let row = |title: &str, work: &dyn Fn() -> Result<()>| -> Result<()> {
        process::reset_peak()?;
        work()?;
        let peak = process::peak_bytes()? - base;
        let stats = volume.stats();
        let parts = [
            stats.index_bytes,
            stats.write_cache_bytes,
            stats.read_cache_bytes,
        ];
        let rest = peak as f64 - parts.iter().sum::<u64>() as f64;
        let [index, write, read] = parts.map(|bytes| bytes as f64 / MIB);
        println!(
            "| {title} | {:.0} | {index:.0} | {write:.0} | {read:.0} | {:.0} |",
            peak as f64 / MIB,
            rest / MIB
        );
        Ok(())
    };
    row("loading", &|| fill(&store, items, VALUE_BYTES))?;
    row("updating all, in another order", &|| update(&store, items))?;
    row("a checkpoint", &|| Ok(volume.checkpoint()?))?;
    let any = Which::Any(items);
    row("random gets, 1 thread", &|| {
        gets(&store, any, (items / 2, 1), MOST).map(|_| ())
    })?;
    row("random gets, 8 threads", &|| {
        gets(&store, any, (items / 2, 8), MOST).map(|_| ())
    })?;
    row("whole scan forward", &|| {
        scan(&store, Position::First, items)
    })?;
    row("whole scan backward", &|| {
        scan(&store, Position::Last, items)
    })?;
    Ok(())
}

fn update(store: &Datastore, items: u64) -> Result<()> {
    let mut value = vec![8; VALUE_BYTES];
    // A step that has no divisor in common with their number goes round all of them.
    let step = (1..)
        .map(|i| 7919 + 2 * i)
        .find(|&step| gcd(step, items) == 1);
    for i in 0..items {
        let key = key(i * step.unwrap_or(1) % items);
        value[..16].copy_from_slice(&key);
        store.put(key, &value)?;
    }
    Ok(())
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn scan(store: &Datastore, from: Position<'_>, items: u64) -> Result<()> {
    let (mut seen, mut right) = (0, true);
    store.visit(from, &mut |key, value| {
        seen += 1;
        right &= value.get(..16) == Some(key);
        right
    })?;
    ensure!(right && seen == items, "a scan saw {seen} items");
    Ok(())
}

/// What cold gets cost, and whether what is read again and again stays in the read cache.
fn cold(options: &Options, cache_bytes: u64, items: u64) -> Result<()> {
    let place = Place::new(options.folder.as_deref())?;
    let volume = place.open(&VolumeOptions::default())?;
    fill(&volume.create_datastore(STORE)?, items, VALUE_BYTES)?;
    volume.close()?;
    drop(volume);
    println!(
        "Random gets of {items} items with {VALUE_BYTES} bytes, a read cache of {} MiB; the page cache is emptied before each row:",
        cache_bytes >> 20
    );
    println!();
    println!(
        "| gets by | a second | from the read cache | device reads of each other one | bytes | {} |",
        Latencies::COLUMNS
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for threads in [1, 8, 32] {
        let (_volume, store) = place.open_cold(cache_bytes)?;
        let count = (items / 4, threads);
        let done = gets(&store, Which::Any(items), count, MOST)?;
        println!(
            "| {threads} thread{} | {} | {:.1} % | {:.3} | {:.0} | {} |",
            if threads == 1 { "" } else { "s" },
            human(done.rate()),
            percent(&done),
            done.reads as f64 / done.misses as f64,
            done.device_bytes as f64 / done.misses as f64,
            done.latencies.row()
        );
    }
    println!();
    let (volume, store) = place.open_cold(cache_bytes)?;
    kept(&volume, &store, cache_bytes, items)
}

fn percent(gets: &Gets) -> f64 {
    gets.hits as f64 * 100.0 / (gets.hits + gets.misses) as f64
}

/// How much of a hot set is still in the read cache after whole scans, and after gets of all else.
fn kept(volume: &Volume, store: &Datastore, cache_bytes: u64, items: u64) -> Result<()> {
    let hot = (cache_bytes / 2 / ITEM_BYTES).min(items / 4);
    let hot_once = || gets(store, Which::Each(hot), (hot, 1), MOST);
    for _ in 0..3 {
        hot_once()?;
    }
    println!("Of a hot set that takes half of the read cache ({hot} items) there are in it");
    println!("- after gets of it: {:.1} %", percent(&hot_once()?));
    scan(store, Position::First, items)?;
    println!(
        "- after a scan of all items: {:.1} %",
        percent(&hot_once()?)
    );
    scan(store, Position::Last, items)?;
    println!("- after one backward: {:.1} %", percent(&hot_once()?));
    gets(store, Which::Any(items), (items, 1), MOST)?;
    println!(
        "- after {items} gets of any items: {:.1} %",
        percent(&hot_once()?)
    );
    println!(
        "(the read cache took {:.1} MiB of memory)",
        volume.stats().read_cache_bytes as f64 / MIB
    );
    Ok(())
}
