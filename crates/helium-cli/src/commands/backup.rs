//! `helium backup`.

use heliumdb::BackupFrom;
use serde_json::json;

use super::copying::{self, Half, Steps};
use crate::{
    failure::Result,
    output::Output,
    text,
    volume::{self, Access},
};

/// Arguments of `helium backup`.
#[derive(Debug, clap::Args)]
pub struct Backup {
    /// The volume
    volume: String,
    /// The volume that the copy goes to; it is made if it is not there
    target: String,
}

impl Backup {
    /// Copies all datastores, with their names and attributes.
    pub fn run(self, output: Output) -> Result<()> {
        volume::with(&self.volume, Access::Read, |open| {
            let _publisher = volume::publish(open, "helium backup");
            copying::into_new(&self.volume, &self.target, Half::Goes, |target| {
                let mut steps = Steps::default();
                let copied = open.backup(BackupFrom::Newest, target, &mut |step| steps.at(step));
                drop(steps);
                let report =
                    copied.map_err(|why| copying::explain(why, &self.target, Half::Goes))?;
                let json = json!({"datastores": report.datastores, "items": report.items, "bytes": report.bytes});
                output.print(&json, || {
                    format!(
                        "{} of {}, {}",
                        text::things(report.items, "item"),
                        text::things(report.datastores, "datastore"),
                        text::size(report.bytes)
                    )
                })
            })
        })
    }
}
