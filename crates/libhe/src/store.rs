//! The one place where this library meets the store: everything else speaks to these types.
//!
//! Invariants:
//! - What happens here happens wholly or not at all, and no latch of the store is held while a caller's
//!   function runs.
//! - Who meets a transaction in its way waits until those have ended that are under way, and then goes on alone:
//!   for as long as their devices take, and not for so many attempts.

use helium_activity::{Publisher, Reading};
use heliumdb::host::DatastoreExt;
use heliumdb::{
    DatastoreId, DatastoreOptions, Readable, Transaction, TransactionOptions, VolumeOptions,
};
pub use heliumdb::{
    Error, ErrorKind, Item, Position, Result,
    host::{Mode, ReadAhead, Wanted},
    upkeep::Stats,
};

use parking_lot::{Mutex, RwLock};

use crate::env::Env;

/// Makes a new value of an old one; none leaves all as it is.
pub type Merge<'a> = dyn FnMut(Option<&[u8]>) -> Option<Vec<u8>> + 'a;

/// How a volume is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening {
    pub create: bool,
    pub truncate: bool,
    pub read_only: bool,
    pub no_trim: bool,
    pub scan: bool,
}

/// What a datastore is for as long as it has items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    pub unordered: bool,
    pub compressed: bool,
}

impl Properties {
    fn options(self) -> DatastoreOptions {
        let mut options = DatastoreOptions::default();
        options.unordered = self.unordered;
        options.compress = self.compressed;
        options
    }
}

/// Wipes the volume that a URL names.
pub fn destroy(url: &str) -> Result<()> {
    heliumdb::Volume::destroy(url)
}

/// An open volume.
pub struct Volume {
    volume: heliumdb::Volume,
    read_only: bool,
    /// Tells others what goes on in it, until it is closed.
    publisher: Mutex<Option<Publisher>>,
    /// Held by every transaction that is under way, with others or alone.
    under_way: RwLock<()>,
}

impl Volume {
    pub fn open(url: &str, opening: Opening, env: &Env) -> Result<Self> {
        let mut options = VolumeOptions::default();
        options.create = opening.create;
        options.truncate = opening.truncate;
        options.read_only = opening.read_only;
        options.exclusive = true;
        options.least_bytes = crate::limits::VOLUME_BYTES_MIN;
        options.no_trim = opening.no_trim;
        options.scan = opening.scan;
        env.apply(&mut options);
        let volume = heliumdb::Volume::open(url, &options)?;
        let read_only = opening.read_only;
        // Nobody else can look if this fails; that is no reason not to work.
        let publisher = Publisher::start_for_library(&volume, "libhe", Reading::Snapshots).ok();
        Ok(Self {
            volume,
            read_only,
            publisher: Mutex::new(publisher),
            under_way: RwLock::default(),
        })
    }

    /// One on devices of a test's own.
    #[cfg(test)]
    pub fn of(volume: heliumdb::Volume) -> Self {
        Self {
            volume,
            read_only: false,
            publisher: Mutex::default(),
            under_way: RwLock::default(),
        }
    }

    pub fn close(&self) -> Result<()> {
        self.publisher.lock().take();
        self.volume.close()
    }

    /// Gives back the room of all that is dead.
    pub fn clean(&self) -> Result<()> {
        self.volume.clean()
    }

    /// The datastore of that name; `DatastoreNotFound` if there is none.
    pub fn datastore(&self, name: &[u8]) -> Result<Datastore> {
        Datastore::new(self.volume.datastore(name)?)
    }

    pub fn create_datastore(&self, name: &[u8], properties: Properties) -> Result<Datastore> {
        let mut options = properties.options();
        options.create = true;
        options.error_if_exists = true;
        Datastore::new(self.volume.open_datastore(name, &options)?)
    }

    /// Empties a datastore, which then has these properties.
    pub fn truncate_as(&self, datastore: &Datastore, properties: Properties) -> Result<Datastore> {
        let store = datastore.store.clone();
        let options = properties.options();
        self.change(|| self.volume.truncate_datastore_as(store.id(), &options))?;
        Datastore::new(store)
    }

    /// Whether nothing can be written to the volume.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    pub fn truncate(&self, datastore: &Datastore) -> Result<()> {
        self.change(|| self.volume.truncate_datastore(datastore.store.id()))
    }

    /// Has values compressed from now on.
    pub fn compress(&self, datastore: &Datastore) -> Result<()> {
        self.volume.set_compress(datastore.store.id(), true)
    }

    pub fn remove(&self, datastore: u32) -> Result<()> {
        self.change(|| self.volume.drop_datastore(DatastoreId(datastore)))
    }

    pub fn rename(&self, datastore: u32, name: &[u8]) -> Result<()> {
        self.change(|| self.volume.rename_datastore(DatastoreId(datastore), name))
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
        let make = |txn: &mut Transaction| changes.iter().try_for_each(|change| change.make(txn));
        let beside = || {
            let _with_others = self.under_way.read();
            let mut txn = self.volume.begin()?;
            make(&mut txn)?;
            txn.commit()
        };
        match beside() {
            // Then only writes outside transactions are left to be in its way.
            Err(why) if why.is_retryable() => {
                let _alone = self.under_way.write();
                let options = TransactionOptions::default();
                self.volume.transact_with(options, make)
            }
            done => done,
        }
    }

    /// Changes what datastores there are, at once or when no transaction is in its way.
    fn change(&self, work: impl Fn() -> Result<()>) -> Result<()> {
        match work() {
            Err(why) if why.is_retryable() => {
                let _alone = self.under_way.write();
                work()
            }
            done => done,
        }
    }
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

