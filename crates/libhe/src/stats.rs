//! What `he_stats` says of a datastore and its volume.

use crate::{code::Result, datastore::DatastoreHandle};

/// Figures, as the widest version of `struct he_stats` has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub valid_items: u64,
    pub deleted_items: u64,
    pub utilized: u64,
    pub capacity: u64,
    pub buffered_writes: u64,
    pub buffered_reads: u64,
    pub device_writes: u64,
    pub device_reads: u64,
    pub auto_commits: u64,
    pub auto_cleans: u64,
    pub dirty_writes: u64,
    pub clean_bytes: u64,
    pub cache_hits: u64,
    pub cache_misses: u64,
}

/// The figures of now.
pub fn figures(datastore: &DatastoreHandle) -> Result<Figures> {
    let stats = datastore.seat.volume.store.stats();
    Ok(Figures {
        valid_items: datastore.store.len(),
        utilized: stats.live_bytes,
        capacity: stats.capacity_bytes,
        device_writes: stats.written_bytes,
        clean_bytes: stats.cleaner_bytes,
        ..Figures::default()
    })
}
