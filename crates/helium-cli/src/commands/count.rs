//! `helium count`.

use std::ffi::OsString;

use serde_json::json;

use super::bounds::{Selection, explain};
use crate::{
    failure::Result,
    interrupt,
    output::Output,
    progress::Progress,
    reading::{self, Range, Through},
    text::Encoding,
    volume,
};

/// Arguments of `helium count`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  helium count fruit.he colors
  helium count fruit.he colors --prefix tmp/")]
pub struct Count {
    /// The volume
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
    /// The datastore
    datastore: OsString,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    encoding: Encoding,
    #[command(flatten)]
    through: Through,
}

impl Count {
    /// Prints how many items there are, of a range or of all. No value is read.
    pub fn run(self, output: Output) -> Result<()> {
        let bounds = self.selection.bounds(self.encoding)?;
        reading::with(&self.volume, self.through, output, |mut from| {
            let store = from.store(&self.datastore)?;
            let mut items = store.items;
            if self.selection.is_given() {
                let range = Range {
                    bounds,
                    backward: false,
                    keys: true,
                    limit: u64::MAX,
                };
                let progress = Progress::endless("counting items");
                items = 0;
                for key in from.range(&store, range) {
                    key.map_err(|why| explain(why, "Without a range all items are counted."))?;
                    interrupt::check()?;
                    items += 1;
                    progress.at(items);
                }
            }
            output.print(&json!({"items": items}), || items.to_string())
        })
    }
}
