//! The log without the thread that works for it: the parts that it is made of, and the order of their locks.
//!
//! Each part keeps its fields to its own file and says in its methods who may do what. What other files add to [`Log`]
//! are the steps that need several parts.
//!
//! Invariant: locks are taken in this order, and those of the last row by themselves. An index leaf's latch may be held
//! when any of them is taken; nobody who has one of them asks for a latch.
//!
//! 1. `freeing`: whoever frees segments, or holds them.
//! 2. `flusher`: one writes and syncs what was appended.
//! 3. `appender`: places are given out, segments begun.
//! 4. `growth`: how many segments there are, and how many have headers, changes.
//! 5. `superblocks`: one change at a time is made durable; then the opener's mark, which is looked at before.
//! 6. `space`, `ledger`, the newest superblock, the lists of `residency`, spare memory, the line of those who wait for a
//!    sync, the line at a device.

use super::{
    flusher::Flusher,
    freeing::Freeing,
    group::Group,
    growth::Growth,
    health::Health,
    helpers::Helpers,
    ledger::Ledger,
    medium::Medium,
    reach::Reach,
    reserve::Reserve,
    resident::Residency,
    segments::Appender,
    space::{Free, Space},
    state::ReplayStart,
    superblocks::Superblocks,
    table::Table,
    trim::Trims,
    written::Written,
};
use crate::{
    Result,
    cache::Budgets,
    device::{Device, machine},
    format::{segment::SegmentHeader, superblock::Superblock},
    limits,
    options::VolumeOptions,
};
use parking_lot::Mutex;
use std::sync::Arc;

/// See the module.
pub(crate) struct Log {
    /// Whether it goes on.
    pub(super) health: Arc<Health>,
    /// What it is on.
    pub(super) medium: Medium,
    /// What the volume says of itself, durably.
    pub(super) superblocks: Superblocks,
    /// How long files are and may become.
    pub(super) growth: Growth,
    /// How far it reaches.
    pub(super) reach: Reach,
    /// Who makes it durable.
    pub(super) flusher: Flusher,
    /// What of it is in memory.
    pub(super) residency: Residency,
    /// What is known of each segment.
    pub(super) table: Table,
    /// Which segments are in use, and what needs them.
    pub(super) ledger: Mutex<Ledger>,
    /// Which are free, and what is promised.
    pub(super) space: Free,
    /// What is set aside.
    pub(super) reserve: Reserve,
    /// When segments may be freed.
    pub(super) freeing: Freeing,
    /// Which devices are told of what is free.
    pub(super) trims: Trims,
    /// Its end.
    pub(super) appender: Mutex<Appender>,
    /// What was appended.
    pub(super) written: Written,
    /// Where replay would start.
    pub(super) replay: ReplayStart,
    /// Its threads.
    pub(super) helpers: Helpers,
}

impl Log {
    pub(super) fn new(
        devices: Vec<Box<dyn Device>>,
        superblock: Superblock,
        options: &VolumeOptions,
    ) -> Result<Self> {
        let budgets = Budgets::of(options, machine::memory_bytes());
        let group = Arc::new(Group::default());
        let health = Arc::new(Health::new(options, Arc::clone(&group))?);
        let helpers = Helpers::new(options);
        let in_memory = budgets.write_cache_bytes / superblock.segment_bytes as usize;
        let table = Table::new(segments_max(&superblock, devices.len()));
        let medium = Medium::new(devices, &superblock, Arc::clone(&health));
        Ok(Self {
            table,
            reserve: Reserve::new(medium.usable()),
            medium,
            health,
            growth: Growth::new(options),
            reach: Reach::new(superblock.epoch),
            flusher: Flusher::new(group, helpers.has_thread().then_some(in_memory)),
            residency: Residency::new(&budgets, superblock.segment_bytes),
            ledger: Mutex::default(),
            space: Free::default(),
            freeing: Freeing::default(),
            trims: Trims::new(options),
            appender: Mutex::new(Appender::new(1)),
            written: Written::default(),
            replay: ReplayStart::of(&superblock),
            helpers,
            superblocks: Superblocks::new(superblock),
        })
    }

    /// Whether it goes on.
    #[inline]
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// How far it reaches.
    #[inline]
    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Who makes it durable.
    pub(crate) fn flusher(&self) -> &Flusher {
        &self.flusher
    }

    /// What was appended.
    #[inline]
    pub(crate) fn written(&self) -> &Written {
        &self.written
    }

    /// What it is on.
    #[inline]
    pub(crate) fn medium(&self) -> &Medium {
        &self.medium
    }

    /// Room for frames that needs nothing more of a file system: in free segments that have their blocks, and in
    /// the one being filled.
    pub(super) fn available(&self, space: &Space) -> u64 {
        space.free_segments() * self.medium.usable() + self.reach.rest()
    }

    /// That, and what there is once free segments have been given blocks, as far as anybody knows.
    pub(super) fn expected(&self, space: &Space) -> u64 {
        let hollow = match self.space.is_out_of_blocks() {
            true => 0,
            false => space.hollow_segments(),
        };
        self.available(space) + hollow * self.medium.usable()
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
