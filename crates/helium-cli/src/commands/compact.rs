//! `helium compact`.

use serde_json::json;

use crate::{
    failure::Result,
    interrupt,
    output::Output,
    progress::Progress,
    text,
    volume::{self, Access},
};

/// What one round frees may make room for another; more than this are not worth it.
const ROUNDS_MAX: u32 = 8;

/// Arguments of `helium compact`.
#[derive(Debug, clap::Args)]
pub struct Compact {
    /// The volume
    volume: String,
}

impl Compact {
    /// Moves what is alive together, until no more room comes of it.
    pub fn run(self, output: Output) -> Result<()> {
        volume::with(&self.volume, Access::Write, |open| {
            let _publisher = volume::publish(open, "helium compact");
            let before = open.stats().used_bytes;
            let mut used = before;
            {
                let _progress = Progress::waiting("compacting");
                for _ in 0..ROUNDS_MAX {
                    interrupt::check()?;
                    open.clean_now()?;
                    // What was moved is free once a checkpoint knows the new places.
                    open.checkpoint_now()?;
                    let now = open.stats().used_bytes;
                    if now >= used {
                        break;
                    }
                    used = now;
                }
            }
            let after = open.stats();
            let json = json!({
                "used_bytes_before": before,
                "used_bytes": after.used_bytes,
                "moved_bytes": after.cleaner_bytes,
            });
            output.print(&json, || {
                format!(
                    "{} used, {} before; {} moved",
                    text::size(after.used_bytes),
                    text::size(before),
                    text::size(after.cleaner_bytes)
                )
            })
        })
    }
}
