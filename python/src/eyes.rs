//! Through whose eyes a datastore is read and written: everybody's, a transaction's or a snapshot's.
//!
//! One type for all three, so that a function of the user's that works on a datastore works in a transaction, too.
//! Everything here may wait: it runs with the interpreter let go of.

use std::{ops::Bound, sync::Arc};

use heliumdb::{Datastore, Error, ErrorKind, Item, Position, Readable, Result};

use crate::{snapshot::SnapshotCell, transaction::TransactionCell};

/// Bounds of a range of keys.
pub type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

#[derive(Clone)]
pub enum Eyes {
    /// What is committed, outside transactions.
    Newest,
    Transaction(Arc<TransactionCell>),
    Snapshot(Arc<SnapshotCell>),
}

/// What is done with an item, beside reading it.
pub enum Write<'a> {
    Put(&'a [u8]),
    Insert(&'a [u8]),
    Replace(&'a [u8]),
}

/// The same call on whatever the eyes are.
macro_rules! reading {
    ($eyes:expr, $store:expr, $method:ident($($argument:expr),*)) => {
        match $eyes {
            Eyes::Newest => $store.$method($($argument),*),
            Eyes::Transaction(cell) => cell.with(|txn| txn.$method($store, $($argument),*)),
            Eyes::Snapshot(cell) => cell.with(|snapshot| snapshot.$method($store, $($argument),*)),
        }
    };
}

impl Eyes {
    pub fn get_into(&self, store: &Datastore, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        reading!(self, store, get_into(key, value))
    }

    pub fn contains(&self, store: &Datastore, key: &[u8]) -> Result<bool> {
        reading!(self, store, contains_key(key))
    }

    pub fn get_many(&self, store: &Datastore, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        reading!(self, store, multi_get(keys))
    }

    pub fn nearest(&self, store: &Datastore, position: Position<'_>) -> Result<Option<Item>> {
        reading!(self, store, nearest(position))
    }

    pub fn write(&self, store: &Datastore, key: &[u8], write: &Write<'_>) -> Result<()> {
        match (self, write) {
            (Self::Newest, Write::Put(value)) => store.put(key, value),
            (Self::Newest, Write::Insert(value)) => store.try_insert(key, value),
            (Self::Newest, Write::Replace(value)) => store.replace(key, value),
            (Self::Transaction(cell), write) => cell.with(|txn| match write {
                Write::Put(value) => txn.put(store, key, value),
                Write::Insert(value) => txn.try_insert(store, key, value),
                Write::Replace(value) => txn.replace(store, key, value),
            }),
            (Self::Snapshot(_), _) => Err(read_only()),
        }
    }

    /// Whether it was there.
    pub fn delete(&self, store: &Datastore, key: &[u8]) -> Result<bool> {
        match self {
            Self::Newest => store.delete(key),
            Self::Transaction(cell) => cell.with(|txn| txn.delete(store, key)),
            Self::Snapshot(_) => Err(read_only()),
        }
    }

    pub fn take(&self, store: &Datastore, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Newest => store.remove(key),
            Self::Transaction(cell) => cell.with(|txn| txn.remove(store, key)),
            Self::Snapshot(_) => Err(read_only()),
        }
    }

    pub fn delete_range(&self, store: &Datastore, bounds: Bounds) -> Result<u64> {
        match self {
            Self::Newest => store.delete_range(bounds),
            Self::Transaction(cell) => cell.with(|txn| txn.delete_range(store, bounds)),
            Self::Snapshot(_) => Err(read_only()),
        }
    }

    /// Makes a conflict of a mere read.
    pub fn reserve(&self, store: &Datastore, key: &[u8]) -> Result<()> {
        match self {
            Self::Transaction(cell) => cell.with(|txn| txn.reserve(store, key)),
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                "only a transaction can reserve an item",
            )),
        }
    }

    /// Up to `most` items in `bounds`, from one end on, or keys with values that are empty; whoever looks is to have a
    /// moment of its own.
    pub fn step(
        &self,
        store: &Datastore,
        bounds: Bounds,
        (reverse, keys, most): (bool, bool, usize),
    ) -> Result<Vec<Item>> {
        let take = |items: heliumdb::SnapshotRange<'_>| -> Result<Vec<Item>> {
            let bare = |key: Result<Vec<u8>>| key.map(|key| (key, Vec::new()));
            match (keys, reverse) {
                (true, false) => items.keys().take(most).map(bare).collect(),
                (true, true) => items.keys().rev().take(most).map(bare).collect(),
                (false, false) => items.take(most).collect(),
                (false, true) => items.rev().take(most).collect(),
            }
        };
        match self {
            Self::Newest => Err(Error::new(
                ErrorKind::Unsupported,
                "walks outside transactions go another way",
            )),
            Self::Transaction(cell) => cell.with(|txn| take(txn.range(store, bounds))),
            Self::Snapshot(cell) => cell.with(|snapshot| take(snapshot.range(store, bounds))),
        }
    }
}

pub fn read_only() -> Error {
    Error::new(
        ErrorKind::ReadOnly,
        "a snapshot is read-only: write to the datastore, or in a transaction",
    )
}
