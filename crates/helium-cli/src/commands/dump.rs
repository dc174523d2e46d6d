//! `helium dump`.

use std::{ffi::OsString, io::Write, os::unix::ffi::OsStrExt, path::PathBuf};

use serde_json::json;

use crate::{
    failure::{Code, Failure, Result},
    formats::{Delimiter, Format, Sink},
    interrupt,
    output::Output,
    progress::Progress,
    reading::{self, Place, Store, Through},
    target, text, volume,
};

/// Arguments of `helium dump`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  helium dump fruit.he > fruit.jsonl
  helium dump fruit.he colors --format csv -o colors.csv
  helium dump fruit.he colors --format mdb | mdb_load -s colors folder")]
pub struct Dump {
    /// The volume
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
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
    #[command(flatten)]
    delimiter: Delimiter,
}

impl Dump {
    /// Writes the datastores, in order of their names and keys.
    pub fn run(self, output: Output) -> Result<()> {
        if output.json
            && self.output.is_none()
            && !matches!(self.format, Format::Jsonl | Format::Json)
        {
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
                chosen.len() != 1 || self.datastores.is_empty() && self.format.takes_several();
            let Some(path) = &self.output else {
                let sink = self.sink(Box::new(output.writer()), several)?;
                dump(&mut from, &chosen, sink).map(drop)?;
                return Ok(());
            };
            let items = target::write(path, target::PRIVATE, Some(&self.volume), |file| {
                let sink = self.sink(Box::new(file), several)?;
                dump(&mut from, &chosen, sink)
            })?;
            let json = json!({"file": text::to_json(path.as_os_str().as_bytes()), "datastores": chosen.len(), "items": items});
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

impl Dump {
    fn sink<'a>(&self, out: Box<dyn Write + 'a>, several: bool) -> Result<Box<dyn Sink + 'a>> {
        self.format.sink(out, several, self.delimiter)
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
