//! What the log is on: the devices, where a place of the log is on them, and what is asked of them.
//!
//! Nobody else reaches a device's writes and syncs once the log is open: so each of them is counted, and what fails is
//! in the log's health before anybody hears of it.
//!
//! Invariants: where a place is never changes while a volume lives. What a device refused for want of room has changed
//! nothing; any other failure of a write or a sync poisons the log.

use super::{
    create::is_full,
    disk,
    health::Health,
    latency::{Counts, Latencies, Timing},
    opener::Held,
    traffic::{Sums, Traffic},
};
use crate::{
    Error, ErrorKind, Result,
    device::Device,
    format::{
        Look, SEGMENT_HEADER_BYTES, SEGMENTS_AT, Salt, Version, frame, segment::SegmentHeader,
        superblock::Superblock,
    },
    id::VolumeId,
    index::Secret,
    limits::{self, BLOCK_BYTES},
    location::Location,
};
use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::*},
    },
    thread,
};

/// Longest part of a key that is shown, in bytes.
const KEY_SHOWN_BYTES: usize = 64;

/// See the module.
pub(crate) struct Medium {
    /// Each behind the one road to its sync.
    devices: Vec<Box<dyn Device>>,
    segment_bytes: u64,
    volume: VolumeId,
    salt: Salt,
    secret: Secret,
    health: Arc<Health>,
    /// What says on the first device that it is open for writing here.
    held: OnceLock<Held>,
    traffic: Traffic,
    timing: Timing,
    syncs: AtomicU64,
    written_bytes: AtomicU64,
}

/// What went to and came from the devices, and how often they were synced.
pub(super) struct Moved {
    pub(super) traffic: Sums,
    pub(super) syncs: u64,
    pub(super) written_bytes: u64,
    /// What the devices take where they are kept.
    pub(super) taken_bytes: u64,
}

impl Medium {
    /// The devices of the volume that `superblock` describes.
    pub(super) fn new(
        devices: Vec<Box<dyn Device>>,
        superblock: &Superblock,
        health: Arc<Health>,
    ) -> Self {
        Self {
            devices: disk::serial(devices),
            segment_bytes: superblock.segment_bytes,
            volume: superblock.volume,
            salt: Salt::of(superblock.volume),
            secret: Secret(superblock.secret),
            health,
            held: OnceLock::new(),
            traffic: Traffic::default(),
            timing: Timing::new(),
            syncs: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
        }
    }
}

/// What never changes.
impl Medium {
    #[inline]
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    #[inline]
    pub(super) fn salt(&self) -> Salt {
        self.salt
    }

    /// What the keys of unordered trees are hashed with.
    pub(crate) fn secret(&self) -> Secret {
        self.secret
    }

    pub(crate) fn volume_id(&self) -> VolumeId {
        self.volume
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

    /// The segment that a place is in.
    #[inline]
    pub(crate) fn segment_of(&self, at: Location) -> u64 {
        at.address() / self.segment_bytes
    }

    /// Bytes of a segment that frames can use.
    #[inline]
    pub(super) fn usable(&self) -> u64 {
        self.segment_bytes - SEGMENT_HEADER_BYTES as u64 - frame::HEADER_BYTES as u64
    }

    /// Room for frames from an offset of a segment on.
    #[inline]
    pub(super) fn room_from(&self, offset: usize) -> u64 {
        (self.segment_bytes as usize - frame::HEADER_BYTES).saturating_sub(offset) as u64
    }

    /// Segments on a device of so many bytes.
    pub(super) fn segments_in(&self, bytes: u64) -> u64 {
        bytes.saturating_sub(SEGMENTS_AT) / self.segment_bytes
    }
}

/// The devices.
impl Medium {
    pub(super) fn devices(&self) -> &[Box<dyn Device>] {
        &self.devices
    }

    #[inline]
    pub(super) fn device(&self, device: usize) -> &dyn Device {
        self.devices[device].as_ref()
    }

    /// What the volume is called in sentences: its first device.
    pub(super) fn name(&self) -> &str {
        self.devices.first().map_or("the volume", |d| d.name())
    }

    /// Lets nothing be written if one of these leaves too little room to count on: what a program counts up in its
    /// life never reaches the limit, so that no volume comes to be unreadable.
    pub(crate) fn check_numbers<const N: usize>(&self, numbers: [u64; N]) {
        let highest = numbers.into_iter().max().unwrap_or(0);
        if highest > limits::NUMBERS_MAX / 2 && !self.health.is_read_only() {
            self.health.poison(Error::new(
                ErrorKind::Damaged,
                format!(
                    "{} counts with numbers as high as {highest}, which no volume comes to by itself: copy what is in \
                     it to a new one with a backup",
                    self.name()
                ),
            ));
        }
    }

    /// Says on the first device that the volume is open for writing, unless somebody else says so.
    pub(super) fn mark_opener(&self) -> Result<()> {
        if !self.health.is_read_only()
            && let Some(held) = Held::take(self.device(0), &thread::sleep)?
        {
            let _ = self.held.set(held);
        }
        Ok(())
    }

    /// Lets nothing more be written once somebody else has opened the volume. That is looked for now, or if it
    /// was some time ago.
    pub(super) fn check_opener(&self, now: bool) -> Result<()> {
        let Some(held) = self.held.get() else {
            return Ok(());
        };
        let checked = held.check(self.device(0), now);
        checked.inspect_err(|why| self.health.poison(why.clone()))
    }

