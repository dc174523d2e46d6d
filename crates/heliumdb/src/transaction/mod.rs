//! Transactions over any datastores of any volumes.
//!
//! A transaction's writes are versions in the index that nobody else sees; its [`part`]
//! on each volume remembers which. [`commit`] logs them and resolves them; with more than
//! one volume, [`several`] makes it one commit all the same. [`savepoint`]s go back within a
//! transaction; one that outgrows its memory [`spill`]s. Who gives the ids is somebody else, or
//! the store itself: [`native`].

mod commit;
mod delete_range;
pub(crate) mod native;
mod part;
mod room;
mod savepoint;
mod several;
mod slot;
mod spill;

pub use savepoint::Savepoint;

use crate::{
    datastore::Datastore,
    error::{Error, ErrorKind, Result},
    version::{Change, Mode, TxnId, View},
    write::Keeper,
};
use part::{Manners, Part, Writer};
use room::Ahead;
use savepoint::Savepoints;

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// When it is on the medium.
    #[default]
    Synced,
    /// When it is in the log's buffers: a crash may lose it, whole, with all that came later.
    /// A transaction over several volumes is made durable all the same.
    Buffered,
}

/// A transaction's writes, its write set. Dropping it aborts them, unless they are committed.
///
/// The id comes from whoever runs the transactions; so does the [`View`] through which each
/// write looks for conflicts.
pub struct WriteSet {
    id: TxnId,
    phase: Phase,
    /// Why it cannot commit any more.
    failed: Option<Error>,
    parts: Vec<Part>,
    /// Parts of transactions before, emptied: their memory is used again.
    spare: Vec<Part>,
    manners: Manners,
    /// Values may take so much memory before they go to the log.
    memory_bytes: usize,
    savepoints: Savepoints,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Active,
    Committed,
    Aborted,
}

impl WriteSet {
    /// A transaction that writes as `id`, which is not zero and which no other unfinished
    /// transaction on these volumes uses.
    pub fn new(id: TxnId) -> Self {
        Self {
            id,
            phase: Phase::Active,
            failed: None,
            parts: Vec::new(),
            spare: Vec::new(),
            manners: Manners::External,
            memory_bytes: usize::MAX,
            savepoints: Savepoints::default(),
        }
    }

    /// A transaction that the volume keeps itself; its id comes with [`WriteSet::set_id`].
    fn native(manners: Manners, memory_bytes: usize) -> Self {
        let mut native = Self::new(0);
        native.manners = manners;
        native.memory_bytes = memory_bytes;
        native
    }

    /// Takes over room that was reserved for what will be written to the volume of `datastore`.
    fn take_ahead(&mut self, datastore: &Datastore, ahead: Ahead) -> Result<()> {
        self.part(datastore)?.take_ahead(ahead);
        Ok(())
    }

    /// The id, which the transaction gets at its first write.
    fn set_id(&mut self, id: TxnId) {
        self.id = id;
    }

    /// Makes a new transaction of one that is over (or aborts it first), for the sake of its
    /// memory: what [`WriteSet::new`] says holds of `id`.
    pub fn restart(&mut self, id: TxnId) {
        self.abort();
        self.id = id;
        self.phase = Phase::Active;
        self.failed = None;
        // Those of volumes that were not written to this time are let go.
        self.spare.clear();
        self.spare
            .extend(self.parts.drain(..).filter_map(Part::emptied));
    }

    /// The id it writes as.
    pub fn id(&self) -> TxnId {
        self.id
    }

    /// Applies `change` to the item of `key`, if `mode` holds of what `view` sees.
    ///
    /// Errors other than `ItemNotFound` and `ItemExists` mark the transaction as failed: it
    /// can only be aborted. Until it is, its keeper may go on writing, as WiredTiger does.
    pub fn write(
        &mut self,
        datastore: &Datastore,
        view: &dyn View,
        key: &[u8],
        change: Change<'_>,
        mode: Mode,
    ) -> Result<()> {
        self.write_as(datastore, view, key, change, mode, false)
    }

    /// As [`WriteSet::write`]; `looks` says that `change` was made of what `view` sees.
    fn write_as(
        &mut self,
        datastore: &Datastore,
        view: &dyn View,
        key: &[u8],
        change: Change<'_>,
        mode: Mode,
        looks: bool,
    ) -> Result<()> {
        // Who keeps transactions outside says what is still tried in one that has failed.
        if self.manners != Manners::External || self.phase != Phase::Active {
            self.check_active()?;
        }
        let writer = Writer {
            owner: self.id,
            view,
            manners: self.manners,
            looks,
        };
        let memory_bytes = self.memory_bytes;
        let done = self.part(datastore).and_then(|part| {
            part.write(writer, datastore, key, change, mode)?;
            part.spill_over(memory_bytes)
        });
        if let Err(why) = &done
            && !matches!(why.kind(), ErrorKind::ItemNotFound | ErrorKind::ItemExists)
        {
            self.fail(why.clone());
        }
        done
    }

    /// Marks the transaction as failed, so that it cannot commit.
    pub fn fail(&mut self, why: Error) {
        self.failed.get_or_insert(why);
    }

    /// Why the transaction cannot commit, if so.
    pub fn failure(&self) -> Option<&Error> {
        self.failed.as_ref()
    }

    fn check_active(&self) -> Result<()> {
        if self.phase != Phase::Active || self.failed.is_some() {
            return Err(self.is_no_more_active());
        }
        Ok(())
    }

    #[cold]
    fn is_no_more_active(&self) -> Error {
        match self.failed.as_ref().filter(|_| self.phase == Phase::Active) {
            Some(why) => why
                .clone()
                .context("an operation of the transaction failed; roll it back"),
            None => Error::new(
                ErrorKind::InvalidArgument,
                format!("transaction {} is over", self.id),
            ),
        }
    }

    /// The transaction's part on the volume of `datastore`.
    fn part(&mut self, datastore: &Datastore) -> Result<&mut Part> {
        let volume = datastore.shared();
        let found = self.parts.iter().position(|p| p.is_on(volume));
        let index = match found {
            Some(index) => index,
            None => {
                volume.writing.claim(match self.manners {
                    Manners::External => Keeper::External,
                    Manners::Native | Manners::Blind => Keeper::Native,
                })?;
                several::check_count(self.parts.len() + 1)?;
                let spare = self.spare.iter().position(|p| p.is_on(volume));
                self.parts.push(match spare {
                    Some(spare) => self.spare.swap_remove(spare).reused(),
                    None => Part::new(volume.clone()),
                });
                self.parts.len() - 1
            }
        };
        Ok(&mut self.parts[index])
    }

    /// Undoes all writes; what dropping an uncommitted transaction does. No I/O; cannot fail.
    pub fn abort(&mut self) {
        if self.phase == Phase::Active {
            self.phase = Phase::Aborted;
            self.undo();
        }
    }

    fn undo(&mut self) {
        if self.parts.iter().any(Part::is_elsewhere) {
            // A copy, in a fork of the process: who was changing the same trees is not here to go on.
            std::mem::forget(std::mem::take(&mut self.parts));
            return;
        }
        for part in &mut self.parts {
            part.undo(self.id);
        }
    }
}

impl Drop for WriteSet {
    fn drop(&mut self) {
        self.abort();
    }
}
