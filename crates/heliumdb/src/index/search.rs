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
}

impl Block<'_> {
    /// Finds `key`.
    #[inline]
    pub(super) fn search(self, key: &[u8]) -> Found {
        let Some(suffix) = strip_prefix(key, self.prefix()) else {
            let above = key > self.prefix();
            return Found {
                sorted_below: if above { self.sorted() } else { 0 },
                slot: None,
            };
        };
        let head = head(suffix);
        let heads = self.sorted_heads();
        let below = count_below(heads, head);
        let mut found = Found {
            sorted_below: below,
            slot: None,
        };
        if heads.get(below) == Some(&head) {
            found = self.search_ties(suffix, head, below);
        }
        if found.slot.is_none() {
            found.slot = self.search_appended(suffix, head);
        }
        found
    }

    /// Finds the key among the sorted ones from `from` on whose heads equal its own.
    #[inline]
    fn search_ties(self, suffix: &[u8], head: u32, from: usize) -> Found {
        let is_at = |slot, order| Found {
            sorted_below: slot,
            slot: (order == Ordering::Equal).then_some(slot),
        };
        let first = self.compare(from, suffix);
        if first != Ordering::Less {
            return is_at(from, first);
        }
        let ties = self.sorted_heads()[from..].partition_point(|&h| h == head);
        let (mut low, mut high) = (from + 1, from + ties);
        while low < high {
            let middle = low.midpoint(high);
            match self.compare(middle, suffix) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return is_at(middle, Ordering::Equal),
                Ordering::Greater => high = middle,
            }
        }
        is_at(low, Ordering::Greater)
    }

    #[inline]
    fn search_appended(self, suffix: &[u8], head: u32) -> Option<usize> {
        let sorted = self.sorted();
        let appended = &self.heads()[sorted..];
        (0..appended.len())
            .filter(|&i| appended[i] == head)
            .map(|i| sorted + i)
            .find(|&slot| self.compare(slot, suffix) == Ordering::Equal)
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
        let ties = (0..appended.len())
            .filter(|&i| appended[i] == head)
            .filter(|&i| self.compare(sorted + i, suffix) == Ordering::Less)
            .count();
        found.sorted_below + count_below(appended, head) + ties
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

    /// Compares the keys in two slots.
    pub(super) fn compare_slots(self, a: usize, b: usize) -> Ordering {
        let heads = self.heads();
        heads[a]
            .cmp(&heads[b])
            .then_with(|| self.tail(a).cmp(self.tail(b)))
    }
}

/// Number of heads smaller than `head`. Looks at all of them, without a branch:
/// cheaper than a search by halves, and all cache lines are fetched at once.
#[inline]
fn count_below(heads: &[u32], head: u32) -> usize {
    heads.iter().map(|&h| u32::from(h < head)).sum::<u32>() as usize
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

/// Whether they are equal, which they mostly are, and short: not worth a call.
#[inline]
fn is_equal(a: &[u8], b: &[u8]) -> bool {
    const STEP: usize = 8;
    if a.len() != b.len() {
        return false;
    }
    if a.len() > 4 * STEP {
        return a == b;
    }
    let (a, a_rest) = a.as_chunks::<STEP>();
    let (b, b_rest) = b.as_chunks::<STEP>();
    let differs = |a: &[u8; STEP], b: &[u8; STEP]| u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b);
    let chunks = a.iter().zip(b).fold(0, |bits, (a, b)| bits | differs(a, b));
    let rest = a_rest
        .iter()
        .zip(b_rest)
        .fold(0, |bits, (a, b)| bits | (a ^ b));
    chunks == 0 && rest == 0
}
