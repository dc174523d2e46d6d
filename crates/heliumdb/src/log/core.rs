//! What all parts of the log share, and the steps that concern all devices at once.
//!
//! Invariant: no segment is used before a superblock that counts it is durable.

use super::{
    cleaning::Written, commit::Flush, create::is_full, disk, group::Group, latency::Timing,
    ledger::Ledger, opener::Held, pool::Pool, reserve::Items, resident::Resident,
    segments::Appender, space::Space, table::Table, traffic::Traffic,
};
use crate::{
    Error, ErrorKind, Result,
    bell::Bell,
    cache::{Budgets, Cache},
    device::{Device, machine},
    format::{
        SEGMENT_HEADER_BYTES, SEGMENTS_AT, Salt, Version,
        check::Bounds,
        frame,
        segment::SegmentHeader,
        superblock::{Member, Superblock},
    },
    id::VolumeId,
    index::Secret,
    limits::{self, BLOCK_BYTES},
    location::Lsn,
    options::VolumeOptions,
    process::Owner,
};
use parking_lot::{Condvar, Mutex};
use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*},
    },
};

/// The log without its background thread.
pub(crate) struct Core {
    /// Each behind the one road to its sync.
    pub(super) devices: Vec<Box<dyn Device>>,
    pub(super) segment_bytes: u64,
    pub(super) volume: VolumeId,
    pub(super) salt: Salt,
    secret: Secret,
    pub(super) read_only: bool,
    /// What says on the device that it is open for writing here.
    pub(super) held: OnceLock<Held>,
    /// Who opened it: a fork of that process leaves it alone.
    pub(crate) owner: Owner,
    pub(super) background: bool,
    /// Bit per device that is told of what is free.
    pub(super) trims: AtomicU64,
    pub(super) may_have_threads: bool,
    /// What each file that grows may become.
    pub(super) limit_bytes: u64,
    /// Memory for segments, beside what the read cache leaves.
    pub(super) write_cache_bytes: usize,
    /// Of that, what the cleaner has.
    pub(super) lent_bytes: AtomicUsize,
    pub(super) epoch: AtomicU64,
    pub(super) table: Table,
    pub(super) space: Arc<Mutex<Space>>,
    /// Room left in the segment being filled. Changes under the appender's lock only.
    pub(super) rest: AtomicU64,
    pub(super) superblock: Mutex<Superblock>,
    /// Held while a change to the superblock is made durable; the superblock's own lock is not, so
    /// that nobody who looks at it waits for a sync.
    changing_superblock: Mutex<()>,
    /// Held while files are made longer, so that no segment is counted twice.
    pub(super) growing: Mutex<()>,
    /// Of a volume of an earlier version: a segment without a header may hold something.
    pub(super) stays_unheaded: AtomicBool,
    pub(super) appender: Mutex<Appender>,
    pub(super) flush: Mutex<Flush>,
    /// Taken last.
    pub(super) resident: Mutex<Resident>,
    pub(super) pool: Arc<Pool>,
    pub(super) cache: Option<Cache>,
    /// Bytes of values that were to be compressed: as given, and as kept.
    pub(super) given_bytes: AtomicU64,
    pub(super) kept_bytes: AtomicU64,
    pub(super) group: Group,
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
    /// Files could not be made longer when that was last tried.
    pub(super) grown_out: AtomicBool,
    /// Nor could a free segment be given blocks.
    pub(super) out_of_blocks: AtomicBool,
    pub(super) poison: OnceLock<Error>,
    pub(super) closed: AtomicBool,
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
    pub(super) syncs: AtomicU64,
    pub(super) timing: Timing,
    pub(super) discarded_bytes: AtomicU64,
    pub(super) traffic: Traffic,
    /// Syncs asked for since the last segment was taken: whether writing ahead pays.
    pub(super) syncs_lately: AtomicU64,
}

