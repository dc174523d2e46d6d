//! What survives of unsynced writes when the power goes.
//!
//! Invariant: every sector ends up as some write, or what was durable, left it, as a mix of two
//! of those, or (rarely) as garbage; which is up to the random numbers.

use std::{collections::BTreeMap, sync::Arc};

use rand::{Rng, rngs::SmallRng};

use crate::image::Image;

/// The unit in which a disk writes.
pub(crate) const SECTOR_BYTES: usize = 512;

/// A write that no sync has covered.
#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) offset: u64,
    pub(crate) bytes: Arc<[u8]>,
}

/// How much of the unsynced writes a crash keeps.
#[derive(Clone, Copy)]
enum Kept {
    Nothing,
    Everything,
    /// Each sector with this chance.
    Sectors(f64),
    /// Each write with this chance, whole.
    Writes(f64),
    /// The first so many writes, and of the next one each sector with even chance.
    Prefix(usize),
    /// All but one write.
    AllBut(usize),
}

/// What is on the disk after a crash: `durable`, with what survives of `pending`.
pub(crate) fn crash(durable: &Image, pending: &[Pending], rng: &mut SmallRng) -> Image {
    let mut image = durable.clone();
    if pending.is_empty() {
        return image;
    }
    let kept = choose(pending.len(), rng);
    let torn = if rng.random_bool(0.3) { 0.1 } else { 0.0 };
    if matches!(kept, Kept::Everything) && torn == 0.0 {
        pending.iter().for_each(|p| image.write(&p.bytes, p.offset));
        return image;
    }
    let mut last: BTreeMap<u64, usize> = BTreeMap::new();
    for (index, write) in pending.iter().enumerate() {
        let whole = survives(kept, index, rng);
        for (sector, bytes) in sectors(write) {
            if !whole.unwrap_or_else(|chance| rng.random_bool(chance)) {
                continue;
            }
            // Writes to one sector reach the medium in any order: a later one may have come first.
            let reordered = last.insert(sector, index).is_some() && rng.random_bool(0.2);
            if !reordered {
                image.write(bytes, sector);
            }
        }
    }
    if torn > 0.0 {
        tear(&mut image, durable, pending, torn, rng);
    }
    image
}

fn choose(writes: usize, rng: &mut SmallRng) -> Kept {
    match rng.random_range(0..8) {
        0 => Kept::Nothing,
        1 => Kept::Everything,
        2 => Kept::Sectors(0.5),
        3 => Kept::Sectors(rng.random_range(0.0..1.0)),
        4 => Kept::Sectors(0.97),
        5 => Kept::Writes(rng.random_range(0.0..1.0)),
        6 => Kept::Prefix(rng.random_range(0..writes)),
        _ => Kept::AllBut(rng.random_range(0..writes)),
    }
}

/// Whether all of write `index` survives, or else the chance of each of its sectors.
fn survives(kept: Kept, index: usize, rng: &mut SmallRng) -> Result<bool, f64> {
    match kept {
        Kept::Nothing => Ok(false),
        Kept::Everything => Ok(true),
        Kept::Sectors(chance) => Err(chance),
        Kept::Writes(chance) => Ok(rng.random_bool(chance)),
        Kept::Prefix(first) if index == first => Err(0.5),
        Kept::Prefix(first) => Ok(index < first),
        Kept::AllBut(lost) => Ok(index != lost),
    }
}

fn sectors(write: &Pending) -> impl Iterator<Item = (u64, &[u8])> {
    // Writes need not start on a sector; their pieces end where sectors do.
    let first = SECTOR_BYTES - write.offset as usize % SECTOR_BYTES;
    let (head, rest) = write.bytes.split_at(first.min(write.bytes.len()));
    let rest_at = write.offset + head.len() as u64;
    let rest = rest.chunks(SECTOR_BYTES).enumerate();
    std::iter::once((write.offset, head))
        .chain(rest.map(move |(i, bytes)| (rest_at + (i * SECTOR_BYTES) as u64, bytes)))
}

/// Leaves some of the sectors that were being written as a mix of old and new, or as garbage.
fn tear(image: &mut Image, durable: &Image, pending: &[Pending], chance: f64, rng: &mut SmallRng) {
    for write in pending {
        // A disk tears what it was writing at that moment, not a megabyte of it.
        let at_most = 8;
        let torn = sectors(write).filter(|_| rng.random_bool(chance));
        let torn: Vec<(u64, &[u8])> = torn.take(at_most).collect();
        for (offset, bytes) in torn {
            let mut old = vec![0; bytes.len()];
            if offset + bytes.len() as u64 <= durable.len() {
                durable.read(&mut old, offset);
            }
            let cut = rng.random_range(0..=bytes.len());
            match rng.random_range(0..3) {
                0 => old[..cut].copy_from_slice(&bytes[..cut]),
                1 => old[cut..].copy_from_slice(&bytes[cut..]),
                _ => rng.fill(&mut old[..]),
            }
            image.write(&old, offset);
        }
    }
}
