//! What is told of a volume, and its form on the wire: one JSON object.
//!
//! Invariant: reading never trusts lengths or fields; what is missing reads as zero.

use std::os::unix::fs::MetadataExt;

use heliumdb::{Volume, printable::is_printable};
use serde_json::{Map, Value, json};

/// Datastores that are told of at most: those with the most items.
const DATASTORES_MAX: usize = 64;

/// Figures of an open volume.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The volume's id.
    pub id: String,
    /// The URL it was opened by.
    pub url: String,
    /// The process that has it open.
    pub process: u64,
    /// What that process calls itself.
    pub command: String,
    /// Milliseconds since it began to tell.
    pub uptime_ms: u64,
    /// Device and inode numbers of the volume's files.
    pub files: Vec<(u64, u64)>,
    /// The store's figures, by their names, in its order.
    pub figures: Vec<(String, u64)>,
    /// The largest datastores.
    pub datastores: Vec<DatastoreFigures>,
}

/// Figures of a datastore.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatastoreFigures {
    /// Its name, as text.
    pub name: String,
    /// Its items, about.
    pub items: u64,
}

impl Report {
    pub(crate) fn of(volume: &Volume, command: &str, uptime_ms: u64) -> Self {
        let stats = volume.stats();
        let figures = [
            ("capacity_bytes", stats.capacity_bytes),
            ("used_bytes", stats.used_bytes),
            ("live_bytes", stats.live_bytes),
            ("dead_bytes", stats.dead_bytes),
            ("buffered_bytes", stats.buffered_bytes),
            ("items", stats.items),
            ("index_bytes", stats.index_bytes),
            ("version_bytes", stats.version_bytes),
            ("user_bytes", stats.user_bytes),
            ("cleaner_bytes", stats.cleaner_bytes),
            ("written_bytes", stats.written_bytes),
            ("trimmed_bytes", stats.trimmed_bytes),
            ("checkpoint_written_bytes", stats.checkpoint_written_bytes),
            ("device_reads", stats.device_reads),
            ("read_cache_hits", stats.read_cache_hits),
            ("read_cache_bytes", stats.read_cache_bytes),
            ("frames", stats.frames),
            ("syncs", stats.syncs),
        ];
        let all = volume.datastores().into_iter();
        let mut datastores: Vec<_> = all
            .filter_map(|info| {
                let datastore = volume.datastore_by_id(info.id).ok()?;
                Some(DatastoreFigures {
                    name: info.name.escape_ascii().to_string(),
                    items: datastore.len(),
                })
            })
            .collect();
        datastores.sort_by(|a, b| b.items.cmp(&a.items).then_with(|| a.name.cmp(&b.name)));
        datastores.truncate(DATASTORES_MAX);
        Self {
            id: volume.id().to_string(),
            url: volume.url().to_owned(),
            process: u64::from(std::process::id()),
            command: command.to_owned(),
            uptime_ms,
            files: files(volume.url()),
            figures: figures
                .map(|(name, figure)| (name.to_owned(), figure))
                .to_vec(),
            datastores,
        }
    }

    /// A figure by its name.
    pub fn figure(&self, name: &str) -> u64 {
        let found = self.figures.iter().find(|(known, _)| known == name);
        found.map_or(0, |(_, figure)| *figure)
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        let figures: Map<String, Value> = self
            .figures
            .iter()
            .map(|(name, figure)| (name.clone(), Value::from(*figure)))
            .collect();
        let datastores: Value = self
            .datastores
            .iter()
            .map(|one| json!({"name": one.name, "items": one.items}))
            .collect();
        json!({
            "id": self.id,
            "url": self.url,
            "process": self.process,
            "command": self.command,
            "uptime_ms": self.uptime_ms,
            "files": self.files,
            "figures": figures,
            "datastores": datastores,
        })
    }

    pub(crate) fn from_json(value: &Value) -> Self {
        let text = |value: &Value| clean(value.as_str().unwrap_or_default());
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let list = |name: &str| value[name].as_array().into_iter().flatten();
        let figures = value["figures"].as_object().into_iter().flatten();
        Self {
            id: text(&value["id"]),
            url: text(&value["url"]),
            process: number(&value["process"]),
            command: text(&value["command"]),
            uptime_ms: number(&value["uptime_ms"]),
            files: list("files")
                .map(|file| (number(&file[0]), number(&file[1])))
                .collect(),
            figures: figures
                .map(|(name, figure)| (clean(name), number(figure)))
                .collect(),
            datastores: list("datastores")
                .take(DATASTORES_MAX)
                .map(|one| DatastoreFigures {
                    name: text(&one["name"]),
                    items: number(&one["items"]),
                })
                .collect(),
        }
    }
}

/// A terminal will show it.
fn clean(text: &str) -> String {
    text.chars()
        .map(|char| if is_printable(char) { char } else { '?' })
        .collect()
}

/// What tells the files of a volume from any others, however they are named.
pub(crate) fn files(url: &str) -> Vec<(u64, u64)> {
    let paths = heliumdb::device::paths(url).unwrap_or_default();
    let files = paths.into_iter();
    files
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|found| (found.dev(), found.ino()))
        .collect()
}
