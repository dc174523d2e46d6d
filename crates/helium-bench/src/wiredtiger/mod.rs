//! The same work through the real WiredTiger on its own tables and on objects of the data source.
//!
//! Both get the same calls, in turns within one run, with the same memory for caches; rows
//! that are buffered and rows that are synced run on connections of their own, because either
//! side is told so when it is opened.

mod database;
mod rows;
pub mod scans;

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use clap::Parser;

use crate::work::Data;
use database::{Database, Durability, Kind};
use rows::{ROWS, Rate};

/// How much to measure.
#[derive(Parser, Debug)]
pub struct Options {
    /// Number of items.
    #[arg(long, default_value_t = 1_000_000)]
    pub items: usize,
    /// Bytes of a value.
    #[arg(long, default_value_t = 200)]
    pub value_bytes: usize,
    /// Cache of either side, in MiB.
    #[arg(long, default_value_t = 1024)]
    pub cache_mib: usize,
    /// Seconds that each piece of work takes, but loading and whole scans.
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Runs, of which the median is shown.
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// Only rows with this in their titles (and the loading, without which there are none).
    #[arg(long, default_value = "")]
    pub rows: String,
    /// Only `native` or only `helium`.
    #[arg(long, default_value = "")]
    pub only: String,
    /// Folder to work in; the system's temporary one by default.
    #[arg(long)]
    pub folder: Option<PathBuf>,
}

/// Measures both kinds `runs` times, in turns, and prints a table of medians and ratios.
pub fn run(options: &Options) -> Result<()> {
    let data = Data::new(options.items, options.value_bytes);
    let kinds = [Kind::Native, Kind::Helium];
    let mut rates = vec![[Vec::new(), Vec::new()]; ROWS.len()];
    for run in 0..options.runs {
        for (column, kind) in kinds.into_iter().enumerate() {
            if !kind.name().contains(&options.only) {
                continue;
            }
            eprintln!("run {} of {}: {}", run + 1, options.runs, kind.name());
            measure(options, kind, &data, |row, rate| {
                rates[row][column].push(rate);
            })?;
        }
    }
    print(rates);
    Ok(())
}

/// Does the rows' work on one new database.
fn measure(
    options: &Options,
    kind: Kind,
    data: &Data,
    mut done: impl FnMut(usize, Rate),
) -> Result<()> {
    let folder = match &options.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let time = Duration::from_secs_f64(options.seconds);
    for durability in [Durability::Buffered, Durability::Synced] {
        let database = Database::open(folder.path(), kind, durability, options.cache_mib)?;
        for (index, row) in ROWS.iter().enumerate() {
            let wanted = row.title.contains(&options.rows) || row.is_load();
            if row.durability == durability && wanted {
                let rate = row.measure(&database, data, time)?;
                let Rate {
                    per_second,
                    cpu_nanos,
                } = rate;
                eprintln!("  {:44}{per_second:>12.0}{cpu_nanos:>10.0}", row.title);
                done(index, rate);
            }
        }
        database.close()?;
    }
    Ok(())
}

fn print(rates: Vec<[Vec<Rate>; 2]>) {
    println!(
        "| operations per second (medians) | native | helium | ratio | CPU of one, native | helium | ratio |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (row, runs) in ROWS.iter().zip(rates) {
        if runs.iter().all(Vec::is_empty) {
            continue;
        }
        let speeds = runs
            .each_ref()
            .map(|runs| median(runs, |rate| rate.per_second));
        let costs = runs
            .each_ref()
            .map(|runs| median(runs, |rate| rate.cpu_nanos));
        let [native, helium] = speeds.map(|rate| rate.map_or("-".to_owned(), crate::run::human));
        let [cost, helium_cost] = costs.map(|nanos| nanos.map_or("-".to_owned(), micros));
        println!(
            "| {} | {native} | {helium} | {} | {cost} | {helium_cost} | {} |",
            row.title,
            ratio(speeds[1], speeds[0]),
            ratio(costs[0], costs[1]),
        );
    }
}

fn micros(nanos: f64) -> String {
    format!("{:.2} us", nanos / 1000.0)
}

/// How many times better, if both are known.
fn ratio(better: Option<f64>, worse: Option<f64>) -> String {
    let ratio = better.zip(worse).map(|(better, worse)| better / worse);
    ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
}

fn median(runs: &[Rate], of: impl Fn(&Rate) -> f64) -> Option<f64> {
    let mut figures: Vec<_> = runs.iter().map(of).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}
