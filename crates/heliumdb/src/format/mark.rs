//! The mark on a device that holds no volume: one is being made there, or was erased.
//!
//! Invariant: a device with a whole mark and no volume's superblock holds no item: the mark is durable
//! before anything else is written, and durably gone before the volume is used. Every sector of it
//! says all of it, so that a write of it that power interrupts is known by any that is whole.

use super::{Look, SEGMENTS_AT, Version, get_id, get_u16, get_u64, hash_seeded, is_zero, put};
use crate::{VolumeId, limits::BLOCK_BYTES};

/// Where it is: in the block behind the superblocks.
pub(crate) const MARK_AT: u64 = 2 * BLOCK_BYTES as u64;
/// Length of a file that was only just begun: too short for a segment, and one that nobody else makes.
pub(crate) const MARKED_BYTES: u64 = SEGMENTS_AT - BLOCK_BYTES as u64;

const MAGIC: [u8; 8] = *b"hemaking";
const SEED: u64 = 0x6865_6d61_6b69_6e67;
const SECTOR_BYTES: usize = 512;
const CHECKSUM_AT: usize = SECTOR_BYTES - 8;
const GROWS: u16 = 1;
const FRESH: u16 = 2;
const ERASED: u16 = 4;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    /// The volume that is being made; of an erased one, what it was.
    pub(crate) volume: VolumeId,
    /// The device is a file that grows.
    pub(crate) grows: bool,
    /// It was empty before: nothing but zeros is in its segments.
    pub(crate) fresh: bool,
    /// Nothing is being made: there was a volume, which was erased.
    pub(crate) erased: bool,
}

impl Mark {
    pub(crate) fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut sector = [0; SECTOR_BYTES];
        let flag = |is_set: bool, flag: u16| if is_set { flag } else { 0 };
        let flags = flag(self.grows, GROWS) | flag(self.fresh, FRESH) | flag(self.erased, ERASED);
        put(&mut sector, 0, &MAGIC);
        put(&mut sector, 8, &Version::CURRENT.number().to_le_bytes());
        put(&mut sector, 10, &flags.to_le_bytes());
        put(&mut sector, 16, &self.volume.0);
        let sum = hash_seeded(&sector[..CHECKSUM_AT], SEED);
        put(&mut sector, CHECKSUM_AT, &sum.to_le_bytes());
        let mut block = [0; BLOCK_BYTES];
        for at in (0..BLOCK_BYTES).step_by(SECTOR_BYTES) {
            put(&mut block, at, &sector);
        }
        block
    }

    /// Decodes the block at [`MARK_AT`].
    pub(crate) fn decode(block: &[u8]) -> Look<Self> {
        if is_zero(block) {
            return Look::Blank;
        }
        let mut whole = block.chunks_exact(SECTOR_BYTES).filter(|sector| {
            let sum = hash_seeded(&sector[..CHECKSUM_AT], SEED);
            sector.starts_with(&MAGIC) && get_u64(sector, CHECKSUM_AT) == sum
        });
        let Some(sector) = whole.next() else {
            return Look::Bad;
        };
        if let Err(look) = Version::of(get_u16(sector, 8)) {
            return look;
        }
        let flags = get_u16(sector, 10);
        Look::Good(Self {
            volume: get_id(sector, 16),
            grows: flags & GROWS != 0,
            fresh: flags & FRESH != 0,
            erased: flags & ERASED != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_whole_sector_of_a_mark_is_enough() {
        for (grows, fresh, erased) in [
            (false, false, false),
            (true, false, false),
            (false, true, false),
            (true, true, true),
        ] {
            let mark = Mark {
                volume: VolumeId([9; 16]),
                grows,
                fresh,
                erased,
            };
            let whole = mark.encode();
            assert_eq!(Mark::decode(&whole), Look::Good(mark));
            for kept in 0..BLOCK_BYTES / SECTOR_BYTES {
                let mut torn = [0x5a; BLOCK_BYTES];
                let sector = kept * SECTOR_BYTES..(kept + 1) * SECTOR_BYTES;
                torn[sector.clone()].copy_from_slice(&whole[sector.clone()]);
                assert_eq!(Mark::decode(&torn), Look::Good(mark));
                torn[sector.start + 20] ^= 1;
                assert_eq!(Mark::decode(&torn), Look::Bad);
            }
        }
        assert_eq!(Mark::decode(&[0; BLOCK_BYTES]), Look::Blank);
    }
}
