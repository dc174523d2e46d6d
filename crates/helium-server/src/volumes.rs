//! The volumes that are served, by name, and what all connections share of each.
//!
//! Invariant: whoever writes is inside the volume's gate until its watchers are told; who has the gate alone sees no
//! write begin or end.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use heliumdb::{Datastore, DatastoreOptions, ErrorKind, Volume};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{
    group::Group,
    refusal::{Outcome, Refusal, said},
    watch::Watches,
};

/// A volume, and what connections share of it.
#[derive(Debug)]
pub struct Served {
    /// As it is called here.
    pub name: String,
    /// The volume.
    pub volume: Volume,
    /// Those who write to it.
    pub group: Arc<Group>,
    /// The keys that somebody watches.
    pub watches: Watches,
    gate: RwLock<()>,
    /// Counts changes of which datastores there are, and of their names.
    catalog: AtomicU64,
}

impl Served {
    /// `volume`, called `name`, with so many threads at most that wait for it.
    pub fn new(name: String, volume: Volume, threads: usize) -> Self {
        Self {
            name,
            group: Group::new(volume.clone(), threads),
            volume,
            watches: Watches::default(),
            gate: RwLock::default(),
            catalog: AtomicU64::default(),
        }
    }

    /// For one write.
    pub fn enter(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read()
    }

    /// For several that nobody comes between.
    pub fn enter_alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write()
    }

    /// Says that handles of datastores may not be what they were opened as any more.
    pub fn change_catalog(&self) {
        self.catalog.fetch_add(1, Ordering::SeqCst);
    }
}

const GONE: Refusal = said("NODATASTORE the datastore that this connection was in is gone");
const REMOVED: Refusal = said("TRYAGAIN the datastore was removed meanwhile");

/// A datastore of a volume as a connection names it: it need not be there.
#[derive(Clone, Debug)]
pub struct Place {
    /// The volume.
    pub served: Arc<Served>,
    /// The datastore's name.
    pub name: Bytes,
    /// Its handle, and the state of the catalog for which it holds.
    handle: Option<(u64, Datastore)>,
    /// It was there when the connection went to it by its name: no write makes it again where it is gone.
    is_kept: bool,
}

impl Place {
    /// That datastore there.
    pub fn new(served: Arc<Served>, name: Bytes) -> Self {
        Self {
            served,
            name,
            handle: None,
            is_kept: false,
        }
    }

    /// A datastore that was asked for by its name, and is not made by writing to it.
    pub fn kept(served: Arc<Served>, name: Bytes) -> Self {
        Self {
            is_kept: true,
            ..Self::new(served, name)
        }
    }

    /// Whether writing does not make it.
    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// The datastore, if it is there.
    pub fn datastore(&mut self) -> Outcome<Option<&Datastore>> {
        let now = self.served.catalog.load(Ordering::SeqCst);
        if self.handle.as_ref().is_none_or(|handle| handle.0 != now) {
            self.handle = match self.served.volume.datastore(&self.name) {
                Ok(datastore) => Some((now, datastore)),
                Err(why) if why.kind() == ErrorKind::DatastoreNotFound => None,
                Err(why) => return Err(why.into()),
            };
        }
        Ok(self.handle.as_ref().map(|handle| &handle.1))
    }

    /// The datastore, if it is known without asking the volume.
    pub fn at_hand(&self) -> Option<&Datastore> {
        let (known, datastore) = self.handle.as_ref()?;
        (*known == self.served.catalog.load(Ordering::SeqCst)).then_some(datastore)
    }

    /// The datastore, which is made if it is not there and may be.
    pub fn make(&mut self) -> Outcome<&Datastore> {
        if self.datastore()?.is_none() {
            if self.is_kept {
                return Err(GONE);
            }
            let mut options = DatastoreOptions::default();
            options.create = true;
            let made = self.served.volume.open_datastore(&self.name, &options)?;
            let now = self.served.catalog.load(Ordering::SeqCst);
            self.handle = Some((now, made));
        }
        match self.datastore()? {
            Some(datastore) => Ok(datastore),
            // It was removed just now.
            None => Err(REMOVED),
        }
    }

    /// The same, with what a write needs beside it.
    pub fn made(&mut self) -> Outcome<(&Served, &Bytes, &Datastore)> {
        self.make()?;
        match &self.handle {
            Some((_, datastore)) => Ok((&self.served, &self.name, datastore)),
            None => Err(REMOVED),
        }
    }
}
