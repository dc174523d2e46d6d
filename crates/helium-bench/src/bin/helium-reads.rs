//! Measures reads of a volume of its own: from the write cache, from the read cache, from the
//! page cache, and from the device (the volume is dropped from the page cache before).
//!
//! Rates are given by the clock and by the time the thread ran, which a busy machine changes less.

use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;
use helium_bench::process::{device_bytes, evict, ran_ns};
use heliumdb::{Datastore, Position, Volume, VolumeOptions};
use rand::{Rng, SeedableRng, rngs::SmallRng, seq::SliceRandom};

/// How much to measure.
#[derive(Parser)]
struct Options {
    /// Number of items.
    #[arg(long, default_value_t = 500_000)]
    items: usize,
    /// Bytes of a value.
    #[arg(long, default_value_t = 200)]
    value_bytes: usize,
    /// Reads of single items.
    #[arg(long, default_value_t = 500_000)]
    gets: usize,
    /// Folder to work in; the system's temporary one by default.
    #[arg(long)]
    folder: Option<std::path::PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let folder = match &options.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let url = format!("he://./{}", folder.path().join("volume").display());
    let mut random = SmallRng::seed_from_u64(1);
    let keys: Vec<[u8; 16]> = (0..options.items).map(|_| random.random()).collect();

    let mut how = VolumeOptions::default();
    how.write_cache_bytes = 2 << 30;
    let volume = Volume::open(&url, &how)?;
    let store = volume.create_datastore(b"items")?;
    let value = vec![7; options.value_bytes];
    for key in &keys {
        store.put(key, &value)?;
    }
    volume.flush()?;
    println!(
        "{} items with {} bytes, written in random order",
        options.items, options.value_bytes
    );
    println!();
    println!(
        "| from | what | million items a second | of the time it ran | device reads of an item | bytes from the disk |"
    );
    println!("|---|---|---|---|---|---|");
    let from = "write cache";
    walks(&store, from, options.items)?;
    gets(&volume, &store, from, &keys, options.gets)?;
    drop((store, volume));

    how.write_cache_bytes = 0;
    let volume = Volume::open(&url, &how)?;
    let store = volume.datastore(b"items")?;
    walks(&store, "page cache", options.items)?;
    for from in ["page cache, into the read cache", "read cache"] {
        let mut all = keys.clone();
        all.shuffle(&mut random);
        gets(&volume, &store, from, &all, all.len())?;
    }
    walks(&store, "read cache", options.items)?;
    drop((store, volume));

    how.read_cache_bytes = 0;
    let volume = Volume::open(&url, &how)?;
    let store = volume.datastore(b"items")?;
    evict(folder.path())?;
    let from = "device";
    gets(&volume, &store, from, &keys, options.gets.min(20_000))?;
    for is_forward in [true, false] {
        evict(folder.path())?;
        walk(
            &volume,
            &store,
            from,
            is_forward,
            options.items.min(100_000),
        )?;
    }
    Ok(())
}

fn walks(store: &Datastore, from: &str, items: usize) -> Result<()> {
    for is_forward in [true, false] {
        walk(&store.volume(), store, from, is_forward, items)?;
    }
    Ok(())
}

fn walk(
    volume: &Volume,
    store: &Datastore,
    title: &str,
    is_forward: bool,
    items: usize,
) -> Result<()> {
    let what = if is_forward {
        "walk forward"
    } else {
        "walk backward"
    };
    let from = if is_forward {
        Position::First
    } else {
        Position::Last
    };
    timed((title, what), volume, || {
        let mut seen = 0;
        store.visit(from, &mut |_, value| {
            seen += 1;
            std::hint::black_box(value);
            seen < items
        })?;
        ensure!(seen == items, "{seen} items instead of {items}");
        Ok(seen)
    })
}

fn gets(
    volume: &Volume,
    store: &Datastore,
    title: &str,
    keys: &[[u8; 16]],
    gets: usize,
) -> Result<()> {
    let mut random = SmallRng::seed_from_u64(2);
    let mut value = Vec::new();
    let is_all = gets == keys.len();
    timed((title, "random get"), volume, || {
        for i in 0..gets {
            let i = if is_all {
                i
            } else {
                random.random_range(0..keys.len())
            };
            ensure!(store.get_into(keys[i], &mut value)?, "an item is missing");
        }
        Ok(gets)
    })
}

/// Does some work on so many items, and says how fast.
fn timed(
    (from, what): (&str, &str),
    volume: &Volume,
    work: impl FnOnce() -> Result<usize>,
) -> Result<()> {
    let (reads, bytes) = (volume.stats().device_reads, device_bytes());
    let (started, ran) = (Instant::now(), ran_ns());
    let items = work()? as f64;
    let (elapsed, ran) = (started.elapsed().as_secs_f64(), (ran_ns() - ran) as f64);
    println!(
        "| {from} | {what} | {:.3} | {:.3} | {:.3} | {:.0} |",
        items / elapsed / 1e6,
        items / ran * 1e3,
        (volume.stats().device_reads - reads) as f64 / items,
        (device_bytes() - bytes) as f64 / items,
    );
    Ok(())
}
