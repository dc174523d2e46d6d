//! `helium ls` and `helium stat`.

use std::ffi::OsString;

use heliumdb::DatastoreInfo;
use serde_json::{Value, json};

use super::sizes;
use crate::{
    failure::Result,
    output::{self, Column, Output, table},
    reading::{self, Place, Store, Through},
    text, volume,
};

/// Arguments of `helium ls`.
#[derive(Debug, clap::Args)]
pub struct Ls {
    /// The volume
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
    #[command(flatten)]
    through: Through,
}

impl Ls {
    /// Lists the datastores.
    pub fn run(self, output: Output) -> Result<()> {
        reading::with(&self.volume, self.through, output, |mut from| {
            let all = from.stores()?;
            let json: Value = all.iter().map(to_json).collect();
            output.print(&json, || listed(&all))
        })
    }
}

fn to_json(store: &Store) -> Value {
    let info = &store.info;
    json!({
        "name": text::to_json(&info.name),
        "id": info.id.0,
        "items": store.items,
        "compress": info.compress,
        "unordered": info.unordered,
        "attributes": text::to_json(&info.attributes),
    })
}

fn listed(all: &[Store]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let columns = [
        Column::Left("NAME"),
        Column::Right("ITEMS"),
        Column::Right("ID"),
        Column::Left("KIND"),
        Column::Left("ATTRIBUTES"),
    ];
    let rows = all.iter().map(|store| {
        let info = &store.info;
        vec![
            text::shown(&info.name),
            text::count(store.items),
            info.id.0.to_string(),
            kind(info).to_owned(),
            text::shown(&info.attributes),
        ]
    });
    table(&columns, rows)
}

/// Arguments of `helium stat`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  helium stat fruit.he
  helium stat fruit.he colors --sizes")]
pub struct Stat {
    /// The volume
    #[arg(value_parser = volume::name(), value_hint = clap::ValueHint::FilePath)]
    volume: String,
    /// How long keys and values are, and which are the longest: looks at all items
    #[arg(long)]
    sizes: bool,
    /// Only this datastore
    datastore: Option<OsString>,
    #[command(flatten)]
    through: Through,
}

impl Stat {
    /// Prints figures.
    pub fn run(self, output: Output) -> Result<()> {
        if self.sizes {
            return self.sizes(output);
        }
        reading::with(&self.volume, self.through, output, |mut from| {
            match &self.datastore {
                None => of_volume(&mut from, output),
                Some(name) => of_datastore(&from.store(name)?, output),
            }
        })
    }
}

impl Stat {
    fn sizes(&self, output: Output) -> Result<()> {
        reading::with(&self.volume, self.through, output, |mut from| {
            let _publisher = from.publish("helium stat");
            let chosen = match &self.datastore {
                Some(name) => vec![from.store(name)?],
                None => from.stores()?,
            };
            let all = chosen.iter().map(|store| sizes::of(&mut from, store));
            let all = all.collect::<Result<Vec<_>>>()?;
            let json: Value = all.iter().map(sizes::Sizes::to_json).collect();
            output.print(&json, || sizes::to_text(&all))
        })
    }
}

fn of_volume(from: &mut Place<'_>, output: Output) -> Result<()> {
    let (url, id, figures) = (from.url(), from.id(), from.figures()?);
    let figure = |name: &str| {
        let found = figures.iter().find(|(known, _)| known == name);
        found.map_or(0, |(_, figure)| *figure)
    };
    let mut json = json!({"volume": url, "id": id});
    for (name, figure) in &figures {
        json[name] = (*figure).into();
    }
    output.print(&json, || {
        let used = figure("used_bytes");
        output::figures(&[
            ("volume", url.clone()),
            ("id", id.clone()),
            ("datastores", text::count(figure("datastores"))),
            ("items", text::count(figure("items"))),
            ("capacity", text::size(figure("capacity_bytes"))),
            (
                "used",
                share(used, figure("capacity_bytes"), "of the capacity"),
            ),
            ("live", share(figure("live_bytes"), used, "of what is used")),
            ("of that checkpoint", text::size(figure("checkpoint_bytes"))),
            ("dead", share(figure("dead_bytes"), used, "of what is used")),
            (
                "removals",
                share(figure("tombstone_bytes"), used, "of what is used"),
            ),
            (
                "between items",
                share(figure("framing_bytes"), used, "of what is used"),
            ),
            (
                "kept free",
                text::size(figure("taken_bytes").saturating_sub(used)),
            ),
            ("length", text::size(figure("device_bytes"))),
            ("index memory", text::size(figure("index_bytes"))),
            (
                "read when opened",
                format!("{} items", text::count(figure("recovered_items"))),
            ),
            ("torn off at the end", text::size(figure("discarded_bytes"))),
        ])
    })
}

fn share(part: u64, whole: u64, of: &str) -> String {
    let size = text::size(part);
    match (part as f64 * 100.0) / whole as f64 {
        percent if percent.is_finite() => format!("{size}, {percent:.1} % {of}"),
        _ => size,
    }
}

fn kind(info: &DatastoreInfo) -> &'static str {
    match (info.unordered, info.compress) {
        (false, false) => "ordered",
        (false, true) => "ordered, compressed",
        (true, false) => "unordered",
        (true, true) => "unordered, compressed",
    }
}

fn of_datastore(store: &Store, output: Output) -> Result<()> {
    let info = &store.info;
    output.print(&to_json(store), || {
        output::figures(&[
            ("datastore", text::shown(&info.name)),
            ("id", info.id.0.to_string()),
            ("items", text::count(store.items)),
            ("kind", kind(info).to_owned()),
            ("attributes", text::shown(&info.attributes)),
        ])
    })
}
