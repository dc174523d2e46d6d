//! What users hold of a volume.

use std::{fmt, path::Path, sync::Arc};

use super::{DatastoreOptions, open};
use crate::{
    catalog::{DatastoreInfo, Descriptor, SeenDatastore, State},
    checking::Damage,
    datastore::Datastore,
    device::Device,
    error::{Error, Result},
    id::{DatastoreId, VolumeId},
    log::Hold,
    options::VolumeOptions,
    shared::Lease,
    transaction::native::{self, Snapshot, Transaction, TransactionOptions, WriteBatch},
    version::View,
};

/// An open volume; clones share it. The last handle to go, of its datastores' too, closes it.
#[derive(Clone)]
pub struct Volume {
    shared: Arc<Lease>,
}

impl Volume {
    /// Opens (or makes) the volume that `url`, like `he://./path,path`, names.
    pub fn open(url: &str, options: &VolumeOptions) -> Result<Self> {
        open::open(url, options)
    }

    /// Opens the volume at `path`, or makes it if there is nothing, with the usual options: see [`Volume::open`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("volume");
    /// let volume = heliumdb::Volume::open_or_create(&path)?;
    /// let users = volume.open_or_create_datastore("users")?;
    /// users.put("ada", "1815")?;
    /// assert_eq!(users.get("ada")?, Some(b"1815".to_vec()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self> {
        open::open_path(path.as_ref(), &VolumeOptions::new())
    }

    /// Opens a volume on devices of the caller's own making.
    pub fn open_devices(devices: Vec<Box<dyn Device>>, options: &VolumeOptions) -> Result<Self> {
        open::open_devices(devices, options)
    }

    /// Makes the devices of a volume blank: all of it is gone. `VolumeInUse` while it is open,
    /// here or elsewhere; `Busy` while other volumes may have to ask it about transactions.
    pub fn destroy(url: &str) -> Result<()> {
        open::destroy(url)
    }

    pub(super) fn from_shared(shared: Arc<Lease>) -> Self {
        Self { shared }
    }

    /// The volume's id.
    pub fn id(&self) -> VolumeId {
        self.shared.id()
    }

    /// The URL or device names it was opened by.
    pub fn url(&self) -> &str {
        self.shared.access.url()
    }

    /// Makes a datastore, which must not be there ([`crate::ErrorKind::DatastoreExists`]); durable when it
    /// returns. [`Volume::open_datastore`] makes others than the usual ones.
    pub fn create_datastore(&self, name: impl AsRef<[u8]>) -> Result<Datastore> {
        self.open_datastore(
            name,
            &DatastoreOptions::new().create(true).error_if_exists(true),
        )
    }

    /// Opens a datastore by name, or makes it if it is not there.
    pub fn open_or_create_datastore(&self, name: impl AsRef<[u8]>) -> Result<Datastore> {
        self.open_datastore(name, &DatastoreOptions::new().create(true))
    }

    pub(super) fn handle_of(&self, state: Arc<State>) -> Datastore {
        Datastore::new(self.shared.clone(), state)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The id that the next datastore gets.
    pub(crate) fn coming_datastore_id(&self) -> u32 {
        self.shared.catalog.next_id()
    }

    /// See [`crate::host::VolumeExt::datastores_of`].
    pub(crate) fn datastores_shown_to(&self, view: &dyn View) -> Vec<(DatastoreInfo, Datastore)> {
        let seen = self.datastores_seen_by(view).into_iter();
        let shown = seen.map(|seen| {
            let info = DatastoreInfo {
                id: seen.id,
                unordered: seen.descriptor.is_unordered(),
                compress: seen.descriptor.compress,
                name: seen.descriptor.name,
                attributes: seen.descriptor.attributes,
            };
            (info, Datastore::of_tree(&self.shared, seen.id, seen.tree))
        });
        shown.collect()
    }

    /// The datastores that `view` sees, with their items, as they were called then.
    pub(crate) fn datastores_seen_by(&self, view: &dyn View) -> Vec<SeenDatastore> {
        self.shared.catalog.seen_by(view)
    }

    /// Keeps the log as it is, for reading all of it.
    pub(crate) fn hold_log(&self) -> Result<Hold> {
        self.shared.access.check_open()?;
        Ok(self.shared.log.hold())
    }

    /// Makes a datastore that another volume had, with its id.
    pub(crate) fn restore_datastore(
        &self,
        id: DatastoreId,
        descriptor: &Descriptor,
        next_id: u32,
    ) -> Result<Datastore> {
        let restored = self.shared.catalog.restore(id.0, descriptor, next_id);
        restored.map(|state| self.handle_of(state))
    }

    /// Opens a datastore by name ([`crate::ErrorKind::DatastoreNotFound`]).
    pub fn datastore(&self, name: impl AsRef<[u8]>) -> Result<Datastore> {
        self.shared.access.check_whole()?;
        let found = self.shared.catalog.find(name.as_ref());
        found.map(|state| self.handle_of(state))
    }

    /// Opens a datastore by id.
    pub fn datastore_by_id(&self, id: DatastoreId) -> Result<Datastore> {
        self.shared.access.check_whole()?;
        let found = self.shared.catalog.find_by_id(id);
        found.map(|state| self.handle_of(state))
    }

    /// All datastores, in order of their names.
    pub fn datastores(&self) -> Vec<DatastoreInfo> {
        self.shared.catalog.list()
    }

    /// Gives a datastore another name; durable when it returns. `Busy` while unresolved
    /// transactions have written to it; `DatastoreExists` if the name is taken.
    pub fn rename_datastore(&self, id: DatastoreId, name: impl AsRef<[u8]>) -> Result<()> {
        self.shared.catalog.rename(id, name.as_ref())
    }

    /// Replaces the owner's attributes of a datastore; durable when it returns.
    pub fn set_attributes(&self, id: DatastoreId, attributes: impl AsRef<[u8]>) -> Result<()> {
        self.shared.catalog.set_attributes(id, attributes.as_ref())
    }

    /// Says whether values that are written to a datastore from now on are compressed where that makes
    /// them shorter; durable when it returns. Those that are there stay as they are.
    pub fn set_compress(&self, id: DatastoreId, compress: bool) -> Result<()> {
        self.shared.catalog.set_compress(id, compress)
    }

    /// Removes a datastore and its items; durable when it returns. `Busy` as for rename. Snapshots,
    /// transactions at snapshot isolation, iterators and backups that began before go on seeing
    /// them: their memory and their room are free when the last of these is gone.
    pub fn drop_datastore(&self, id: DatastoreId) -> Result<()> {
        self.shared.catalog.remove(id)
    }

    /// Removes all items of a datastore at once; durable when it returns. `Busy` as for rename. Who
    /// began before goes on seeing them, as for [`Volume::drop_datastore`]; a transaction at
    /// snapshot isolation that began before gets [`crate::ErrorKind::Conflict`] when it writes there.
    pub fn truncate_datastore(&self, id: DatastoreId) -> Result<()> {
        self.shared.catalog.truncate(id, None, None)
    }

    /// Begins a transaction at snapshot isolation, durable at its commit. The volume then keeps
    /// its transactions itself: one on which a [`WriteSet`](crate::host::WriteSet) was used cannot.
    pub fn begin(&self) -> Result<Transaction> {
        self.begin_with(TransactionOptions::default())
    }

    /// Begins a transaction as `options` say.
    pub fn begin_with(&self, options: TransactionOptions) -> Result<Transaction> {
        Transaction::begin(&self.shared, options)
    }

    /// Runs `work` in a transaction and commits it; from the start again, after a pause, if it
    /// fails for what other transactions did meanwhile, up to
    /// [`crate::limits::TRANSACT_ATTEMPTS_MAX`] times. Other errors roll it back.
    ///
    /// ```
    /// use heliumdb::Readable;
    /// # let dir = tempfile::tempdir()?;
    /// # let url = format!("he://{}", dir.path().join("volume").display());
    /// # let volume = heliumdb::Volume::open(&url, &Default::default())?;
    /// # let store = volume.create_datastore(b"store")?;
    /// store.put(b"from", b"3")?;
    /// volume.transact(|txn| {
    ///     if let Some(value) = txn.remove(&store, b"from")? {
    ///         txn.put(&store, b"to", &value)?;
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(store.get(b"to")?, Some(b"3".to_vec()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transact<R>(&self, work: impl FnMut(&mut Transaction) -> Result<R>) -> Result<R> {
        self.transact_with(TransactionOptions::default(), work)
    }

    /// As [`Volume::transact`], with transactions as `options` say.
    pub fn transact_with<R>(
        &self,
        options: TransactionOptions,
        work: impl FnMut(&mut Transaction) -> Result<R>,
    ) -> Result<R> {
        native::transact(&self.shared, options, work)
    }

    /// The committed state of now, to read from: see [`Snapshot`]. Cheap.
    ///
    /// ```
    /// use heliumdb::Readable;
    /// # let dir = tempfile::tempdir()?;
    /// # let url = format!("he://{}", dir.path().join("volume").display());
    /// # let volume = heliumdb::Volume::open(&url, &Default::default())?;
    /// # let store = volume.create_datastore(b"store")?;
    /// store.put(b"key", b"old")?;
    /// let snapshot = volume.snapshot()?;
    /// store.put(b"key", b"new")?;
    /// assert_eq!(snapshot.get(&store, b"key")?, Some(b"old".to_vec()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::new(&self.shared)
    }

    /// An empty batch of writes: see [`WriteBatch`].
    pub fn batch(&self) -> WriteBatch {
        WriteBatch::new(&self.shared)
    }

    /// Forgets what became of transactions over several volumes that this one decided, for volumes that
    /// are `lost` for ever and will never ask; durable when it returns. Until then such a decision stays, and
    /// truncating or destroying the volume is [`Busy`](crate::ErrorKind::Busy). A decision that others may
    /// still have to ask for stays for these. Returns how many named one of the lost volumes.
    ///
    /// `Busy` if one of them is open in this process, or if a transaction that it took part in can still be
    /// taken back; nothing is forgotten then. Should a volume turn up that was named here, do not open
    /// it together with this one: to that it would be as if such transactions had not committed. Salvage it,
    /// and say which way they go ([`Salvage::unresolved`](crate::upkeep::Salvage::unresolved)).
    pub fn forget_lost(&self, lost: &[VolumeId]) -> Result<u64> {
        let forgotten = self.shared.owing.lose(lost)?;
        // CRASH: until here any of the decisions may still be as it was.
        self.flush().map_err(Error::outcome_unknown)?;
        Ok(forgotten)
    }

    /// Returns when everything written so far is durable.
    pub fn flush(&self) -> Result<()> {
        self.shared.flush()
    }

    /// Takes a checkpoint: what was written until now need not be replayed by the next open. Everyone
    /// goes on meanwhile. The volume does this by itself now and then
    /// ([`VolumeOptions::checkpoint_log_bytes`]).
    pub fn checkpoint(&self) -> Result<()> {
        self.shared.cleaner.await_checkpoint_room()?;
        self.shared.cleaner.take_checkpoint()
    }

    /// Bytes of memory that unsettled versions use.
    pub fn version_bytes(&self) -> u64 {
        self.shared.writing.unsettled.bytes()
    }

    /// How often an operation outside transactions, which depended on what was there, has waited
    /// for a commit that was under way.
    pub fn commit_waits(&self) -> u64 {
        self.shared.writing.waiting.waits()
    }

    /// Cleans whatever gives room now, however little is dead; the room is there after the next
    /// checkpoint, which is asked for.
    pub fn clean(&self) -> Result<()> {
        self.shared.cleaner.clean_all()
    }

    /// One small step of [`Volume::clean`], for whoever wants to be able to stop; false once
    /// nothing gives room.
    pub fn clean_step(&self) -> Result<bool> {
        self.shared.cleaner.clean_some()
    }

    /// Takes the checkpoint that [`Volume::clean`] asks for, and frees what it left empty: the
    /// figures show the room when it returns, unless a backup under way still reads there. Of files that grow what is
    /// free at the end, and more than a new volume with the same in it would have, is cut off.
    pub fn free(&self) -> Result<()> {
        self.shared.cleaner.free_now()
    }

    /// Makes the volume as small as it can be, as it is filled now: cleans whatever gives room, moves what is alive to
    /// the front of files that grow, and does what [`Volume::free`] does, until nothing comes of it any more.
    /// `go_on` is asked between steps, with the bytes that were moved so far; false if it has ended it.
    pub fn compact(&self, go_on: &mut dyn FnMut(u64) -> bool) -> Result<bool> {
        self.shared.cleaner.compact_all(go_on)
    }

    /// What verifying and scrubbing found to be damaged since the volume was opened (the first
    /// thousand items; [`crate::upkeep::Stats::damaged_items`] counts them all).
    pub fn damage(&self) -> Vec<Damage> {
        self.shared.damages.list()
    }

    /// How it was opened: with every number as it was brought into its range.
    pub fn options(&self) -> &VolumeOptions {
        self.shared.access.options()
    }

    pub(crate) fn shared(&self) -> &Arc<Lease> {
        &self.shared
    }

    /// One step of background work, for a simulation that opened the volume without a
    /// background thread; true if something was done.
    #[doc(hidden)]
    pub fn background_step(&self) -> Result<bool> {
        self.shared.background_step()
    }

    /// Flushes, stops background threads and closes the devices, whatever clones there are:
    /// their later calls fail with `Closed`. No thread may be in a call meanwhile.
    pub fn close(&self) -> Result<()> {
        self.shared.close()
    }
}

impl Datastore {
    /// The volume it is in.
    pub fn volume(&self) -> Volume {
        Volume::from_shared(self.shared().clone())
    }
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Volume({}, {})",
            self.shared.access.url(),
            self.shared.id()
        )
    }
}