impl Core {
    pub(super) fn new(
        devices: Vec<Box<dyn Device>>,
        superblock: Superblock,
        options: &VolumeOptions,
    ) -> Result<Self> {
        let owner = Owner::here()?;
        let segment_bytes = superblock.segment_bytes;
        let checkpointed = superblock.checkpoint.map_or(u64::MAX, |c| c.start.at);
        let grows = superblock.members.iter().any(|m| m.grows);
        let largest = if grows {
            limits::VOLUME_BYTES_MAX / segment_bytes
        } else {
            let per_device = superblock
                .members
                .iter()
                .map(|m| m.bytes / segment_bytes)
                .max();
            per_device.unwrap_or(0) * devices.len() as u64
        };
        let budgets = Budgets::of(options, machine::memory_bytes());
        let segments_max = largest.min(limits::VOLUME_BYTES_MAX / segment_bytes);
        let devices = disk::serial(devices);
        Ok(Self {
            segment_bytes,
            volume: superblock.volume,
            salt: Salt::of(superblock.volume),
            secret: Secret(superblock.secret),
            read_only: options.read_only,
            held: OnceLock::new(),
            owner,
            background: options.background_thread && !options.read_only,
            trims: AtomicU64::new(if options.no_trim { 0 } else { u64::MAX }),
            may_have_threads: options.background_thread,
            limit_bytes: options.limit_bytes.unwrap_or(u64::MAX),
            write_cache_bytes: budgets.write_cache_bytes,
            lent_bytes: AtomicUsize::new(0),
            epoch: AtomicU64::new(superblock.epoch),
            table: Table::new(segments_max),
            space: Arc::default(),
            rest: AtomicU64::new(0),
            superblock: Mutex::new(superblock),
            changing_superblock: Mutex::default(),
            growing: Mutex::default(),
            stays_unheaded: AtomicBool::new(false),
            appender: Mutex::new(Appender::new(1)),
            flush: Mutex::default(),
            resident: Mutex::default(),
            pool: Arc::default(),
            cache: Cache::new(budgets.read_cache_bytes),
            given_bytes: AtomicU64::new(0),
            kept_bytes: AtomicU64::new(0),
            group: Group::default(),
            ledger: Mutex::default(),
            end: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            oldest_pending: AtomicU64::new(0),
            leaving: AtomicU64::new(0),
            readmitted: AtomicU64::new(0),
            roomier: Condvar::new(),
            written: Written::default(),
            grown_out: AtomicBool::new(false),
            out_of_blocks: AtomicBool::new(false),
            poison: OnceLock::new(),
            closed: AtomicBool::new(false),
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
            syncs: AtomicU64::new(0),
            timing: Timing::new(),
            discarded_bytes: AtomicU64::new(0),
            traffic: Traffic::default(),
            syncs_lately: AtomicU64::new(0),
            devices,
        })
    }

    /// The device and the offset on it of a byte of the address space.
    pub(super) fn place(&self, address: u64) -> (usize, u64) {
        let (segment, within) = (address / self.segment_bytes, address % self.segment_bytes);
        let n = self.devices.len() as u64;
        (
            (segment % n) as usize,
            SEGMENTS_AT + segment / n * self.segment_bytes + within,
        )
    }

    /// Where a segment starts.
    pub(super) fn segment_place(&self, segment: u64) -> (usize, u64) {
        self.place(segment * self.segment_bytes)
    }

    /// Room for frames that needs nothing more of a file system: in free segments that have their blocks, and in
    /// the one being filled.
    pub(super) fn available(&self, space: &Space) -> u64 {
        space.free_segments() * self.usable() + self.rest.load(Relaxed)
    }

    /// That, and what there is once free segments have been given blocks, as far as anybody knows.
    pub(super) fn expected(&self, space: &Space) -> u64 {
        let hollow = match self.out_of_blocks.load(Relaxed) {
            true => 0,
            false => space.hollow_segments(),
        };
        self.available(space) + hollow * self.usable()
    }

    /// Bytes of a segment that frames can use.
    pub(super) fn usable(&self) -> u64 {
        self.segment_bytes - SEGMENT_HEADER_BYTES as u64 - frame::HEADER_BYTES as u64
    }

