//! The mark on a device that holds no volume: one is being made there, or was erased.
//!
//! Invariant: a device with a whole mark and no volume's superblock holds no item: the mark is durable
//! before anything else is written, and durably gone before the volume is used. Every sector of it
//! says all of it ([`super::sectors`]).

use super::{
    Look, SEGMENTS_AT, get_id, put,
    sectors::{FIELDS_AT, Kind},
};
use crate::{id::VolumeId, limits::BLOCK_BYTES};

/// Where it is: in the block behind the superblocks.
pub(crate) const MARK_AT: u64 = 2 * BLOCK_BYTES as u64;
/// Length of a file that was only just begun: too short for a segment, and one that nobody else makes.
pub(crate) const MARKED_BYTES: u64 = SEGMENTS_AT - BLOCK_BYTES as u64;

const KIND: Kind = Kind {
    magic: *b"hemaking",
    seed: 0x6865_6d61_6b69_6e67,
};
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
        let flags = [
            (self.grows, GROWS),
            (self.fresh, FRESH),
            (self.erased, ERASED),
        ];
        KIND.encode(&flags, |sector| put(sector, FIELDS_AT, &self.volume.0))
    }

    /// Decodes the block at [`MARK_AT`].
    pub(crate) fn decode(block: &[u8]) -> Look<Self> {
        KIND.decode(block, |flags, sector| Self {
            volume: get_id(sector, FIELDS_AT),
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
    fn a_mark_says_what_was_put_into_it() {
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
            assert_eq!(Mark::decode(&mark.encode()), Look::Good(mark));
        }
    }
}
