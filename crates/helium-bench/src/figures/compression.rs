//! What compressing values saves, and what it costs.

use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;
use heliumdb::{DatastoreOptions, VolumeOptions};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::{
    Options, Place, key,
    setup::{STORE, median},
};
use crate::{process, run::human};

/// Different values; made before the clock runs.
const VALUES: usize = 1024;

/// How much to measure.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Bytes of values for each row.
    #[arg(long, default_value_t = 150_000_000)]
    bytes: u64,
    /// Runs, of which the medians are shown.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

pub(super) fn run(options: &Options, arguments: &Arguments) -> Result<()> {
    println!(
        "| values | compressed | bytes in the log for an item | puts a second | CPU of a put | gets a second | CPU of a get |"
    );
    println!("|---|---|---|---|---|---|---|");
    for bytes in [200, 4000] {
        for (name, make) in [
            (
                "records like JSON",
                text as fn(&mut SmallRng, usize) -> Vec<u8>,
            ),
            ("random bytes", noise),
        ] {
            let mut random = SmallRng::seed_from_u64(1);
            let values: Vec<_> = (0..VALUES).map(|_| make(&mut random, bytes)).collect();
            let items = options.scaled(arguments.bytes) / bytes as u64;
            // In turns, so that what else the machine does meets both.
            let mut runs = [Vec::new(), Vec::new()];
            for _ in 0..arguments.runs {
                for compress in [false, true] {
                    runs[usize::from(compress)].push(once(options, compress, &values, items)?);
                }
            }
            for (compress, runs) in ["no", "yes"].into_iter().zip(runs) {
                let of = |figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect());
                println!(
                    "| {name}, {bytes} bytes | {compress} | {:.0} | {} | {:.2} us | {} | {:.2} us |",
                    of(|run| run.stored),
                    human(of(|run| run.puts)),
                    of(|run| run.put_us),
                    human(of(|run| run.gets)),
                    of(|run| run.get_us),
                );
            }
        }
    }
    Ok(())
}

struct Run {
    stored: f64,
    puts: f64,
    put_us: f64,
    gets: f64,
    get_us: f64,
}

fn once(options: &Options, compress: bool, values: &[Vec<u8>], items: u64) -> Result<Run> {
    let place = Place::new(options.folder.as_deref())?;
    let volume = place.open(&VolumeOptions::default())?;
    let mut how = DatastoreOptions::default();
    how.create = true;
    how.compress = compress;
    let store = volume.open_datastore(STORE, &how)?;
    let empty = volume.stats().live_bytes;
    let value = |number: u64| &values[number as usize % values.len()];
    let (puts, put_us) = timed(items, |number| Ok(store.put(key(number), value(number))?))?;
    let stored = (volume.stats().live_bytes - empty) as f64 / items as f64;
    let mut found = Vec::new();
    // All of it is in the write cache.
    let (gets, get_us) = timed(items, |number| {
        ensure!(
            store.get_into(key(number), &mut found)?,
            "an item is missing"
        );
        ensure!(&found == value(number), "a wrong value");
        Ok(())
    })?;
    Ok(Run {
        stored,
        puts,
        put_us,
        gets,
        get_us,
    })
}

/// Calls a second, and microseconds of this thread for one.
fn timed(calls: u64, mut call: impl FnMut(u64) -> Result<()>) -> Result<(f64, f64)> {
    let (started, ran) = (Instant::now(), process::ran_ns());
    for number in 0..calls {
        call(number)?;
    }
    let rate = calls as f64 / started.elapsed().as_secs_f64();
    let micros = (process::ran_ns() - ran) as f64 / calls as f64 / 1e3;
    Ok((rate, micros))
}

/// What programs keep: the same names again and again, with values of their own.
fn text(random: &mut SmallRng, bytes: usize) -> Vec<u8> {
    const CITIES: [&str; 4] = ["Amsterdam", "Lisbon", "Gothenburg", "Trieste"];
    let mut text = Vec::new();
    while text.len() < bytes {
        let line = format!(
            "{{\"customer\":{},\"city\":\"{}\",\"amount\":{}.{:02},\"paid\":{}}},",
            random.random_range(10_000..99_999),
            CITIES[random.random_range(0..4)],
            random.random_range(1..500),
            random.random_range(0..100),
            random.random::<bool>()
        );
        text.extend(line.bytes());
    }
    text.truncate(bytes);
    text
}

fn noise(random: &mut SmallRng, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|_| random.random()).collect()
}
