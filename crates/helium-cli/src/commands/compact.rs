//! `helium compact`.

use serde_json::json;

use crate::{
    failure::Result,
    interrupt,
    output::{Output, figures},
    progress::Progress,
    text,
    volume::{self, Access},
};

/// Arguments of `helium compact`.
#[derive(Debug, clap::Args)]
pub struct Compact {
    /// The volume
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
}

impl Compact {
    /// Moves what is alive together, until no more room comes of it.
    pub fn run(self, output: Output) -> Result<()> {
        volume::with(&self.volume, Access::Write, |open| {
            let _publisher = volume::publish(open, "helium compact");
            let before = open.stats().used_bytes;
            {
                let progress = Progress::waiting("compacting");
                open.compact(&mut |moved| {
                    progress.say(format!("compacting: {} moved", text::size(moved)));
                    interrupt::check().is_ok()
                })?;
                interrupt::check()?;
            }
            let after = open.stats();
            let json = json!({
                "used_bytes_before": before,
                "used_bytes": after.used_bytes,
                "live_bytes": after.live_bytes,
                "moved_bytes": after.cleaner_bytes,
                "device_bytes": after.device_bytes,
            });
            output.print(&json, || {
                figures(&[
                    ("used before", text::size(before)),
                    ("used now", text::size(after.used_bytes)),
                    ("live", text::size(after.live_bytes)),
                    ("moved", text::size(after.cleaner_bytes)),
                    ("length", text::size(after.device_bytes)),
                ])
            })
        })
    }
}
