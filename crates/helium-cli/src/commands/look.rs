//! `helium ls` and `helium stat`.

use std::ffi::OsString;

use heliumdb::{DatastoreInfo, Volume};
use serde_json::{Value, json};

use crate::{
    failure::Result,
    output::{Column, Output, figures, table},
    text,
    volume::{self, Access},
};

/// Arguments of `helium ls`.
#[derive(Debug, clap::Args)]
pub struct Ls {
    /// The volume
    volume: String,
}

impl Ls {
    /// Lists the datastores.
    pub fn run(self, output: Output) -> Result<()> {
        volume::with(&self.volume, Access::Read, |open| {
            let all = open.datastores();
            let mut items = Vec::with_capacity(all.len());
            for info in &all {
                items.push(open.datastore_by_id(info.id)?.len());
            }
            let json: Value = all
                .iter()
                .zip(&items)
                .map(|(info, items)| to_json(info, *items))
                .collect();
            output.print(&json, || listed(&all, &items))
        })
    }
}

fn to_json(info: &DatastoreInfo, items: u64) -> Value {
    json!({
        "name": text::to_json(&info.name),
        "id": info.id.0,
        "items": items,
        "compress": info.compress,
        "unordered": info.unordered,
        "attributes": text::to_json(&info.attributes),
    })
}

fn listed(all: &[DatastoreInfo], items: &[u64]) -> String {
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
    let rows = all.iter().zip(items).map(|(info, items)| {
        vec![
            text::shown(&info.name),
            text::count(*items),
            info.id.0.to_string(),
            kind(info).to_owned(),
            text::shown(&info.attributes),
        ]
    });
    table(&columns, rows)
}

/// Arguments of `helium stat`.
#[derive(Debug, clap::Args)]
pub struct Stat {
    /// The volume
    volume: String,
    /// Only this datastore
    datastore: Option<OsString>,
}

impl Stat {
    /// Prints figures.
    pub fn run(self, output: Output) -> Result<()> {
        volume::with(&self.volume, Access::Read, |open| match &self.datastore {
            None => of_volume(open, output),
            Some(name) => of_datastore(open, name, output),
        })
    }
}

fn of_volume(open: &Volume, output: Output) -> Result<()> {
    let stats = open.stats();
    let json = json!({
        "volume": open.url(),
        "id": open.id().to_string(),
        "datastores": stats.datastores,
        "items": stats.items,
        "capacity_bytes": stats.capacity_bytes,
        "used_bytes": stats.used_bytes,
        "live_bytes": stats.live_bytes,
        "dead_bytes": stats.dead_bytes,
        "index_bytes": stats.index_bytes,
        "checkpoint_bytes": stats.checkpoint_bytes,
        "recovered_items": stats.recovered_items,
        "discarded_bytes": stats.discarded_bytes,
    });
    output.print(&json, || {
        figures(&[
            ("volume", open.url().to_owned()),
            ("id", open.id().to_string()),
            ("datastores", text::count(stats.datastores)),
            ("items", text::count(stats.items)),
            ("capacity", text::size(stats.capacity_bytes)),
            (
                "used",
                share(stats.used_bytes, stats.capacity_bytes, "of the capacity"),
            ),
            (
                "live",
                share(stats.live_bytes, stats.used_bytes, "of what is used"),
            ),
            ("index memory", text::size(stats.index_bytes)),
            ("checkpoint", text::size(stats.checkpoint_bytes)),
            (
                "read when opened",
                format!("{} items", text::count(stats.recovered_items)),
            ),
            ("torn off at the end", text::size(stats.discarded_bytes)),
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

fn of_datastore(open: &Volume, name: &OsString, output: Output) -> Result<()> {
    let datastore = volume::datastore(open, name)?;
    let info = datastore.info()?;
    let items = datastore.len();
    output.print(&to_json(&info, items), || {
        figures(&[
            ("datastore", text::shown(&info.name)),
            ("id", info.id.0.to_string()),
            ("items", text::count(items)),
            ("kind", kind(&info).to_owned()),
            ("attributes", text::shown(&info.attributes)),
        ])
    })
}
