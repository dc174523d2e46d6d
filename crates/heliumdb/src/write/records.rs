//! Records: items of the store's own trees, which have no versions.
//!
//! Invariant: they get their numbers, and the index has them, under one lock; so for each key the highest number is what
//! the index has.

use std::sync::Arc;

use crossbeam_epoch as epoch;
use parking_lot::{Mutex, MutexGuard};

use super::Writing;
use crate::{
    access::Access,
    error::{Error, ErrorKind, Result},
    index::{Bound, Direction},
    location::{Location, Lsn, Slot, Word},
    log::{Appended, Batch, BatchKind, Log},
    tree::Tree,
};

/// See the module.
pub(crate) struct OwnRecords {
    access: Arc<Access>,
    writing: Arc<Writing>,
    numbering: Mutex<()>,
}

impl OwnRecords {
    pub(crate) fn new(access: &Arc<Access>, writing: &Arc<Writing>) -> Arc<Self> {
        Arc::new(Self {
            access: access.clone(),
            writing: writing.clone(),
            numbering: Mutex::default(),
        })
    }

    /// Keeps others from numbering records.
    pub(crate) fn alone(&self) -> MutexGuard<'_, ()> {
        self.numbering.lock()
    }

    /// Writes records of `tree` as one durable batch: all or none. What gives room
    /// uses what is reserved for deletes. With an error in what it returns the batch is only buffered: the
    /// device had no room, and gets it when there is some.
    pub(crate) fn write(
        &self,
        tree: &Tree,
        items: &[(&[u8], Option<&[u8]>)],
        gives_room: bool,
    ) -> Result<Option<Error>> {
        self.access.check_writable()?;
        let mut batch = Batch::new(BatchKind::Commit);
        let alone = self.alone();
        for (key, value) in items {
            let sequence = self.writing.next_sequence();
            batch.push(tree.id, sequence, false, key, *value);
        }
        let inside = self.writing.gate.enter();
        let appended = self.access.log().append(&mut batch, gives_room)?;
        self.show(tree, items, &appended);
        drop((alone, inside));
        // CRASH: the batch is buffered; after recovery all of its items are there, or none.
        match self.access.log().sync_to(appended.end) {
            Ok(()) => Ok(None),
            Err(why) if why.kind() == ErrorKind::VolumeFull => Ok(Some(why.outcome_unknown())),
            Err(why) => Err(why.outcome_unknown()),
        }
    }

    /// Writes one record, buffered, even where there is no room for anything else; `shown` is done before others may
    /// write records. Durable when the log is up to the returned position.
    pub(super) fn write_outcome(
        &self,
        tree: &Tree,
        key: &[u8],
        value: Option<&[u8]>,
        shown: impl FnOnce(),
    ) -> Result<Lsn> {
        let log = self.access.log();
        log.health().poisoned().map_or(Ok(()), Err)?;
        let _alone = self.alone();
        let _inside = self.writing.gate.enter();
        let mut batch = Batch::new(BatchKind::Commit);
        batch.set_compress(false);
        batch.push(tree.id, self.writing.next_sequence(), false, key, value);
        let appended = log.append_outcome(&mut batch)?;
        self.show(tree, &[(key, value)], &appended);
        shown();
        Ok(appended.end)
    }

    fn show(&self, tree: &Tree, items: &[(&[u8], Option<&[u8]>)], appended: &Appended) {
        for ((key, value), &location) in items.iter().zip(&appended.locations) {
            self.set(tree, key, value.map(|_| location));
        }
    }

    /// Tells the index where a record is.
    pub(super) fn set(&self, tree: &Tree, key: &[u8], location: Option<Location>) {
        let guard = epoch::pin();
        let new = location.map_or(Word::EMPTY, Word::at);
        let old = tree.update(key, &guard, |old| (new.0, old));
        if let Slot::At(old) = Word(old).slot() {
            self.access.log().mark_dead(old);
        }
    }
}

/// All records of a tree.
pub(crate) fn read_all(tree: &Tree, log: &Log) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let guard = epoch::pin();
    let mut records = Vec::new();
    let mut all = tree
        .index
        .iter(Bound::Unbounded, Direction::Forward, &guard);
    while let Some((key, word)) = all.next() {
        if let Slot::At(location) = Word(word).slot() {
            let mut value = Vec::new();
            if !log.read(location, tree.id, key, &mut value)? {
                return Err(misplaced());
            }
            records.push((key.to_vec(), value));
        }
    }
    Ok(records)
}

pub(super) fn misplaced() -> Error {
    Error::new(
        ErrorKind::Damaged,
        "a record of the volume's catalog is not where the log had it a moment ago",
    )
}
