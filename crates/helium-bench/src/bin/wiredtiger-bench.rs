//! Measures the data source inside the real WiredTiger, beside WiredTiger's own tables.

use anyhow::Result;
use clap::Parser;
use helium_bench::wiredtiger::{Options, run};

fn main() -> Result<()> {
    run(&Options::parse())
}
