//! The opener's mark: who has the volume open for writing.
//!
//! Invariant: every sector of it says all of it, so that a write that power interrupts is known by any that
//! is whole; and no two openings, ever, have the same nonce.

use super::{Look, Version, get, get_u16, get_u64, hash_seeded, is_zero, put};
use crate::{device::Place, host::Process, limits::BLOCK_BYTES};

/// Where it is on the volume's first device: in the block behind the mark of a volume being made.
pub(crate) const OPENER_AT: u64 = 3 * BLOCK_BYTES as u64;

const MAGIC: [u8; 8] = *b"heopener";
const SEED: u64 = 0x6865_6f70_656e_6572;
const SECTOR_BYTES: usize = 512;
const NAME_AT: usize = 104;
const CHECKSUM_AT: usize = SECTOR_BYTES - 8;
const CLAIMS: u16 = 1;
const IS_FILE: u16 = 2;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Opener {
    pub(crate) process: Process,
    /// Under which name the process has the first device.
    pub(crate) place: Place,
    pub(crate) nonce: [u8; 16],
    /// It waits whether the one before it is still there.
    pub(crate) claims: bool,
}

impl Opener {
    pub(crate) fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut sector = [0; SECTOR_BYTES];
        let flag = |is_set: bool, flag: u16| if is_set { flag } else { 0 };
        let flags = flag(self.claims, CLAIMS) | flag(self.place.is_file, IS_FILE);
        let process = &self.process;
        put(&mut sector, 0, &MAGIC);
        put(&mut sector, 8, &Version::CURRENT.number().to_le_bytes());
        put(&mut sector, 10, &flags.to_le_bytes());
        put(&mut sector, 16, &self.nonce);
        put(&mut sector, 32, &process.host);
        put(&mut sector, 48, &process.boot);
        let numbers = [
            process.namespace,
            process.pid,
            process.started,
            self.place.device,
            self.place.inode,
        ];
        for (i, number) in numbers.iter().enumerate() {
            put(&mut sector, 64 + 8 * i, &number.to_le_bytes());
        }
        put(&mut sector, NAME_AT, &process.name);
        let sum = hash_seeded(&sector[..CHECKSUM_AT], SEED);
        put(&mut sector, CHECKSUM_AT, &sum.to_le_bytes());
        let mut block = [0; BLOCK_BYTES];
        for at in (0..BLOCK_BYTES).step_by(SECTOR_BYTES) {
            put(&mut block, at, &sector);
        }
        block
    }

    /// Decodes the block at [`OPENER_AT`].
    pub(crate) fn decode(block: &[u8]) -> Look<Self> {
        if is_zero(block) {
            return Look::Blank;
        }
        let mut whole = block.chunks_exact(SECTOR_BYTES).filter(|sector| {
            let sum = hash_seeded(&sector[..CHECKSUM_AT], SEED);
            has_magic(sector) && get_u64(sector, CHECKSUM_AT) == sum
        });
        let Some(sector) = whole.next() else {
            return Look::Bad;
        };
        if let Err(look) = Version::of(get_u16(sector, 8)) {
            return look;
        }
        let flags = get_u16(sector, 10);
        let number = |i: usize| get_u64(sector, 64 + 8 * i);
        Look::Good(Self {
            process: Process {
                host: get(sector, 32),
                boot: get(sector, 48),
                namespace: number(0),
                pid: number(1),
                started: number(2),
                name: get(sector, NAME_AT),
            },
            place: Place {
                is_file: flags & IS_FILE != 0,
                device: number(3),
                inode: number(4),
            },
            nonce: get(sector, 16),
            claims: flags & CLAIMS != 0,
        })
    }
}

/// Whether bytes start like an opener's mark, whole or not.
pub(crate) fn has_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_whole_sector_of_a_mark_is_enough() {
        for (is_file, claims) in [(false, false), (true, false), (false, true)] {
            let mark = Opener {
                process: Process::here(),
                place: Place {
                    is_file,
                    device: 5,
                    inode: 6,
                },
                nonce: [9; 16],
                claims,
            };
            let whole = mark.encode();
            for kept in 0..BLOCK_BYTES / SECTOR_BYTES {
                let mut torn = [0x5a; BLOCK_BYTES];
                let sector = kept * SECTOR_BYTES..(kept + 1) * SECTOR_BYTES;
                torn[sector.clone()].copy_from_slice(&whole[sector.clone()]);
                assert_eq!(Opener::decode(&torn), Look::Good(mark.clone()));
                torn[sector.start + 40] ^= 1;
                assert_eq!(Opener::decode(&torn), Look::Bad);
            }
        }
        assert_eq!(Opener::decode(&[0; BLOCK_BYTES]), Look::Blank);
    }
}
