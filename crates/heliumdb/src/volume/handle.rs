//! What users hold of a volume.

use std::{fmt, sync::Arc};

use super::{
    Datastore, DatastoreId, DatastoreOptions, Shared, VolumeId, VolumeOptions, maintenance, open,
};
use crate::{
    device::Device,
    error::Result,
    transaction::native::{self, Snapshot, Txn, TxnOptions, WriteBatch},
    version::Horizon,
};

/// An open volume; clones share it. The last handle to go, of its datastores' too, closes it.
#[derive(Clone)]
pub struct Volume {
    shared: Arc<Shared>,
}

/// What the catalog knows of a datastore.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatastoreInfo {
    /// Its id.
    pub id: DatastoreId,
    /// Its name.
    pub name: Vec<u8>,
    /// Its owner's attributes.
    pub attributes: Vec<u8>,
    /// How it was made to be kept.
    pub options: DatastoreOptions,
}

/// Figures of a volume.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Size of all devices, in bytes (of what a growing file may become, if limited).
    pub capacity_bytes: u64,
    /// Bytes of segments in use.
    pub used_bytes: u64,
    /// Bytes of live items.
    pub live_bytes: u64,
    /// Bytes of index memory.
    pub index_bytes: u64,
    /// Bytes of unsettled versions.
    pub version_bytes: u64,
    /// Frames appended since the volume was opened.
    pub frames: u64,
    /// Syncs since the volume was opened.
    pub syncs: u64,
    /// Items that the last recovery read.
    pub recovered_items: u64,
    /// Bytes of pages of the newest checkpoint.
    pub checkpoint_bytes: u64,
    /// Bytes of log that the last recovery discarded as a torn tail.
    pub discarded_bytes: u64,
    /// Reads of single items that found them in the read cache.
    pub read_cache_hits: u64,
    /// Reads of single items that were neither there nor in the write cache.
    pub read_cache_misses: u64,
    /// Bytes of memory that the read cache has taken so far.
    pub read_cache_bytes: u64,
    /// Bytes of memory that segments of the log take.
    pub write_cache_bytes: u64,
    /// Reads of items that went to a device since the volume was opened.
    pub device_reads: u64,
    /// Bytes of values written to datastores that compress, since the volume was opened.
    pub compress_given_bytes: u64,
    /// Bytes that these values take in the log.
    pub compress_stored_bytes: u64,
    /// Bytes of items logged for users since the volume was opened.
    pub user_bytes: u64,
    /// Bytes of items that the cleaner has moved since the volume was opened.
    pub cleaner_bytes: u64,
    /// Bytes of checkpoints logged since the volume was opened.
    pub checkpoint_written_bytes: u64,
    /// All bytes written to the devices since the volume was opened.
    pub written_bytes: u64,
    /// Bytes of freed segments given back to the devices since the volume was opened.
    pub trimmed_bytes: u64,
}

impl Stats {
    /// Bytes written to the devices for each byte that users wrote.
    pub fn write_amplification(&self) -> f64 {
        self.written_bytes as f64 / self.user_bytes.max(1) as f64
    }

    /// Bytes of segments in use for each byte of live items.
    pub fn space_amplification(&self) -> f64 {
        self.used_bytes as f64 / self.live_bytes.max(1) as f64
    }
}

impl Volume {
    /// Opens (or makes) the volume that `url`, like `he://./path,path`, names.
    pub fn open(url: &str, options: &VolumeOptions) -> Result<Self> {
        open::open(url, options)
    }

    /// Opens a volume on devices of the caller's own making.
    pub fn open_devices(devices: Vec<Box<dyn Device>>, options: &VolumeOptions) -> Result<Self> {
        open::open_devices(devices, options)
    }

