//! Programs that repeat the figures in `docs/measurements.md`: one mode for each section there.
//!
//! A mode works on volumes of its own in a temporary folder, prints rows of Markdown tables, and
//! checks what it reads: a figure of wrong answers is no figure. Where memory is measured, each
//! row comes from a process of its own.

mod all;
mod caches;
mod checkpoints;
mod compression;
mod gets;
mod hot;
mod index;
mod machine;
mod reopening;
mod scans;
mod server;
mod services;
mod setup;
mod space;

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

pub use setup::{Place, fill, key, median, mix};

/// Repeats the figures in docs/measurements.md.
#[derive(Parser, Debug)]
pub struct Options {
    /// Folder on the disk to be measured; the system's temporary one by default.
    #[arg(long, global = true)]
    folder: Option<PathBuf>,
    /// Part of the usual size: 0.01 to try it out.
    #[arg(long, global = true, default_value_t = 1.0)]
    scale: f64,
    /// What to measure.
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand, Debug)]
enum Mode {
    /// All of it, one mode and program after the other.
    All(all::Arguments),
    /// The machine, and how fast its disk reads.
    Machine,
    /// Memory of the index for each item.
    Index(index::Arguments),
    /// The process's memory beside its budgets, with data ten times the caches; cold gets; scans
    /// and the read cache.
    Caches(caches::Arguments),
    /// Ranges that are read again and again, after a volume is opened anew, and after a pass over everything.
    Hot(hot::Arguments),
    /// Cold scans before and after compacting, of the store itself.
    Scans(scans::Arguments),
    /// The same through WiredTiger, on an object of ours and on a native table.
    WiredtigerScans(crate::wiredtiger::scans::Arguments),
    /// What compressing saves and costs.
    Compression(compression::Arguments),
    /// Reopening after a clean close and after a kill.
    Reopening(reopening::Arguments),
    /// What a checkpoint does to the latency of writes.
    Checkpoints(checkpoints::Arguments),
    /// Verifying, backup and scrubbing.
    Services(services::Arguments),
    /// What a volume takes on the disk, filled, half emptied and compacted.
    Space(space::Arguments),
    /// `helium server` beside Redis.
    Server(server::Arguments),
}

/// Runs a mode.
pub fn run(options: &Options) -> Result<()> {
    match &options.mode {
        Mode::All(arguments) => all::run(options, arguments),
        Mode::Machine => machine::print(options),
        Mode::Index(arguments) => index::run(options, arguments),
        Mode::Caches(arguments) => caches::run(options, arguments),
        Mode::Hot(arguments) => hot::run(options, arguments),
        Mode::Scans(arguments) => scans::run(options, arguments),
        Mode::WiredtigerScans(arguments) => {
            crate::wiredtiger::scans::run(options.folder.as_deref(), options.scale, arguments)
        }
        Mode::Compression(arguments) => compression::run(options, arguments),
        Mode::Reopening(arguments) => reopening::run(options, arguments),
        Mode::Checkpoints(arguments) => checkpoints::run(options, arguments),
        Mode::Services(arguments) => services::run(options, arguments),
        Mode::Space(arguments) => space::run(options, arguments),
        Mode::Server(arguments) => server::run(options, arguments),
    }
}

impl Options {
    /// So many, or a part of them.
    fn scaled(&self, count: u64) -> u64 {
        ((count as f64 * self.scale) as u64).max(1)
    }

    /// A command that runs this program again.
    fn again(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--scale", &self.scale.to_string()]);
        if let Some(folder) = &self.folder {
            command.arg("--folder").arg(folder);
        }
        command.args(arguments);
        Ok(command)
    }

    /// Runs this program again, to its end.
    fn run_again(&self, arguments: &[&str]) -> Result<()> {
        let status = self.again(arguments)?.stdin(Stdio::null()).status()?;
        ensure!(status.success(), "{arguments:?} failed: {status}");
        Ok(())
    }
}