impl Queued<'_> {
    fn make(&self, txn: &mut Transaction) -> Result<()> {
        let (store, key) = (&self.datastore.store, self.key);
        match (self.mode, self.value) {
            (Mode::Any, Some(value)) => txn.put(store, key, value),
            (Mode::Absent, Some(value)) => txn.try_insert(store, key, value),
            (Mode::Present, Some(value)) => txn.replace(store, key, value),
            (Mode::Present, None) => Error::item_not_found_unless(txn.delete(store, key)?),
            (Mode::Any, None) => txn.remove(store, key).map(drop),
            // Inserted and removed again: all there is to do is to see that it can be.
            (Mode::Absent, None) => {
                txn.try_insert(store, key, b"")?;
                Error::item_not_found_unless(txn.delete(store, key)?)
            }
        }
    }
}

/// A named set of items.
#[derive(Clone)]
pub struct Datastore {
    store: heliumdb::Datastore,
    properties: Properties,
}

impl Datastore {
    fn new(store: heliumdb::Datastore) -> Result<Self> {
        let info = store.info()?;
        let properties = Properties {
            unordered: info.unordered,
            compressed: info.compress,
        };
        Ok(Self { store, properties })
    }

    pub fn id(&self) -> u32 {
        self.store.id().0
    }

    pub fn name(&self) -> Result<Vec<u8>> {
        Ok(self.store.info()?.name)
    }

    /// How many items it has, exactly.
    pub fn len(&self) -> u64 {
        self.store.len()
    }

    pub fn properties(&self) -> Properties {
        self.properties
    }

    /// Reads what is wanted of the value of `key`; false if there is no item.
    pub fn read(&self, key: &[u8], wanted: Wanted, value: &mut Vec<u8>) -> Result<bool> {
        if wanted != Wanted::Lengths {
            return self.store.get_into(key, value);
        }
        let len = DatastoreExt::newest_length(&self.store, key)?;
        value.clear();
        value.extend(len.unwrap_or_default().to_le_bytes());
        Ok(len.is_some())
    }

    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        self.store.contains_key(key)
    }

    pub fn put(&self, key: &[u8], value: &[u8], mode: Mode) -> Result<()> {
        match mode {
            Mode::Any => self.store.put(key, value),
            Mode::Absent => self.store.try_insert(key, value),
            Mode::Present => self.store.replace(key, value),
        }
    }

    pub fn delete(&self, key: &[u8]) -> Result<()> {
        Error::item_not_found_unless(self.store.delete(key)?)
    }

    /// Removes the item and hands out its value, as one step.
    pub fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.store.remove(key)
    }

    /// Makes a new value of the old one, as one step; `Ok(false)` if `change` gives none, and
    /// nothing has changed then. It may be asked several times.
    pub fn merge(&self, key: &[u8], change: &mut Merge<'_>) -> Result<bool> {
        enum Stop {
            Refused,
            Failed(Error),
        }
        impl From<Error> for Stop {
            fn from(why: Error) -> Self {
                Self::Failed(why)
            }
        }
        let change = |old: Option<&[u8]>| change(old).map(Some).ok_or(Stop::Refused);
        match self.store.try_update_fetch(key, change) {
            Ok(_) => Ok(true),
            Err(Stop::Refused) => Ok(false),
            Err(Stop::Failed(why)) => Err(why),
        }
    }

    /// What is wanted of the item nearest to a position; false if there is none.
    pub fn nearest(
        &self,
        wanted: (Position<'_>, Wanted),
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.store.nearest_for(wanted, key, value)
    }

    /// All items of this moment.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot {
            snapshot: self.store.volume().snapshot()?,
            store: self.store.clone(),
        })
    }
}

/// A datastore as it was at one moment.
pub struct Snapshot {
    snapshot: heliumdb::Snapshot,
    store: heliumdb::Datastore,
}

impl Snapshot {
    /// The item nearest to a position, or its key alone; false if there is none. Whoever goes on from it with the same
    /// `ahead` finds what was read ahead.
    pub fn seek(
        &self,
        (position, keys_only): (Position<'_>, bool),
        ahead: &mut ReadAhead,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        let wanted = match keys_only {
            true => Wanted::Keys,
            false => Wanted::Items,
        };
        let from = (position, wanted);
        self.store
            .seek_ahead(&self.snapshot, from, ahead, key, value)
    }

    /// All items, in order.
    pub fn items(&self) -> impl Iterator<Item = Result<Item>> {
        self.snapshot.iter(&self.store)
    }
}
