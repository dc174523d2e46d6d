//! `helium rename`, `helium drop` and `helium truncate`.

use std::{ffi::OsString, os::unix::ffi::OsStrExt};

use serde_json::json;

use super::Consent;
use crate::{
    failure::{Failure, Result},
    output::Output,
    text, volume,
    writing::{self, Place, Store},
};

/// Arguments of `helium rename`.
#[derive(Debug, clap::Args)]
pub struct Rename {
    /// The volume
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
    /// The datastore
    datastore: OsString,
    /// Its new name
    name: OsString,
}

impl Rename {
    /// Renames it, durably.
    pub fn run(self, output: Output) -> Result<()> {
        writing::with(&self.volume, |to| {
            let store = to.store(&self.datastore)?;
            to.rename(&store, self.name.as_bytes())
                .map_err(|why| Failure::from(why).context("nothing was renamed"))?;
            let name = text::to_json(self.name.as_bytes());
            output.print(&json!({"id": store.id(), "name": name}), String::new)
        })
    }
}

/// The datastores that something is done to.
#[derive(Debug, clap::Args)]
struct Several {
    /// The volume
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
    /// The datastores
    #[arg(required = true)]
    datastores: Vec<OsString>,
    #[command(flatten)]
    consent: Consent,
}

impl Several {
    fn each(
        &self,
        output: Output,
        question: &str,
        done: &str,
        work: impl Fn(&Place<'_>, &Store) -> heliumdb::Result<()>,
    ) -> Result<()> {
        writing::with(&self.volume, |to| {
            // All are found before anything is done to one.
            let named = unique(&self.datastores);
            let found = to.chosen(&named)?;
            let items: u64 = found.iter().map(Store::items).sum();
            let names: Vec<_> = named
                .iter()
                .map(|name| text::shown(name.as_bytes()))
                .collect();
            self.consent.ask(&format!(
                "{question} {} with {}?",
                names.join(", "),
                text::things(items, "item")
            ))?;
            for store in &found {
                work(&to, store)?;
            }
            let names: Vec<_> = named
                .iter()
                .map(|name| text::to_json(name.as_bytes()))
                .collect();
            output.print(&json!({done: names, "items": items}), String::new)
        })
    }
}

/// Each name once, where it was named first.
fn unique(names: &[OsString]) -> Vec<OsString> {
    let mut unique: Vec<OsString> = Vec::new();
    for name in names {
        if !unique.contains(name) {
            unique.push(name.clone());
        }
    }
    unique
}

/// Arguments of `helium drop`.
#[derive(Debug, clap::Args)]
pub struct Drop {
    #[command(flatten)]
    several: Several,
}

impl Drop {
    /// Removes them, durably.
    pub fn run(self, output: Output) -> Result<()> {
        self.several.each(output, "Remove", "dropped", |to, store| {
            to.drop_store(store)
        })
    }
}

/// Arguments of `helium truncate`.
#[derive(Debug, clap::Args)]
pub struct Truncate {
    #[command(flatten)]
    several: Several,
}

impl Truncate {
    /// Empties them, durably.
    pub fn run(self, output: Output) -> Result<()> {
        self.several
            .each(output, "Empty", "truncated", |to, store| to.truncate(store))
    }
}