    /// Whether what is in memory waits for room on a device.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked.load(Relaxed)
    }

    /// What the keys of unordered trees are hashed with.
    pub(crate) fn secret(&self) -> Secret {
        self.secret
    }

    pub(crate) fn volume_id(&self) -> VolumeId {
        self.volume
    }

    pub(crate) fn end(&self) -> Lsn {
        self.end.load(Acquire)
    }

    pub(crate) fn durable(&self) -> Lsn {
        self.durable.load(Acquire)
    }

    /// Nothing is acknowledged from now on. The first reason is kept.
    pub(crate) fn poison(&self, why: Error) {
        if self.poison.set(why).is_ok() {
            tracing::error!(
                "the volume is read-only from now on: {}",
                self.poison.get().map_or("".into(), Error::to_string)
            );
        }
        self.group.wake_all();
    }

    /// Lets nothing be written if one of these leaves too little room to count on: what a program
    /// counts up in its life never reaches the limit, so that no volume comes to be unreadable.
    pub(crate) fn check_numbers<const N: usize>(&self, numbers: [u64; N]) {
        let highest = numbers.into_iter().max().unwrap_or(0);
        if highest > limits::NUMBERS_MAX / 2 && !self.read_only {
            let name = self.devices.first().map_or("the volume", |d| d.name());
            self.poison(Error::new(
                ErrorKind::Damaged,
                format!(
                    "{name} counts with numbers as high as {highest}, which no volume comes to by itself: copy what is in \
                     it to a new one with a backup"
                ),
            ));
        }
    }

    pub(crate) fn poisoned(&self) -> Option<Error> {
        self.poison.get().cloned()
    }

    /// Whether there is such a failure.
    #[inline]
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poison.get().is_some()
    }

    /// Refuses to go on after a failure, and on closed and read-only volumes.
    #[inline]
    pub(super) fn check_writable(&self) -> Result<()> {
        self.owner.check()?;
        if self.is_poisoned() || self.closed.load(Acquire) || self.read_only {
            return Err(self.takes_no_writes());
        }
        Ok(())
    }

    #[cold]
    fn takes_no_writes(&self) -> Error {
        if let Some(why) = self.poisoned() {
            return why.with_kind(ErrorKind::Poisoned).context(
                "the volume is read-only until it is opened again, because of an earlier failure",
            );
        }
        if self.closed.load(Acquire) {
            return Error::new(ErrorKind::Closed, "the volume is closed");
        }
        Error::new(ErrorKind::ReadOnly, "the volume was opened read-only")
    }

    /// Poisons the volume if `result` is a failure of the device.
    pub(super) fn or_poison<T>(
        &self,
        what: &str,
        device: usize,
        offset: u64,
        result: io::Result<T>,
    ) -> Result<T> {
        result.map_err(|e| {
            let error = self.io_error(what, device, offset, e);
            self.poison(error.clone());
            error
        })
    }

    /// The same, but that a device has no room poisons nothing: what was to be written is still in memory, nothing
    /// that was acknowledged is in its place, and the same bytes are written there once there is room.
    pub(super) fn or_full<T>(
        &self,
        what: &str,
        device: usize,
        offset: u64,
        result: io::Result<T>,
    ) -> Result<T> {
        match result {
            Err(why) if is_full(&why) => Err(self
                .io_error(what, device, offset, why)
                .with_kind(ErrorKind::VolumeFull)
                .advice("nothing is lost that is in memory; give the device more room")),
            result => self.or_poison(what, device, offset, result),
        }
    }

    pub(super) fn io_error(
        &self,
        what: &str,
        device: usize,
        offset: u64,
        error: io::Error,
    ) -> Error {
        Error::io(
            format_args!("{what} {} at offset {offset}", self.devices[device].name()),
            error,
        )
    }

    /// Writes one slot of a segment's header. Not synced.
    pub(super) fn write_header(&self, header: &SegmentHeader) -> Result<()> {
        let mut slot = [0; BLOCK_BYTES];
        // A volume of an earlier version stays one until its superblocks change.
        let version = self.superblock.lock().version;
        header.encode(&mut slot, self.salt, version);
        let (device, offset) = self.segment_place(header.segment);
        let offset = offset + (header.slot() * BLOCK_BYTES) as u64;
        self.written.total.fetch_add(BLOCK_BYTES as u64, Relaxed);
        // CRASH: old, new or torn slot; the other slot is durable, and whole, with the state before.
        self.or_full(
            "write segment header of",
            device,
            offset,
            self.devices[device].write_at(&slot, offset),
        )
    }

    pub(super) fn sync_device(&self, device: usize) -> Result<()> {
        self.syncs.fetch_add(1, Relaxed);
        // CRASH: any subset of what was written since the last sync survives: recovery's
        // scan ends the log at the first frame that is not whole.
        let synced = self.timing.syncs.of(|| self.devices[device].sync());
        self.or_poison("sync", device, 0, synced)
    }

    /// Sees to it that what recovery has read is durable. Where it may write it has done so itself.
    pub(crate) fn assure(&self) -> Result<()> {
        if !self.read_only {
            return Ok(());
        }
        for (i, device) in self.devices.iter().enumerate() {
            let synced = device.sync();
            synced.map_err(|e| self.io_error("sync", i, 0, e))?;
        }
        Ok(())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    pub(super) fn sync_all(&self) -> Result<()> {
        (0..self.devices.len()).try_for_each(|device| self.sync_device(device))
    }

    /// Makes a change to the superblock durable on every device. A volume of an earlier version is
    /// of this program's from then on; no frame is written before.
    pub(super) fn update_superblock(&self, change: impl FnOnce(&mut Superblock)) -> Result<()> {
        let _one = self.changing_superblock.lock();
        self.check_opener(true)?;
        let mut next = self.superblock.lock().clone();
        change(&mut next);
        next.generation += 1;
        next.version = Version::CURRENT;
        for (i, device) in self.devices.iter().enumerate() {
            next.device = i as u32;
            let offset = (next.block() * BLOCK_BYTES) as u64;
            // CRASH: some devices have the new generation, one perhaps a torn block; each
            // still has the one before in its other block, and the highest of all counts.
            let result = device.write_at(&next.encode(), offset);
            // One that others have been told must not stay undone.
            match i {
                0 => self.or_full("write superblock of", i, offset, result)?,
                _ => self.or_poison("write superblock of", i, offset, result)?,
            }
        }
        self.sync_all()?;
        *self.superblock.lock() = next;
        Ok(())
    }

    /// Makes files longer, by at least one segment each; false if they cannot be.
    pub(super) fn grow(&self) -> Result<bool> {
        let _one = self.growing.lock();
        let members = self.superblock.lock().members.clone();
        let Some(shortest) = members.iter().filter(|m| m.grows).map(|m| m.bytes).min() else {
            return Ok(false);
        };
        let old = shortest.saturating_sub(SEGMENTS_AT) / self.segment_bytes;
        let mut step = (old / 8).clamp(4, 64);
        while step > 0 {
            let bytes = SEGMENTS_AT + (old + step) * self.segment_bytes;
            let total: u64 = members
                .iter()
                .map(|m| if m.grows { bytes } else { m.bytes })
                .sum();
            // A place is counted over all devices alike, however long each of them is.
            let share = limits::VOLUME_BYTES_MAX / members.len() as u64;
            let most = self.limit_bytes.min(share);
            if bytes <= most && total <= limits::VOLUME_BYTES_MAX && self.grow_to(bytes)? {
                self.grown_out.store(false, Relaxed);
                return Ok(true);
            }
            step /= 2;
        }
        self.grown_out.store(true, Relaxed);
        Ok(false)
    }

    /// False if there is no room for it.
    fn grow_to(&self, bytes: u64) -> Result<bool> {
        let members = self.superblock.lock().members.clone();
        for (i, member) in members.iter().enumerate().filter(|(_, m)| m.grows) {
            // CRASH: a file longer than its superblocks say: the next growth finds it so.
            match self.devices[i].grow(bytes) {
                Ok(()) => {}
                Err(e) if is_full(&e) => return Ok(false),
                Err(e) => return Err(self.io_error("lengthen", i, member.bytes, e)),
            }
        }
        let n = self.devices.len() as u64;
        let growing = members.iter().enumerate().filter(|(_, m)| m.grows);
        let new = growing.flat_map(|(i, member)| {
            let indexes = self.segments_in(member.bytes)..self.segments_in(bytes);
            indexes.map(move |index| index * n + i as u64)
        });
        let mut new: Vec<u64> = new.collect();
        new.sort_unstable();
        match self.write_first_headers(&new) {
            Err(why) if why.kind() == ErrorKind::VolumeFull => return Ok(false),
            result => result?,
        }
        self.sync_all()?;
        self.are_headed(&new);
        let headed = self.headed_with(&new);
        self.update_superblock(|next| {
            next.headed = headed;
            next.members
                .iter_mut()
                .filter(|m| m.grows)
                .for_each(|m| m.bytes = bytes);
        })?;
        // Twice, for both copies: one that is destroyed later must not lead to one that does not count segments
        // in use.
        self.update_superblock(|_| {})?;
        new.into_iter().for_each(|id| self.admit(id));
        Ok(true)
    }

    /// Size of all devices: of a file that grows, what it may become, if that is limited.
    pub(super) fn capacity_bytes(&self) -> u64 {
        let superblock = self.superblock.lock();
        let most = |m: &Member| match m.grows && self.limit_bytes != u64::MAX {
            true => self.limit_bytes.max(m.bytes),
            false => m.bytes,
        };
        superblock
            .members
            .iter()
            .map(most)
            .fold(0, u64::saturating_add)
    }

    /// Where places can be, as long as no file becomes longer.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds::of(&self.superblock.lock().members, self.segment_bytes)
    }

    /// Segments on a device of so many bytes.
    pub(super) fn segments_in(&self, bytes: u64) -> u64 {
        bytes.saturating_sub(SEGMENTS_AT) / self.segment_bytes
    }

    /// Ids of all segments that the superblock counts.
    pub(super) fn all_segments(&self) -> Vec<u64> {
        self.segments_from(0)
    }

    /// Those of them from one number on.
    pub(super) fn segments_from(&self, first: u64) -> Vec<u64> {
        let members = self.superblock.lock().members.clone();
        let n = members.len() as u64;
        let mut ids: Vec<u64> = Vec::new();
        for (i, member) in members.iter().enumerate() {
            let indexes =
                first.saturating_sub(i as u64).div_ceil(n)..self.segments_in(member.bytes);
            ids.extend(indexes.map(|index| index * n + i as u64));
        }
        ids.sort_unstable();
        ids
    }
}
