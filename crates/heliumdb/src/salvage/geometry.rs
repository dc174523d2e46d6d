//! What the devices were: from their superblocks, or from the segment headers on them.
//!
//! A segment's header says which volume it belongs to and which segment it is. Segment *s* is
//! number *s / n* on device *s mod n*, so where headers lie tells the number of devices and
//! which of them this is; and the position that a segment's first frame names tells how long
//! segments are.

use std::collections::{BTreeMap, HashMap};

use crate::{
    device::{Device, aligned::AlignedBuffer},
    error::{Error, ErrorKind, Result},
    format::{
        Look, SEGMENT_HEADER_BYTES, SEGMENTS_AT, Salt,
        frame::{self, FrameHeader},
        segment::SegmentHeader,
        superblock::Superblock,
    },
    id::VolumeId,
    limits::{BLOCK_BYTES, DEVICES_MAX, ITEM_ALIGN, SEGMENT_BYTES},
    log::newer,
};

/// Headers that are looked at to find out what a device was: many more than it takes.
const HEADERS_MAX: usize = 1024;

/// What the devices were.
pub(super) struct Geometry {
    pub(super) volume: VolumeId,
    pub(super) segment_bytes: u64,
    pub(super) devices: usize,
    /// Which of the volume's devices each of the given ones is.
    pub(super) numbers: Vec<Option<usize>>,
    pub(super) lost_superblocks: u64,
    /// A position that was durable, if the superblocks name one.
    pub(super) durable: u64,
    /// Segments below this number had a header, if the superblocks say so.
    pub(super) headed: u64,
    /// The epoch that they name.
    pub(super) epoch: u64,
    /// They say that the volume was to hold a copy that is not finished.
    pub(super) is_unfinished_copy: bool,
}

/// A segment header, and where on its device it was found.
struct Sighting {
    offset: u64,
    header: SegmentHeader,
    /// The position of the segment, by the first frame that is found in it.
    position: Option<u64>,
}

/// `None` if there is no trace of a volume.
pub(super) fn find(
    devices: &[Box<dyn Device>],
    wanted: Option<VolumeId>,
) -> Result<Option<Geometry>> {
    let superblocks: Vec<_> = devices
        .iter()
        .map(|device| superblock(device.as_ref()))
        .collect::<Result<_>>()?;
    let whole = superblocks.iter().flatten();
    let newest = whole
        .filter(|s| wanted.is_none_or(|wanted| s.volume == wanted))
        .max_by_key(|s| s.generation);
    let found = match newest {
        Some(superblock) if !is_copied(devices, superblock)? => {
            Some(from_superblock(devices, &superblocks, superblock)?)
        }
        _ => from_headers(devices, wanted)?,
    };
    if let Some(found) = &found {
        refuse_copies(devices, found)?;
    }
    Ok(found)
}

/// Whether a superblock was copied here from another volume: where its segments would begin, all headers
/// are of other volumes. (Formatting leaves none there.)
fn is_copied(devices: &[Box<dyn Device>], superblock: &Superblock) -> Result<bool> {
    let mut is_any = false;
    for device in devices {
        let sightings = sightings(device.as_ref(), None, HEADERS_MAX)?;
        let fitting = sightings
            .iter()
            .filter(|sighting| sighting.offset.is_multiple_of(superblock.segment_bytes));
        for sighting in fitting {
            if sighting.header.volume == superblock.volume {
                return Ok(false);
            }
            is_any = true;
        }
    }
    Ok(is_any)
}

/// One of two devices that claim to be the same part is a copy, and nobody knows which.
fn refuse_copies(devices: &[Box<dyn Device>], found: &Geometry) -> Result<()> {
    let mut seen: BTreeMap<usize, &str> = BTreeMap::new();
    for (device, number) in devices.iter().zip(&found.numbers) {
        let Some(number) = number else { continue };
        if let Some(other) = seen.insert(*number, device.name()) {
            return Err(Error::new(
                ErrorKind::DeviceMismatch,
                format!(
                    "{other} and {} are both device {} of one volume: name one of them",
                    device.name(),
                    number + 1
                ),
            ));
        }
    }
    Ok(())
}

