//! `helium scan`.

use std::{ffi::OsString, io::Write};

use serde_json::{Map, Value};

use super::bounds::{Bounds, EVERYTHING, Selection, explain};
use crate::{
    failure::{self, Result},
    formats::{Delimiter, tsv},
    interrupt, json,
    output::{self, Output},
    reading::{self, Place, Range, Through},
    text::{self, Encoding},
    volume,
};

/// Bytes of a value that a terminal shows.
const SHOWN_BYTES: usize = 240;

const UNORDERED: &str =
    "Without --from, --to, --prefix and --reverse all items are printed, in no order.";

/// Arguments of `helium scan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  helium scan fruit.he colors --prefix a --limit 10
  helium scan fruit.he colors | helium load copy.he -d colors")]
pub struct Scan {
    /// The volume
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
    /// The datastore
    datastore: OsString,
    #[command(flatten)]
    selection: Selection,
    /// From the last one back
    #[arg(short, long)]
    reverse: bool,
    /// No more than this many
    #[arg(short = 'n', long, value_name = "ITEMS")]
    limit: Option<u64>,
    /// Only keys
    #[arg(short, long)]
    keys: bool,
    #[command(flatten)]
    encoding: Encoding,
    #[command(flatten)]
    through: Through,
    #[command(flatten)]
    delimiter: Delimiter,
}

impl Scan {
    /// Prints the items, a line each: key, tab, value; or JSON Lines.
    pub fn run(self, output: Output) -> Result<()> {
        let bounds = self.selection.bounds(self.encoding)?;
        reading::with(&self.volume, self.through, output, |from| {
            self.print(from, bounds, output)
        })
    }

    fn print(&self, mut from: Place<'_>, bounds: Bounds, output: Output) -> Result<()> {
        let is_all = bounds == EVERYTHING && !self.reverse;
        let store = from.store(&self.datastore)?;
        let limit = self.limit.unwrap_or(u64::MAX);
        let items = match is_all && store.info.unordered {
            // Of a datastore without order this is all that can be had: its keys are with its values.
            true => from.items(&store),
            false => from.range(
                &store,
                Range {
                    bounds,
                    backward: self.reverse,
                    keys: self.keys,
                    limit,
                },
            ),
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let cut = output.is_terminal();
        let mut out = output.writer();
        for item in items.take(limit) {
            interrupt::check()?;
            let (key, value) = item.map_err(|why| explain(why, UNORDERED))?;
            let line = match output.json {
                true => self.json(&key, &value),
                false => self.text(&key, &value, cut),
            };
            writeln!(out, "{line}").map_err(failure::output)?;
        }
        output::finish(out)
    }

    fn json(&self, key: &[u8], value: &[u8]) -> String {
        let mut fields = Map::new();
        fields.insert("key".into(), text::to_json(key));
        if !self.keys {
            fields.insert("value".into(), text::to_json(value));
        }
        json::line(&Value::Object(fields))
    }

    fn text(&self, key: &[u8], value: &[u8], cut: bool) -> String {
        let delimiter = self.delimiter.or_tab();
        let show = |bytes| tsv::field(&self.encoding.show(bytes), delimiter);
        let key = show(key);
        if self.keys {
            return key;
        }
        let delimiter = char::from(delimiter);
        match value.get(..SHOWN_BYTES) {
            Some(start) if cut && value.len() > SHOWN_BYTES => {
                format!(
                    "{key}{delimiter}{}... ({})",
                    show(start),
                    text::size(value.len() as u64)
                )
            }
            _ => format!("{key}{delimiter}{}", show(value)),
        }
    }
}
