//! What a change must pass, in order: the one list of steps of `cargo xtask ci` and of `.ci/run`.
//!
//! Quick checks first; the last step is the README's test command.

use crate::{build, step, tidy};
use anyhow::Result;
use std::time::Instant;

/// A step.
enum Check {
    /// A cargo command, by its arguments; rustdoc's warnings fail it.
    Cargo(&'static [&'static str]),
    /// A task of this program, by its name.
    Task(&'static str, fn() -> Result<()>),
}

const CHECKS: [Check; 5] = [
    Check::Cargo(&["fmt", "--all", "--check"]),
    Check::Task("tidy", tidy::tidy),
    Check::Cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]),
    Check::Cargo(&[
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]),
    Check::Task("test", build::test),
];

/// Runs all of them, up to the first that fails.
pub fn ci() -> Result<()> {
    CHECKS.iter().try_for_each(Check::run)
}

impl Check {
    /// As one would type it.
    fn title(&self) -> String {
        match self {
            Self::Cargo(arguments) => format!("cargo {}", arguments.join(" ")),
            Self::Task(name, _) => format!("cargo xtask {name}"),
        }
    }

    /// What it takes is said where whoever reads the outcome looks: on standard output.
    fn run(&self) -> Result<()> {
        let title = self.title();
        println!("\n==> {title}");
        let start = Instant::now();
        match self {
            Self::Cargo(arguments) => {
                step::run(step::cargo(arguments).env("RUSTDOCFLAGS", "-D warnings"))?;
            }
            Self::Task(_, task) => task()?,
        }
        println!("==> {title}: ok, {} s", start.elapsed().as_secs());
        Ok(())
    }
}
