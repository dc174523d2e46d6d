//! `helium backup`.

use helium_activity::Remote;
use heliumdb::{
    Volume,
    upkeep::{BackupFrom, BackupReport},
};
use serde_json::json;

use super::copying::{self, Half, Steps};
use crate::{
    failure::{Failure, Result},
    interrupt,
    output::Output,
    progress::Progress,
    reading::{self, Place, Through},
    served, text, volume,
};

/// Arguments of `helium backup`.
#[derive(Debug, clap::Args)]
pub struct Backup {
    /// The volume
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
    /// The volume that the copy goes to; it is made if it is not there
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    target: String,
    #[command(flatten)]
    through: Through,
}

impl Backup {
    /// Copies all datastores, with their names and attributes.
    pub fn run(self, output: Output) -> Result<()> {
        served::refuse(&self.volume)?;
        reading::with(&self.volume, self.through, output, |from| {
            let _publisher = from.publish("helium backup");
            copying::into_new(&self.volume, &self.target, Half::Goes, |target| {
                let mut steps = Steps::default();
                let report = match from {
                    Place::Here(open) => open
                        .backup(BackupFrom::Newest, target, &mut |step| steps.at(step))
                        .map_err(|why| copying::explain(why, &self.target, Half::Goes)),
                    Place::There(mut remote) => receive(&mut remote, target),
                    Place::Served(..) => return served::refuse(&self.volume),
                };
                drop(steps);
                let report = report?;
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

/// Makes the copy of what comes from the process that has the volume open: its files are made here, by who asks for
/// them.
fn receive(remote: &mut Remote, target: &Volume) -> Result<BackupReport> {
    let mut report = BackupReport::default();
    let stores = remote.datastores()?;
    let next_id = remote.next_datastore_id();
    let progress = Progress::items("copying", stores.iter().map(|store| store.items).sum());
    let mut items = 0;
    for store in stores {
        let all = remote.items(&store.info).map(|item| {
            interrupt::check()?;
            items += 1;
            progress.at(items);
            Ok(item?)
        });
        let copied = target.restore::<Failure>(&store.info, next_id, all)?;
        report.datastores += copied.datastores;
        report.items += copied.items;
        report.bytes += copied.bytes;
    }
    target.finish_copy()?;
    Ok(report)
}
