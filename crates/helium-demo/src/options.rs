//! The command line.

use crate::{
    job::Job,
    schema::Engine,
    worker::{self, Task},
};
use anyhow::{Context, Result, anyhow};
use clap::Parser;
use std::{path::PathBuf, time::Duration};
use wiredtiger_testkit::{Library, helium};

/// Tables on two Helium volumes inside the real WiredTiger, killed and recovered.
#[derive(Parser)]
#[command(name = "helium-demo", version)]
struct Options {
    /// How many times to let threads work and kill them
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    rounds: u64,
    /// Threads at work
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=256))]
    threads: u64,
    /// Longest round, in seconds
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// Folder to work in [default: the system's for temporary files]
    #[arg(long)]
    home: Option<PathBuf>,
    /// Leave the database and the volumes there at the end (always done if something is wrong)
    #[arg(long)]
    keep: bool,
    /// Where all choices come from [default: chosen and reported]
    #[arg(long)]
    seed: Option<u64>,
    /// The same job on WiredTiger's own tables
    #[arg(long, hide = true)]
    native: bool,
    /// Be the worker of this round, in the home given
    #[arg(long, hide = true, requires_all = ["home", "seed"])]
    worker: Option<u64>,
}

/// Does what the command line says.
pub fn run() -> Result<()> {
    let options = Options::parse();
    let engine = if options.native {
        Engine::Native
    } else {
        Engine::Helium
    };
    if let (Some(round), Some(home), Some(seed)) = (options.worker, &options.home, options.seed) {
        return worker::run(Task {
            home,
            engine,
            round,
            threads: options.threads,
            seed,
        });
    }
    let version = check_installation(engine)?;
    let parent = options.home.unwrap_or_else(std::env::temp_dir);
    std::fs::create_dir_all(&parent).with_context(|| parent.display().to_string())?;
    let mut home = tempfile::Builder::new()
        .prefix("helium-demo-")
        .tempdir_in(&parent)
        .with_context(|| parent.display().to_string())?;
    let job = Job {
        home: &home.path().canonicalize()?,
        engine,
        version: &version,
        rounds: options.rounds,
        threads: options.threads,
        time: Duration::from_secs_f64(options.seconds),
        seed: options.seed.unwrap_or_else(rand::random),
    };
    let outcome = job.run();
    if options.keep || outcome.is_err() {
        home.disable_cleanup(true);
        eprintln!(
            "helium-demo: everything is left in {}",
            home.path().display()
        );
    }
    outcome
}

/// Says what is missing before anything is begun; the release of WiredTiger that is there.
fn check_installation(engine: Engine) -> Result<String> {
    let library = Library::load().map_err(|why| anyhow!("{why} (or run: cargo xtask setup)"))?;
    if engine == Engine::Helium {
        let path = helium::extension_path().map_err(|why| {
            anyhow!("{why} (with --release for a release build; cargo xtask demo does all of it)")
        })?;
        path.metadata().with_context(|| {
            format!("the extension {} is not there; build it with: cargo build --release -p wiredtiger-helium", path.display())
        })?;
    }
    Ok(library.version().to_string())
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number from 0.1 to 3600".to_owned()),
    }
}
