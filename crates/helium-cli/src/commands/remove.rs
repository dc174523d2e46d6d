//! `helium rm`.
//!
//! Invariant: a range goes in steps, each of which is whole; what was removed when it is stopped is removed durably,
//! and said.

use std::{ffi::OsString, ops::Bound, os::unix::ffi::OsStrExt};

use heliumdb::{Datastore, Volume};
use serde_json::json;

use super::{
    Consent,
    bounds::{self, Selection},
    items::no_item,
};
use crate::{
    failure::{Failure, Result},
    interrupt,
    output::Output,
    progress::Progress,
    text::{self, Encoding},
    volume::{self, Access},
};

/// Items that go in one step: between two of them it can be stopped.
const STEP_ITEMS: usize = 4096;

const UNORDERED: &str = "Name the keys one by one; or `helium truncate` removes everything.";

/// Arguments of `helium rm`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  helium rm fruit.he colors apple pear
  helium rm fruit.he colors --prefix tmp/
  helium rm fruit.he colors --from 2020 --to 2021   (2021 itself stays)")]
pub struct Rm {
    /// The volume
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
    /// The datastore
    datastore: OsString,
    /// The keys
    #[arg(required_unless_present_any = ["from", "to", "prefix"], conflicts_with_all = ["from", "to", "prefix"])]
    keys: Vec<OsString>,
    /// Do not mind keys that are not there
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    encoding: Encoding,
    #[command(flatten)]
    consent: Consent,
}

impl Rm {
    /// Removes the items, durably.
    pub fn run(self, output: Output) -> Result<()> {
        let keys: Result<Vec<_>> = self
            .keys
            .iter()
            .map(|key| self.encoding.read("key", key))
            .collect();
        let (keys, bounds) = (keys?, self.selection.bounds(self.encoding)?);
        volume::with(&self.volume, Access::Write, |open| {
            let datastore = volume::datastore(open, &self.datastore)?;
            let removed = match self.selection.is_given() {
                true => self.range(open, &datastore, bounds)?,
                false => self.each(open, &datastore, &keys)?,
            };
            output.print(&json!({"removed": removed}), || {
                let is_range = self.selection.is_given();
                match is_range {
                    true => text::things(removed, "item"),
                    false => String::new(),
                }
            })
        })
    }

    /// At the first key that is not there it stops.
    fn each(&self, open: &Volume, datastore: &Datastore, keys: &[Vec<u8>]) -> Result<u64> {
        let mut removed = 0;
        for key in keys {
            if datastore.delete(key)? {
                removed += 1;
            } else if !self.force {
                open.flush()?;
                return Err(no_item(self.datastore.as_bytes(), key)
                    .advise("Keys named before it were removed; --force goes on."));
            }
        }
        open.flush()?;
        Ok(removed)
    }

    fn range(&self, open: &Volume, datastore: &Datastore, range: bounds::Bounds) -> Result<u64> {
        let explain = |why| bounds::explain(why, UNORDERED);
        if self.consent.would_ask() {
            let items = count(datastore, range.clone())?;
            let name = text::shown(&datastore.info()?.name);
            let items = text::things(items, "item");
            self.consent.ask(&format!("Remove {items} of {name}?"))?;
        }
        let progress = Progress::endless("removing items");
        let (mut from, to) = range;
        let mut removed = 0;
        let mut step = || {
            interrupt::check()?;
            let range = (from.clone(), to.clone());
            let last = datastore.range(range).keys().nth(STEP_ITEMS - 1);
            let last = last.transpose().map_err(explain)?;
            let is_last = last.is_none();
            let end = last.map_or(to.clone(), Bound::Included);
            removed += datastore
                .delete_range((from.clone(), end.clone()))
                .map_err(explain)?;
            if let Bound::Included(last) = end {
                from = Bound::Excluded(last);
            }
            progress.at(removed);
            Ok(!is_last)
        };
        let done = loop {
            match step() {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(why) => break Err(why),
            }
        };
        open.flush()?;
        done.map_err(|why: Failure| match removed {
            0 => why,
            _ => why.also(&format!(
                "{} that came first were removed, durably.",
                text::things(removed, "item")
            )),
        })?;
        Ok(removed)
    }
}

/// Items of a range. No value is read.
fn count(datastore: &Datastore, range: bounds::Bounds) -> Result<u64> {
    let progress = Progress::endless("counting items");
    let mut items = 0;
    for key in datastore.range(range).keys() {
        key.map_err(|why| bounds::explain(why, UNORDERED))?;
        interrupt::check()?;
        items += 1;
        progress.at(items);
    }
    Ok(items)
}
