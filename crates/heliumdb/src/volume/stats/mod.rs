//! Figures of volumes and datastores, and how a monitoring system reads them.
//!
//! There is no global state: whoever exports metrics asks each volume for its own.

mod figures;

pub use figures::Stats;

use super::Volume;
use crate::{datastore::Datastore, error::Result, log::Latencies};
use std::fmt::Write;

/// What a [`Metric`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Goes up only, from when the volume was opened.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One figure, as monitoring systems want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name, with the unit at its end.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// Its value now.
    pub value: u64,
}

/// Figures of a datastore.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatastoreStats {
    /// Its name.
    pub name: Vec<u8>,
    /// Items, as the newest committed state has them.
    pub items: u64,
    /// Bytes of index memory.
    pub index_bytes: u64,
}

impl Datastore {
    /// Figures.
    pub fn stats(&self) -> Result<DatastoreStats> {
        let name = self.info()?.name;
        let items = self.len();
        self.with_tree(|tree| {
            Ok(DatastoreStats {
                name,
                items,
                index_bytes: tree.index.memory_bytes(),
            })
        })
    }

    /// Bytes that the index would take more if it did not leave out what neighbouring keys start
    /// with. Looks at all of it.
    #[doc(hidden)]
    pub fn index_prefix_bytes(&self) -> Result<u64> {
        self.with_tree(|tree| Ok(tree.index.prefix_bytes()))
    }
}

impl Volume {
    /// How long the devices were waited for since the volume was opened; cheap to ask for.
    pub fn latencies(&self) -> Latencies {
        self.shared().log.medium().latencies()
    }

    /// Figures: cheap enough to ask for every second.
    pub fn stats(&self) -> Stats {
        Stats::of(self)
    }
}

impl Stats {
    /// Bytes written to the devices for each byte that users wrote.
    pub fn write_amplification(&self) -> f64 {
        self.written_bytes as f64 / self.user_bytes.max(1) as f64
    }

    /// Bytes of segments in use for each byte of live items.
    pub fn space_amplification(&self) -> f64 {
        self.used_bytes as f64 / self.live_bytes.max(1) as f64
    }

    /// The metrics as OpenMetrics text, without the end mark, so that those of several volumes
    /// can follow each other; `labels` go with each, escaped.
    pub fn open_metrics(&self, labels: &[(&str, &str)]) -> String {
        let mut text = String::new();
        let escaped = |value: &str| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            value.replace('\n', "\\n")
        };
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        for metric in self.metrics() {
            let (kind, ending) = match metric.kind {
                MetricKind::Counter => ("counter", "_total"),
                MetricKind::Gauge => ("gauge", ""),
            };
            let name = metric.name;
            // Writing to a string does not fail.
            let _ = writeln!(text, "# TYPE helium_{name} {kind}");
            let _ = writeln!(text, "# HELP helium_{name} {}.", metric.help);
            let _ = writeln!(text, "helium_{name}{ending}{labels} {}", metric.value);
        }
        text
    }
}
