//! Where writing commands write: to a volume that is open here, or to one that a server has.
//!
//! Invariant: both do the same, and what is done is durable when [`Place::flush`], or a commit, returns.

use std::{
    ffi::{OsStr, OsString},
    ops::Bound,
    os::unix::ffi::OsStrExt,
};

use helium_activity::Publisher;
use helium_remote::{Details, Remote, Walk, When};
use heliumdb::{
    Datastore, DatastoreOptions, Durability, ErrorKind, Result as Stored, Transaction, Volume,
};

use crate::{
    failure::{Failure, Result},
    served,
    volume::{self, Access},
};

/// Keys that go in one request end with the one that has the last of these: a server takes some times as much.
const REQUEST_BYTES: usize = 8 << 20;

/// From where to where.
type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// What is written to.
pub enum Place<'a> {
    /// The volume, open here.
    Here(&'a Volume),
    /// A server's.
    There(Remote),
}

/// A datastore of it.
#[derive(Clone)]
pub enum Store {
    /// Of a volume that is open here.
    Here(Datastore),
    /// Of a server's.
    There(helium_remote::Datastore, Details),
}

/// Lets `work` write to the volume, which is there.
pub fn with<R>(name: &str, work: impl FnOnce(Place<'_>) -> Result<R>) -> Result<R> {
    match served::is_served(name) {
        false => volume::with(name, Access::Write, |open| work(Place::Here(open))),
        true => {
            let remote = served::open(name, true)?;
            work(Place::There(remote)).map_err(|why| why.naming(name))
        }
    }
}

impl Place<'_> {
    /// The datastore of that name; the sentence says which ones there are.
    pub fn store(&self, name: &OsStr) -> Result<Store> {
        let remote = match self {
            Self::Here(open) => return volume::datastore(open, name).map(Store::Here),
            Self::There(remote) => remote,
        };
        let all = remote.datastores()?;
        let found = all.iter().find(|one| one.info.name == name.as_bytes());
        match found {
            Some(found) => Ok(of(remote, found)),
            None => {
                let infos: Vec<_> = all.into_iter().map(|one| one.info).collect();
                Err(volume::no_datastore(&infos, name))
            }
        }
    }

    /// All of these.
    pub fn chosen(&self, names: &[OsString]) -> Result<Vec<Store>> {
        names.iter().map(|name| self.store(name)).collect()
    }

    /// The datastore of that name, which is made if it is not there.
    pub fn make(&self, name: &[u8], options: &DatastoreOptions) -> Stored<Store> {
        let remote = match self {
            Self::Here(open) => {
                let mut options = options.clone();
                options.create = true;
                return open.open_datastore(name, &options).map(Store::Here);
            }
            Self::There(remote) => remote,
        };
        let found = |all: Vec<Details>| all.into_iter().find(|one| one.info.name == name);
        if let Some(there) = found(remote.datastores()?).filter(|_| !options.error_if_exists) {
            return Ok(of(remote, &there));
        }
        remote.create_datastore(name, options)?;
        let made = found(remote.datastores()?);
        let gone = || heliumdb::Error::new(ErrorKind::Busy, "the datastore was removed meanwhile");
        made.map(|made| of(remote, &made)).ok_or_else(gone)
    }

    /// Gives a datastore another name.
    pub fn rename(&self, store: &Store, name: &[u8]) -> Stored<()> {
        match (self, store) {
            (Self::Here(open), Store::Here(store)) => open.rename_datastore(store.id(), name),
            (Self::There(remote), Store::There(_, known)) => {
                remote.rename_datastore(&known.info.name, name)
            }
            _ => Err(elsewhere()),
        }
    }

    /// Removes a datastore and its items.
    pub fn drop_store(&self, store: &Store) -> Stored<()> {
        match (self, store) {
            (Self::Here(open), Store::Here(store)) => open.drop_datastore(store.id()),
            (Self::There(remote), Store::There(_, known)) => {
                remote.drop_datastore(&known.info.name)
            }
            _ => Err(elsewhere()),
        }
    }

    /// Removes all items of a datastore.
    pub fn truncate(&self, store: &Store) -> Stored<()> {
        match (self, store) {
            (Self::Here(open), Store::Here(store)) => open.truncate_datastore(store.id()),
            (Self::There(remote), Store::There(store, _)) => {
                store.truncate()?;
                remote.sync()
            }
            _ => Err(elsewhere()),
        }
    }

    /// Puts items in, all or none of those that follow each other in one datastore; `done` is how many of the first are in,
    /// however it ends.
    pub fn put_all(&self, items: &[(&Store, &[u8], &[u8])], done: &mut usize) -> Stored<()> {
        match self {
            Self::Here(open) => {
                let mut batch = open.batch();
                for (store, key, value) in items {
                    let Store::Here(store) = store else {
                        return Err(elsewhere());
                    };
                    batch.put(store, key, value)?;
                }
                batch.commit(Durability::Buffered)?;
                *done = items.len();
                Ok(())
            }
            Self::There(_) => {
                let is_same = |one: &(&Store, _, _), other: &(&Store, _, _)| one.0.name_is(other.0);
                for group in items.chunk_by(is_same) {
                    let Some((Store::There(store, _), ..)) = group.first() else {
                        return Err(elsewhere());
                    };
                    let pairs: Vec<_> = group.iter().map(|&(_, key, value)| (key, value)).collect();
                    store.put_all(&pairs)?;
                    *done += pairs.len();
                }
                Ok(())
            }
        }
    }

    /// Begins changes that are done in one step.
    pub fn begin(&self) -> Stored<Step> {
        match self {
            Self::Here(open) => open.begin().map(|txn| Step::Here(Box::new(txn))),
            Self::There(remote) => remote.begin().map(Step::There),
        }
    }

    /// Returns when what was written is durable.
    pub fn flush(&self) -> Stored<()> {
        match self {
            Self::Here(open) => open.flush(),
            Self::There(remote) => remote.sync(),
        }
    }

    /// The URL it is open by.
    pub fn url(&self) -> String {
        match self {
            Self::Here(open) => open.url().to_owned(),
            Self::There(remote) => remote.url(),
        }
    }

    /// The volume's id.
    pub fn id(&self) -> String {
        match self {
            Self::Here(open) => open.id().to_string(),
            Self::There(remote) => remote.id().to_owned(),
        }
    }

    /// Tells others of what goes on in the volume while `command` works, if it is open here.
    pub fn publish(&self, command: &str) -> Option<Publisher> {
        match self {
            Self::Here(open) => volume::publish(open, command),
            Self::There(_) => None,
        }
    }
}

