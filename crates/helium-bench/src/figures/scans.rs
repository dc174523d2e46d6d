//! Cold scans of items that were written in random order, before and after compacting: nothing of
//! them in memory but the index.
//!
//! Of a data set that fits the page cache a scan in another order than that of the log gets several
//! items of each page that it reads; so there are rows, too, for which the page cache is emptied again
//! and again while they run.

use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;
use heliumdb::{Datastore, Position, VolumeOptions};

use super::{
    Options, Place, fill, machine,
    setup::{STORE, median},
};
use crate::{process, run::human};

/// Items between two emptyings of the page cache: at most 64 MiB of pages.
const EVICTED_ITEMS: u64 = 16_384;

/// How much to measure.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Number of items.
    #[arg(long, default_value_t = 2_000_000)]
    items: u64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 200)]
    value_bytes: usize,
    /// Runs, of which the medians are shown.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

pub(super) fn run(options: &Options, arguments: &Arguments) -> Result<()> {
    let items = options.scaled(arguments.items);
    let place = Place::new(options.folder.as_deref())?;
    let volume = place.open(&VolumeOptions::default())?;
    let store = volume.create_datastore(STORE)?;
    fill(&store, items, arguments.value_bytes)?;
    volume.close()?;
    drop((volume, store));
    let device = machine::sequential_read(&place.path())?;
    println!(
        "{items} items with {} bytes, {:.0} MB in all; the disk reads the volume in sequence at {:.0} MB/s",
        arguments.value_bytes,
        (items * (16 + arguments.value_bytes as u64)) as f64 / 1e6,
        device / 1e6
    );
    println!();
    println!(
        "| cold scan | items a second | MB/s of items | MB/s from the disk | of the disk's | bytes from the disk for an item | reads that it waited for, for an item |"
    );
    println!("|---|---|---|---|---|---|---|");
    both_ways(&place, "as written", arguments, items, device)?;
    let volume = place.open(&VolumeOptions::default())?;
    let store = volume.datastore(STORE)?;
    let started = Instant::now();
    let moved = store.compact()?;
    let seconds = started.elapsed().as_secs_f64();
    volume.close()?;
    drop((volume, store));
    both_ways(&place, "compacted", arguments, items, device)?;
    println!();
    println!(
        "Compacting moved {moved} items in {seconds:.1} s ({:.0} MB/s)",
        moved as f64 * (16 + arguments.value_bytes) as f64 / 1e6 / seconds
    );
    Ok(())
}

/// A scan's figures.
struct Scan {
    seconds: f64,
    reads: f64,
    device_bytes: f64,
}

fn both_ways(
    place: &Place,
    what: &str,
    arguments: &Arguments,
    items: u64,
    device: f64,
) -> Result<()> {
    for (way, from, is_small) in [
        ("forward", Position::First, false),
        ("backward", Position::Last, false),
        ("forward, small page cache", Position::First, true),
    ] {
        let mut scans = Vec::new();
        for _ in 0..arguments.runs {
            let (_volume, store) = place.open_cold(0)?;
            let evicted = is_small.then_some(place);
            scans.push(scan(&store, from, items, evicted)?);
        }
        let of = |figure: fn(&Scan) -> f64| median(scans.iter().map(figure).collect());
        let (seconds, device_bytes) = (of(|scan| scan.seconds), of(|scan| scan.device_bytes));
        let bytes = items as f64 * (16 + arguments.value_bytes) as f64;
        println!(
            "| {what}, {way} | {} | {:.0} | {:.0} | {:.0} % | {:.0} | {:.4} |",
            human(items as f64 / seconds),
            bytes / seconds / 1e6,
            device_bytes / seconds / 1e6,
            device_bytes / seconds / device * 100.0,
            device_bytes / items as f64,
            of(|scan| scan.reads) / items as f64,
        );
    }
    Ok(())
}

fn scan(
    store: &Datastore,
    from: Position<'_>,
    items: u64,
    evicted: Option<&Place>,
) -> Result<Scan> {
    let (reads, bytes) = (store.volume().stats().device_reads, process::device_bytes());
    let (mut seen, mut right) = (0, true);
    let started = Instant::now();
    store.visit(from, &mut |key, value| {
        seen += 1;
        right &= value.get(..16) == Some(key);
        if let Some(place) = evicted
            && seen % EVICTED_ITEMS == 0
        {
            right &= place.evict().is_ok();
        }
        right
    })?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(right && seen == items, "a scan saw {seen} items");
    Ok(Scan {
        seconds,
        reads: (store.volume().stats().device_reads - reads) as f64,
        device_bytes: (process::device_bytes() - bytes) as f64,
    })
}
