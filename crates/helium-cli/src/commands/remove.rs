//! `helium rm`.
//!
//! Invariant: a range goes in steps, each of which is whole; what was removed when it is stopped, or fails, is removed
//! durably, or said not to be, and said.

use std::{ffi::OsString, ops::Bound, os::unix::ffi::OsStrExt};

use serde_json::json;

use super::{
    Consent,
    bounds::{self, Selection},
    items::no_item,
};
use crate::{
    failure::Result,
    interrupt,
    output::Output,
    progress::Progress,
    text::{self, Encoding},
    volume,
    writing::{self, Place, Store},
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
        writing::with(&self.volume, |to| {
            let store = to.store(&self.datastore)?;
            let removed = match self.selection.is_given() {
                true => self.range(&to, &store, bounds)?,
                false => self.each(&to, &store, &keys)?,
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
    fn each(&self, to: &Place<'_>, store: &Store, keys: &[Vec<u8>]) -> Result<u64> {
        let mut removed = 0;
        let done = keys.iter().try_for_each(|key| {
            let was_there = store.delete(key)?;
            removed += u64::from(was_there);
            match was_there || self.force {
                true => Ok(()),
                false => Err(no_item(self.datastore.as_bytes(), key)
                    .advise("--force does not mind keys that are not there.")),
            }
        });
        make_durable(to, done, removed)
    }

    fn range(&self, to: &Place<'_>, store: &Store, range: bounds::Bounds) -> Result<u64> {
        let explain = |why| bounds::explain(why, UNORDERED);
        if self.consent.would_ask() {
            let items = count(store, range.clone())?;
            let name = text::shown(self.datastore.as_bytes());
            let items = text::things(items, "item");
            self.consent.ask(&format!("Remove {items} of {name}?"))?;
        }
        let progress = Progress::endless("removing items");
        let (mut from, end) = range;
        let mut removed = 0;
        let mut step = || {
            interrupt::check()?;
            let step = store.delete_some((from.clone(), end.clone()), STEP_ITEMS);
            let (count, last) = step.map_err(explain)?;
            removed += count;
            progress.at(removed);
            let goes_on = last.is_some();
            if let Some(last) = last {
                from = Bound::Excluded(last);
            }
            Ok(goes_on)
        };
        let done = loop {
            match step() {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(why) => break Err(why),
            }
        };
        make_durable(to, done, removed)
    }
}

/// Makes what was removed durable, whatever ended it, and says so.
fn make_durable(to: &Place<'_>, done: Result<()>, removed: u64) -> Result<u64> {
    let flushed = to.flush();
    let items = text::things(removed, "item");
    done.map_err(|why| match (removed, &flushed) {
        (0, _) => why,
        (_, Ok(())) => why.also(&format!("Removed before it, durably: {items}.")),
        (_, Err(flush)) => why.also(&format!(
            "Removed before it, perhaps not durably: {items}. {flush}"
        )),
    })?;
    flushed?;
    Ok(removed)
}

/// Items of a range. No value is read.
fn count(store: &Store, range: bounds::Bounds) -> Result<u64> {
    let progress = Progress::endless("counting items");
    let mut items = 0;
    for key in store.keys(range, usize::MAX) {
        key.map_err(|why| bounds::explain(why, UNORDERED))?;
        interrupt::check()?;
        items += 1;
        progress.at(items);
    }
    Ok(items)
}
