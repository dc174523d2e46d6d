//! The bytes on a device: pure encoding and decoding, described in `docs/format.md`.
//!
//! Invariant: nothing decoded is handed out before its checksum, and every length in
//! it before its limit, was checked.

pub(crate) mod check;
pub(crate) mod early;
pub(crate) mod frame;
pub(crate) mod item;
pub(crate) mod mark;
pub(crate) mod name;
pub(crate) mod opener;
pub(crate) mod payload;
mod sectors;
pub(crate) mod segment;
pub(crate) mod superblock;
#[cfg(test)]
mod tests;
pub(crate) mod trees;
mod version;

use crate::id::VolumeId;
pub(crate) use version::Version;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// First byte of the first segment of a device.
pub(crate) const SEGMENTS_AT: u64 = 1 << 20;
/// Bytes at the start of a segment that its two header slots take.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 2 * crate::limits::BLOCK_BYTES;

/// What a block turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look<T> {
    /// All zeros.
    Blank,
    /// Ours and whole.
    Good(T),
    /// Ours and whole, but of a later format version.
    Newer(u16),
    /// Ours and whole, but of a development version: see [`early`].
    Early,
    /// Neither.
    Bad,
}

/// What seeds every checksum of a volume, so that another volume's bytes never pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Salt(pub(crate) u64);

impl Salt {
    pub(crate) fn of(volume: VolumeId) -> Self {
        Self(xxh3_64(&volume.0))
    }
}

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Adds one item's hash to a frame's. A bijection of `sum` for any `hash` and the other
/// way round, so that a single difference is never lost.
pub(crate) fn fold(sum: u64, hash: u64) -> u64 {
    (sum.rotate_left(29) ^ hash).wrapping_mul(MULTIPLIER)
}

/// Spreads every bit of `x` over the result.
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^ (x >> 32)
}

fn hash_seeded(bytes: &[u8], seed: u64) -> u64 {
    xxh3_64_with_seed(bytes, seed)
}

fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    if let Some(from) = bytes.get(at..at + N) {
        out.copy_from_slice(from);
    }
    out
}

pub(crate) fn get_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(get(bytes, at))
}

pub(crate) fn get_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(get(bytes, at))
}

pub(crate) fn get_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(get(bytes, at))
}

fn get_id(bytes: &[u8], at: usize) -> VolumeId {
    VolumeId(get(bytes, at))
}

fn put(bytes: &mut [u8], at: usize, from: &[u8]) {
    bytes[at..at + from.len()].copy_from_slice(from);
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| b == 0)
}
