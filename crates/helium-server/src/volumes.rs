//! The volumes that are served, by name, and what all connections share of each.
//!
//! Invariant: whoever writes is inside the volume's gate until its watchers are told; who has the gate alone sees no
//! write begin or end.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use heliumdb::{Datastore, DatastoreOptions, Volume};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{
    group::Group,
    moment::{self, Datastores, Moment},
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
    /// The datastores in the last state of the catalog in which a transaction began.
    datastores: Mutex<Option<(u64, Datastores)>>,
    /// How many transactions were begun.
    begun: AtomicU64,
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
            datastores: Mutex::default(),
            begun: AtomicU64::default(),
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

    /// What a transaction that begins now has to know. The caller is inside the gate.
    pub fn moment(&self) -> Outcome<Moment> {
        let now = self.catalog.load(Ordering::SeqCst);
        let mut known = self.datastores.lock();
        let datastores = match &*known {
            Some((state, datastores)) if *state == now => datastores.clone(),
            _ => {
                let found = moment::datastores(&self.volume)?;
                *known = Some((now, found.clone()));
                found
            }
        };
        Ok(Moment {
            number: self.begun.fetch_add(1, Ordering::Relaxed),
            datastores,
        })
    }
}

const GONE: Refusal = said("NODATASTORE the datastore that this connection was in is gone");
const REMOVED: Refusal = said("TRYAGAIN the datastore was removed meanwhile");

/// For how long a handle is what its name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// A state of the catalog.
    State(u64),
    /// A transaction, whatever becomes of the catalog.
    Transaction(u64),
}

/// A datastore of a volume as a connection names it: it need not be there.
#[derive(Clone, Debug)]
pub struct Place {
    /// The volume.
    pub served: Arc<Served>,
    /// The datastore's name.
    pub name: Bytes,
    /// Its handle, and for what that holds.
    handle: Option<(Holds, Datastore)>,
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

    fn holds(&self, moment: Option<&Moment>) -> Holds {
        match moment {
            Some(moment) => Holds::Transaction(moment.number),
            None => Holds::State(self.served.catalog.load(Ordering::SeqCst)),
        }
    }

    /// The datastore, if it is there: now, or at the moment of a transaction.
    pub fn datastore(&mut self, moment: Option<&Moment>) -> Outcome<Option<&Datastore>> {
        let holds = self.holds(moment);
        if self.handle.as_ref().is_none_or(|handle| handle.0 != holds) {
            let volume = &self.served.volume;
            let found = match moment {
                Some(moment) => moment.find(volume, &self.name)?,
                None => moment::newest(volume, &self.name)?,
            };
            self.handle = found.map(|found| (holds, found));
        }
        Ok(self.handle.as_ref().map(|handle| &handle.1))
    }

    /// The same, for a walk, of which an end that comes too early would not show.
    pub fn walked(&mut self, moment: Option<&Moment>) -> Outcome<Option<&Datastore>> {
        let is_kept = self.is_kept;
        match self.datastore(moment)? {
            None if is_kept => Err(GONE),
            found => Ok(found),
        }
    }

    /// The datastore, if it is known without asking the volume.
    pub fn at_hand(&self) -> Option<&Datastore> {
        let (known, datastore) = self.handle.as_ref()?;
        (*known == self.holds(None)).then_some(datastore)
    }

    /// The datastore, which is made if it is not there and may be.
    pub fn make(&mut self, moment: Option<&Moment>) -> Outcome<&Datastore> {
        if self.datastore(moment)?.is_none() {
            if self.is_kept {
                return Err(GONE);
            }
            let mut options = DatastoreOptions::default();
            options.create = true;
            self.served.volume.open_datastore(&self.name, &options)?;
            self.served.change_catalog();
        }
        match self.datastore(moment)? {
            Some(datastore) => Ok(datastore),
            // It was removed just now.
            None => Err(REMOVED),
        }
    }

    /// The same, with what a write needs beside it.
    pub fn made(&mut self, moment: Option<&Moment>) -> Outcome<(&Served, &Bytes, &Datastore)> {
        self.make(moment)?;
        match &self.handle {
            Some((_, datastore)) => Ok((&self.served, &self.name, datastore)),
            None => Err(REMOVED),
        }
    }
}
