//! The log: the one place where a volume's bytes are written, read, freed and recovered.
//!
//! Invariant: what [`Log::sync_to`] acknowledged is found again by [`OpenLog::open`], as a
//! prefix of what was appended; anything behind the end of the log never comes back.

mod append;
mod background;
mod batch;
mod blank;
mod blocks;
mod buffer;
mod bulk;
mod cleaning;

mod core;
mod create;
mod cut;
mod disk;
mod fetch;
mod flusher;
mod freeing;
mod group;
mod growth;
mod headed;
mod health;
mod helpers;
mod hold;
mod latency;
mod ledger;
mod live;
mod medium;
mod open;
mod open_log;
mod opener;
mod packs;
mod place;
mod pointer;
mod pool;
mod raw;
mod reach;
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
mod written;

pub(crate) use append::MoveRoom;
pub(crate) use batch::Batch;
pub(crate) use cleaning::{Candidate, Room};
pub(crate) use core::Log;
pub(crate) use fetch::Fetch;
pub(crate) use hold::Hold;
pub use latency::Latencies;
pub(crate) use ledger::Prepared;
pub(crate) use live::Live;
pub(crate) use open_log::OpenLog;

pub(crate) use reader::{Asked, Purpose, Ready, Value, append_value};
pub(crate) use reserve::checkpoint_takes;
pub(crate) use segments::epoch_chain;
pub(crate) use space::Reservation;
pub(crate) use spot::Spot;
pub(crate) use state::{LogState, SegmentState};
pub(crate) use walk::{early, newer};

use crate::{
    Result,
    cache::CacheStats,
    format::{frame, frame::Spilled, name::GlobalTxn, superblock::Checkpoint},
    id::VolumeId,
    index::Secret,
    location::{Location, Lsn},
};
use std::{collections::HashSet, sync::atomic::Ordering::*};

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
    /// Its value is in pieces.
    pub indirect: bool,
    pub key: &'a [u8],
    /// Where it was, if the cleaner has moved it.
    pub from: Option<Location>,
    /// Where [`Log::read`] finds its value.
    pub location: Location,
}

/// Who hears what recovery finds. Only batches that are complete and not cancelled are
/// delivered, in log order. What of it is alive in the end the sink tells the log by
/// [`Log::set_live`], once open returned: until then nothing is freed.
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
        _core: &Log,
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
    pub tombstone_bytes: u64,
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

impl Log {
    /// No item with a smaller seq will be appended any more: lets segments with overtaking
    /// tombstones go. Optional.
    pub(crate) fn set_oldest_pending(&self, seq: u64) {
        self.freeing.raise_oldest_pending(seq);
    }

    /// Figures.
    pub(crate) fn stats(&self) -> LogStats {
        let moved = self.medium.moved();
        let (given_bytes, kept_bytes) = self.written.compressed_bytes();
        let ledger = self.ledger.lock();
        let (mut live_bytes, mut dead_bytes, mut tombstone_bytes) = (0, 0, 0);
        for segment in ledger.in_use.values().filter_map(|id| self.table.get(*id)) {
            // Size classes overstate what an item takes: no segment holds more than it has.
            let live = (segment.live.load(Acquire).max(0) as u64).min(self.medium.usable());
            live_bytes += live;
            let filled = segment.filled.load(Acquire).min(self.medium.usable());
            dead_bytes += filled.saturating_sub(live);
            tombstone_bytes += segment.tombstones.load(Acquire);
        }
        LogStats {
            capacity_bytes: self.capacity_bytes(),
            device_bytes: self.bounds().bytes(),
            taken_bytes: moved.taken_bytes,
            used_bytes: ledger.in_use.len() as u64 * self.medium.segment_bytes(),
            live_bytes,
            dead_bytes,
            tombstone_bytes,
            buffered_bytes: self.reach.end().saturating_sub(self.reach.durable()),
            frames: self.written.frames(),
            syncs: moved.syncs,
            discarded_bytes: self.written.discarded_bytes(),
            device_reads: moved.traffic.reads,
            device_read_bytes: moved.traffic.read_bytes,
            device_writes: moved.traffic.writes,
            given_bytes,
            kept_bytes,
            cache: self.residency.cache_stats(),
            write_cache_bytes: self.residency.pool().memory_bytes(),
            user_bytes: self.written.user_bytes(),
            moved_bytes: self.written.moved_bytes(),
            checkpointed_bytes: self.written.checkpointed_bytes(),
            written_bytes: moved.written_bytes,
            trimmed_bytes: self.written.trimmed_bytes(),
        }
    }
}
