//! Whether a device without a superblock is blank: nothing is on it that formatting would destroy.
//!
//! Invariant: a device counts as blank only if all of the following reads as zeros, as far as the device
//! reaches: its first 16 MiB; every place where a segment of either length may begin, that is each MiB of the
//! first 513 and each eighth one from there on, with the header slots and the first frames, 16 KiB;
//! its last 128 KiB. (The block of the mark may hold anything: a mark that power destroyed is left there.) Whatever is
//! not zero was somebody's: if it is ours, the device is a damaged volume's.

use crate::{
    Error, ErrorKind, Result,
    device::{Device, aligned::AlignedBuffer},
    format::{
        SEGMENT_HEADER_BYTES, SEGMENTS_AT, frame, mark::MARK_AT, opener, segment, superblock,
    },
    limits::{BLOCK_BYTES, ITEM_ALIGN, SEGMENT_BYTES},
};
use std::ops::Range;

/// Looked at in whole: whatever begins a disk or a file of somebody else's is in there.
const START_BYTES: u64 = 16 << 20;
/// Looked at of each segment: the header slots, and as much behind them.
const PLACE_BYTES: u64 = 2 * SEGMENT_HEADER_BYTES as u64;
/// Volumes with short segments reach no further.
const SHORT_SEGMENTS_END: u64 = SEGMENTS_AT + (512 << 20);
/// Where partition tables and the like have their copies.
const END_BYTES: u64 = 128 << 10;
const READ_BYTES: u64 = 1 << 20;

