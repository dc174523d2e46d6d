//! Volumes and their datastores.

use crate::{Horizon, Result, View, device::Device};
use std::sync::Arc;

/// A volume's unique id, made when it is formatted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct VolumeId(pub [u8; 16]);

/// A datastore's id: never reused within its volume.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct DatastoreId(pub u32);

/// How to open a volume.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VolumeOptions {
    /// Format the devices if they are blank (default true).
    pub create: bool,
    /// Format the devices whatever they hold, unless they are in use.
    pub truncate: bool,
    /// Write nothing.
    pub read_only: bool,
    /// Largest size a file may grow to, in bytes; `None` leaves it to the file system.
    pub limit_bytes: Option<u64>,
    /// Memory for log segments not yet (or just) written, in bytes.
    pub write_cache_bytes: u64,
    /// Memory for values read, in bytes.
    pub read_cache_bytes: u64,
    /// Memory for unsettled versions, in bytes.
    pub version_budget_bytes: u64,
    /// Refuse the volume if this process has it open already (otherwise it is shared).
    pub exclusive: bool,
    /// Run a background thread per volume (default). Simulations call its steps themselves.
    #[doc(hidden)]
    pub background_thread: bool,
}

impl Default for VolumeOptions {
    fn default() -> Self {
        Self {
            create: true,
            truncate: false,
            read_only: false,
            limit_bytes: None,
            write_cache_bytes: 256 << 20,
            read_cache_bytes: 1 << 30,
            version_budget_bytes: crate::limits::VERSION_BUDGET_BYTES,
            exclusive: false,
            background_thread: true,
        }
    }
}

/// An open volume; clones share it. The last clone to go closes it.
#[derive(Clone)]
pub struct Volume {}

/// Opens several volumes that may share transactions, and settles between them what a crash left in doubt.
pub fn open_all(_volumes: &[(String, VolumeOptions)]) -> Result<Vec<Volume>> {
    todo!()
}

impl Volume {
    /// Opens (or makes) the volume that `url`, like `he://./path,path`, names.
    pub fn open(_url: &str, _options: &VolumeOptions) -> Result<Self> {
        todo!()
    }
    /// Opens a volume on devices of the caller's own making.
    pub fn open_devices(_devices: Vec<Box<dyn Device>>, _options: &VolumeOptions) -> Result<Self> {
        todo!()
    }
    /// The volume's id.
    pub fn id(&self) -> VolumeId {
        todo!()
    }
    /// The URL or device names it was opened by.
    pub fn url(&self) -> &str {
        todo!()
    }
    /// Makes a datastore; durable when it returns.
    pub fn create_datastore(&self, _name: &[u8], _attributes: &[u8]) -> Result<Datastore> {
        todo!()
    }
    /// Opens a datastore by name.
    pub fn datastore(&self, _name: &[u8]) -> Result<Datastore> {
        todo!()
    }
    /// Opens a datastore by id.
    pub fn datastore_by_id(&self, _id: DatastoreId) -> Result<Datastore> {
        todo!()
    }
    /// All datastores, in order of their names.
    pub fn datastores(&self) -> Vec<DatastoreInfo> {
        todo!()
    }
    /// Gives a datastore another name; durable when it returns. Busy while unresolved
    /// transactions have written to it; DatastoreExists if the name is taken.
    pub fn rename_datastore(&self, _id: DatastoreId, _name: &[u8]) -> Result<()> {
        todo!()
    }
    /// Replaces the owner's attributes of a datastore; durable when it returns.
    pub fn set_attributes(&self, _id: DatastoreId, _attributes: &[u8]) -> Result<()> {
        todo!()
    }
    /// Removes a datastore and its items; durable when it returns. Busy as for rename.
    pub fn remove_datastore(&self, _id: DatastoreId) -> Result<()> {
        todo!()
    }
    /// Removes all items of a datastore at once; durable when it returns. Busy as for rename.
    pub fn truncate_datastore(&self, _id: DatastoreId) -> Result<()> {
        todo!()
    }
    /// Returns when everything written so far is durable.
    pub fn flush(&self) -> Result<()> {
        todo!()
    }
    /// Settles versions that `horizon` says everyone can see; returns how many chains
    /// turned back into plain items. Call it now and then, from any thread.
    pub fn settle(&self, _horizon: &dyn Horizon) -> usize {
        todo!()
    }
    /// Bytes of memory that unsettled versions use.
    pub fn version_bytes(&self) -> u64 {
        todo!()
    }
    /// Figures.
    pub fn stats(&self) -> Stats {
        todo!()
    }
    /// Flushes, stops background threads and closes the devices, whatever clones there
    /// are: their later calls fail with `Closed`.
    pub fn close(&self) -> Result<()> {
        todo!()
    }
}

