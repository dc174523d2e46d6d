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

/// What one round frees may make room for another; more than this are not worth it.
const ROUNDS_MAX: u32 = 8;

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
            let mut used = before;
            {
                let progress = Progress::waiting("compacting");
                for _ in 0..ROUNDS_MAX {
                    while open.clean_some()? {
                        interrupt::check()?;
                        progress.say(format!(
                            "compacting: {} moved",
                            text::size(open.stats().cleaner_bytes)
                        ));
                    }
                    open.free_now()?;
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
                "live_bytes": after.live_bytes,
                "moved_bytes": after.cleaner_bytes,
            });
            output.print(&json, || {
                figures(&[
                    ("used before", text::size(before)),
                    ("used now", text::size(after.used_bytes)),
                    ("live", text::size(after.live_bytes)),
                    ("moved", text::size(after.cleaner_bytes)),
                ])
            })
        })
    }
}
