//! Handles: what C programs hold instead of pointers.
//!
//! Invariant: a number is given out once in the life of the process, and what it stands for
//! is found only under that very number. So a stale, null or made-up handle finds nothing; and
//! of several threads that close one handle, exactly one does.

mod table;

use std::sync::Arc;

use crate::{
    code::{Code, Result},
    datastore::DatastoreHandle,
    iterator::IteratorHandle,
    transaction::TransactionHandle,
};
use table::Table;
pub use table::{Entry, Found};

/// A handle's number, as C sees it: one that is no address in any process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Number(pub usize);

/// What a handle stands for.
pub enum Object {
    Datastore(DatastoreHandle),
    Transaction(TransactionHandle),
    Iterator(IteratorHandle),
}

static TABLE: Table = Table::new();

/// Gives an object a handle.
pub fn insert(object: Object) -> Result<Number> {
    TABLE.insert(object).ok_or(Code::MEMORY)
}

/// What the handle stands for; it stays there for as long as the answer is held. In a fork of the
/// process that was given the handle nothing is done with it, not even a lock is asked for: threads
/// that are not there may have held it.
pub fn find(number: Number) -> Result<Found> {
    let found = TABLE.find(number).ok_or(Code::ARGUMENTS)?;
    if found.is_elsewhere() {
        return Err(Code::DEVICE_LOCK);
    }
    Ok(found)
}

/// Ends a handle that `is_right`; whoever gets the entry is the one who ended it.
pub fn take(number: Number, is_right: impl FnOnce(&Object) -> bool) -> Result<Arc<Entry>> {
    let found = find(number)?;
    if !is_right(&found) {
        return Err(Code::ARGUMENTS);
    }
    TABLE.remove(found).ok_or(Code::ARGUMENTS)
}

/// Ends a handle if it is still there.
pub fn end(number: Number) {
    if let Ok(found) = find(number) {
        drop(TABLE.remove(found));
    }
}

impl Object {
    pub fn datastore(&self) -> Result<&DatastoreHandle> {
        match self {
            Self::Datastore(datastore) => Ok(datastore),
            _ => Err(Code::ARGUMENTS),
        }
    }

    pub fn transaction(&self) -> Result<&TransactionHandle> {
        match self {
            Self::Transaction(transaction) => Ok(transaction),
            _ => Err(Code::ARGUMENTS),
        }
    }

    pub fn iterator(&self) -> Result<&IteratorHandle> {
        match self {
            Self::Iterator(iterator) => Ok(iterator),
            _ => Err(Code::ARGUMENTS),
        }
    }
}
