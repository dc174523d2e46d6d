//! Bytes of development versions that called their format version 1 before it was what version 1 is.
//!
//! They are not read, but told from damage where that can be done: `docs/format.md`, "Versions".

use super::{
    Salt, fold,
    frame::{self, FrameHeader, Kind},
    get_u64, is_zero,
    item::{self, ItemHeader},
};

/// Items had a header of this length, with zeros at its end.
const HEADER_BYTES: usize = 32;
/// Stretches of sequence numbers stood before spilled items, and after two numbers.
const STRETCH_BYTES: usize = 16;

/// A frame whose contents are not what they should be.
pub(crate) struct Contents<'a> {
    pub(crate) header: &'a FrameHeader,
    pub(crate) payload: &'a [u8],
    pub(crate) salt: Salt,
    /// Of the payload's first byte.
    pub(crate) address: u64,
}

/// Bytes of an item, padding included, and its hash.
type Decode = fn(&[u8], Salt, u64) -> Option<(usize, u64)>;

impl Contents<'_> {
    /// Whether they are whole as such a version made them.
    pub(crate) fn are_whole(&self) -> bool {
        let spills = spill_prefix_len(self.header.kind, self.payload);
        self.have_long_items() || spills.is_some_and(|len| self.matches(len, short_item))
    }

    /// Whether they are whole with items of which nothing can be read now.
    pub(crate) fn have_long_items(&self) -> bool {
        let prefix = frame::prefix_len(self.header.kind, self.payload);
        prefix.is_some_and(|len| self.matches(len, long_item))
    }

    fn matches(&self, prefix_len: usize, decode: Decode) -> bool {
        let mut sum = frame::prefix_hash(&self.payload[..prefix_len]);
        let mut at = prefix_len;
        for _ in 0..self.header.item_count {
            let address = self.address + at as u64;
            let Some((len, hash)) = decode(&self.payload[at..], self.salt, address) else {
                return false;
            };
            sum = fold(sum, hash);
            at += len;
        }
        at == self.payload.len() && sum == self.header.payload_hash
    }
}

fn short_item(bytes: &[u8], salt: Salt, address: u64) -> Option<(usize, u64)> {
    let (item, hash) = item::decode(bytes, salt, address)?;
    Some((item.padded_len(), hash))
}

fn long_item(bytes: &[u8], salt: Salt, address: u64) -> Option<(usize, u64)> {
    let header = ItemHeader::decode(bytes)?;
    let len = header.len() + HEADER_BYTES - item::HEADER_BYTES;
    let padded = len.next_multiple_of(crate::limits::ITEM_ALIGN);
    let whole = bytes.get(..padded)?;
    let hash = item::hash(&whole[..len]);
    let sound = is_zero(&whole[item::HEADER_BYTES..HEADER_BYTES])
        && is_zero(&whole[len..])
        && header.checksum == item::checksum(hash, salt, address);
    sound.then_some((padded, hash))
}

fn spill_prefix_len(kind: Kind, payload: &[u8]) -> Option<usize> {
    if !matches!(kind, Kind::Spill | Kind::CommitSpilled) || payload.len() < STRETCH_BYTES {
        return None;
    }
    let stretches = usize::try_from(get_u64(payload, 8)).ok()?;
    let len = stretches.checked_add(1)?.checked_mul(STRETCH_BYTES)?;
    (len <= payload.len()).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{frame::FIRST, put, version::Version};

    const SALT: Salt = Salt(77);
    const ADDRESS: u64 = 4096;

    /// A frame's header and payload, with items of this header's length.
    fn frame(kind: Kind, prefix: &[u8], header_bytes: usize) -> (FrameHeader, Vec<u8>) {
        let mut payload = prefix.to_vec();
        let mut sum = frame::prefix_hash(prefix);
        for (key, value) in [(&b"a"[..], &b"1"[..]), (b"longer key", &[7; 100])] {
            let start = payload.len();
            payload.resize(start + header_bytes, 0);
            payload[start + 4] = 16;
            payload[start + 16] = key.len() as u8;
            payload[start + 20] = value.len() as u8;
            payload.extend_from_slice(key);
            payload.extend_from_slice(value);
            let hash = item::hash(&payload[start..]);
            let checksum = item::checksum(hash, SALT, ADDRESS + start as u64);
            put(&mut payload, start, &checksum.to_le_bytes());
            payload.resize(payload.len().next_multiple_of(16), 0);
            sum = fold(sum, hash);
        }
        let header = FrameHeader {
            version: Version::One,
            kind,
            flags: FIRST,
            payload_len: payload.len() as u32,
            item_count: 2,
            epoch: 1,
            lsn: 1,
            horizon: 0,
            batch_id: 1,
            payload_hash: sum,
            chain: 1,
        };
        (header, payload)
    }

    fn is_whole(header: &FrameHeader, payload: &[u8], address: u64) -> bool {
        let salt = SALT;
        let contents = Contents {
            header,
            payload,
            salt,
            address,
        };
        contents.are_whole()
    }

    #[test]
    fn what_early_versions_made_is_told_from_damage() {
        let stretches: Vec<u8> = [5u64, 2, 10, 20, 30, 40]
            .into_iter()
            .flat_map(u64::to_le_bytes)
            .collect();
        for (kind, prefix, header_bytes) in [
            (Kind::Commit, &[][..], 32),
            (Kind::Spill, &stretches, 24),
            (Kind::CommitSpilled, &stretches, 24),
        ] {
            let (header, mut payload) = frame(kind, prefix, header_bytes);
            assert!(is_whole(&header, &payload, ADDRESS), "{kind:?}");
            assert!(!is_whole(&header, &payload, ADDRESS + 16), "{kind:?}");
            payload[prefix.len() + 40] ^= 1;
            assert!(!is_whole(&header, &payload, ADDRESS), "{kind:?}");
        }
        // What only lacks its end is damaged.
        let (header, payload) = frame(Kind::Commit, &[], 32);
        for end in 0..payload.len() {
            assert!(!is_whole(&header, &payload[..end], ADDRESS), "{end}");
        }
    }
}