fn superblock(device: &dyn Device) -> Result<Option<Superblock>> {
    let mut block = AlignedBuffer::new(BLOCK_BYTES);
    let mut best: Option<Superblock> = None;
    for number in 0..2 {
        let offset = (number * BLOCK_BYTES) as u64;
        if device.read_at(&mut block, offset).is_err() {
            continue;
        }
        match Superblock::decode(&block, number) {
            Look::Good(found)
                if best
                    .as_ref()
                    .is_none_or(|b| b.generation < found.generation) =>
            {
                best = Some(found);
            }
            // It may have moved everything.
            Look::Newer(version) => return Err(newer(device.name(), version)),
            _ => {}
        }
    }
    Ok(best)
}

fn from_superblock(
    devices: &[Box<dyn Device>],
    superblocks: &[Option<Superblock>],
    newest: &Superblock,
) -> Result<Geometry> {
    let n = newest.members.len();
    let mut numbers: Vec<Option<usize>> = Vec::new();
    let mut lost = 0;
    for (device, superblock) in devices.iter().zip(superblocks) {
        let number = match superblock {
            Some(own) if own.volume == newest.volume => Some(own.device as usize),
            // There is none, or it is another volume's, and perhaps only it.
            other => {
                lost += u64::from(other.is_none());
                let sightings = sightings(device.as_ref(), Some(newest.volume), 16)?;
                best_number(&sightings, newest.segment_bytes, n).map(|(number, _)| number)
            }
        };
        numbers.push(number);
    }
    take_the_last_place(&mut numbers, superblocks, n);
    Ok(Geometry {
        volume: newest.volume,
        segment_bytes: newest.segment_bytes,
        devices: n,
        numbers,
        lost_superblocks: lost,
        durable: newest.checkpoint.map_or(0, |c| c.durable),
        headed: newest.headed,
        epoch: newest.epoch,
        is_unfinished_copy: newest.is_unfinished_copy(),
    })
}

/// One device that nothing is known of, and one place that nobody has: they belong together.
fn take_the_last_place(
    numbers: &mut [Option<usize>],
    superblocks: &[Option<Superblock>],
    n: usize,
) {
    let free: Vec<usize> = (0..n).filter(|i| !numbers.contains(&Some(*i))).collect();
    let mut unknown = numbers
        .iter_mut()
        .zip(superblocks)
        .filter(|(number, superblock)| number.is_none() && superblock.is_none());
    if let (&[place], Some((number, _)), None) = (&free[..], unknown.next(), unknown.next()) {
        *number = Some(place);
    }
}

fn from_headers(devices: &[Box<dyn Device>], wanted: Option<VolumeId>) -> Result<Option<Geometry>> {
    let mut all: Vec<Vec<Sighting>> = devices
        .iter()
        .map(|device| sightings(device.as_ref(), wanted, HEADERS_MAX))
        .collect::<Result<_>>()?;
    let mut votes: HashMap<VolumeId, usize> = HashMap::new();
    for sighting in all.iter().flatten() {
        *votes.entry(sighting.header.volume).or_default() += 1;
    }
    let Some((&volume, _)) = votes.iter().max_by_key(|(id, votes)| (**votes, **id)) else {
        return Ok(None);
    };
    for sightings in &mut all {
        sightings.retain(|sighting| sighting.header.volume == volume);
    }
    let Some((segment_bytes, n)) = best_shape(&all) else {
        return Ok(None);
    };
    let numbers = all
        .iter()
        .map(|sightings| best_number(sightings, segment_bytes, n).map(|(number, _)| number));
    let mut numbers: Vec<_> = numbers.collect();
    take_the_last_place(&mut numbers, &vec![None; devices.len()], n);
    Ok(Some(Geometry {
        volume,
        segment_bytes,
        devices: n,
        numbers,
        lost_superblocks: devices.len() as u64,
        durable: 0,
        headed: 0,
        epoch: 0,
        is_unfinished_copy: false,
    }))
}

/// The length of segments and the number of devices that explain most headers. If several do
/// as well, that of as many devices as were given, or else the fewest.
fn best_shape(all: &[Vec<Sighting>]) -> Option<(u64, usize)> {
    let shapes = SEGMENT_BYTES
        .iter()
        .flat_map(|&bytes| (1..=DEVICES_MAX).map(move |n| (bytes, n)));
    let scored = shapes.map(|(bytes, n)| {
        let explained = all
            .iter()
            .filter_map(|sightings| best_number(sightings, bytes, n))
            .map(|(_, votes)| votes)
            .sum::<usize>();
        (explained, n == all.len(), DEVICES_MAX - n, bytes)
    });
    let (explained, _, spare, bytes) = scored.max()?;
    (explained > 0).then_some((bytes, DEVICES_MAX - spare))
}

