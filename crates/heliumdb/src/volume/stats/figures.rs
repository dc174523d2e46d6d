//! The figures of a volume: the one table of them.
//!
//! Invariant: a figure is named once, here. Its field, its metric and where it comes from follow from its line, so none can be
//! in one of them and not in another.

use super::{Metric, MetricKind};
use crate::volume::Volume;
use std::sync::atomic::Ordering::Relaxed;

/// `kind name "what monitoring systems are told" = where it comes from;` for each, with the document of its field above.
macro_rules! figures {
    (($volume:ident, $shared:ident, $log:ident, $counts:ident)
     $($(#[$document:meta])+ $kind:ident $name:ident $help:literal = $value:expr;)+) => {
        /// Figures of a volume.
        #[derive(Clone, Debug, Default)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$document])+ pub $name: u64,)+
        }

        impl Stats {
            pub(super) fn of($volume: &Volume) -> Self {
                let $shared = $volume.shared();
                let $log = $shared.log.stats();
                let $counts = $shared.catalog.counts();
                Self { $($name: $value,)+ }
            }

            /// All figures, one by one.
            pub fn metrics(&self) -> impl Iterator<Item = Metric> + use<> {
                let all = [$(Metric {
                    name: stringify!($name),
                    help: $help,
                    kind: MetricKind::$kind,
                    value: self.$name,
                },)+];
                all.into_iter()
            }
        }
    };
}

figures! {
    (volume, shared, log, counts)

    /// Size of all devices, in bytes (of what a growing file may become, if limited).
    Gauge capacity_bytes "Size of all devices" = log.capacity_bytes;
    /// Bytes of all devices that segments may be in now.
    Gauge device_bytes "Room for segments on the devices" = log.device_bytes;
    /// Bytes that files take of their file systems, or block devices have. What of that is not in use is set aside, to
    /// be written next, or has come free.
    Gauge taken_bytes "Blocks of the devices" = log.taken_bytes;
    /// Bytes of segments in use.
    Gauge used_bytes "Segments in use" = log.used_bytes;
    /// Bytes of segments in use that no item has: headers of frames, ends of blocks and of segments, and what is
    /// not filled yet.
    Gauge framing_bytes "Segments in use but for items"
        = log.used_bytes.saturating_sub(log.live_bytes + log.dead_bytes + log.tombstone_bytes);
    /// Bytes of live items.
    Gauge live_bytes "Live items" = log.live_bytes;
    /// Bytes of dead items that still take space.
    Gauge dead_bytes "Dead items" = log.dead_bytes;
    /// Bytes of records of removals, which stay until no older item can be left.
    Gauge tombstone_bytes "Removals" = log.tombstone_bytes;
    /// Bytes of log that are not durable yet.
    Gauge buffered_bytes "Log that is not durable yet" = log.buffered_bytes;
    /// Bytes of index memory.
    Gauge index_bytes "Memory of the index" = shared.catalog.index_bytes();
    /// Bytes of unsettled versions.
    Gauge version_bytes "Memory of unsettled versions" = volume.version_bytes();
    /// Datastores.
    Gauge datastores "Datastores" = counts.0;
    /// Items in them, as the newest committed state has them.
    Gauge items "Items in datastores" = counts.1;
    /// Frames appended since the volume was opened.
    Counter frames "Frames appended to the log" = log.frames;
    /// Syncs since the volume was opened.
    Counter syncs "Syncs of devices" = log.syncs;
    /// Writes, removals too, since the volume was opened: numbers that were given to them.
    Counter writes "Writes and removals of items" = shared.writing.writes();
    /// Places of the index without an item that walks have looked at since the volume was opened: what is removed
    /// stays there as long as a snapshot may see it.
    Counter passed_slots "Places without an item that walks looked at" = shared.passed().load(Relaxed);
    /// Items that walks have taken from copies of neighbours, side by side in the read cache, since the volume was
    /// opened.
    Counter packed_items "Items that walks took from copies of neighbours" = log.cache.packed;
    /// Reads of items from devices since the volume was opened; recovery's not counted.
    Counter device_reads "Reads of items from devices" = log.device_reads;
    /// Bytes of those.
    Counter device_read_bytes "Bytes read from devices" = log.device_read_bytes;
    /// Writes to devices since the volume was opened.
    Counter device_writes "Writes to devices" = log.device_writes;
    /// All bytes written to the devices since the volume was opened.
    Counter written_bytes "Bytes written to devices" = log.written_bytes;
    /// Bytes of items logged for users since the volume was opened.
    Counter user_bytes "Bytes of items logged for users" = log.user_bytes;
    /// Bytes of items that the cleaner has moved since the volume was opened.
    Counter cleaner_bytes "Bytes of items moved by the cleaner" = log.moved_bytes;
    /// Rounds of cleaning since the volume was opened.
    Counter cleaner_rounds "Rounds of cleaning" = shared.cleaner.rounds();
    /// Bytes of checkpoints logged since the volume was opened.
    Counter checkpoint_written_bytes "Bytes of checkpoints logged" = log.checkpointed_bytes;
    /// Bytes of the newest checkpoint.
    Gauge checkpoint_bytes "Pages of the newest checkpoint" = shared.checkpoints.bytes();
    /// Reads of single items that found them in the read cache.
    Counter read_cache_hits "Reads that the read cache answered" = log.cache.hits;
    /// Reads of single items that were neither there nor in the write cache.
    Counter read_cache_misses "Reads that no cache answered" = log.cache.misses;
    /// Bytes of memory that the read cache has taken so far.
    Gauge read_cache_bytes "Memory of the read cache" = log.cache.bytes;
    /// Bytes of memory that segments of the log take, those that stay in what the read cache does
    /// not use included.
    Gauge write_cache_bytes "Memory of segments of the log" = log.write_cache_bytes;
    /// Bytes of values written to datastores that compress, since the volume was opened.
    Counter compress_given_bytes "Values given to be compressed" = log.given_bytes;
    /// Bytes that these values take in the log.
    Counter compress_stored_bytes "What these values take in the log" = log.kept_bytes;
    /// Bytes of freed segments given back to the devices since the volume was opened.
    Counter trimmed_bytes "Bytes given back to devices" = log.trimmed_bytes;
    /// Times that the background made buffered updates durable.
    Counter auto_commits "Flushes by the background" = shared.auto_commit.count();
    /// Items that the last recovery read.
    Gauge recovered_items "Items read by the last recovery" = shared.recovered_items;
    /// Bytes of log that the last recovery discarded as a torn tail.
    Gauge discarded_bytes "Torn tail found by the last recovery" = log.discarded_bytes;
    /// Items that verifying and scrubbing found to be damaged since the volume was opened.
    Counter damaged_items "Items found damaged" = shared.damages.count();
    /// Items, and records of the store's own, that scrubbing has read.
    Counter scrubbed_items "Items read by scrubbing" = shared.scrub.items.load(Relaxed);
    /// Bytes of those.
    Counter scrubbed_bytes "Bytes read by scrubbing" = shared.scrub.bytes.load(Relaxed);
    /// How often scrubbing has come round.
    Counter scrub_rounds "Times that scrubbing came round" = shared.scrub.rounds.load(Relaxed);
}
