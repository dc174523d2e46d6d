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
    /// How long the devices were waited for, by what was waited for: "commits", "syncs", "device_reads".
    pub latencies: Vec<(String, Latency)>,
    /// The largest datastores.
    pub datastores: Vec<DatastoreFigures>,
}

/// How many waits took how long: a number of nanoseconds, and how many took no longer and longer than the bound
/// before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency(pub Vec<(u64, u64)>);

impl Latency {
    /// How many waits there are.
    pub fn count(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// What has come since `before`.
    pub fn since(&self, before: &Self) -> Self {
        let had = |bound| before.0.iter().find(|(known, _)| *known == bound);
        let counts = self.0.iter().map(|(bound, count)| {
            let had = had(*bound).map_or(0, |(_, had)| *had);
            (*bound, count.saturating_sub(had))
        });
        Self(counts.filter(|(_, count)| *count > 0).collect())
    }

    /// The nanoseconds that so many percent of the waits took at most; none if there are no waits.
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let wanted = u128::from(self.count()) * u128::from(percent);
        let mut seen = 0_u128;
        let mut bounds = self.0.iter();
        let found = bounds.find(|(_, count)| {
            seen += u128::from(*count) * 100;
            seen >= wanted
        });
        found.map(|(bound, _)| *bound)
    }
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
            ("writes", stats.writes),
            ("device_reads", stats.device_reads),
            ("read_cache_hits", stats.read_cache_hits),
            ("read_cache_bytes", stats.read_cache_bytes),
            ("frames", stats.frames),
            ("syncs", stats.syncs),
        ];
        let latencies = volume.latencies();
        let latencies = [
            ("commits", latencies.commits),
            ("syncs", latencies.syncs),
            ("device_reads", latencies.device_reads),
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
            latencies: latencies
                .map(|(name, counts)| (name.to_owned(), Latency(counts)))
                .to_vec(),
            datastores,
        }
    }

    /// A figure by its name.
    pub fn figure(&self, name: &str) -> u64 {
        let found = self.figures.iter().find(|(known, _)| known == name);
        found.map_or(0, |(_, figure)| *figure)
    }

    /// How long was waited for something, by its name.
    pub fn latency(&self, name: &str) -> Latency {
        let found = self.latencies.iter().find(|(known, _)| known == name);
        found
            .map(|(_, latency)| latency.clone())
            .unwrap_or_default()
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
        let latencies: Map<String, Value> = self
            .latencies
            .iter()
            .map(|(name, latency)| (name.clone(), json!(latency.0)))
            .collect();
        json!({
            "id": self.id,
            "url": self.url,
            "process": self.process,
            "command": self.command,
            "uptime_ms": self.uptime_ms,
            "files": self.files,
            "figures": figures,
            "latencies": latencies,
            "datastores": datastores,
        })
    }

    pub(crate) fn from_json(value: &Value) -> Self {
        let text = |value: &Value| clean(value.as_str().unwrap_or_default());
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let list = |name: &str| value[name].as_array().into_iter().flatten();
        let figures = value["figures"].as_object().into_iter().flatten();
        let latencies = value["latencies"].as_object().into_iter().flatten();
        let counts = |value: &Value| {
            let pairs = value.as_array().into_iter().flatten();
            Latency(
                pairs
                    .map(|pair| (number(&pair[0]), number(&pair[1])))
                    .collect(),
            )
        };
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
            latencies: latencies
                .map(|(name, value)| (clean(name), counts(value)))
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

#[cfg(test)]
mod tests {
    use super::Latency;

    #[test]
    fn percentiles_are_of_what_came_since() {
        let before = Latency(vec![(100, 10), (200, 1)]);
        let now = Latency(vec![(100, 10), (200, 50), (400, 1), (800, 50)]);
        let since = now.since(&before);
        assert_eq!(since, Latency(vec![(200, 49), (400, 1), (800, 50)]));
        assert_eq!((since.count(), since.percentile(50)), (100, Some(400)));
        assert_eq!(
            (since.percentile(1), since.percentile(99)),
            (Some(200), Some(800))
        );
        assert_eq!(Latency::default().percentile(99), None);
        // Another process with the same volume may have begun anew.
        assert_eq!(before.since(&now).count(), 0);
    }
}
