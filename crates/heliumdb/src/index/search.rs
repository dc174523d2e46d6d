//! The search for a key in a block: without a lock, and mostly by the heads alone.
//!
//! Invariant: heads order as the keys do; only keys with equal heads need a look at
//! their tails.

use super::block::{Block, HEAD_BYTES};
use std::cmp::Ordering;

/// Where a key is, or would be, in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Number of smaller keys in the slots that are in key order.
    pub(super) sorted_below: usize,
    /// The slot of the key, dead or live.
    pub(super) slot: Option<usize>,
    /// Number of slots that were looked at: more may have been appended since.
    pub(super) slots: usize,
}

impl Block<'_> {
    /// Finds `key`.
    #[inline]
    pub(super) fn search(self, key: &[u8]) -> Found {
        let heads = self.heads();
        let (sorted_heads, appended) = heads.split_at(self.sorted());
        let mut found = Found {
            sorted_below: 0,
            slot: None,
            slots: heads.len(),
        };
        let Some(suffix) = strip_prefix(key, self.prefix()) else {
            if key > self.prefix() {
                found.sorted_below = sorted_heads.len();
            }
            return found;
        };
        let head = head(suffix);
        found.sorted_below = count_below(sorted_heads, head);
        if sorted_heads.get(found.sorted_below) == Some(&head) {
            let ties = self.search_ties(suffix, head, found.sorted_below);
            (found.sorted_below, found.slot) = ties;
        }
        if found.slot.is_none() && has(appended, head) {
            found.slot = (sorted_heads.len()..heads.len())
                .filter(|&slot| heads[slot] == head)
                .find(|&slot| self.compare(slot, suffix) == Ordering::Equal);
        }
        found
    }

    /// Finds the key among the sorted ones from `from` on whose heads equal its own:
    /// how many are smaller, and its slot.
    #[inline]
    fn search_ties(self, suffix: &[u8], head: u32, from: usize) -> (usize, Option<usize>) {
        let first = self.compare(from, suffix);
        if first != Ordering::Less {
            return (from, (first == Ordering::Equal).then_some(from));
        }
        let ties = self.sorted_heads()[from..].partition_point(|&h| h == head);
        let (mut low, mut high) = (from + 1, from + ties);
        while low < high {
            let middle = low.midpoint(high);
            match self.compare(middle, suffix) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return (middle, Some(middle)),
                Ordering::Greater => high = middle,
            }
        }
        (low, None)
    }

    /// How many of the first `len` slots, all of the sorted ones among them, have a
    /// smaller key than the one that was `found`.
    pub(super) fn rank(self, key: &[u8], found: &Found, len: usize) -> usize {
        let sorted = self.sorted();
        let appended = &self.heads()[sorted..len];
        if appended.is_empty() {
            return found.sorted_below;
        }
        let Some(suffix) = strip_prefix(key, self.prefix()) else {
            return if key > self.prefix() { len } else { 0 };
        };
        let head = head(suffix);
        let below = found.sorted_below + count_below(appended, head);
        if !has(appended, head) {
            return below;
        }
        let ties = (0..appended.len())
            .filter(|&i| appended[i] == head)
            .filter(|&i| self.compare(sorted + i, suffix) == Ordering::Less);
        below + ties.count()
    }

    /// Compares the key in `slot` with one of the same prefix and head.
    #[inline]
    fn compare(self, slot: usize, suffix: &[u8]) -> Ordering {
        match suffix.get(self.stripped()..) {
            Some(tail) => compare(self.tail(slot), tail),
            // It ends within a head that is complete here.
            None => Ordering::Greater,
        }
    }
}

/// Number of heads smaller than `head`. Looks at all of them, without a branch:
/// cheaper than a search by halves, and all cache lines are fetched at once.
#[inline]
fn count_below(heads: &[u32], head: u32) -> usize {
    heads.iter().map(|&h| u32::from(h < head)).sum::<u32>() as usize
}

/// Whether there is such a head; as quick.
#[inline]
fn has(heads: &[u32], head: u32) -> bool {
    heads.iter().fold(false, |has, &h| has | (h == head))
}

/// The first bytes of a suffix as a number that orders as they do.
#[inline]
pub(super) fn head(suffix: &[u8]) -> u32 {
    match suffix.first_chunk::<HEAD_BYTES>() {
        Some(bytes) => u32::from_be_bytes(*bytes),
        None => {
            let mut bytes = [0; HEAD_BYTES];
            bytes[..suffix.len()].copy_from_slice(suffix);
            u32::from_be_bytes(bytes)
        }
    }
}

#[inline]
fn strip_prefix<'k>(key: &'k [u8], prefix: &[u8]) -> Option<&'k [u8]> {
    let (start, rest) = key.split_at_checked(prefix.len())?;
    is_equal(start, prefix).then_some(rest)
}

#[inline]
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    if is_equal(a, b) {
        Ordering::Equal
    } else {
        a.cmp(b)
    }
}

/// Whether they are equal, which they mostly are, and short: not worth a call. The first
/// bytes and the last, which may overlap, are compared as one number each.
#[inline]
fn is_equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        0 => true,
        1..4 => (a[0], a[a.len() / 2], a[a.len() - 1]) == (b[0], b[b.len() / 2], b[b.len() - 1]),
        4..8 => ends::<4>(a) == ends::<4>(b),
        8..=16 => ends::<8>(a) == ends::<8>(b),
        _ => a == b,
    }
}

#[inline]
fn ends<const N: usize>(bytes: &[u8]) -> Option<([u8; N], [u8; N])> {
    Some((*bytes.first_chunk()?, *bytes.last_chunk()?))
}