/// What was found first of each kind, and where.
#[derive(Default)]
struct Found {
    ours: Option<(&'static str, u64)>,
    foreign: Option<u64>,
}

/// Refuses a device that is not blank. Its superblocks are known to be.
pub(super) fn check(device: &dyn Device) -> Result<()> {
    let mut found = Found::default();
    let mut buffer = AlignedBuffer::new(READ_BYTES as usize);
    for range in ranges(device.len()) {
        look_through(device, range, &mut buffer, &mut found)?;
        if found.ours.is_some() {
            break;
        }
    }
    let name = device.name();
    match found {
        Found {
            ours: Some((what, at)),
            ..
        } => Err(Error::new(
            ErrorKind::Damaged,
            format!(
                "{name} is damaged: its superblocks are blank, but it has {what} at offset {at}, so that it was part of a \
                 volume; salvage copies what is left to another volume, and only truncation makes a new one of it \
                 (helium_o_volume_truncate, HE_O_VOLUME_TRUNCATE, helium create --overwrite)"
            ),
        )),
        Found {
            foreign: Some(at), ..
        } => Err(Error::new(
            ErrorKind::NotAVolume,
            format!(
                "{name} holds something that is not a Helium volume, at offset {at}, and was left alone: name another \
                 device, or ask for truncation to overwrite it"
            ),
        )),
        _ => Ok(()),
    }
}

/// What is looked at of a device of so many bytes.
fn ranges(len: u64) -> impl Iterator<Item = Range<u64>> {
    let [short, long] = SEGMENT_BYTES;
    let steps = |from: u64, to: u64, step: u64| (from..to).step_by(step as usize);
    let places = steps(SEGMENTS_AT, SHORT_SEGMENTS_END, short)
        .chain(steps(SEGMENTS_AT, len, long).filter(|at| *at >= SHORT_SEGMENTS_END))
        .filter(|at| *at >= START_BYTES)
        .map(|at| at..at + PLACE_BYTES);
    let start = steps(0, START_BYTES, READ_BYTES).map(|at| at..at + READ_BYTES);
    let end = len.saturating_sub(END_BYTES) / BLOCK_BYTES as u64 * BLOCK_BYTES as u64;
    start
        .chain(places)
        .chain(std::iter::once(end..len))
        .map(move |range| range.start..range.end.min(len))
        .filter(|range| !range.is_empty())
}

fn look_through(
    device: &dyn Device,
    range: Range<u64>,
    buffer: &mut AlignedBuffer,
    found: &mut Found,
) -> Result<()> {
    let bytes = &mut buffer[..(range.end - range.start) as usize];
    let failed = |e| Error::io(format_args!("look through {}", device.name()), e);
    // What is not of whole blocks, at the end of a file, can only be read through the page cache.
    let whole = bytes.len() / BLOCK_BYTES * BLOCK_BYTES;
    let (blocks, rest) = bytes.split_at_mut(whole);
    if !blocks.is_empty() {
        device
            .read_at_uncached(blocks, range.start)
            .map_err(failed)?;
    }
    if !rest.is_empty() {
        device
            .read_at(rest, range.start + whole as u64)
            .map_err(failed)?;
    }
    for (number, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
        let at = range.start + (number * BLOCK_BYTES) as u64;
        // The superblocks were looked at, and what is left of a mark is no volume.
        if at <= MARK_AT || is_zero(block) {
            continue;
        }
        found.foreign.get_or_insert(at);
        if let Some((what, within)) = trace(block) {
            found.ours.get_or_insert((what, at + within as u64));
        }
    }
    Ok(())
}

fn is_zero(block: &[u8]) -> bool {
    const ZERO: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
    *block == ZERO[..block.len()]
}

/// Something of ours in a block, by what it begins with.
fn trace(block: &[u8]) -> Option<(&'static str, usize)> {
    if segment::has_magic(block) {
        return Some(("a segment header", 0));
    }
    if superblock::has_magic(block) {
        return Some(("a superblock", 0));
    }
    if opener::has_magic(block) {
        return Some(("an opener's mark", 0));
    }
    let mut places = (0..block.len()).step_by(ITEM_ALIGN);
    let at = places.find(|at| frame::has_magic(&block[*at..]))?;
    Some(("a frame of the log", at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::MemoryDevice;

    const MIB: u64 = 1 << 20;

    fn kind_with(bytes: &[u8], at: u64, len: u64) -> Option<ErrorKind> {
        let device = MemoryDevice::new("d", len as usize).expect("memory");
        device.write_at(bytes, at).unwrap();
        check(&device).err().map(|why| why.kind())
    }

    #[test]
    fn whatever_is_not_zero_where_it_is_looked_for_is_somebodys() {
        let len = 1100 * MIB + 4096 + 7;
        let places = [
            3 * 4096,
            MIB - 1,
            MIB,
            9 * MIB + 5000,
            16 * MIB - 1,
            16 * MIB,
            17 * MIB + 4096,
            300 * MIB + 8192,
            512 * MIB + 16383,
            513 * MIB,
            1001 * MIB + 9000,
            len - 1,
            len - 100_000,
        ];
        for at in places {
            assert_eq!(
                kind_with(&[1], at, len),
                Some(ErrorKind::NotAVolume),
                "{at}"
            );
        }
        for at in [0, 4095, 8191, 8192, 12287] {
            assert_eq!(kind_with(&[1], at, len), None, "{at}");
        }
        for len in [0, 1, 4096, 12288, MIB, 64 * MIB + 3] {
            assert!(
                check(&MemoryDevice::new("d", len as usize).expect("memory")).is_ok(),
                "{len}"
            );
        }
    }

    #[test]
    fn what_is_ours_is_damage() {
        let len = 64 * MIB;
        for (bytes, at) in [
            (&b"HeSg"[..], 5 * MIB),
            (b"HeSg", 5 * MIB + 4096),
            (b"HeFr", 40 * MIB + 8192),
            (b"HeFr", 40 * MIB + 8192 + 4080),
            (b"heliumdb", 3 * 4096),
        ] {
            assert_eq!(kind_with(bytes, at, len), Some(ErrorKind::Damaged), "{at}");
        }
        let why = {
            let device = MemoryDevice::new("d", len as usize).expect("memory");
            device.write_at(b"text", 12288).unwrap();
            device.write_at(b"HeFr", 30 * MIB + 8192).unwrap();
            check(&device).unwrap_err().to_string()
        };
        for part in [
            "salvage",
            "helium_o_volume_truncate",
            "--overwrite",
            "31465472",
        ] {
            assert!(why.contains(part), "{why}");
        }
    }
}
