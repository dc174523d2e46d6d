//! Which record number the next appended item gets.
//!
//! Invariant: the number is one more than that of the last item that was ever written and
//! not taken back. Only a write that succeeds moves it; when a transaction that moved it
//! rolls back, it is found anew. Numbers are given out under a lock that is held until
//! the item is linked, so that two transactions never get the same one.

use crate::{
    error::{Code, Error, Result},
    recno,
};
use heliumdb::{Datastore, Isolation, Position, TxnId, View};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Not known: it has to be looked up.
const UNKNOWN: u64 = 0;

/// The last record number of an object.
#[derive(Default)]
pub struct Append {
    lock: Mutex<()>,
    /// The last number, or [`UNKNOWN`]. Lowered and raised only under the lock.
    last: AtomicU64,
}

impl Append {
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
                // An item whose removal was rolled back after the last number was found.
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

    /// To be called after a transaction that moved the number was rolled back.
    pub fn forget(&self) {
        let _lock = self.lock.lock();
        self.last.store(UNKNOWN, Ordering::Release);
    }

    /// The last number; the lock is held.
    fn last(&self, datastore: &Datastore) -> Result<u64> {
        match self.last.load(Ordering::Acquire) {
            UNKNOWN => {
                let last = find_last(datastore)?;
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
