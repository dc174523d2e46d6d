//! Which record number the next appended item gets.
//!
//! Invariant: the number is one more than the highest that an item was ever written under, as in WiredTiger's own
//! tables: neither a rollback nor a removal has it given again, nor a crash if it was committed. Only a write that
//! succeeds moves it. Numbers are given out under a lock that is held until the item is linked, so that two
//! transactions never get the same one.

use super::numbers::Numbers;
use crate::{
    error::{Code, Error, Result},
    recno,
};
use heliumdb::host::DatastoreExt;
use heliumdb::{
    Datastore, Isolation, Position,
    host::{TxnId, View},
};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Not known: it has to be looked up.
const UNKNOWN: u64 = 0;

/// The last record number of an object.
pub struct Append {
    numbers: Arc<Numbers>,
    lock: Mutex<()>,
    /// The last number, or [`UNKNOWN`]. Raised only under the lock.
    last: AtomicU64,
    /// What is noted of it, as far as that is known. Raised only under the lock.
    noted: AtomicU64,
}

impl Append {
    /// Of an object whose notes are in `numbers`.
    pub fn new(numbers: Arc<Numbers>) -> Self {
        Self {
            numbers,
            lock: Mutex::default(),
            last: AtomicU64::new(UNKNOWN),
            noted: AtomicU64::new(0),
        }
    }

    /// Runs `write` with the next record number, which counts as used if it succeeds.
    pub fn append(
        &self,
        datastore: &Datastore,
        mut write: impl FnMut(u64) -> Result<()>,
    ) -> Result<u64> {
        let _lock = self.lock.lock();
        let mut last = self.last(datastore)?;
        loop {
            let next = last.checked_add(1).ok_or_else(|| {
                Error::invalid("the last record number is in use: no item can be appended")
            })?;
            match write(next) {
                // An item whose removal was rolled back, and that a full volume had no room to note.
                Err(error) if error.code() == Code::DuplicateKey => last = next,
                Err(error) => return Err(error),
                Ok(()) => {
                    self.last.store(next, Ordering::Release);
                    return Ok(next);
                }
            }
        }
    }

    /// Runs `write`, which sets the item of `recno`; says whether that became the last one.
    pub fn set(
        &self,
        datastore: &Datastore,
        recno: u64,
        write: impl FnOnce() -> Result<()>,
    ) -> Result<bool> {
        if recno <= self.last.load(Ordering::Acquire) {
            return write().map(|()| false);
        }
        let _lock = self.lock.lock();
        let last = self.last(datastore)?;
        write()?;
        if recno > last {
            self.last.store(recno, Ordering::Release);
        }
        Ok(recno > last)
    }

    /// To be called before the item of `recno` is removed: what its number tells is kept.
    pub fn keep(&self, datastore: &Datastore, recno: u64) -> Result<()> {
        if recno <= self.noted.load(Ordering::Acquire) {
            return Ok(());
        }
        let _lock = self.lock.lock();
        let last = self.last(datastore)?;
        self.note(datastore, last)
    }

    /// Keeps the last number if no item shows it, as after a rollback.
    pub fn keep_last(&self, datastore: &Datastore) -> Result<()> {
        let _lock = self.lock.lock();
        let last = self.last.load(Ordering::Acquire);
        if last == find_last(datastore)? {
            return Ok(());
        }
        self.note(datastore, last)
    }

    /// Notes that `last` is the last number, if that is not noted; the lock is held.
    fn note(&self, datastore: &Datastore, last: u64) -> Result<()> {
        if last <= self.noted.load(Ordering::Acquire) {
            return Ok(());
        }
        match self.numbers.note(datastore.id(), last) {
            // Removals work on a full volume. The next one tries again, and so does a checkpoint.
            Err(error) if error.code() == Code::NoSpace => Ok(()),
            noted => {
                noted?;
                self.noted.store(last, Ordering::Release);
                Ok(())
            }
        }
    }

    /// The last number; the lock is held.
    fn last(&self, datastore: &Datastore) -> Result<u64> {
        match self.last.load(Ordering::Acquire) {
            UNKNOWN => {
                let noted = self.numbers.noted(datastore.id())?;
                self.noted.store(noted, Ordering::Release);
                let last = find_last(datastore)?.max(noted);
                self.last.store(last, Ordering::Release);
                Ok(last)
            }
            last => Ok(last),
        }
    }
}

/// The number of the last item, committed or not.
fn find_last(datastore: &Datastore) -> Result<u64> {
    let (mut key, mut value) = (Vec::new(), Vec::new());
    if !datastore.seek(&Everything, Position::Last, &mut key, &mut value)? {
        return Ok(UNKNOWN);
    }
    recno::unpack(&key)
        .ok_or_else(|| Error::new(Code::Io, "the object's last key is not a record number"))
}

/// The view of one who sees what every transaction has written.
pub(super) struct Everything;

impl View for Everything {
    fn own(&self) -> TxnId {
        0
    }
    fn isolation(&self) -> Isolation {
        Isolation::ReadUncommitted
    }
    fn sees(&self, _id: TxnId) -> bool {
        true
    }
}
