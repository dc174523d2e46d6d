//! What is kept of record numbers that no row shows any more.
//!
//! A native table gives a record number to one row only, whether that is removed later or rolled back. Which number
//! comes next is told by the last row; where that goes away, by a note in a datastore of the volume's own: under an
//! object's id the highest number that one of its rows had. Invariant: a note only ever gets higher, and is in the log
//! before the removal that needs it, so that it is durable when that is.

use crate::error::{Code, Error, Result};
use heliumdb::{Datastore, DatastoreId, DatastoreOptions, ErrorKind, Volume};
use parking_lot::Mutex;

/// The datastore of the notes. No object's, nor one of the C connector's, has such a name.
const STORE: &[u8] = b"WiredTigerNumbers";

/// The notes of a volume.
pub struct Numbers {
    volume: Volume,
    /// The datastore, once it is there and was needed.
    store: Mutex<Option<Datastore>>,
}

impl Numbers {
    /// The notes in `volume`.
    pub fn new(volume: Volume) -> Self {
        Self {
            volume,
            store: Mutex::new(None),
        }
    }

    /// What is noted for the object; zero if nothing is.
    pub fn noted(&self, object: DatastoreId) -> Result<u64> {
        let Some(store) = self.store(false)? else {
            return Ok(0);
        };
        let Some(note) = store.get(key(object))? else {
            return Ok(0);
        };
        let number = <[u8; 8]>::try_from(note.as_slice()).map(u64::from_be_bytes);
        number.map_err(|_| {
            let text = format!(
                "the note of the last record number of datastore {} is not one",
                object.0
            );
            Error::new(Code::Io, text)
        })
    }

    /// Notes `number` for the object.
    pub fn note(&self, object: DatastoreId, number: u64) -> Result<()> {
        match self.store(true)? {
            Some(store) => Ok(store.put(key(object), number.to_be_bytes())?),
            None => Ok(()),
        }
    }

    fn store(&self, create: bool) -> Result<Option<Datastore>> {
        let mut store = self.store.lock();
        if store.is_none() {
            let mut how = DatastoreOptions::default();
            how.create = create;
            *store = match self.volume.open_datastore(STORE, &how) {
                Err(error) if error.kind() == ErrorKind::DatastoreNotFound => None,
                opened => Some(opened?),
            };
        }
        Ok(store.clone())
    }
}

fn key(object: DatastoreId) -> [u8; 4] {
    object.0.to_be_bytes()
}
