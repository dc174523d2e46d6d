//! What is known to be damaged on an open volume.
//!
//! Invariant: bounded, and each item is there once, however often it is met.

use crate::id::DatastoreId;
use parking_lot::Mutex;

use crate::error::Error;

/// Most entries that are kept; more are only counted.
const ENTRIES_MAX: usize = 1024;

/// An item that cannot be read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Damage {
    /// The datastore, or `None` for the store's own records.
    pub datastore: Option<DatastoreId>,
    /// The item's key.
    pub key: Vec<u8>,
    /// What is wrong: device, offset, what was expected and what was found.
    pub error: Error,
}

/// What verifying and scrubbing found since the volume was opened.
#[derive(Default)]
pub(crate) struct Damages(Mutex<Found>);

#[derive(Default)]
struct Found {
    entries: Vec<Damage>,
    count: u64,
}

impl Damages {
    pub(crate) fn enter(&self, damage: Damage) {
        let mut found = self.0.lock();
        let same = |known: &Damage| known.datastore == damage.datastore && known.key == damage.key;
        if found.entries.iter().any(same) {
            return;
        }
        found.count += 1;
        let key = &damage.key[..damage.key.len().min(64)];
        tracing::error!(
            datastore = damage.datastore.map(|id| id.0),
            key = %key.escape_ascii(),
            why = %damage.error,
            "an item is damaged"
        );
        if found.entries.len() < ENTRIES_MAX {
            found.entries.push(damage);
        }
    }

    pub(crate) fn list(&self) -> Vec<Damage> {
        self.0.lock().entries.clone()
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.lock().count
    }
}
