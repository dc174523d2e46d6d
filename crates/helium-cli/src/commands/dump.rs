//! `helium dump`.

use std::{ffi::OsString, path::PathBuf};

use serde_json::json;

use crate::{
    failure::{Code, Failure, Result},
    formats::{Format, Sink},
    interrupt,
    output::Output,
    progress::Progress,
    reading::{self, Place, Store, Through},
    target, text,
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
    #[command(flatten)]
    through: Through,
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
        reading::with(&self.volume, self.through, output, |mut from| {
            let _publisher = from.publish("helium dump");
            let chosen = match self.datastores.as_slice() {
                [] => from.stores()?,
                names => {
                    let found = names.iter().map(|name| from.store(name));
                    found.collect::<Result<_>>()?
                }
            };
            let several =
                chosen.len() != 1 || self.datastores.is_empty() && self.format == Format::Jsonl;
            let Some(path) = &self.output else {
                let sink = self.format.sink(Box::new(output.writer()), several)?;
                dump(&mut from, &chosen, sink).map(drop)?;
                return Ok(());
            };
            let items = target::write(path, target::PRIVATE, Some(&self.volume), |file| {
                let sink = self.format.sink(Box::new(file), several)?;
                dump(&mut from, &chosen, sink)
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

fn dump(from: &mut Place<'_>, stores: &[Store], mut sink: Box<dyn Sink + '_>) -> Result<u64> {
    let total = stores.iter().map(|store| store.items).sum();
    let progress = Progress::items("dumping", total);
    let mut items = 0;
    for store in stores {
        sink.datastore(&store.info.clone().into())?;
        for item in from.items(store) {
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
