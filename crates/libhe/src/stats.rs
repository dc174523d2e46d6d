//! What `he_stats` says of a datastore and its volume.

use crate::datastore::DatastoreHandle;

/// Figures that version 2.8 tells, in its order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures28 {
    /// Items.
    pub valid_items: u64,
    /// Dead items that still take space, in all datastores.
    pub deleted_items: u64,
    /// Bytes that all datastores of the volume use.
    pub utilized: u64,
    /// Bytes of the volume.
    pub capacity: u64,
    /// Bytes of memory for what was written last.
    pub buffered_writes: u64,
    /// Bytes of memory for what was read.
    pub buffered_reads: u64,
    /// Bytes written to the devices.
    pub device_writes: u64,
    /// Bytes read from the devices.
    pub device_reads: u64,
    /// Commits that nobody asked for.
    pub auto_commits: u64,
    /// Rounds of cleaning.
    pub auto_cleans: u64,
}

/// Figures that versions 3.x tell besides, in their order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures3 {
    /// Bytes written and not yet durable.
    pub dirty_writes: u64,
    /// Bytes that cleaning has moved.
    pub clean_bytes: u64,
    /// Reads that needed no device.
    pub cache_hits: u64,
    /// Reads that did.
    pub cache_misses: u64,
}

/// What an item takes at least, in bytes, if there is none to go by.
const ITEM_BYTES_MIN: u64 = 64;

/// The figures of now.
pub fn figures(datastore: &DatastoreHandle) -> (Figures28, Figures3) {
    let stats = datastore.seat.volume.store.stats();
    let common = Figures28 {
        valid_items: datastore.store.len(),
        deleted_items: dead_items(stats.dead_bytes, stats.live_bytes, stats.items),
        utilized: stats.live_bytes,
        capacity: stats.capacity_bytes,
        buffered_writes: stats.write_cache_bytes,
        buffered_reads: stats.read_cache_bytes,
        device_writes: stats.written_bytes,
        device_reads: stats.device_read_bytes,
        auto_commits: stats.auto_commits,
        auto_cleans: stats.cleaner_rounds,
    };
    let more = Figures3 {
        dirty_writes: stats.buffered_bytes,
        clean_bytes: stats.cleaner_bytes,
        cache_hits: stats.read_cache_hits,
        cache_misses: stats.read_cache_misses,
    };
    (common, more)
}

/// How many items dead bytes are, at the size of those that live: what is dead is known in bytes.
fn dead_items(dead_bytes: u64, live_bytes: u64, items: u64) -> u64 {
    let item_bytes = live_bytes.checked_div(items).unwrap_or(0);
    dead_bytes.div_ceil(item_bytes.max(ITEM_BYTES_MIN))
}

#[cfg(test)]
mod tests {
    use super::dead_items;

    #[test]
    fn dead_bytes_are_told_as_items() {
        assert_eq!(dead_items(0, 1000, 10), 0);
        assert_eq!(dead_items(1000, 1000, 10), 10);
        assert_eq!(dead_items(1, 1000, 10), 1);
        // Nothing lives that could be gone by.
        assert_eq!(dead_items(640, 0, 0), 10);
        assert_eq!(dead_items(640, 10, 0), 10);
    }
}
