//! Running all work on some engines, in turns, and printing the medians.

use std::{path::Path, time::Duration};

use anyhow::Result;
use clap::Parser;

use crate::{
    Engine,
    figures::median,
    latency::Latencies,
    work::{ALL, Data, Work, latencies, measure},
};

/// How much to measure.
#[derive(Parser, Debug)]
pub struct Options {
    /// Number of items.
    #[arg(long, default_value_t = 2_000_000)]
    pub items: usize,
    /// Bytes of a value.
    #[arg(long, default_value_t = 200)]
    pub value_bytes: usize,
    /// Seconds that each piece of work takes.
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Runs, of which the median is shown.
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// Also how long single calls take, of a second pass.
    #[arg(long)]
    pub latencies: bool,
    /// Only engines with this in their names.
    #[arg(long)]
    pub engine: Option<String>,
    /// Only work with this in its title; what it works on is loaded anyway.
    #[arg(long)]
    pub work: Option<String>,
    /// Folder to work in; the system's temporary one by default.
    #[arg(long)]
    pub folder: Option<std::path::PathBuf>,
}

/// An engine's name, and how to make it in an empty folder.
pub type Factory = (&'static str, fn(&Path) -> Result<Box<dyn Engine>>);

/// Measures each engine `runs` times, in turns, and prints a table of medians.
pub fn run(options: &Options, engines: &[Factory]) -> Result<()> {
    let wanted = options.engine.as_deref().unwrap_or("");
    let engines: Vec<_> = engines
        .iter()
        .filter(|(name, _)| name.contains(wanted))
        .collect();
    let data = Data::new(options.items, options.value_bytes);
    let mut rates = vec![vec![Vec::new(); engines.len()]; ALL.len()];
    let mut times = Vec::new();
    for _ in ALL {
        let of_row: Result<Vec<_>> = engines.iter().map(|_| Latencies::new()).collect();
        times.push(of_row?);
    }
    for run in 0..options.runs {
        for (column, (name, create)) in engines.iter().enumerate() {
            eprintln!("run {} of {}: {name}", run + 1, options.runs);
            let folder = match &options.folder {
                Some(folder) => tempfile::tempdir_in(folder)?,
                None => tempfile::tempdir()?,
            };
            let engine = create(folder.path())?;
            for (row, (title, work, threads)) in ALL.iter().enumerate() {
                if *work != Work::Load && !options.work.iter().all(|part| title.contains(part)) {
                    continue;
                }
                let time = Duration::from_secs_f64(options.seconds);
                rates[row][column].push(measure(&*engine, &data, *work, *threads, time)?);
                if options.latencies && *work != Work::Load {
                    let of_run = latencies(&*engine, &data, *work, *threads, time)?;
                    times[row][column].add(&of_run)?;
                }
            }
        }
    }
    print(&engines, rates);
    if options.latencies {
        print_latencies(&engines, &times);
    }
    Ok(())
}

/// Those of all runs together.
fn print_latencies(engines: &[&Factory], times: &[Vec<Latencies>]) {
    println!("\n| time of one call | | {} |", Latencies::COLUMNS);
    println!("|---|---|---|---|---|---|---|");
    for ((title, ..), row) in ALL.iter().zip(times) {
        for ((name, _), latencies) in engines.iter().zip(row).filter(|(_, all)| !all.is_empty()) {
            println!("| {title} | {name} | {} |", latencies.row());
        }
    }
}

fn print(engines: &[&Factory], rates: Vec<Vec<Vec<f64>>>) {
    let names: Vec<_> = engines.iter().map(|(name, _)| *name).collect();
    println!(
        "| operations per second (medians) | {} |",
        names.join(" | ")
    );
    println!("|---|{}", "---|".repeat(names.len()));
    for ((title, ..), row) in ALL.iter().zip(rates) {
        if row.iter().all(Vec::is_empty) {
            continue;
        }
        let medians: Vec<_> = row.into_iter().map(|runs| human(median(runs))).collect();
        println!("| {title} | {} |", medians.join(" | "));
    }
}

/// A rate as a person reads it.
pub(crate) fn human(rate: f64) -> String {
    match rate {
        r if r >= 1e6 => format!("{:.2} M", r / 1e6),
        r if r >= 1e3 => format!("{:.1} k", r / 1e3),
        r => format!("{r:.0}"),
    }
}
