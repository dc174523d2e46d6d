//! The log: the one place where a volume's bytes are written, read, freed and recovered.
//!
//! Invariant: what [`Core::sync_to`] acknowledged is found again by [`Log::open`], as a
//! prefix of what was appended; anything behind the end of the log never comes back.

mod append;
mod background;
mod batch;
mod blank;
mod blocks;
mod buffer;
mod bulk;
mod cleaning;

mod commit;
mod core;
mod create;
mod cut;
mod disk;
mod fetch;
mod group;
mod growth;
mod headed;
mod health;
mod hold;
mod latency;
mod ledger;
mod live;
mod medium;
mod open;
mod opener;
mod place;
mod pointer;
mod pool;
mod raw;
mod reader;
mod recovery;
mod reserve;
mod resident;
mod segments;
mod space;
mod spot;
mod state;
mod streak;
mod superblocks;
mod table;
#[cfg(test)]
mod tests;
mod traffic;
mod trim;
mod unfinished;
mod walk;

pub(crate) use append::MoveRoom;
pub(crate) use batch::Batch;
pub(crate) use cleaning::{Candidate, Room};
pub(crate) use core::Core;
pub(crate) use cut::Cut;
pub(crate) use fetch::Fetch;
pub(crate) use hold::Hold;
pub use latency::Latencies;
pub(crate) use ledger::Prepared;
pub(crate) use live::Live;

pub(crate) use reader::{Asked, Purpose, Ready, Value, append_value};
pub(crate) use segments::epoch_chain;
pub(crate) use space::Reservation;
pub(crate) use spot::Spot;
pub(crate) use state::{LogState, SegmentState};
pub(crate) use walk::{early, newer};

use crate::{
    Result,
    cache::{Cache, CacheStats},
    format::{frame, frame::Spilled, name::GlobalTxn, superblock::Checkpoint},
    id::VolumeId,
    index::Secret,
    location::{Location, Lsn},
};
use parking_lot::Mutex;
use std::{
    collections::HashSet,
    ops::Deref,
    sync::{Arc, atomic::Ordering::*},
    thread::JoinHandle,
};

/// What a batch is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum BatchKind {
    /// Counts as soon as its last frame is there.
    Commit,
    /// Items of a checkpoint: they count by what the superblock leads to, and are not delivered.
    Checkpoint,
    /// Counts when a resolve record says so.
    Prepare {
        global: GlobalTxn,
        participants: Vec<VolumeId>,
    },
    /// Counts when a commit names its id. Those of one id are numbered from 0.
    Spill { id: u64, number: u64 },
    /// As [`BatchKind::Commit`], and what was spilled counts from now on.
    CommitSpilled(Spilled),
    /// Items that the cleaner found at other places. Each counts if its key's item is still
    /// there when the batch is replayed.
    Move {
        /// Whatever may yet supersede one of the items has this sequence number or a higher one.
        placed: u64,
        /// Where each of the items was.
        from: Vec<Location>,
    },
}

/// What an append did.
#[derive(Debug)]
pub(crate) struct Appended {
    pub batch_id: u64,
    /// What to give to [`Core::sync_to`].
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
    /// Its value is in pieces.
    pub indirect: bool,
    pub key: &'a [u8],
    /// Where it was, if the cleaner has moved it.
    pub from: Option<Location>,
    /// Where [`Core::read`] finds its value.
    pub location: Location,
}

/// Who hears what recovery finds. Only batches that are complete and not cancelled are
/// delivered, in log order. What of it is alive in the end the sink tells the log by
/// [`Core::set_live`], once open returned: until then nothing is freed.
pub(crate) trait Replay {
    /// Before anything else: what the keys of unordered trees are hashed with, and how many trees the
    /// log can have items of.
    fn open(&mut self, _secret: Secret, _trees_max: usize) {}
    /// The log is read from its start. With `moved`, items may come more than once and in any
    /// order: per key the highest sequence number counts, that of a tombstone too.
    fn whole_log(&mut self, moved: bool);
    /// An item with this sequence number is in the log, though it does not count.
    fn number_used(&mut self, seq: u64);
    /// There is a checkpoint: takes it in and returns what it says of the log, or `None` if it is
    /// not used; then all of the log is delivered.
    fn load(
        &mut self,
        _core: &Core,
        _checkpoint: &Checkpoint,
        _in_use: &HashSet<u64>,
    ) -> Result<Option<LogState>> {
        Ok(None)
    }
    /// Before anything is delivered: how many threads may work on it, and the batches that were
    /// cancelled, of those that can still be.
    fn begin(&mut self, _threads: usize, _cancelled: &HashSet<u64>) {}
    fn item(&mut self, batch: &ReplayBatch, item: &ReplayItem<'_>) -> Result<()>;
    fn batch_end(&mut self, batch: &ReplayBatch) -> Result<()>;
    fn cancel(&mut self, batch_id: u64) -> Result<()>;
    fn resolve(&mut self, global: GlobalTxn, committed: bool) -> Result<()>;
    /// Everything was delivered.
    fn end(&mut self) {}
}

/// What is on a set of devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    Blank,
    /// The making of a volume was cut short: it holds nothing, and is made again.
    Unfinished,
    /// A copy of a volume was begun, and holds a part of it.
    UnfinishedCopy,
    Volume,
}