    pub(super) fn from_shared(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The volume's id.
    pub fn id(&self) -> VolumeId {
        self.shared.id()
    }

    /// The URL or device names it was opened by.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Makes a datastore; durable when it returns. Its owner may keep `attributes` with it.
    pub fn create_datastore(&self, name: &[u8], attributes: &[u8]) -> Result<Datastore> {
        self.create_datastore_with(name, attributes, &DatastoreOptions::default())
    }

    /// Makes a datastore that is kept as `options` say, for good; durable when it returns.
    pub fn create_datastore_with(
        &self,
        name: &[u8],
        attributes: &[u8],
        options: &DatastoreOptions,
    ) -> Result<Datastore> {
        self.shared.create_datastore(name, attributes, options)
    }

    /// Opens a datastore by name.
    pub fn datastore(&self, name: &[u8]) -> Result<Datastore> {
        self.shared.datastore(name)
    }

    /// Opens a datastore by id.
    pub fn datastore_by_id(&self, id: DatastoreId) -> Result<Datastore> {
        self.shared.datastore_by_id(id)
    }

    /// All datastores, in order of their names.
    pub fn datastores(&self) -> Vec<DatastoreInfo> {
        self.shared.catalog.list()
    }

    /// Gives a datastore another name; durable when it returns. `Busy` while unresolved
    /// transactions have written to it; `DatastoreExists` if the name is taken.
    pub fn rename_datastore(&self, id: DatastoreId, name: &[u8]) -> Result<()> {
        self.shared.rename_datastore(id, name)
    }

    /// Replaces the owner's attributes of a datastore; durable when it returns.
    pub fn set_attributes(&self, id: DatastoreId, attributes: &[u8]) -> Result<()> {
        self.shared.set_attributes(id, attributes)
    }

    /// Removes a datastore and its items; durable when it returns. `Busy` as for rename.
    pub fn remove_datastore(&self, id: DatastoreId) -> Result<()> {
        self.shared.remove_datastore(id)
    }

    /// Removes all items of a datastore at once; durable when it returns. `Busy` as for rename.
    pub fn truncate_datastore(&self, id: DatastoreId) -> Result<()> {
        self.shared.truncate_datastore(id)
    }

    /// Begins a transaction at snapshot isolation, durable at its commit. The volume then keeps
    /// its transactions itself: one on which a [`crate::Transaction`] was used cannot.
    pub fn begin(&self) -> Result<Txn> {
        self.begin_with(TxnOptions::default())
    }

    /// Begins a transaction as `options` say.
    pub fn begin_with(&self, options: TxnOptions) -> Result<Txn> {
        Txn::begin(&self.shared, options)
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
    /// # let store = volume.create_datastore(b"store", b"")?;
    /// store.put(b"from", b"3")?;
    /// volume.transact(|txn| {
    ///     if let Some(value) = txn.take(&store, b"from")? {
    ///         txn.put(&store, b"to", &value)?;
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(store.get(b"to")?, Some(b"3".to_vec()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transact<R>(&self, work: impl FnMut(&mut Txn) -> Result<R>) -> Result<R> {
        self.transact_with(TxnOptions::default(), work)
    }

    /// As [`Volume::transact`], with transactions as `options` say.
    pub fn transact_with<R>(
        &self,
        options: TxnOptions,
        work: impl FnMut(&mut Txn) -> Result<R>,
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
    /// # let store = volume.create_datastore(b"store", b"")?;
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

    /// Returns when everything written so far is durable.
    pub fn flush(&self) -> Result<()> {
        self.shared.flush()
    }

    /// Takes a checkpoint: what was written until now need not be replayed by the next open. Everyone
    /// goes on meanwhile. `horizon` tells which transactions can still be cancelled; the volume does
    /// this by itself now and then ([`VolumeOptions::checkpoint_log_bytes`]).
    pub fn checkpoint(&self, horizon: &dyn Horizon) -> Result<()> {
        self.shared.checkpoint(horizon)
    }

    /// As [`Volume::checkpoint`], going by what [`Volume::settle`] was last told.
    pub fn checkpoint_now(&self) -> Result<()> {
        self.shared.checkpoint_now()
    }

    /// Settles versions that `horizon` says everyone can see; returns how many chains turned
    /// back into plain items. Call it now and then, from any thread. Of a volume that keeps its
    /// transactions itself the volume knows better, and does this by itself.
    pub fn settle(&self, horizon: &dyn Horizon) -> usize {
        self.shared.settle(horizon)
    }

    /// Bytes of memory that unsettled versions use.
    pub fn version_bytes(&self) -> u64 {
        self.shared.unsettled.bytes()
    }

    /// Cleans whatever gives room now, however little is dead; the room is there after the next
    /// checkpoint, which is asked for.
    pub fn clean_now(&self) -> Result<()> {
        self.shared.clean_all()
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        let log = self.shared.log.stats();
        Stats {
            capacity_bytes: log.capacity_bytes,
            used_bytes: log.used_bytes,
            live_bytes: log.live_bytes,
            index_bytes: self.shared.catalog.index_bytes(),
            version_bytes: self.version_bytes(),
            frames: log.frames,
            syncs: log.syncs,
            recovered_items: self.shared.recovered_items,
            discarded_bytes: log.discarded_bytes,
            read_cache_hits: log.cache.hits,
            read_cache_misses: log.cache.misses,
            read_cache_bytes: log.cache.bytes,
            write_cache_bytes: log.write_cache_bytes,
            device_reads: log.device_reads,
            compress_given_bytes: log.given_bytes,
            compress_stored_bytes: log.kept_bytes,
            user_bytes: log.user_bytes,
            cleaner_bytes: log.moved_bytes,
            checkpoint_written_bytes: log.checkpointed_bytes,
            written_bytes: log.written_bytes,
            trimmed_bytes: log.trimmed_bytes,
            checkpoint_bytes: self.shared.checkpoint_bytes(),
        }
    }

    /// One step of background work, for a simulation that opened the volume without a
    /// background thread; true if something was done.
    #[doc(hidden)]
    pub fn background_step(&self) -> Result<bool> {
        maintenance::background_step(&self.shared)
    }

    /// Flushes, stops background threads and closes the devices, whatever clones there are:
    /// their later calls fail with `Closed`. No thread may be in a call meanwhile.
    pub fn close(&self) -> Result<()> {
        self.shared.close()
    }
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Volume({}, {})", self.shared.url, self.shared.id())
    }
}
