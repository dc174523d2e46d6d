//! Measures heliumdb alone; `bench-compare` does the same work on other stores too.

use anyhow::Result;
use clap::Parser;
use helium_bench::{
    helium::Helium,
    run::{Options, run},
};

fn main() -> Result<()> {
    run(
        &Options::parse(),
        &[("heliumdb", |folder| Ok(Box::new(Helium::create(folder)?)))],
    )
}