/// Which device of `n` most headers say that this is, and how many.
fn best_number(sightings: &[Sighting], segment_bytes: u64, n: usize) -> Option<(usize, usize)> {
    let mut votes: BTreeMap<usize, usize> = BTreeMap::new();
    for sighting in sightings {
        let Sighting {
            offset,
            header,
            position,
        } = sighting;
        if header.segment / n as u64 * segment_bytes != *offset {
            continue;
        }
        let start = header.sequence.saturating_mul(segment_bytes);
        // What an earlier use of the place left there says nothing about this one.
        let vote = 1 + usize::from(*position == Some(start));
        *votes
            .entry((header.segment % n as u64) as usize)
            .or_default() += vote;
    }
    votes.into_iter().max_by_key(|(_, votes)| *votes)
}

/// Headers on a device, wherever one of any length of segment may be.
fn sightings(device: &dyn Device, wanted: Option<VolumeId>, most: usize) -> Result<Vec<Sighting>> {
    let mut found = Vec::new();
    let mut bytes = AlignedBuffer::new(SEGMENT_HEADER_BYTES + BLOCK_BYTES);
    let mut offset = 0;
    while SEGMENTS_AT + offset + bytes.len() as u64 <= device.len() && found.len() < most {
        bytes.fill(0);
        for (i, block) in bytes.chunks_mut(BLOCK_BYTES).enumerate() {
            let at = SEGMENTS_AT + offset + (i * BLOCK_BYTES) as u64;
            // Unreadable is as good as not there.
            if device.read_at(block, at).is_err() {
                block.fill(0);
            }
        }
        let header = newest_header(device, &bytes, wanted)?;
        if let Some(header) = header {
            let known = found.iter().any(|s: &Sighting| s.position.is_some());
            let position = if header.is_never_used() {
                None
            } else if known {
                // One is enough, but those that are cheap to have may as well vote.
                position(
                    &bytes[SEGMENT_HEADER_BYTES..],
                    SEGMENT_HEADER_BYTES,
                    &header,
                )
            } else {
                read_position(device, SEGMENTS_AT + offset, &header)
            };
            found.push(Sighting {
                offset,
                header,
                position,
            });
        }
        offset += SEGMENT_BYTES[0];
    }
    Ok(found)
}

/// The newer one of the two slots in `bytes`.
fn newest_header(
    device: &dyn Device,
    bytes: &[u8],
    wanted: Option<VolumeId>,
) -> Result<Option<SegmentHeader>> {
    let is_wanted = |header: &SegmentHeader| wanted.is_none_or(|id| header.volume == id);
    let mut newest: Option<SegmentHeader> = None;
    for slot in 0..2 {
        match SegmentHeader::of_any_volume(&bytes[slot * BLOCK_BYTES..], slot) {
            Look::Good(header)
                if is_wanted(&header)
                    && newest.is_none_or(|n| n.generation < header.generation) =>
            {
                newest = Some(header);
            }
            Look::Newer(version) => return Err(newer(device.name(), version)),
            _ => {}
        }
    }
    Ok(newest)
}

/// The segment's position, by the first frame in as much of it as all segments have.
fn read_position(device: &dyn Device, offset: u64, header: &SegmentHeader) -> Option<u64> {
    let mut image = AlignedBuffer::new(SEGMENT_BYTES[0] as usize);
    for (i, block) in image.chunks_mut(BLOCK_BYTES).enumerate() {
        if device
            .read_at(block, offset + (i * BLOCK_BYTES) as u64)
            .is_err()
        {
            block.fill(0);
        }
    }
    position(&image[SEGMENT_HEADER_BYTES..], SEGMENT_HEADER_BYTES, header)
}

/// The segment's position, by the first frame in `bytes`, which stand at `start` of it.
fn position(bytes: &[u8], start: usize, header: &SegmentHeader) -> Option<u64> {
    let salt = Salt::of(header.volume);
    let mut places = (0..bytes.len().saturating_sub(frame::HEADER_BYTES)).step_by(ITEM_ALIGN);
    places.find_map(|at| match FrameHeader::decode(&bytes[at..], salt) {
        Look::Good((frame, _)) => frame.lsn.checked_sub((start + at) as u64),
        _ => None,
    })
}
