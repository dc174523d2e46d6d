//! The one place where this library meets the store: everything else speaks to these types.
//!
//! Invariant: what happens here happens wholly or not at all, and no latch of the store is
//! held while a caller's function runs.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use heliumdb::{
    Change, DatastoreId, Durability, Horizon, Isolation, Transaction, TxnId, View,
    VolumeOptions,
};
pub use heliumdb::{Error, ErrorKind, Item, Mode, Position, Result, Stats};
use parking_lot::Mutex;

use crate::env::Env;

/// How often a change that others get in the way of is tried again.
const ATTEMPTS_MAX: usize = 100_000;

/// How a volume is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening {
    pub create: bool,
    pub truncate: bool,
    pub read_only: bool,
    pub scan: bool,
    pub clean: bool,
    pub no_trim: bool,
}

/// What a datastore is for as long as it has items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    pub unordered: bool,
    pub compressed: bool,
}

/// The paths that a URL names.
pub fn paths(url: &str) -> Result<Vec<PathBuf>> {
    heliumdb::device::paths(url)
}

/// Wipes the volume that a URL names.
pub fn destroy(url: &str) -> Result<()> {
    heliumdb::Volume::destroy(url)
}

/// An open volume.
pub struct Volume {
    volume: heliumdb::Volume,
    read_only: bool,
}

impl Volume {
    pub fn open(url: &str, opening: Opening, env: &Env) -> Result<Self> {
        let mut options = VolumeOptions::default();
        options.create = opening.create;
        options.truncate = opening.truncate;
        options.read_only = opening.read_only;
        options.exclusive = true;
        options.least_bytes = crate::limits::VOLUME_BYTES_MIN;
        env.apply(&mut options);
        let volume = heliumdb::Volume::open(url, &options)?;
        let read_only = opening.read_only;
        Ok(Self { volume, read_only })
    }

    pub fn close(&self) -> Result<()> {
        self.volume.close()
    }

    /// The datastore of that name; `DatastoreNotFound` if there is none.
    pub fn datastore(&self, name: &[u8]) -> Result<Datastore> {
        self.volume.datastore(name).map(Datastore)
    }

    pub fn create_datastore(&self, name: &[u8], _properties: Properties) -> Result<Datastore> {
        self.volume.create_datastore(name, b"").map(Datastore)
    }

    /// Empties a datastore, which then has these properties.
    pub fn truncate_as(
        &self,
        datastore: &Datastore,
        _name: &[u8],
        _properties: Properties,
    ) -> Result<Datastore> {
        self.truncate(datastore)?;
        Ok(datastore.clone())
    }

    /// Whether nothing can be written to the volume.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Heeds what a handle asks of a volume that is open.
    pub fn heed(&self, _env: &Env) {}

    pub fn truncate(&self, datastore: &Datastore) -> Result<()> {
        when_settled(|| self.volume.truncate_datastore(datastore.0.id()))
    }

    pub fn remove(&self, datastore: u32) -> Result<()> {
        when_settled(|| self.volume.remove_datastore(DatastoreId(datastore)))
    }

    pub fn rename(&self, datastore: u32, name: &[u8]) -> Result<()> {
        when_settled(|| self.volume.rename_datastore(DatastoreId(datastore), name))
    }

    /// The names of all datastores, in order.
    pub fn names(&self) -> Vec<Vec<u8>> {
        self.volume
            .datastores()
            .into_iter()
            .map(|info| info.name)
            .collect()
    }

    pub fn flush(&self) -> Result<()> {
        self.volume.flush()
    }

    pub fn stats(&self) -> Stats {
        self.volume.stats()
    }

    /// Makes changes to datastores of this volume, all or none; durable when it returns.
    pub fn write(&self, changes: &[Queued<'_>]) -> Result<()> {
        atomically(&self.volume, Durability::Synced, |transaction| {
            for change in changes {
                let what = change.value.map_or(Change::Remove, Change::Put);
                let store = &change.datastore.0;
                transaction.write(store, &Everything, change.key, what, change.mode)?;
            }
            Ok(())
        })
    }
}

fn atomically<R>(
    volume: &heliumdb::Volume,
    durability: Durability,
    mut work: impl FnMut(&mut Transaction) -> Result<R>,
) -> Result<R> {
    let mut attempt = 0;
    loop {
        let running = Running::begin();
        let mut transaction = Transaction::new(running.0);
        let done = work(&mut transaction)
            .and_then(|answer| transaction.commit(durability).map(|()| answer));
        drop(transaction);
        drop(running);
        volume.settle(&Oldest);
        attempt += 1;
        match done {
            Err(why) if is_passing(&why) && attempt < ATTEMPTS_MAX => thread::yield_now(),
            done => return done,
        }
    }
}

fn when_settled(mut work: impl FnMut() -> Result<()>) -> Result<()> {
    for _ in 0..ATTEMPTS_MAX {
        match work() {
            Err(why) if is_passing(&why) => thread::yield_now(),
            done => return done,
        }
    }
    work()
}

fn is_passing(why: &Error) -> bool {
    matches!(
        why.kind(),
        ErrorKind::Conflict | ErrorKind::PrepareConflict | ErrorKind::Busy
    )
}

/// One change of several that are made together.
pub struct Queued<'a> {
    pub datastore: &'a Datastore,
    pub key: &'a [u8],
    /// The new value; `None` removes the item.
    pub value: Option<&'a [u8]>,
    /// What must hold of the item before.
    pub mode: Mode,
}