/// Figures.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogStats {
    pub capacity_bytes: u64,
    pub device_bytes: u64,
    pub used_bytes: u64,
    /// What the devices take where they are kept.
    pub taken_bytes: u64,
    pub live_bytes: u64,
    pub dead_bytes: u64,
    pub buffered_bytes: u64,
    pub frames: u64,
    pub syncs: u64,
    pub discarded_bytes: u64,
    /// Reads of items that went to a device.
    pub device_reads: u64,
    pub device_read_bytes: u64,
    pub device_writes: u64,
    pub cache: CacheStats,
    /// Bytes of values that were to be compressed: as given, and as kept.
    pub given_bytes: u64,
    pub kept_bytes: u64,
    /// Memory of the segments that are kept, or being filled.
    pub write_cache_bytes: u64,
    /// Bytes of items that were appended for users.
    pub user_bytes: u64,
    /// Bytes of items that were moved.
    pub moved_bytes: u64,
    /// Bytes of items of checkpoints.
    pub checkpointed_bytes: u64,
    /// Bytes that were written to the devices.
    pub written_bytes: u64,
    /// Bytes that were given back to the devices.
    pub trimmed_bytes: u64,
}

/// Bytes that frame headers add to a batch, at most.
fn frame_overhead(prefix: usize, payload: usize) -> usize {
    // No frame but a segment's last is shorter than the smallest segment less the longest item.
    let frames = payload / (512 << 10) + 1;
    frames * (frame::HEADER_BYTES + prefix)
}

/// The log of one volume, with its background thread.
pub(crate) struct Log {
    core: Arc<Core>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

impl Log {
    fn new(core: Arc<Core>, worker: Option<JoinHandle<()>>) -> Self {
        Self {
            core,
            worker: Mutex::new(worker),
        }
    }

    /// Flushes, and joins the background thread. What comes later fails with `Closed`.
    pub(crate) fn close(&self) -> Result<()> {
        self.core.health.check_owner()?;
        self.stop_worker();
        let result = if self.core.health.is_read_only() || self.core.health.is_closed() {
            Ok(())
        } else {
            let synced = self.core.sync_to(self.core.end());
            // Once more for the copy of a segment header, which follows the first sync.
            synced
                .and_then(|()| self.core.flush(true))
                .and_then(|()| self.core.mark_end())
        };
        if self.core.health.close() {
            self.core.medium.release();
        }
        result
    }

    fn stop_worker(&self) {
        self.core.bell.stop();
        let worker = self.worker.lock().take();
        // A device that the thread calls may have had the last handle, so that it closes the volume itself.
        if let Some(worker) = worker.filter(|_| !background::is_worker_of(&self.core)) {
            // Its panic, if any, has poisoned the log.
            let _ = worker.join();
        }
    }

    /// Keeps all segments from being freed while the returned value lives.
    pub(crate) fn hold(&self) -> Hold {
        Hold::new(&self.core)
    }

    /// Frees all that can be freed now.
    pub(crate) fn free_now(&self) -> Result<()> {
        self.core.free_now()
    }

    /// Gives back to the devices what is free and more than enough.
    pub(crate) fn give_back(&self) -> Result<()> {
        self.core.trim_all()
    }

    /// Takes what is free at the ends of files away from everybody: see [`Cut`].
    pub(crate) fn begin_cut(&self) -> Result<Option<Cut>> {
        self.core.begin_cut()
    }

    /// One step of background work; true if something was done.
    pub(crate) fn background_step(&self) -> Result<bool> {
        self.core.background_step()
    }
}

impl Deref for Log {
    type Target = Core;
    fn deref(&self) -> &Core {
        &self.core
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.core.health.is_elsewhere() {
            // The thread is not here to be joined, nor to be let go of.
            std::mem::forget(self.worker.get_mut().take());
            return;
        }
        // An orderly end for whoever did not ask for one; its failure is in the log's state.
        let _ = self.close();
    }
}

impl Core {
    /// No item with a smaller seq will be appended any more: lets segments with overtaking
    /// tombstones go. Optional.
    pub(crate) fn set_oldest_pending(&self, seq: u64) {
        self.oldest_pending.fetch_max(seq, AcqRel);
    }

    /// Figures.
    pub(crate) fn stats(&self) -> LogStats {
        let moved = self.medium.moved();
        let ledger = self.ledger.lock();
        let (mut live_bytes, mut dead_bytes) = (0, 0);
        for segment in ledger.in_use.values().filter_map(|id| self.table.get(*id)) {
            // Size classes overstate what an item takes: no segment holds more than it has.
            let live = (segment.live.load(Acquire).max(0) as u64).min(self.medium.usable());
            live_bytes += live;
            let filled = segment.filled.load(Acquire).min(self.medium.usable());
            dead_bytes += filled.saturating_sub(live);
        }
        LogStats {
            capacity_bytes: self.capacity_bytes(),
            device_bytes: self.bounds().bytes(),
            taken_bytes: moved.taken_bytes,
            used_bytes: ledger.in_use.len() as u64 * self.medium.segment_bytes(),
            live_bytes,
            dead_bytes,
            buffered_bytes: self.end().saturating_sub(self.durable()),
            frames: self.frames.load(Relaxed),
            syncs: moved.syncs,
            discarded_bytes: self.discarded_bytes.load(Relaxed),
            device_reads: moved.traffic.reads,
            device_read_bytes: moved.traffic.read_bytes,
            device_writes: moved.traffic.writes,
            given_bytes: self.given_bytes.load(Relaxed),
            kept_bytes: self.kept_bytes.load(Relaxed),
            cache: self.cache.as_ref().map(Cache::stats).unwrap_or_default(),
            write_cache_bytes: self.pool.memory_bytes(),
            user_bytes: self.written.user.load(Relaxed),
            moved_bytes: self.written.moved.load(Relaxed),
            checkpointed_bytes: self.written.checkpoint.load(Relaxed),
            written_bytes: moved.written_bytes,
            trimmed_bytes: self.written.trimmed.load(Relaxed),
        }
    }
}
