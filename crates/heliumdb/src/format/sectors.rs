//! Blocks of which every sector says all there is to say.
//!
//! Invariant: what such a block says is known from any whole sector of it, so that a write that power
//! interrupts leaves it readable, unless no sector came through or stayed.

use super::{Look, Version, get_u16, get_u64, hash_seeded, is_zero, put};
use crate::limits::BLOCK_BYTES;

pub(super) const SECTOR_BYTES: usize = 512;
const VERSION_AT: usize = 8;
const FLAGS_AT: usize = 10;
/// Where the fields begin that only one kind has.
pub(super) const FIELDS_AT: usize = 16;
pub(super) const CHECKSUM_AT: usize = SECTOR_BYTES - 8;

/// What tells the sectors of one kind of block from all others.
pub(super) struct Kind {
    pub(super) magic: [u8; 8],
    pub(super) seed: u64,
}

impl Kind {
    /// A block whose sectors have these flags, and what `fill` puts from [`FIELDS_AT`] on.
    pub(super) fn encode(
        &self,
        flags: &[(bool, u16)],
        fill: impl FnOnce(&mut [u8]),
    ) -> [u8; BLOCK_BYTES] {
        let mut sector = [0; SECTOR_BYTES];
        let set = flags.iter().filter(|(is_set, _)| *is_set);
        let flags = set.fold(0, |all, (_, flag)| all | flag);
        put(&mut sector, 0, &self.magic);
        put(
            &mut sector,
            VERSION_AT,
            &Version::CURRENT.number().to_le_bytes(),
        );
        put(&mut sector, FLAGS_AT, &u16::to_le_bytes(flags));
        fill(&mut sector);
        let sum = hash_seeded(&sector[..CHECKSUM_AT], self.seed);
        put(&mut sector, CHECKSUM_AT, &sum.to_le_bytes());
        let mut block = [0; BLOCK_BYTES];
        for at in (0..BLOCK_BYTES).step_by(SECTOR_BYTES) {
            put(&mut block, at, &sector);
        }
        block
    }

    /// What `read` makes of the flags and the first whole sector of a block.
    pub(super) fn decode<T>(&self, block: &[u8], read: impl FnOnce(u16, &[u8]) -> T) -> Look<T> {
        if is_zero(block) {
            return Look::Blank;
        }
        let mut sectors = block.chunks_exact(SECTOR_BYTES);
        let Some(sector) = sectors.find(|sector| self.is_whole(sector)) else {
            return Look::Bad;
        };
        match Version::of(get_u16(sector, VERSION_AT)) {
            Err(look) => look,
            Ok(_) => Look::Good(read(get_u16(sector, FLAGS_AT), sector)),
        }
    }

    fn is_whole(&self, sector: &[u8]) -> bool {
        let sum = hash_seeded(&sector[..CHECKSUM_AT], self.seed);
        sector.starts_with(&self.magic) && get_u64(sector, CHECKSUM_AT) == sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind {
        magic: *b"testtest",
        seed: 7,
    };

    fn block() -> [u8; BLOCK_BYTES] {
        KIND.encode(&[(true, 1), (false, 2), (true, 4)], |sector| {
            put(sector, FIELDS_AT, &[9; 16]);
        })
    }

    fn read(block: &[u8]) -> Look<(u16, u8)> {
        KIND.decode(block, |flags, sector| (flags, sector[FIELDS_AT]))
    }

    #[test]
    fn any_whole_sector_is_enough_and_one_is_needed() {
        let whole = block();
        for kept in 0..BLOCK_BYTES / SECTOR_BYTES {
            let mut torn = [0x5a; BLOCK_BYTES];
            let sector = kept * SECTOR_BYTES..(kept + 1) * SECTOR_BYTES;
            torn[sector.clone()].copy_from_slice(&whole[sector.clone()]);
            assert_eq!(read(&torn), Look::Good((5, 9)));
            torn[sector.start + 20] ^= 1;
            assert_eq!(read(&torn), Look::Bad);
        }
        assert_eq!(read(&[0; BLOCK_BYTES]), Look::Blank);
    }

    #[test]
    fn another_kind_and_a_later_version_are_told() {
        let other = Kind { seed: 8, ..KIND };
        assert_eq!(other.decode(&block(), |_, _| ()), Look::Bad);
        let later = Version::CURRENT.number() + 1;
        let block = KIND.encode(&[], |sector| put(sector, VERSION_AT, &later.to_le_bytes()));
        assert_eq!(read(&block), Look::Newer(later));
    }
}
