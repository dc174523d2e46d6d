//! The opener's mark: who has the volume open for writing.
//!
//! Invariant: every sector of it says all of it ([`super::sectors`]); and no two openings, ever, have the same
//! nonce.

use super::{
    Look, get, get_u64, put,
    sectors::{FIELDS_AT, Kind},
};
use crate::{device::Place, limits::BLOCK_BYTES, peers::Process};

/// Where it is on the volume's first device: in the block behind the mark of a volume being made.
pub(crate) const OPENER_AT: u64 = 3 * BLOCK_BYTES as u64;

const KIND: Kind = Kind {
    magic: *b"heopener",
    seed: 0x6865_6f70_656e_6572,
};
const HOST_AT: usize = FIELDS_AT + 16;
const BOOT_AT: usize = HOST_AT + 16;
const NUMBERS_AT: usize = BOOT_AT + 16;
const NAME_AT: usize = NUMBERS_AT + 40;
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
        let flags = [(self.claims, CLAIMS), (self.place.is_file, IS_FILE)];
        let process = &self.process;
        let numbers = [
            process.namespace,
            process.pid,
            process.started,
            self.place.device,
            self.place.inode,
        ];
        KIND.encode(&flags, |sector| {
            put(sector, FIELDS_AT, &self.nonce);
            put(sector, HOST_AT, &process.host);
            put(sector, BOOT_AT, &process.boot);
            for (i, number) in numbers.iter().enumerate() {
                put(sector, NUMBERS_AT + 8 * i, &number.to_le_bytes());
            }
            put(sector, NAME_AT, &process.name);
        })
    }

    /// Decodes the block at [`OPENER_AT`].
    pub(crate) fn decode(block: &[u8]) -> Look<Self> {
        KIND.decode(block, |flags, sector| {
            let number = |i: usize| get_u64(sector, NUMBERS_AT + 8 * i);
            Self {
                process: Process {
                    host: get(sector, HOST_AT),
                    boot: get(sector, BOOT_AT),
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
                nonce: get(sector, FIELDS_AT),
                claims: flags & CLAIMS != 0,
            }
        })
    }
}

/// Whether bytes start like an opener's mark, whole or not.
pub(crate) fn has_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&KIND.magic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_what_was_put_into_it() {
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
            assert_eq!(Opener::decode(&mark.encode()), Look::Good(mark));
        }
    }
}