/// A named set of items.
#[derive(Clone)]
pub struct Datastore(heliumdb::Datastore);

impl Datastore {
    pub fn id(&self) -> u32 {
        self.0.id().0
    }

    pub fn name(&self) -> Result<Vec<u8>> {
        Ok(self.0.info()?.name)
    }

    pub fn len(&self) -> u64 {
        self.0.approximate_len()
    }

    pub fn properties(&self) -> Properties {
        Properties::default()
    }

    pub fn get_into(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        self.0.get_into(key, value)
    }

    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        self.0.get_into(key, &mut Vec::new())
    }

    pub fn put(&self, key: &[u8], value: &[u8], mode: Mode) -> Result<()> {
        match mode {
            Mode::Any => self.0.put(key, value),
            Mode::Absent => self.0.insert(key, value),
            Mode::Present => self.0.replace(key, value),
        }
    }

    pub fn delete(&self, key: &[u8]) -> Result<()> {
        self.0.delete(key)
    }

    /// Removes the item and hands out its value, as one step; false if there is none.
    pub fn take(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        let taken = atomically(&self.0.volume(), Durability::Buffered, |transaction| {
            transaction.write(&self.0, &Everything, key, Change::Remove, Mode::Present)?;
            self.0.get_into(key, value)
        });
        match taken {
            Err(why) if why.kind() == ErrorKind::ItemNotFound => Ok(false),
            taken => taken,
        }
    }

    /// Makes a new value of the old one, as one step; `Ok(false)` if `change` gives none. It may
    /// be asked several times.
    pub fn merge(
        &self,
        key: &[u8],
        change: &mut dyn FnMut(Option<&[u8]>) -> Option<Vec<u8>>,
    ) -> Result<bool> {
        atomically(&self.0.volume(), Durability::Buffered, |transaction| {
            transaction.write(&self.0, &Everything, key, Change::Reserve, Mode::Any)?;
            let old = self.0.get(key)?;
            let Some(new) = change(old.as_deref()) else {
                return Ok(false);
            };
            transaction.write(&self.0, &Everything, key, Change::Put(&new), Mode::Any)?;
            Ok(true)
        })
    }

    /// The item nearest to a position; false if there is none.
    pub fn nearest(
        &self,
        position: Position<'_>,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        match self.0.nearest(position)? {
            Some((found, its)) => {
                (*key, *value) = (found, its);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// All items of this moment.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot(self.clone()))
    }
}

/// A datastore as it was at one moment.
pub struct Snapshot(Datastore);

impl Snapshot {
    /// The item nearest to a position.
    pub fn nearest(&self, position: Position<'_>) -> Result<Option<Item>> {
        self.0.0.nearest(position)
    }
}

/// Every committed version is visible to everybody at once.
struct Everything;

impl View for Everything {
    fn own(&self) -> TxnId {
        0
    }

    fn isolation(&self) -> Isolation {
        Isolation::Snapshot
    }

    fn sees(&self, _id: TxnId) -> bool {
        true
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static RUNNING: Mutex<BTreeSet<TxnId>> = Mutex::new(BTreeSet::new());

/// A transaction that is under way.
struct Running(TxnId);

impl Running {
    fn begin() -> Self {
        let mut running = RUNNING.lock();
        let id = NEXT_ID.fetch_add(1, Ordering::SeqCst);
        running.insert(id);
        Self(id)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.lock().remove(&self.0);
    }
}

struct Oldest;

impl Horizon for Oldest {
    fn oldest(&self) -> TxnId {
        let running = RUNNING.lock();
        let next = NEXT_ID.load(Ordering::SeqCst);
        running.first().copied().unwrap_or(next)
    }
}
