//! The header of a segment: two slots, of which the whole one with the higher generation counts.
//!
//! Invariant: a change of state is durable in one slot before the other is written, so
//! that a torn write or a flipped bit always leaves one.

use super::{Look, Salt, Version, get_id, get_u16, get_u32, get_u64, hash_seeded, is_zero, put};
use crate::{
    id::VolumeId,
    limits::{BLOCK_BYTES, SEGMENT_BYTES, VOLUME_BYTES_MAX},
};

const MAGIC: u32 = u32::from_le_bytes(*b"HeSg");
const WRITTEN: u8 = 1;
const CHECKSUM_AT: usize = BLOCK_BYTES - 8;
/// Segments that a volume can have at most.
const SEGMENTS_MAX: u64 = VOLUME_BYTES_MAX / SEGMENT_BYTES[0];

/// What a segment is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum State {
    /// Holds log.
    InUse = 1,
    /// Holds log up to `end`; what follows was discarded by a recovery.
    Ended = 2,
    /// Holds nothing that counts.
    Free = 3,
}

/// One slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentHeader {
    pub state: State,
    pub generation: u64,
    pub volume: VolumeId,
    pub segment: u64,
    pub sequence: u64,
    pub epoch: u64,
    /// Hash of the frame header before the segment's first.
    pub chain: u64,
    /// Where the log in it ends, if [`State::Ended`]; else 0.
    pub end: u64,
    /// The highest position known durable when the slot was written.
    pub horizon: u64,
    /// All of its blocks exist on the medium: a write to them changes no metadata.
    pub written: bool,
}

impl SegmentHeader {
    /// Generation of the header that a segment has before its first use.
    pub(crate) const FIRST_GENERATION: u64 = 1;

    /// The header of a segment that was never used.
    pub(crate) fn never_used(volume: VolumeId, segment: u64) -> Self {
        Self {
            state: State::Free,
            generation: Self::FIRST_GENERATION,
            volume,
            segment,
            sequence: 0,
            epoch: 0,
            chain: 0,
            end: 0,
            horizon: 0,
            written: false,
        }
    }

    pub(crate) fn is_never_used(&self) -> bool {
        self.state == State::Free && self.generation == Self::FIRST_GENERATION
    }

    /// Which of the two slots this generation is kept in.
    pub(crate) fn slot(&self) -> usize {
        (self.generation % 2) as usize
    }

    /// As the volume's superblocks say that it is.
    pub(crate) fn encode(&self, to: &mut [u8], salt: Salt, version: Version) {
        let to = &mut to[..BLOCK_BYTES];
        to.fill(0);
        put(to, 0, &MAGIC.to_le_bytes());
        put(to, 4, &version.number().to_le_bytes());
        to[6] = self.state as u8;
        to[7] = if self.written { WRITTEN } else { 0 };
        put(to, 8, &self.generation.to_le_bytes());
        put(to, 16, &self.volume.0);
        put(to, 32, &self.segment.to_le_bytes());
        put(to, 40, &self.sequence.to_le_bytes());
        put(to, 48, &self.epoch.to_le_bytes());
        put(to, 56, &self.chain.to_le_bytes());
        put(to, 64, &self.end.to_le_bytes());
        put(to, 72, &self.horizon.to_le_bytes());
        let sum = hash_seeded(&to[..CHECKSUM_AT], salt.0 ^ self.slot() as u64);
        put(to, CHECKSUM_AT, &sum.to_le_bytes());
    }

    /// Decodes what is in slot `slot` of whatever segment of whatever volume this is.
    pub(crate) fn of_any_volume(bytes: &[u8], slot: usize) -> Look<Self> {
        let salt = Salt::of(get_id(bytes, 16));
        Self::decode(bytes, salt, get_u64(bytes, 32), slot)
    }

    /// Decodes what is in slot `slot` of segment `segment`.
    pub(crate) fn decode(bytes: &[u8], salt: Salt, segment: u64, slot: usize) -> Look<Self> {
        let Some(bytes) = bytes.get(..BLOCK_BYTES) else {
            return Look::Bad;
        };
        if is_zero(bytes) {
            return Look::Blank;
        }
        let sum = hash_seeded(&bytes[..CHECKSUM_AT], salt.0 ^ slot as u64);
        if get_u32(bytes, 0) != MAGIC || get_u64(bytes, CHECKSUM_AT) != sum {
            return Look::Bad;
        }
        if let Err(look) = Version::of::<Self>(get_u16(bytes, 4)) {
            return look;
        }
        let state = match bytes[6] {
            1 => State::InUse,
            2 => State::Ended,
            3 => State::Free,
            _ => return Look::Bad,
        };
        let header = Self {
            state,
            generation: get_u64(bytes, 8),
            volume: get_id(bytes, 16),
            segment: get_u64(bytes, 32),
            sequence: get_u64(bytes, 40),
            epoch: get_u64(bytes, 48),
            chain: get_u64(bytes, 56),
            end: get_u64(bytes, 64),
            horizon: get_u64(bytes, 72),
            written: bytes[7] & WRITTEN != 0,
        };
        let fits = header.segment == segment && header.slot() == slot && segment < SEGMENTS_MAX;
        if !fits || bytes[7] & !WRITTEN != 0 {
            return Look::Bad;
        }
        Look::Good(header)
    }
}

/// Whether bytes start like a segment header, whole or not.
pub(crate) fn has_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC.to_le_bytes())
}
