//! Pages: a stretch of one tree's entries, in key order, as the value of one item.
//!
//! | what | |
//! |---|---|
//! | tree | 4 bytes |
//! | zero | 1 byte; not in pages of format versions before 7 |
//! | entries | count, varint |
//! | per entry | bytes shared with the key before (varint), further bytes (varint), these bytes, place (6), shortfall (varint; not in pages of versions before 7) |
//!
//! The shortfall is one more than the bytes from the end of the item's value to that of its size class, or 0 where they do not say
//! how long the value is: see [`Location::exact`].
//!
//! Invariant: an entry decodes only into a key that is above the one before.

use super::bytes::{Reader, put_bytes, put_location, put_varint};
use crate::{limits::KEY_BYTES_MAX, location::Location};

/// A page is full when its entries take so many bytes.
pub(super) const PAGE_BYTES: usize = 16 << 10;
/// Bytes of an entry, at least.
const ENTRY_BYTES_MIN: usize = 8;
/// Stands where earlier versions had the number of entries, which never was this.
const WITH_SHORTFALLS: u8 = 0;

/// Takes entries in key order.
#[derive(Default)]
pub(super) struct PageBuilder {
    entries: Vec<u8>,
    count: u64,
    first: Vec<u8>,
    last: Vec<u8>,
}

impl PageBuilder {
    pub(super) fn push(&mut self, key: &[u8], at: Location) {
        if self.count == 0 {
            self.first.extend_from_slice(key);
        }
        let pairs = self.last.iter().zip(key);
        let shared = pairs.take_while(|(a, b)| a == b).count();
        put_varint(&mut self.entries, shared as u64);
        put_bytes(&mut self.entries, &key[shared..]);
        put_location(&mut self.entries, at);
        put_varint(&mut self.entries, at.shortfall());
        self.last.truncate(shared);
        self.last.extend_from_slice(&key[shared..]);
        self.count += 1;
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= PAGE_BYTES
    }

    /// Bytes of the entries.
    pub(super) fn bytes(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The first key.
    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }

    /// The page, and an empty builder again.
    pub(super) fn finish(&mut self, tree: u32) -> Vec<u8> {
        let mut page = tree.to_le_bytes().to_vec();
        page.push(WITH_SHORTFALLS);
        put_varint(&mut page, self.count);
        page.extend_from_slice(&self.entries);
        self.entries.clear();
        self.first.clear();
        self.last.clear();
        self.count = 0;
        page
    }
}

/// Shows each entry of a page of `tree` to `entry`, until that says no; `None` if this is no such
/// page, or `entry` said no.
pub(super) fn decode(
    page: &[u8],
    tree: u32,
    mut entry: impl FnMut(&[u8], Location) -> bool,
) -> Option<u64> {
    let mut reader = Reader(page);
    if reader.take(4)? != tree.to_le_bytes() {
        return None;
    }
    let has_shortfalls = page.get(4) == Some(&WITH_SHORTFALLS);
    if has_shortfalls {
        reader.take(1)?;
    }
    let count = reader.count(ENTRY_BYTES_MIN)?;
    let mut key: Vec<u8> = Vec::new();
    for _ in 0..count {
        let shared = reader.length().filter(|&shared| shared <= key.len())?;
        let suffix = reader.bytes()?;
        if shared + suffix.len() > KEY_BYTES_MAX {
            return None;
        }
        key.truncate(shared);
        key.extend_from_slice(suffix);
        let mut at = reader.location()?;
        if has_shortfalls {
            at = at.with_shortfall(reader.varint()?)?;
        }
        if !entry(&key, at) {
            return None;
        }
    }
    reader.is_empty().then_some(count as u64)
}
