//! Repeats the figures in `docs/measurements.md`: see `--help`.

use anyhow::Result;
use clap::Parser;
use helium_bench::figures::{Options, run};

fn main() -> Result<()> {
    run(&Options::parse())
}
