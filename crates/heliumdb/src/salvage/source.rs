//! The devices of a damaged volume, in their order, and reading them whatever they refuse.
//!
//! Invariant: what cannot be read counts as zeros, which no checksum takes for anything.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{copied, geometry, nothing_left};
use crate::{
    device::{Device, aligned::AlignedBuffer},
    error::Result,
    format::{
        Look, SEGMENT_HEADER_BYTES, SEGMENTS_AT, Salt,
        item::{self, ItemHeader},
        segment::SegmentHeader,
    },
    id::VolumeId,
    limits::BLOCK_BYTES,
    location::Location,
};

pub(crate) struct Source {
    pub(super) volume: VolumeId,
    pub(super) salt: Salt,
    pub(super) segment_bytes: u64,
    /// By their number; `None` where one is missing.
    pub(super) devices: Vec<Option<Box<dyn Device>>>,
    pub(super) lost_superblocks: u64,
    /// A position that a superblock calls durable.
    pub(super) durable: u64,
    /// Segments below this number had a header, if a superblock says so.
    headed: u64,
    /// Somebody had the volume open, elsewhere, when a device was copied to where it is.
    pub(super) was_open_elsewhere: bool,
    /// The last epoch that superblocks know of, if all of them are whole.
    pub(super) last_epoch: Option<u64>,
    /// That of the newest one, if any is whole.
    pub(super) epoch: u64,
    /// It is a copy that was not finished.
    pub(super) is_unfinished_copy: bool,
    unreadable_bytes: AtomicU64,
}

/// What is left of a segment's header.
pub(super) enum HeaderLook {
    /// Never used, or torn when it was first used.
    Blank,
    Known(SegmentHeader),
    /// Neither copy is whole, though one was.
    Lost,
}

impl Source {
    /// Finds out which volume the devices hold, and which of its devices each is.
    pub(super) fn identify(
        devices: Vec<Box<dyn Device>>,
        wanted: Option<VolumeId>,
    ) -> Result<Self> {
        let Some(found) = geometry::find(&devices, wanted)? else {
            return Err(nothing_left(&devices));
        };
        let mut ordered: Vec<Option<Box<dyn Device>>> = (0..found.devices).map(|_| None).collect();
        for (device, number) in devices.into_iter().zip(&found.numbers) {
            if let Some(slot) = number.and_then(|number| ordered.get_mut(number)) {
                *slot = Some(device);
            } else {
                tracing::warn!(
                    device = device.name(),
                    "not recognised as a part of the volume"
                );
            }
        }
        let there = || ordered.iter().flatten();
        let was_open_elsewhere = there().any(|device| copied::was_open_elsewhere(&**device));
        let epochs: Option<Vec<u64>> = there().map(|d| copied::last_epoch(&**d)).collect();
        let last_epoch = epochs.and_then(|epochs| epochs.into_iter().max());
        Ok(Self {
            volume: found.volume,
            salt: Salt::of(found.volume),
            segment_bytes: found.segment_bytes,
            devices: ordered,
            lost_superblocks: found.lost_superblocks,
            durable: found.durable,
            headed: found.headed,
            was_open_elsewhere,
            last_epoch,
            epoch: found.epoch,
            is_unfinished_copy: found.is_unfinished_copy,
            unreadable_bytes: AtomicU64::new(0),
        })
    }

    /// The devices of a volume that is open, in their order.
    pub(crate) fn of_open_volume(
        volume: VolumeId,
        segment_bytes: u64,
        devices: Vec<Box<dyn Device>>,
    ) -> Self {
        Self {
            volume,
            salt: Salt::of(volume),
            segment_bytes,
            devices: devices.into_iter().map(Some).collect(),
            lost_superblocks: 0,
            durable: 0,
            headed: 0,
            was_open_elsewhere: false,
            last_epoch: None,
            epoch: 0,
            is_unfinished_copy: false,
            unreadable_bytes: AtomicU64::new(0),
        }
    }

    pub(super) fn unreadable_bytes(&self) -> u64 {
        self.unreadable_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn missing_devices(&self) -> u64 {
        self.devices
            .iter()
            .filter(|device| device.is_none())
            .count() as u64
    }

    /// All segments that lie on the devices that are there, by device and then by place.
    pub(super) fn segments(&self) -> Vec<u64> {
        let n = self.devices.len() as u64;
        let mut all = Vec::new();
        for (number, device) in self.devices.iter().enumerate() {
            let bytes = device.as_ref().map_or(0, |device| device.len());
            // What a truncated device has of its last segment is looked at, too.
            let count = bytes
                .saturating_sub(SEGMENTS_AT)
                .div_ceil(self.segment_bytes);
            all.extend((0..count).map(|index| index * n + number as u64));
        }
        all
    }

    fn place(&self, address: u64) -> Option<(&dyn Device, u64)> {
        let (segment, within) = (address / self.segment_bytes, address % self.segment_bytes);
        let n = self.devices.len() as u64;
        let device = self.devices.get((segment % n) as usize)?.as_deref()?;
        Some((
            device,
            SEGMENTS_AT + segment / n * self.segment_bytes + within,
        ))
    }

    /// Fills `buffer` from a byte of the address space: zeros where that fails.
    fn fill(&self, address: u64, buffer: &mut [u8]) {
        let Some((device, offset)) = self.place(address) else {
            return buffer.fill(0);
        };
        self.fill_from(device, offset, buffer);
    }

    fn fill_from(&self, device: &dyn Device, offset: u64, buffer: &mut [u8]) {
        let there = device.len().saturating_sub(offset).min(buffer.len() as u64) as usize;
        let (buffer, beyond) = buffer.split_at_mut(there);
        beyond.fill(0);
        if device.read_at(buffer, offset).is_ok() {
            return;
        }
        // One bad block is not to take its neighbours with it.
        for (i, block) in buffer.chunks_mut(BLOCK_BYTES).enumerate() {
            if device
                .read_at(block, offset + (i * BLOCK_BYTES) as u64)
                .is_err()
            {
                block.fill(0);
                self.unreadable_bytes
                    .fetch_add(block.len() as u64, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn read_image(&self, segment: u64, image: &mut AlignedBuffer) {
        self.fill(segment * self.segment_bytes, image);
    }

    /// Looks at both copies of a segment's header; which of them is the newer one decides.
    pub(super) fn header(&self, segment: u64) -> HeaderLook {
        let mut slots = AlignedBuffer::new(SEGMENT_HEADER_BYTES);
        self.fill(segment * self.segment_bytes, &mut slots);
        let looks = [0, 1].map(|slot| {
            SegmentHeader::decode(&slots[slot * BLOCK_BYTES..], self.salt, segment, slot)
        });
        let mut newest: Option<SegmentHeader> = None;
        for look in &looks {
            if let Look::Good(header) = look
                && header.volume == self.volume
                && newest.is_none_or(|n| n.generation < header.generation)
            {
                newest = Some(*header);
            }
        }
        match newest {
            Some(header) => HeaderLook::Known(header),
            None if segment >= self.headed && looks.contains(&Look::Blank) => HeaderLook::Blank,
            None => HeaderLook::Lost,
        }
    }

    /// The checked item at `at`, if it is readable.
    pub(super) fn item(&self, at: Location, bytes: &mut Vec<u8>) -> Option<ItemHeader> {
        let within = (at.address() % self.segment_bytes) as usize;
        let len = at.class_bytes().min(self.segment_bytes as usize - within);
        bytes.resize(len, 0);
        self.fill(at.address(), bytes);
        item::decode(bytes, self.salt, at.address()).map(|(header, _)| header)
    }
}
