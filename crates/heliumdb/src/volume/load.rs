//! Filling a volume's datastores from a copy of them: in bulk, with the ids that they had.
//!
//! Invariant: nobody else writes to a datastore that is being loaded.

use std::sync::Arc;

use crossbeam_epoch as epoch;

use super::Volume;
use crate::{
    datastore::Datastore,
    enough,
    error::{Error, ErrorKind, Result},
    location::{Slot, Word},
    log::{Batch, BatchKind},
    tree::Tree,
};

/// A batch is logged when it has grown to this many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// Or to this many items.
const BATCH_ITEMS: usize = 4096;

/// Refuses a target that has anything in it.
pub(crate) fn check_empty(target: &Volume) -> Result<()> {
    if target.datastores().is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::DatastoreExists,
        format!(
            "{} holds datastores already: copy to a new volume",
            target.url()
        ),
    ))
}

/// Writes items to one datastore, many to a batch. Durable after a flush of the volume.
pub(crate) struct Loader<'a> {
    datastore: &'a Datastore,
    tree: Arc<Tree>,
    batch: Batch,
    keys: Vec<Vec<u8>>,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(datastore: &'a Datastore) -> Result<Self> {
        let tree = datastore.tree()?;
        let mut batch = Batch::new(BatchKind::Commit);
        batch.set_compress(tree.compresses());
        Ok(Self {
            datastore,
            tree,
            batch,
            keys: Vec::new(),
        })
    }

    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        enough::for_item(key.len() + value.len())?;
        let sequence = self.datastore.shared().writing.next_sequence();
        self.batch
            .push(self.tree.id, sequence, false, key, Some(value));
        self.keys.push(key.to_vec());
        if self.batch.bytes() >= BATCH_BYTES || self.keys.len() >= BATCH_ITEMS {
            self.log()?;
        }
        Ok(())
    }

    fn log(&mut self) -> Result<()> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let shared = self.datastore.shared();
        shared.access.check_writable()?;
        let _inside = shared.writing.gate.enter_with(self.keys.len() as u64);
        self.tree.check_accepts()?;
        let appended = shared.log.append(&mut self.batch, false)?;
        let guard = epoch::pin();
        let mut new_items = 0;
        for (key, location) in self.keys.drain(..).zip(appended.locations) {
            let new = Word::at(location);
            let old = self.tree.update(&key, &guard, |old| (new.0, old));
            match Word(old).slot() {
                Slot::At(old) => shared.log.mark_dead(old),
                Slot::Empty | Slot::Chain(_) => new_items += 1,
            }
        }
        self.tree.live.add(new_items);
        self.tree.note_change();
        self.batch.clear(BatchKind::Commit);
        self.batch.set_compress(self.tree.compresses());
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        self.log()
    }
}
