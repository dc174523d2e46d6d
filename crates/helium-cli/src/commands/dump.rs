//! `helium dump`.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use heliumdb::Datastore;
use serde_json::json;

use crate::{
    failure::{self, Code, Failure, Result},
    formats::{Format, Sink},
    interrupt,
    output::Output,
    progress::Progress,
    text,
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
    /// Write to this file, which appears when it is complete
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
            let items = to_file(path, |file| {
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

/// Writes a file under another name first, so that `path` is never half of one.
fn to_file<R>(path: &Path, work: impl FnOnce(&mut dyn Write) -> Result<R>) -> Result<R> {
    let complain =
        |why: io::Error| failure::system(format_args!("cannot write {}", path.display()), why);
    if !path.metadata().map_or(true, |found| found.is_file()) {
        // A pipe or a device: there is nothing to replace.
        return work(&mut File::create(path).map_err(complain)?);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let file = tempfile::NamedTempFile::new_in(folder).map_err(complain)?;
    let mut writer = BufWriter::with_capacity(64 << 10, file);
    let result = work(&mut writer)?;
    let file = writer
        .into_inner()
        .map_err(|why| complain(why.into_error()))?;
    file.as_file().sync_all().map_err(complain)?;
    file.persist(path).map_err(|why| complain(why.error))?;
    Ok(result)
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
