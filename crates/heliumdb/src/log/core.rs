//! The log without its background thread: the parts that it is made of.
//!
//! Each part keeps its fields to itself and says in its methods who may do what. What is here, and what other files
//! add to [`Core`], are the steps that need several parts.

use super::{
    cleaning::Written, commit::Flush, group::Group, growth::Growth, health::Health, ledger::Ledger,
    medium::Medium, pool::Pool, reserve::Items, resident::Resident, segments::Appender,
    space::Space, superblocks::Superblocks, table::Table,
};
use crate::{
    Result,
    bell::Bell,
    cache::{Budgets, Cache},
    device::{Device, machine},
    format::{segment::SegmentHeader, superblock::Superblock},
    limits,
    location::Lsn,
    options::VolumeOptions,
};
use parking_lot::{Condvar, Mutex};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*},
};

/// The log without its background thread.
pub(crate) struct Core {
    pub(super) health: Arc<Health>,
    pub(super) medium: Medium,
    pub(super) superblocks: Superblocks,
    pub(super) growth: Growth,
    pub(super) background: bool,
    /// Bit per device that is told of what is free.
    pub(super) trims: AtomicU64,
    pub(super) may_have_threads: bool,
    /// Memory for segments, beside what the read cache leaves.
    pub(super) write_cache_bytes: usize,
    /// Of that, what the cleaner has.
    pub(super) lent_bytes: AtomicUsize,
    pub(super) epoch: AtomicU64,
    pub(super) table: Table,
    pub(super) space: Arc<Mutex<Space>>,
    /// Room left in the segment being filled. Changes under the appender's lock only.
    pub(super) rest: AtomicU64,
    pub(super) appender: Mutex<Appender>,
    pub(super) flush: Mutex<Flush>,
    /// Taken last.
    pub(super) resident: Mutex<Resident>,
    pub(super) pool: Arc<Pool>,
    pub(super) cache: Option<Cache>,
    /// Bytes of values that were to be compressed: as given, and as kept.
    pub(super) given_bytes: AtomicU64,
    pub(super) kept_bytes: AtomicU64,
    pub(super) group: Arc<Group>,
    pub(super) ledger: Mutex<Ledger>,
    pub(super) end: AtomicU64,
    pub(super) durable: AtomicU64,
    pub(super) oldest_pending: AtomicU64,
    /// Segments that were freed and wait for readers to be gone.
    pub(super) leaving: AtomicU64,
    /// How many have waited for that, and can be used again.
    pub(super) readmitted: AtomicU64,
    /// Woken when a segment can be used again.
    pub(super) roomier: Condvar,
    pub(super) written: Written,
    /// Nor could a free segment be given blocks.
    pub(super) out_of_blocks: AtomicBool,
    pub(super) items: Items,
    /// Bytes that the next checkpoint may need, at worst.
    pub(super) checkpoint_bytes: AtomicU64,
    /// What the one that is being taken has appended.
    pub(super) checkpoint_taken: AtomicU64,
    /// A device had no room for what was to be written last: it is in memory, and there is to be no more of it.
    pub(super) is_blocked: AtomicBool,
    /// A segment was begun since that was last said.
    pub(super) is_reserve_old: AtomicBool,
    /// What is alive has been counted: segments may be freed.
    pub(super) live_known: AtomicBool,
    /// End of what was appended last that is not a checkpoint's.
    pub(super) written_end: AtomicU64,
    /// Where replay starts, with the newest durable checkpoint; `u64::MAX` without one.
    pub(super) checkpointed: AtomicU64,
    /// How many want no segment to be freed. Held while some are.
    pub(super) holds: Mutex<u64>,
    /// Of the background thread.
    pub(super) bell: Bell,
    pub(super) frames: AtomicU64,
    pub(super) discarded_bytes: AtomicU64,
    /// Syncs asked for since the last segment was taken: whether writing ahead pays.
    pub(super) syncs_lately: AtomicU64,
}

