//! `cargo xtask`: the project's set-up, demo, tests, checks and installation.
//!
//! Every task is a list of steps; the first one that fails ends the task with a
//! non-zero exit and a sentence that says which command it was.

mod build;
mod calls;
mod checks;
mod install;
mod pages;
mod python;
mod setup;
mod shape;
mod step;
mod tidy;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    bin_name = "cargo xtask",
    about = "Set-up, demo, tests and checks of Helium."
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing on Debian: WiredTiger, its header, a C compiler
    Setup,
    /// Set up, build in release, and run the demo: tables on two volumes, killed and recovered
    #[command(disable_help_flag = true)]
    Demo {
        /// Passed on to the demo (`--help` to see what it takes)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Set up, build, and run every test
    Test,
    /// Build the Python package's wheel, install it in virtual environments and run its tests
    Python,
    /// Everything that a change must pass, the quick checks first, what `test` does last
    Ci,
    /// Build in release and install the C library, the command, WiredTiger's data source and manuals
    Install(install::Install),
    /// Remove what `install` has put below a prefix
    Uninstall(install::Place),
    /// Check that the tree is what its documents say
    Tidy,
    /// Make docs/tasks.md of the examples
    Tasks,
    /// Say how a crate is built in the large: its largest types, circles of files, names used twice
    Shape(shape::Shape),
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Setup => setup::setup(),
        Task::Demo { arguments } => build::demo(&arguments),
        Task::Test => build::test(),
        Task::Python => python::test(),
        Task::Ci => checks::ci(),
        Task::Install(install) => install.run(),
        Task::Uninstall(place) => place.uninstall(),
        Task::Tidy => tidy::tidy(),
        Task::Tasks => tidy::write_tasks(),
        Task::Shape(shape) => shape.run(),
    }
}
