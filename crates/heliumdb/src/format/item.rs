//! An item: header, key, value, zeros up to a multiple of 16.
//!
//! The expensive hash does not depend on where the item ends up; the checksum does.

use super::{Salt, get_u32, get_u64, is_zero, mix, put};
use crate::{
    codec,
    limits::{CHUNK_BYTES, ITEM_ALIGN, KEY_BYTES_MAX, VALUE_BYTES_MAX},
    location::Location,
};
use xxhash_rust::xxh3::xxh3_64;

pub(crate) const HEADER_BYTES: usize = 24;
pub(crate) const TOMBSTONE: u8 = 1;
pub(crate) const OVERTAKES: u8 = 2;
pub(crate) const INDIRECT: u8 = 4;
pub(crate) const CHUNK: u8 = 8;
const FLAGS: u8 = TOMBSTONE | OVERTAKES | INDIRECT | CHUNK;
const CHUNK_REF_BYTES: usize = 12;
const LIST_HEADER_BYTES: usize = 8;
/// Longest item, padding included.
pub(crate) const ITEM_BYTES_MAX: usize = HEADER_BYTES + KEY_BYTES_MAX + CHUNK_BYTES;

/// An item's header, checked against every limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ItemHeader {
    pub checksum: u32,
    pub tree: u32,
    pub seq: u64,
    pub flags: u8,
    pub key_len: usize,
    pub value_len: usize,
    /// How the value is kept: see [`codec`].
    pub codec: u8,
}

impl ItemHeader {
    /// Decodes the header of an item that has `bytes` at most; `None` if it cannot be one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEADER_BYTES {
            return None;
        }
        let (key, value) = (get_u32(bytes, 16), get_u32(bytes, 20));
        let header = Self {
            checksum: get_u32(bytes, 0),
            tree: get_u32(bytes, 4),
            seq: get_u64(bytes, 8),
            flags: (key >> 24) as u8,
            key_len: (key & 0xff_ffff) as usize,
            value_len: (value & 0xff_ffff) as usize,
            codec: (value >> 24) as u8,
        };
        let sound = (header.codec == codec::PLAIN
            || header.codec == codec::LZ4 && !header.has(TOMBSTONE | INDIRECT))
            && header.flags & !FLAGS == 0
            && header.key_len <= KEY_BYTES_MAX
            && header.value_len <= CHUNK_BYTES
            && header.padded_len() <= bytes.len();
        sound.then_some(header)
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn len(&self) -> usize {
        HEADER_BYTES + self.key_len + self.value_len
    }

    pub(crate) fn padded_len(&self) -> usize {
        self.len().next_multiple_of(ITEM_ALIGN)
    }

    /// The place of the item at `address`.
    pub(crate) fn place(&self, address: u64) -> Location {
        place(address, self.len(), (self.flags, self.codec))
    }

    pub(crate) fn key<'a>(&self, item: &'a [u8]) -> &'a [u8] {
        &item[HEADER_BYTES..HEADER_BYTES + self.key_len]
    }

    pub(crate) fn value<'a>(&self, item: &'a [u8]) -> &'a [u8] {
        &item[HEADER_BYTES + self.key_len..self.len()]
    }
}

/// The place of the item of `len` bytes at `address`; it tells the length if that says how long the value is.
pub(crate) fn place(address: u64, len: usize, (flags, codec): (u8, u8)) -> Location {
    match codec == codec::PLAIN && flags & INDIRECT == 0 {
        true => Location::exact(address, len),
        false => Location::new(address, len),
    }
}

/// How long the value of the item with this key is, if its place tells that.
#[inline]
pub(crate) fn value_len(at: Location, key: &[u8]) -> Option<usize> {
    at.exact_bytes()?.checked_sub(HEADER_BYTES + key.len())
}

