//! `helium dump`.

use std::{ffi::OsString, path::PathBuf};

use heliumdb::Datastore;
use serde_json::json;

use crate::{
    failure::{Code, Failure, Result},
    formats::{Format, Sink},
    interrupt,
    output::Output,
    progress::Progress,
    target, text,
    volume::{self, Access},
};

/// Arguments of `helium dump`.
#[derive(Debug, clap::Args)]
pub struct Dump {
    /// The volume
    volume: String,
    /// The datastores; all of them if none is named
    datastores: Vec<OsString>,
    /// The format
    #[arg(short, long, value_enum, default_value = "jsonl")]
    format: Format,
    /// Write to this file, which appears, or replaces what is there, when it is complete
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Dump {
    /// Writes the datastores, in order of their names and keys.
    pub fn run(self, output: Output) -> Result<()> {
        if output.json && self.output.is_none() && self.format != Format::Jsonl {
            let failure = Failure::new(
                Code::Usage,
                "--json goes with another format only if the dump goes to a file",
            );
            return Err(failure.advise("Leave one of them out, or name a file: --output FILE."));
        }
        volume::with(&self.volume, Access::Read, |open| {
            let _publisher = volume::publish(open, "helium dump");
            let chosen = volume::chosen(open, &self.datastores)?;
            let several =
                chosen.len() != 1 || self.datastores.is_empty() && self.format == Format::Jsonl;
            let Some(path) = &self.output else {
                let sink = self.format.sink(Box::new(output.writer()), several)?;
                dump(&chosen, sink).map(drop)?;
                return Ok(());
            };
            let items = target::write(path, target::PRIVATE, Some(&self.volume), |file| {
                let sink = self.format.sink(Box::new(file), several)?;
                dump(&chosen, sink)
            })?;
            let json =
                json!({"file": path.to_string_lossy(), "datastores": chosen.len(), "items": items});
            output.print(&json, || {
                format!(
                    "{} of {}",
                    text::things(items, "item"),
                    text::things(chosen.len() as u64, "datastore")
                )
            })
        })
    }
}

fn dump(datastores: &[Datastore], mut sink: Box<dyn Sink + '_>) -> Result<u64> {
    let total = datastores.iter().map(Datastore::len).sum();
    let progress = Progress::items("dumping", total);
    let mut items = 0;
    for datastore in datastores {
        sink.datastore(&datastore.info()?.into())?;
        for item in datastore.items() {
            let (key, value) = item?;
            sink.item(&key, &value)?;
            items += 1;
            progress.at(items);
            interrupt::check()?;
        }
    }
    sink.finish()?;
    Ok(items)
}
