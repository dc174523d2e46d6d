//! What a volume takes on the disk, on the way that redb's benchmark goes.

use anyhow::Result;
use clap::Args;

use super::Options;
use crate::space::{self, Helium};

/// How much to measure.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Items that are loaded in bulk.
    #[arg(long, default_value_t = 5_000_000)]
    items: u64,
}

pub(super) fn run(options: &Options, arguments: &Arguments) -> Result<()> {
    let items = options.scaled(arguments.items);
    space::run(options.folder.as_deref(), items, &[Helium::create])
}