    /// Takes away what says that the volume is open.
    pub(super) fn unmark_opener(&self) {
        if let Some(held) = self.held.get()
            && let Err(why) = held.let_go(self.device(0))
        {
            // Whoever opens the volume next finds out that this process is gone.
            tracing::warn!(%why, "the volume is not marked as closed");
        }
    }

    /// Nobody uses the devices any more.
    pub(super) fn release(&self) {
        self.unmark_opener();
        self.devices.iter().for_each(|device| device.release());
    }

    /// Sees to it that what recovery has read is durable. Where it may write it has done so itself.
    pub(crate) fn assure(&self) -> Result<()> {
        if !self.health.is_read_only() {
            return Ok(());
        }
        for (i, device) in self.devices.iter().enumerate() {
            let synced = device.sync();
            synced.map_err(|e| self.io_error("sync", i, 0, e))?;
        }
        Ok(())
    }
}

/// Reads, writes and syncs.
impl Medium {
    /// Reads an item, and counts it.
    pub(super) fn read(&self, device: usize, offset: u64, bytes: &mut [u8]) -> Result<()> {
        let clock = self.timing.of_read(self.count_read(bytes.len()));
        let read = self.devices[device].read_at(bytes, offset);
        if let Some(clock) = clock {
            self.timing.device_reads.ended(clock);
        }
        read.map_err(|e| self.io_error("read", device, offset, e))
    }

    /// Writes, and counts the bytes. `what` begins the sentence about a failure.
    pub(super) fn write(&self, what: &str, device: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        let result = self.devices[device].write_at(bytes, offset);
        self.or_full(what, device, offset, result)?;
        self.count_written(bytes.len() as u64);
        Ok(())
    }

    /// The same, of what was appended to the log: these writes have a count of their own.
    pub(super) fn write_log(&self, device: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        self.write("write log to", device, offset, bytes)?;
        self.traffic.written();
        Ok(())
    }

    /// Writes one slot of a segment's header, as a volume of this version has it. Not synced.
    pub(super) fn write_header(&self, header: &SegmentHeader, version: Version) -> Result<()> {
        let mut slot = [0; BLOCK_BYTES];
        header.encode(&mut slot, self.salt, version);
        let (device, offset) = self.segment_place(header.segment);
        let offset = offset + (header.slot() * BLOCK_BYTES) as u64;
        // CRASH: old, new or torn slot; the other slot is durable, and whole, with the state before.
        self.write("write segment header of", device, offset, &slot)
    }

    /// The newest of both slots of a segment's header that are whole.
    pub(super) fn newest_header(&self, segment: u64, slots: &[u8]) -> Option<SegmentHeader> {
        let headers = [0, 1].into_iter().filter_map(|slot| {
            let bytes = &slots[slot * BLOCK_BYTES..];
            match SegmentHeader::decode(bytes, self.salt, segment, slot) {
                Look::Good(header) => Some(header),
                _ => None,
            }
        });
        headers.max_by_key(|header| header.generation)
    }

    pub(super) fn count_written(&self, bytes: u64) {
        self.written_bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn sync_device(&self, device: usize) -> Result<()> {
        self.syncs.fetch_add(1, Relaxed);
        // CRASH: any subset of what was written since the last sync survives: recovery's
        // scan ends the log at the first frame that is not whole.
        let synced = self.timing.syncs.of(|| self.devices[device].sync());
        self.or_poison("sync", device, 0, synced)
    }

    pub(super) fn sync_all(&self) -> Result<()> {
        (0..self.devices.len()).try_for_each(|device| self.sync_device(device))
    }

    /// Poisons the log if `result` is a failure of the device.
    pub(super) fn or_poison<T>(
        &self,
        what: &str,
        device: usize,
        offset: u64,
        result: io::Result<T>,
    ) -> Result<T> {
        result.map_err(|e| {
            let error = self.io_error(what, device, offset, e);
            self.health.poison(error.clone());
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
}

/// What is counted.
impl Medium {
    /// Counts a read, and says how many there were before it, of threads that count together.
    pub(super) fn count_read(&self, bytes: usize) -> u64 {
        self.traffic.read(bytes)
    }

    /// How long commits wait until they are durable.
    pub(super) fn commits(&self) -> &Counts {
        &self.timing.commits
    }

    /// How long the devices were waited for.
    pub(crate) fn latencies(&self) -> Latencies {
        self.timing.report()
    }

    pub(super) fn moved(&self) -> Moved {
        Moved {
            traffic: self.traffic.sums(),
            syncs: self.syncs.load(Relaxed),
            written_bytes: self.written_bytes.load(Relaxed),
            taken_bytes: self.devices.iter().map(|device| device.taken()).sum(),
        }
    }
}

/// Sentences about what is wrong.
impl Medium {
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

    pub(super) fn full(&self) -> Error {
        Error::new(
            ErrorKind::VolumeFull,
            format!(
                "the volume on {} is full: delete something or give it more room",
                self.name()
            ),
        )
    }

    pub(super) fn damaged(&self, at: Location, expected: &str, found: &str) -> Error {
        let (device, offset) = self.place(at.address());
        Error::new(
            ErrorKind::Damaged,
            format!(
                "{} is damaged at offset {offset}: expected {expected}, found {found}",
                self.devices[device].name()
            ),
        )
    }

    /// What is said of a place that the index leads to for a key again and again, and that has another item each time.
    pub(crate) fn misplaced(&self, at: Location, tree: u32, key: &[u8]) -> Error {
        let shown = &key[..key.len().min(KEY_SHOWN_BYTES)];
        let expected = format!(
            "an item of tree {tree} (its key starts with \"{}\")",
            shown.escape_ascii()
        );
        self.damaged(at, &expected, "another item")
    }
}
