//! Figures of volumes and datastores, and how a monitoring system reads them.
//!
//! There is no global state: whoever exports metrics asks each volume for its own.

use std::{fmt::Write, sync::atomic::Ordering};

use super::{Datastore, Volume};
use crate::{error::Result, log::Latencies};

/// Figures of a volume.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Size of all devices, in bytes (of what a growing file may become, if limited).
    pub capacity_bytes: u64,
    /// Bytes of segments in use.
    pub used_bytes: u64,
    /// Bytes of live items.
    pub live_bytes: u64,
    /// Bytes of dead items that still take space.
    pub dead_bytes: u64,
    /// Bytes of log that are not durable yet.
    pub buffered_bytes: u64,
    /// Bytes of index memory.
    pub index_bytes: u64,
    /// Bytes of unsettled versions.
    pub version_bytes: u64,
    /// Frames appended since the volume was opened.
    pub frames: u64,
    /// Syncs since the volume was opened.
    pub syncs: u64,
    /// Writes, removals too, since the volume was opened: numbers that were given to them.
    pub writes: u64,
    /// Items that the last recovery read.
    pub recovered_items: u64,
    /// Bytes of the newest checkpoint.
    pub checkpoint_bytes: u64,
    /// Bytes of log that the last recovery discarded as a torn tail.
    pub discarded_bytes: u64,
    /// Datastores.
    pub datastores: u64,
    /// Items in them, as the newest committed state has them.
    pub items: u64,
    /// Places of the index without an item that walks have looked at since the volume was opened: what is removed
    /// stays there as long as a snapshot may see it.
    pub passed_slots: u64,
    /// Reads of items from devices since the volume was opened; recovery's not counted.
    pub device_reads: u64,
    /// Bytes of those.
    pub device_read_bytes: u64,
    /// Writes to devices since the volume was opened.
    pub device_writes: u64,
    /// All bytes written to the devices since the volume was opened.
    pub written_bytes: u64,
    /// Bytes of items logged for users since the volume was opened.
    pub user_bytes: u64,
    /// Bytes of items that the cleaner has moved since the volume was opened.
    pub cleaner_bytes: u64,
    /// Rounds of cleaning since the volume was opened.
    pub cleaner_rounds: u64,
    /// Bytes of checkpoints logged since the volume was opened.
    pub checkpoint_written_bytes: u64,
    /// Reads of single items that found them in the read cache.
    pub read_cache_hits: u64,
    /// Reads of single items that were neither there nor in the write cache.
    pub read_cache_misses: u64,
    /// Bytes of memory that the read cache has taken so far.
    pub read_cache_bytes: u64,
    /// Bytes of memory that segments of the log take, those that stay in what the read cache does
    /// not use included.
    pub write_cache_bytes: u64,
    /// Bytes of values written to datastores that compress, since the volume was opened.
    pub compress_given_bytes: u64,
    /// Bytes that these values take in the log.
    pub compress_stored_bytes: u64,
    /// Bytes of freed segments given back to the devices since the volume was opened.
    pub trimmed_bytes: u64,
    /// Times that the background made buffered updates durable.
    pub auto_commits: u64,
    /// Items that verifying and scrubbing found to be damaged since the volume was opened.
    pub damaged_items: u64,
    /// Items, and records of the store's own, that scrubbing has read.
    pub scrubbed_items: u64,
    /// Bytes of those.
    pub scrubbed_bytes: u64,
    /// How often scrubbing has come round.
    pub scrub_rounds: u64,
}

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
        self.shared().log.latencies()
    }

    /// Figures: cheap enough to ask for every second.
    pub fn stats(&self) -> Stats {
        let shared = self.shared();
        let log = shared.log.stats();
        let (datastores, items) = shared.catalog.counts();
        Stats {
            capacity_bytes: log.capacity_bytes,
            used_bytes: log.used_bytes,
            live_bytes: log.live_bytes,
            dead_bytes: log.dead_bytes,
            buffered_bytes: log.buffered_bytes,
            index_bytes: shared.catalog.index_bytes(),
            version_bytes: self.version_bytes(),
            frames: log.frames,
            syncs: log.syncs,
            writes: shared.writes(),
            recovered_items: shared.recovered_items,
            checkpoint_bytes: shared.checkpoint_bytes(),
            discarded_bytes: log.discarded_bytes,
            datastores,
            items,
            passed_slots: shared.passed(),
            device_reads: log.device_reads,
            device_read_bytes: log.device_read_bytes,
            device_writes: log.device_writes,
            written_bytes: log.written_bytes,
            user_bytes: log.user_bytes,
            cleaner_bytes: log.moved_bytes,
            cleaner_rounds: shared.cleaner.rounds(),
            checkpoint_written_bytes: log.checkpointed_bytes,
            read_cache_hits: log.cache.hits,
            read_cache_misses: log.cache.misses,
            read_cache_bytes: log.cache.bytes,
            write_cache_bytes: log.write_cache_bytes,
            compress_given_bytes: log.given_bytes,
            compress_stored_bytes: log.kept_bytes,
            trimmed_bytes: log.trimmed_bytes,
            auto_commits: shared.auto_commits.load(Ordering::Relaxed),
            damaged_items: shared.damages.count(),
            scrubbed_items: shared.scrub.items.load(Ordering::Relaxed),
            scrubbed_bytes: shared.scrub.bytes.load(Ordering::Relaxed),
            scrub_rounds: shared.scrub.rounds.load(Ordering::Relaxed),
        }
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

    /// All figures, one by one.
    pub fn metrics(&self) -> impl Iterator<Item = Metric> + use<> {
        use MetricKind::{Counter, Gauge};
        let all = [
            (
                "capacity_bytes",
                "Size of all devices",
                Gauge,
                self.capacity_bytes,
            ),
            ("used_bytes", "Segments in use", Gauge, self.used_bytes),
            ("live_bytes", "Live items", Gauge, self.live_bytes),
            ("dead_bytes", "Dead items", Gauge, self.dead_bytes),
            (
                "buffered_bytes",
                "Log that is not durable yet",
                Gauge,
                self.buffered_bytes,
            ),
            (
                "index_bytes",
                "Memory of the index",
                Gauge,
                self.index_bytes,
            ),
            (
                "version_bytes",
                "Memory of unsettled versions",
                Gauge,
                self.version_bytes,
            ),
            ("datastores", "Datastores", Gauge, self.datastores),
            ("items", "Items in datastores", Gauge, self.items),
            ("frames", "Frames appended to the log", Counter, self.frames),
            ("syncs", "Syncs of devices", Counter, self.syncs),
            (
                "writes",
                "Writes and removals of items",
                Counter,
                self.writes,
            ),
            (
                "passed_slots",
                "Places without an item that walks looked at",
                Counter,
                self.passed_slots,
            ),
            (
                "device_reads",
                "Reads of items from devices",
                Counter,
                self.device_reads,
            ),
            (
                "device_read_bytes",
                "Bytes read from devices",
                Counter,
                self.device_read_bytes,
            ),
            (
                "device_writes",
                "Writes to devices",
                Counter,
                self.device_writes,
            ),
            (
                "written_bytes",
                "Bytes written to devices",
                Counter,
                self.written_bytes,
            ),
            (
                "user_bytes",
                "Bytes of items logged for users",
                Counter,
                self.user_bytes,
            ),
            (
                "cleaner_bytes",
                "Bytes of items moved by the cleaner",
                Counter,
                self.cleaner_bytes,
            ),
            (
                "cleaner_rounds",
                "Rounds of cleaning",
                Counter,
                self.cleaner_rounds,
            ),
            (
                "checkpoint_written_bytes",
                "Bytes of checkpoints logged",
                Counter,
                self.checkpoint_written_bytes,
            ),
            (
                "checkpoint_bytes",
                "Pages of the newest checkpoint",
                Gauge,
                self.checkpoint_bytes,
            ),
            (
                "read_cache_hits",
                "Reads that the read cache answered",
                Counter,
                self.read_cache_hits,
            ),
            (
                "read_cache_misses",
                "Reads that no cache answered",
                Counter,
                self.read_cache_misses,
            ),
            (
                "read_cache_bytes",
                "Memory of the read cache",
                Gauge,
                self.read_cache_bytes,
            ),
            (
                "write_cache_bytes",
                "Memory of segments of the log",
                Gauge,
                self.write_cache_bytes,
            ),
            (
                "compress_given_bytes",
                "Values given to be compressed",
                Counter,
                self.compress_given_bytes,
            ),
            (
                "compress_stored_bytes",
                "What these values take in the log",
                Counter,
                self.compress_stored_bytes,
            ),
            (
                "trimmed_bytes",
                "Bytes given back to devices",
                Counter,
                self.trimmed_bytes,
            ),
            (
                "auto_commits",
                "Flushes by the background",
                Counter,
                self.auto_commits,
            ),
            (
                "recovered_items",
                "Items read by the last recovery",
                Gauge,
                self.recovered_items,
            ),
            (
                "discarded_bytes",
                "Torn tail found by the last recovery",
                Gauge,
                self.discarded_bytes,
            ),
            (
                "damaged_items",
                "Items found damaged",
                Counter,
                self.damaged_items,
            ),
            (
                "scrubbed_items",
                "Items read by scrubbing",
                Counter,
                self.scrubbed_items,
            ),
            (
                "scrubbed_bytes",
                "Bytes read by scrubbing",
                Counter,
                self.scrubbed_bytes,
            ),
            (
                "scrub_rounds",
                "Times that scrubbing came round",
                Counter,
                self.scrub_rounds,
            ),
        ];
        all.into_iter().map(|(name, help, kind, value)| Metric {
            name,
            help,
            kind,
            value,
        })
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