fn of(remote: &Remote, details: &Details) -> Store {
    Store::There(remote.datastore(&details.info.name), details.clone())
}

/// No command mixes datastores of one place and of another.
fn elsewhere() -> heliumdb::Error {
    heliumdb::Error::new(
        ErrorKind::InvalidArgument,
        "the datastore is of another volume",
    )
}

impl Store {
    /// Its id.
    pub fn id(&self) -> u32 {
        match self {
            Self::Here(store) => store.id().0,
            Self::There(_, known) => known.info.id.0,
        }
    }

    fn name_is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::There(_, one), Self::There(_, other)) => one.info.name == other.info.name,
            _ => false,
        }
    }

    /// How many items it has, or had when it was looked for.
    pub fn items(&self) -> u64 {
        match self {
            Self::Here(store) => store.len(),
            Self::There(_, known) => known.items,
        }
    }

    /// Sets `key`, if it is as it must be.
    pub fn put(&self, key: &[u8], value: &[u8], when: When) -> Stored<()> {
        match (self, when) {
            (Self::Here(store), When::Always) => store.put(key, value),
            (Self::Here(store), When::Absent) => store.try_insert(key, value),
            (Self::Here(store), When::Present) => store.replace(key, value),
            (Self::There(store, _), when) => store.put_when(key, value, when),
        }
    }

    /// Removes `key`; whether it was there.
    pub fn delete(&self, key: &[u8]) -> Stored<bool> {
        match self {
            Self::Here(store) => store.delete(key),
            Self::There(store, _) => store.delete(key),
        }
    }

    /// The keys of a range, in order. No value is read.
    pub fn keys(
        &self,
        range: Bounds,
        most: usize,
    ) -> Box<dyn Iterator<Item = Stored<Vec<u8>>> + '_> {
        match self {
            Self::Here(store) => Box::new(store.range(range).keys().take(most)),
            Self::There(store, _) => {
                let walk = walk(range, most);
                Box::new(store.range(walk).map(|item| Ok(item?.0)))
            }
        }
    }

    /// Removes some `most` items from the start of a range on; how many, and up to where, unless that was all.
    pub fn delete_some(&self, (from, to): Bounds, most: usize) -> Stored<(u64, Option<Vec<u8>>)> {
        match self {
            Self::Here(store) => {
                let last = store.range((from.clone(), to.clone())).keys().nth(most - 1);
                let last = last.transpose()?;
                let end = last.clone().map_or(to, Bound::Included);
                Ok((store.delete_range((from, end))?, last))
            }
            Self::There(store, _) => {
                let (mut keys, mut bytes, mut is_all) = (Vec::new(), 0, true);
                for key in self.keys((from, to), most) {
                    let key = key?;
                    bytes += key.len();
                    keys.push(key);
                    if keys.len() == most || bytes >= REQUEST_BYTES {
                        is_all = false;
                        break;
                    }
                }
                let named: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                let removed = store.delete_all(&named)?;
                Ok((removed, keys.pop().filter(|_| !is_all)))
            }
        }
    }
}

fn walk((low, high): Bounds, most: usize) -> Walk {
    let mut walk = Walk::all();
    (walk.low, walk.high) = (low, high);
    (walk.keys, walk.most) = (true, most as u64);
    walk
}

/// Changes that are done in one step.
pub enum Step {
    /// To a volume that is open here.
    Here(Box<Transaction>),
    /// To a server's.
    There(helium_remote::Transaction),
}

impl Step {
    /// Sets `key`, if it is as it must be.
    pub fn put(&mut self, store: &Store, key: &[u8], value: &[u8], when: When) -> Stored<()> {
        match (self, store, when) {
            (Self::Here(txn), Store::Here(store), When::Always) => txn.put(store, key, value),
            (Self::Here(txn), Store::Here(store), When::Absent) => {
                txn.try_insert(store, key, value)
            }
            (Self::Here(txn), Store::Here(store), When::Present) => txn.replace(store, key, value),
            (Self::There(txn), Store::There(_, known), when) => {
                txn.put(&known.info.name, key, value, when)
            }
            _ => Err(elsewhere()),
        }
    }

    /// Removes `key`; whether it was there.
    pub fn delete(&mut self, store: &Store, key: &[u8]) -> Stored<bool> {
        match (self, store) {
            (Self::Here(txn), Store::Here(store)) => txn.delete(store, key),
            (Self::There(txn), Store::There(_, known)) => txn.delete(&known.info.name, key),
            _ => Err(elsewhere()),
        }
    }

    /// Does all of it, durably.
    pub fn commit(self) -> Result<(), Failure> {
        match self {
            Self::Here(txn) => Ok(txn.commit()?),
            Self::There(txn) => Ok(txn.commit()?),
        }
    }
}