/// A named set of ordered items; clones share it.
#[derive(Clone)]
pub struct Datastore {
    _p: Arc<()>,
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
}

/// Where a seek starts, and which way it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position<'a> {
    /// The first item.
    First,
    /// The last item.
    Last,
    /// The first item at or after the key.
    AtOrAfter(&'a [u8]),
    /// The first item after the key.
    After(&'a [u8]),
    /// The last item at or before the key.
    AtOrBefore(&'a [u8]),
    /// The last item before the key.
    Before(&'a [u8]),
}

/// What [`Datastore::verify`] found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Items whose place, order and checksum were checked.
    pub items: u64,
    /// Bytes of keys and values in them.
    pub bytes: u64,
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
    /// Bytes of log that the last recovery discarded as a torn tail.
    pub discarded_bytes: u64,
}

impl Datastore {
    /// Its id.
    pub fn id(&self) -> DatastoreId {
        todo!()
    }
    /// The volume it is in.
    pub fn volume(&self) -> &Volume {
        todo!()
    }
    /// What the catalog says of it now; DatastoreNotFound once it was removed.
    pub fn info(&self) -> Result<DatastoreInfo> {
        todo!()
    }
    /// Number of slots in the index: live items, plus keys that have only versions no one sees.
    pub fn approximate_len(&self) -> u64 {
        todo!()
    }
    /// Reads the value that `view` sees into `value` (cleared first); false if there is no item.
    pub fn read(&self, _view: &dyn View, _key: &[u8], _value: &mut Vec<u8>) -> Result<bool> {
        todo!()
    }
    /// Finds the nearest item that `view` sees from `position`, and reads its key and value
    /// (both cleared first); false if there is none. One atomic look.
    pub fn seek(
        &self,
        _view: &dyn View,
        _position: Position<'_>,
        _key: &mut Vec<u8>,
        _value: &mut Vec<u8>,
    ) -> Result<bool> {
        todo!()
    }
    /// Reads every item: order, checksum, datastore and key.
    pub fn verify(&self, _progress: &mut dyn FnMut(u64)) -> Result<VerifyReport> {
        todo!()
    }
    /// The newest committed value of `key`.
    pub fn get(&self, _key: &[u8]) -> Result<Option<Vec<u8>>> {
        todo!()
    }
    /// Sets the value of `key`, buffered: durable after [`Volume::flush`].
    pub fn put(&self, _key: &[u8], _value: &[u8]) -> Result<()> {
        todo!()
    }
    /// Sets the value of `key`, which must not be there.
    pub fn insert(&self, _key: &[u8], _value: &[u8]) -> Result<()> {
        todo!()
    }
    /// Sets the value of `key`, which must be there.
    pub fn replace(&self, _key: &[u8], _value: &[u8]) -> Result<()> {
        todo!()
    }
    /// Removes `key`, which must be there.
    pub fn delete(&self, _key: &[u8]) -> Result<()> {
        todo!()
    }
    /// The item after `key` in order; the first one for an empty... see [`Datastore::first`].
    pub fn next(&self, _key: &[u8]) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        todo!()
    }
    /// The item before `key`.
    pub fn previous(&self, _key: &[u8]) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        todo!()
    }
}