/// Appends an item, whose value this codec has made, with its checksum still open; returns its
/// hash.
pub(crate) fn encode_as(
    codec: u8,
    to: &mut Vec<u8>,
    (tree, seq, flags): (u32, u64, u8),
    key: &[u8],
    value: &[u8],
) -> u64 {
    debug_assert!(key.len() <= KEY_BYTES_MAX && value.len() <= CHUNK_BYTES);
    let start = to.len();
    let mut header = [0; HEADER_BYTES];
    put(&mut header, 4, &tree.to_le_bytes());
    put(&mut header, 8, &seq.to_le_bytes());
    put(
        &mut header,
        16,
        &(key.len() as u32 | u32::from(flags) << 24).to_le_bytes(),
    );
    put(
        &mut header,
        20,
        &(value.len() as u32 | u32::from(codec) << 24).to_le_bytes(),
    );
    to.extend_from_slice(&header);
    to.extend_from_slice(key);
    to.extend_from_slice(value);
    let hash = hash(&to[start..]);
    to.resize(to.len().next_multiple_of(ITEM_ALIGN), 0);
    hash
}

/// Hash of an item without its padding, wherever it lies.
pub(crate) fn hash(item: &[u8]) -> u64 {
    xxh3_64(&item[4..])
}

/// The checksum of the item of this hash at this address of this volume.
pub(crate) fn checksum(hash: u64, salt: Salt, address: u64) -> u32 {
    mix(hash ^ mix(salt.0 ^ address)) as u32
}

/// Decodes the item at the start of `bytes` and checks all of it.
pub(crate) fn decode(bytes: &[u8], salt: Salt, address: u64) -> Option<(ItemHeader, u64)> {
    let header = ItemHeader::decode(bytes)?;
    let hash = hash(&bytes[..header.len()]);
    let whole = header.checksum == checksum(hash, salt, address)
        && is_zero(&bytes[header.len()..header.padded_len()]);
    whole.then_some((header, hash))
}

/// The value of an INDIRECT item: where the pieces of a long value are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ChunkList {
    pub total: usize,
    /// Place of each CHUNK item, and bytes of value in it as it is kept.
    pub chunks: Vec<(Location, usize)>,
}

/// Bytes of a list of `n` chunks.
pub(crate) fn chunk_list_bytes(n: usize) -> usize {
    LIST_HEADER_BYTES + n * CHUNK_REF_BYTES
}

/// Writes the list of `chunks` (place and bytes of value as kept) into `to`, which has the right length.
pub(crate) fn encode_chunk_list(to: &mut [u8], total: usize, chunks: &[(Location, usize)]) {
    put(to, 0, &(total as u32).to_le_bytes());
    put(to, 4, &(chunks.len() as u32).to_le_bytes());
    for (i, (location, len)) in chunks.iter().enumerate() {
        let at = LIST_HEADER_BYTES + i * CHUNK_REF_BYTES;
        put(
            to,
            at,
            &(location.address() / ITEM_ALIGN as u64).to_le_bytes(),
        );
        put(to, at + 8, &(*len as u32).to_le_bytes());
    }
}

/// Decodes a list of chunks; `None` if its numbers cannot be.
pub(crate) fn decode_chunk_list(value: &[u8]) -> Option<ChunkList> {
    let total = get_u32(value, 0) as usize;
    let n = get_u32(value, 4) as usize;
    // All pieces but the last have so many bytes before they are compressed.
    let fits = (CHUNK_BYTES + 1..=VALUE_BYTES_MAX).contains(&total)
        && n == total.div_ceil(CHUNK_BYTES)
        && value.len() == chunk_list_bytes(n);
    if !fits {
        return None;
    }
    let mut chunks = Vec::with_capacity(n);
    for i in 0..n {
        let at = LIST_HEADER_BYTES + i * CHUNK_REF_BYTES;
        let (unit, len) = (get_u64(value, at), get_u32(value, at + 8) as usize);
        if unit >= 1 << 40 || len > CHUNK_BYTES {
            return None;
        }
        chunks.push((
            Location::new(unit * ITEM_ALIGN as u64, HEADER_BYTES + len),
            len,
        ));
    }
    // Compressed pieces are shorter than what they give.
    let sum: usize = chunks.iter().map(|(_, len)| len).sum();
    (sum <= total).then_some(ChunkList { total, chunks })
}
