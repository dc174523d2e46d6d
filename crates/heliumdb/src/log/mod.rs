//! The log: the one place where a volume's bytes are written, read, freed and recovered.
//!
//! Invariant: what [`Log::sync_to`] acknowledged is found again by [`Log::open`], as a
//! prefix of what was appended; anything behind the end of the log never comes back.

use crate::{Error, Result, VolumeId, VolumeOptions, device::Device, location::Location};
use std::sync::Arc;

/// Position in the log: segment sequence number * segment bytes + offset in the segment.
pub(crate) type Lsn = u64;

/// A transaction over several volumes: a number given by the volume that decides it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct GlobalTxn {
    pub decider: VolumeId,
    pub number: u64,
}

/// What a batch is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum BatchKind {
    /// Counts as soon as its last frame is there.
    Commit,
    /// Counts when a resolve record says so.
    Prepare {
        global: GlobalTxn,
        participants: Vec<VolumeId>,
    },
}

/// What an append did.
#[derive(Debug)]
pub(crate) struct Appended {
    pub batch_id: u64,
    /// What to give to [`Log::sync_to`].
    pub end: Lsn,
    /// One per pushed item, tombstones too.
    pub locations: Vec<Location>,
}

/// A batch as recovery finds it.
#[derive(Clone, Debug)]
pub(crate) struct ReplayBatch {
    pub id: u64,
    pub kind: BatchKind,
}

/// An item as recovery finds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplayItem<'a> {
    pub tree: u32,
    pub seq: u64,
    pub overtakes: bool,
    pub tombstone: bool,
    /// The value is a list of chunks; [`Log::read`] gives the value itself.
    pub indirect: bool,
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub location: Location,
    pub lsn: Lsn,
}

/// Who hears what recovery finds. Only batches that are complete and not cancelled are
/// delivered, in log order; every item (not tombstone) delivered counts as live until
/// [`Log::mark_dead`]. That can be called once open returned: collect what is superseded.
pub(crate) trait Replay {
    fn item(&mut self, batch: &ReplayBatch, item: &ReplayItem<'_>) -> Result<()>;
    fn batch_end(&mut self, batch: &ReplayBatch) -> Result<()>;
    fn cancel(&mut self, batch_id: u64) -> Result<()>;
    fn resolve(&mut self, global: GlobalTxn, committed: bool) -> Result<()>;
}

/// What is on a set of devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    Blank,
    Volume,
}

/// Figures.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogStats {
    pub capacity_bytes: u64,
    pub used_bytes: u64,
    pub live_bytes: u64,
    pub frames: u64,
    pub syncs: u64,
    pub recovered_items: u64,
    pub discarded_bytes: u64,
}

/// Items encoded and hashed outside any lock; reusable.
pub(crate) struct Batch {}

impl Batch {
    pub(crate) fn new(_kind: BatchKind) -> Self {
        todo!()
    }
    pub(crate) fn clear(&mut self, _kind: BatchKind) {
        todo!()
    }
    /// `value` None is a tombstone. Returns the item's index in the batch.
    pub(crate) fn push(
        &mut self,
        _tree: u32,
        _seq: u64,
        _overtakes: bool,
        _key: &[u8],
        _value: Option<&[u8]>,
    ) -> usize {
        todo!()
    }
    pub(crate) fn len(&self) -> usize {
        todo!()
    }
    /// Bytes it takes in the log, frame headers included.
    pub(crate) fn bytes(&self) -> usize {
        todo!()
    }
}

/// Space promised to a transaction; released when dropped. Feed it to [`Log::append_promised`].
pub(crate) struct Reservation {}

/// The log of one volume.
pub(crate) struct Log {}

impl Log {
    /// Blank, ours, or an error (foreign bytes, mixed devices, damage).
    pub(crate) fn probe(_devices: &[Box<dyn Device>]) -> Result<Found> {
        todo!()
    }
    /// Formats the devices, whatever they hold: ask [`Log::probe`] first unless truncating.
    pub(crate) fn create(
        _devices: Vec<Box<dyn Device>>,
        _options: &VolumeOptions,
    ) -> Result<Arc<Log>> {
        todo!()
    }
    /// Recovers. With `read_only` writes nothing.
    pub(crate) fn open(
        _devices: Vec<Box<dyn Device>>,
        _options: &VolumeOptions,
        _sink: &mut dyn Replay,
    ) -> Result<Arc<Log>> {
        todo!()
    }
    /// Probe, then create or open as the options say.
    pub(crate) fn open_or_create(
        _devices: Vec<Box<dyn Device>>,
        _options: &VolumeOptions,
        _sink: &mut dyn Replay,
    ) -> Result<Arc<Log>> {
        todo!()
    }
    pub(crate) fn volume_id(&self) -> VolumeId {
        todo!()
    }
    pub(crate) fn segment_bytes(&self) -> u64 {
        todo!()
    }
    /// Appends, buffered. Ordinary appends leave the reserve and what is promised to others
    /// alone; `uses_reserve` (deletes) may use the reserve. For commits that hold a
    /// [`Reservation`] use `append_promised`.
    pub(crate) fn append(&self, _batch: &mut Batch, _uses_reserve: bool) -> Result<Appended> {
        todo!()
    }
    /// Appends in space promised earlier: does not fail for space while the batch fits the promise.
    pub(crate) fn append_promised(
        &self,
        _batch: &mut Batch,
        _promise: &mut Reservation,
    ) -> Result<Appended> {
        todo!()
    }
    pub(crate) fn append_cancel(&self, _batch_id: u64) -> Result<Lsn> {
        todo!()
    }
    /// On the decider's volume the record stays until `forget_decision`.
    pub(crate) fn append_resolve(&self, _global: GlobalTxn, _committed: bool) -> Result<Lsn> {
        todo!()
    }
    /// Every participant has a durable resolve record: the decision need not be kept.
    pub(crate) fn forget_decision(&self, _global: GlobalTxn) {
        todo!()
    }
    pub(crate) fn sync_to(&self, _lsn: Lsn) -> Result<()> {
        todo!()
    }
    pub(crate) fn end(&self) -> Lsn {
        todo!()
    }
    pub(crate) fn durable(&self) -> Lsn {
        todo!()
    }
    /// Appends the value of the item at `at` to `value`. Ok(false): another item is there now.
    /// The caller holds an epoch guard since before it learned of `at`.
    pub(crate) fn read(
        &self,
        _at: Location,
        _tree: u32,
        _key: &[u8],
        _value: &mut Vec<u8>,
    ) -> Result<bool> {
        todo!()
    }
    /// The item at `at` (never a tombstone's place) is dead.
    pub(crate) fn mark_dead(&self, _at: Location) {
        todo!()
    }
    /// No item with a smaller seq will be appended any more: lets segments with overtaking
    /// tombstones go. Optional.
    pub(crate) fn set_oldest_pending(&self, _seq: u64) {
        todo!()
    }
    pub(crate) fn reserve(&self, _bytes: u64) -> Result<Reservation> {
        todo!()
    }
    pub(crate) fn poison(&self, _why: Error) {
        todo!()
    }
    pub(crate) fn poisoned(&self) -> Option<Error> {
        todo!()
    }
    pub(crate) fn stats(&self) -> LogStats {
        todo!()
    }
    pub(crate) fn close(&self) -> Result<()> {
        todo!()
    }
    /// One step of background work; true if something was done.
    pub(crate) fn background_step(&self) -> Result<bool> {
        todo!()
    }
}
