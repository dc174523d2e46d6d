//! How fast a volume is verified, backed up and scrubbed.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use heliumdb::{Volume, VolumeOptions, upkeep::BackupFrom};

use super::{
    Options, Place, fill,
    setup::{STORE, median},
};
use crate::{process, run::human};

const VALUE_BYTES: usize = 200;
/// Rate that scrubbing is to keep, in bytes a second, beside that of no limit.
const SCRUB_RATE: u64 = 100_000_000;

/// How much to measure.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Number of items.
    #[arg(long, default_value_t = 2_000_000)]
    items: u64,
    /// Runs, of which the medians are shown.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

pub(super) fn run(options: &Options, arguments: &Arguments) -> Result<()> {
    let items = options.scaled(arguments.items);
    let place = Place::new(options.folder.as_deref())?;
    let volume = place.open(&VolumeOptions::default())?;
    fill(&volume.create_datastore(STORE)?, items, VALUE_BYTES)?;
    volume.close()?;
    drop(volume);
    println!("{items} items of {VALUE_BYTES} bytes, written in random order");
    println!();
    println!("| what | items a second | MB/s of items | MB/s from the disk |");
    println!("|---|---|---|---|");
    for is_cold in [true, false] {
        let title = if is_cold {
            "verify, page cache empty"
        } else {
            "verify, page cache filled"
        };
        row(title, items, arguments.runs, || {
            let volume = reopened(&place, is_cold)?;
            timed(|| {
                let report = volume.verify(&mut |_| true)?;
                ensure!(report.damaged == 0 && report.items == items, "{report:?}");
                Ok(())
            })
        })?;
    }
    for is_snapshot in [false, true] {
        let title = if is_snapshot {
            "backup of a snapshot, durable, page cache empty"
        } else {
            "backup of the newest state, durable, page cache empty"
        };
        row(title, items, arguments.runs, || {
            let target = Place::new(options.folder.as_deref())?;
            let volume = reopened(&place, true)?;
            let copy = target.open(&VolumeOptions::default())?;
            let timed = timed(|| {
                let snapshot = volume.snapshot()?;
                let from = match is_snapshot {
                    true => BackupFrom::Snapshot(&snapshot),
                    false => BackupFrom::Newest,
                };
                let report = volume.backup(from, &copy, &mut |_| true)?;
                ensure!(report.items == items, "{report:?}");
                Ok(())
            })?;
            copy.close()?;
            Ok(timed)
        })?;
    }
    for (title, rate) in [
        ("scrub, told to keep 100 MB/s, page cache empty", SCRUB_RATE),
        ("scrub without limit, page cache empty", 1 << 40),
    ] {
        row(title, items, arguments.runs.min(2), || scrub(&place, rate))?;
    }
    Ok(())
}

fn reopened(place: &Place, is_cold: bool) -> Result<Volume> {
    let volume = place.open(&VolumeOptions::default())?;
    if is_cold {
        place.evict()?;
    }
    Ok(volume)
}

/// Seconds, and bytes that came from the disk.
fn timed(work: impl FnOnce() -> Result<()>) -> Result<(f64, f64)> {
    let (started, bytes) = (Instant::now(), process::device_bytes());
    work()?;
    let bytes = process::device_bytes() - bytes;
    Ok((started.elapsed().as_secs_f64(), bytes as f64))
}

fn row(
    title: &str,
    items: u64,
    runs: usize,
    mut once: impl FnMut() -> Result<(f64, f64)>,
) -> Result<()> {
    let runs: Vec<_> = (0..runs).map(|_| once()).collect::<Result<_>>()?;
    let seconds = median(runs.iter().map(|run| run.0).collect());
    let device_bytes = median(runs.iter().map(|run| run.1).collect());
    println!(
        "| {title} | {} | {:.0} | {:.0} |",
        human(items as f64 / seconds),
        items as f64 * (16 + VALUE_BYTES) as f64 / seconds / 1e6,
        device_bytes / seconds / 1e6
    );
    Ok(())
}

/// One round of scrubbing.
fn scrub(place: &Place, rate: u64) -> Result<(f64, f64)> {
    place.evict()?;
    let mut how = VolumeOptions::default();
    how.scrub_bytes_per_second = rate;
    let volume = place.open(&how)?;
    timed(|| {
        while volume.stats().scrub_rounds == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    })
}