impl Core {
    pub(super) fn new(
        devices: Vec<Box<dyn Device>>,
        superblock: Superblock,
        options: &VolumeOptions,
    ) -> Result<Self> {
        let checkpointed = superblock.checkpoint.map_or(u64::MAX, |c| c.start.at);
        let budgets = Budgets::of(options, machine::memory_bytes());
        let group = Arc::new(Group::default());
        let health = Arc::new(Health::new(options, Arc::clone(&group))?);
        Ok(Self {
            table: Table::new(segments_max(&superblock, devices.len())),
            medium: Medium::new(devices, &superblock, Arc::clone(&health)),
            health,
            growth: Growth::new(options),
            background: options.background_thread && !options.read_only,
            trims: AtomicU64::new(if options.no_trim { 0 } else { u64::MAX }),
            may_have_threads: options.background_thread,
            write_cache_bytes: budgets.write_cache_bytes,
            lent_bytes: AtomicUsize::new(0),
            epoch: AtomicU64::new(superblock.epoch),
            space: Arc::default(),
            rest: AtomicU64::new(0),
            superblocks: Superblocks::new(superblock),
            appender: Mutex::new(Appender::new(1)),
            flush: Mutex::default(),
            resident: Mutex::default(),
            pool: Arc::default(),
            cache: Cache::new(budgets.read_cache_bytes),
            given_bytes: AtomicU64::new(0),
            kept_bytes: AtomicU64::new(0),
            group,
            ledger: Mutex::default(),
            end: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            oldest_pending: AtomicU64::new(0),
            leaving: AtomicU64::new(0),
            readmitted: AtomicU64::new(0),
            roomier: Condvar::new(),
            written: Written::default(),
            out_of_blocks: AtomicBool::new(false),
            items: Items::default(),
            checkpoint_bytes: AtomicU64::new(0),
            checkpoint_taken: AtomicU64::new(0),
            is_blocked: AtomicBool::new(false),
            is_reserve_old: AtomicBool::new(true),
            live_known: AtomicBool::new(false),
            written_end: AtomicU64::new(0),
            checkpointed: AtomicU64::new(checkpointed),
            holds: Mutex::new(0),
            bell: Bell::default(),
            frames: AtomicU64::new(0),
            discarded_bytes: AtomicU64::new(0),
            syncs_lately: AtomicU64::new(0),
        })
    }

    /// Whether it goes on.
    #[inline]
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// What it is on.
    #[inline]
    pub(crate) fn medium(&self) -> &Medium {
        &self.medium
    }

    /// Room for frames that needs nothing more of a file system: in free segments that have their blocks, and in
    /// the one being filled.
    pub(super) fn available(&self, space: &Space) -> u64 {
        space.free_segments() * self.medium.usable() + self.rest.load(Relaxed)
    }

    /// That, and what there is once free segments have been given blocks, as far as anybody knows.
    pub(super) fn expected(&self, space: &Space) -> u64 {
        let hollow = match self.out_of_blocks.load(Relaxed) {
            true => 0,
            false => space.hollow_segments(),
        };
        self.available(space) + hollow * self.medium.usable()
    }

    /// Whether what is in memory waits for room on a device.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked.load(Relaxed)
    }

    pub(crate) fn end(&self) -> Lsn {
        self.end.load(Acquire)
    }

    pub(crate) fn durable(&self) -> Lsn {
        self.durable.load(Acquire)
    }

    /// Writes one slot of a segment's header. Not synced.
    pub(super) fn write_header(&self, header: &SegmentHeader) -> Result<()> {
        self.medium.write_header(header, self.superblocks.version())
    }
}

/// How many segments the volume may come to have.
fn segments_max(superblock: &Superblock, devices: usize) -> u64 {
    let most = limits::VOLUME_BYTES_MAX / superblock.segment_bytes;
    if superblock.members.iter().any(|m| m.grows) {
        return most;
    }
    let members = superblock.members.iter();
    let per_device = members.map(|m| m.bytes / superblock.segment_bytes).max();
    most.min(per_device.unwrap_or(0) * devices as u64)
}
