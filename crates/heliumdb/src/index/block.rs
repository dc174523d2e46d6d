//! Blocks: the immutable, exactly sized contents of a node, and the search in them.
//!
//! Invariant: everything in a published block is immutable but the words of a leaf,
//! which are stored only under the latch of the node that the block is current in.
//! One allocation holds, in this order, what a search touches first at the front:
//!
//! | part | size | what |
//! |---|---|---|
//! | header | 32 | [`Header`] |
//! | prefix | `prefix_len`, padded to 8 | longest prefix that all keys share |
//! | heads | 4 n, padded to 8 | the four bytes behind the prefix as a number, zero-padded |
//! | words | 8 n | a leaf's words; an inner block's children |
//! | offsets | 0, 2 (n + 1) or 4 (n + 1) | where the tails start; none if all are equally long |
//! | tails | | what is left of each key |
//! | fences | `low_len`, `high_len` | keys k of this block: low <= k < high |
//!
//! A tail is what follows prefix and head, so that a head costs nothing; if a key of
//! the block ends before its head does, the tails of the block hold the heads' bytes
//! too (`HEADS_IN_TAILS`), because only so can a padded head be told from zero bytes.
//!
//! An inner block's keys are the low fences of its children; its first key is its own
//! low fence. So leaves and inner blocks are one format, searched and built alike.
#![expect(
    unsafe_code,
    reason = "blocks are hand-laid allocations; all raw access to them is in this file and build.rs"
)]

use super::node::Node;
use std::{
    alloc::Layout,
    cmp::Ordering,
    marker::PhantomData,
    mem::{align_of, size_of},
    ptr::{self, NonNull},
    slice,
    sync::atomic::AtomicU64,
};

/// Bytes of a key that its head holds.
pub(super) const HEAD_BYTES: usize = 4;
/// `high_len` of a block without upper bound.
pub(super) const NO_HIGH: u32 = u32::MAX;
/// `stride` of a block with 2-byte offsets.
pub(super) const NARROW_OFFSETS: u32 = u32::MAX;
/// `stride` of a block with 4-byte offsets.
pub(super) const WIDE_OFFSETS: u32 = u32::MAX - 1;
/// Bit of `level_and_flags`: the tails include the heads' bytes.
pub(super) const HEADS_IN_TAILS: u8 = 0x80;

/// The fixed start of a block.
#[repr(C)]
pub(super) struct Header {
    /// Right sibling, null in the rightmost block of a level.
    pub(super) next: *const Node,
    /// Size of the allocation.
    pub(super) bytes: u32,
    /// Number of keys.
    pub(super) count: u8,
    /// Distance from the leaves, and [`HEADS_IN_TAILS`].
    pub(super) level_and_flags: u8,
    /// Where the last key was inserted: see [`super::split`].
    pub(super) last: u8,
    /// How many inserts in a row went up (positive) or down from there.
    pub(super) run: i8,
    pub(super) prefix_len: u32,
    pub(super) low_len: u32,
    /// Or [`NO_HIGH`].
    pub(super) high_len: u32,
    /// Length of every tail, or [`NARROW_OFFSETS`], or [`WIDE_OFFSETS`].
    pub(super) stride: u32,
}

/// A block that stays allocated for `'g`, by an epoch guard or because it is owned.
#[derive(Clone, Copy)]
pub(super) struct Block<'g> {
    at: NonNull<Header>,
    lives: PhantomData<&'g Header>,
}

/// Where a key is, or would be, among a block's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Number of keys that are smaller.
    pub(super) position: usize,
    /// Whether the key at `position` is the one sought.
    pub(super) exact: bool,
}

impl<'g> Block<'g> {
    /// Header, prefix and heads of most blocks.
    const SEARCHED_BYTES: usize = 320;

    /// # Safety
    /// `at` is a completely built block that is not freed within `'g`.
    pub(super) unsafe fn from_raw(at: NonNull<Header>) -> Self {
        Self {
            at,
            lives: PhantomData,
        }
    }

    pub(super) fn as_ptr(self) -> *mut Header {
        self.at.as_ptr()
    }

    pub(super) fn header(self) -> &'g Header {
        // SAFETY: the block lives for 'g and nothing in its header changes.
        unsafe { self.at.as_ref() }
    }

    /// Asks the processor for what a search will touch, all lines at once.
    pub(super) fn prefetch(self) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        for line in (0..Self::SEARCHED_BYTES).step_by(64) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a prefetch reads nothing and may name any address.
            unsafe {
                _mm_prefetch(
                    self.at.as_ptr().cast::<i8>().wrapping_add(line),
                    _MM_HINT_T0,
                )
            };
        }
    }

    pub(super) fn len(self) -> usize {
        usize::from(self.header().count)
    }

    pub(super) fn level(self) -> u8 {
        self.header().level_and_flags & !HEADS_IN_TAILS
    }

    /// How many bytes at the start of each suffix are only in its head.
    pub(super) fn stripped(self) -> usize {
        if self.header().level_and_flags & HEADS_IN_TAILS == 0 {
            HEAD_BYTES
        } else {
            0
        }
    }

    pub(super) fn next(self) -> Option<&'g Node> {
        // SAFETY: a node is retired after the last block that names it, so whoever
        // may read this block for 'g may read the sibling for 'g.
        unsafe { self.header().next.as_ref() }
    }

    /// Memory that the block takes, as the system's allocator rounds.
    pub(super) fn footprint(self) -> usize {
        footprint(self.header().bytes as usize)
    }

    pub(super) fn layout(self) -> Layout {
        layout(self.header().bytes as usize)
    }

    pub(super) fn prefix(self) -> &'g [u8] {
        self.slice(size_of::<Header>(), self.header().prefix_len as usize)
    }

    pub(super) fn low(self) -> &'g [u8] {
        self.slice(self.fences_at(), self.header().low_len as usize)
    }

    /// `None` in the rightmost block of a level.
    pub(super) fn high(self) -> Option<&'g [u8]> {
        let header = self.header();
        (header.high_len != NO_HIGH).then(|| {
            self.slice(
                self.fences_at() + header.low_len as usize,
                header.high_len as usize,
            )
        })
    }

    pub(super) fn heads(self) -> &'g [u32] {
        // SAFETY: the builder wrote `count` aligned heads there; they never change.
        unsafe { slice::from_raw_parts(self.bytes_from(self.heads_at()).cast::<u32>(), self.len()) }
    }

    /// The word at `position`; in an inner block, the address of a child.
    pub(super) fn word(self, position: usize) -> &'g AtomicU64 {
        assert!(position < self.len());
        // SAFETY: the builder wrote `count` aligned words there, `position` is below,
        // and they are only ever accessed through atomics once published.
        unsafe { &*self.words().add(position) }
    }

    pub(super) fn words(self) -> *const AtomicU64 {
        self.bytes_from(self.words_at()).cast::<AtomicU64>()
    }

    /// The child at `position` of an inner block.
    pub(super) fn child(self, position: usize) -> &'g Node {
        assert!(self.level() > 0);
        let address = self
            .word(position)
            .load(std::sync::atomic::Ordering::Relaxed);
        // SAFETY: an inner block's words are addresses exposed by `Node::word`, and a
        // node is retired after the last block that names it.
        unsafe { &*ptr::with_exposed_provenance::<Node>(address as usize) }
    }

    /// Where the tail of the key at `position` starts; `position` may be the count.
    pub(super) fn tail_start(self, position: usize) -> usize {
        debug_assert!(position <= self.len());
        let offsets = self.bytes_from(self.offsets_at());
        match self.header().stride {
            // SAFETY: with this stride the builder wrote count + 1 offsets of 2 bytes.
            NARROW_OFFSETS => usize::from(unsafe { *offsets.cast::<u16>().add(position) }),
            // SAFETY: with this stride the builder wrote count + 1 offsets of 4 bytes.
            WIDE_OFFSETS => unsafe { *offsets.cast::<u32>().add(position) as usize },
            stride => stride as usize * position,
        }
    }

    /// The tails of the keys from `from` up to `to`, one after the other.
    pub(super) fn tails(self, from: usize, to: usize) -> &'g [u8] {
        assert!(from <= to && to <= self.len());
        let start = self.tail_start(from);
        self.slice(self.tails_at() + start, self.tail_start(to) - start)
    }

    pub(super) fn tail(self, position: usize) -> &'g [u8] {
        self.tails(position, position + 1)
    }

    /// Length of the key at `position` without the prefix.
    pub(super) fn suffix_len(self, position: usize) -> usize {
        self.stripped() + self.tail_start(position + 1) - self.tail_start(position)
    }

    /// What follows the prefix in the key at `position`: its head, of which the first
    /// [`Self::stripped`] bytes count, and its tail.
    pub(super) fn suffix(self, position: usize) -> ([u8; HEAD_BYTES], &'g [u8]) {
        (self.heads()[position].to_be_bytes(), self.tail(position))
    }

    /// Shortest and longest tail of the keys from `from` up to `to`.
    pub(super) fn tail_lens(self, from: usize, to: usize) -> (usize, usize) {
        let stride = self.header().stride;
        if !matches!(stride, NARROW_OFFSETS | WIDE_OFFSETS) {
            return (stride as usize, stride as usize);
        }
        (from..to).fold((usize::MAX, 0), |(shortest, longest), i| {
            let len = self.tail_start(i + 1) - self.tail_start(i);
            (len.min(shortest), len.max(longest))
        })
    }

    /// Appends what follows the prefix in the key at `position`.
    pub(super) fn push_suffix(self, position: usize, to: &mut Vec<u8>) {
        if self.stripped() > 0 {
            to.extend_from_slice(&self.heads()[position].to_be_bytes());
        }
        to.extend_from_slice(self.tail(position));
    }

    /// Appends the key at `position`.
    pub(super) fn push_key(self, position: usize, to: &mut Vec<u8>) {
        to.extend_from_slice(self.prefix());
        self.push_suffix(position, to);
    }

    /// Whether `key` is below the high fence.
    pub(super) fn is_below_high(self, key: &[u8]) -> bool {
        self.high().is_none_or(|high| key < high)
    }

    /// Finds `key`; without a lock, and mostly by the heads alone.
    #[inline]
    pub(super) fn search(self, key: &[u8]) -> Found {
        let prefix = self.prefix();
        let Some(suffix) = key.strip_prefix(prefix) else {
            let above = key > prefix;
            return Found {
                position: if above { self.len() } else { 0 },
                exact: false,
            };
        };
        let heads = self.heads();
        let head = head(suffix);
        let position = count_below(heads, head);
        if heads.get(position) != Some(&head) {
            return Found {
                position,
                exact: false,
            };
        }
        self.search_ties(suffix, head, position)
    }

    /// Finds the key among those from `from` on whose heads equal its own.
    #[inline]
    fn search_ties(self, suffix: &[u8], head: u32, from: usize) -> Found {
        let first = self.compare(from, suffix);
        if first != Ordering::Less {
            return Found {
                position: from,
                exact: first == Ordering::Equal,
            };
        }
        let ties = self.heads()[from..].partition_point(|&h| h == head);
        let (mut low, mut high) = (from + 1, from + ties);
        while low < high {
            let middle = low.midpoint(high);
            match self.compare(middle, suffix) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => {
                    return Found {
                        position: middle,
                        exact: true,
                    };
                }
                Ordering::Greater => high = middle,
            }
        }
        Found {
            position: low,
            exact: false,
        }
    }

    /// Compares the key at `position` with one of the same prefix and head.
    #[inline]
    fn compare(self, position: usize, suffix: &[u8]) -> Ordering {
        match suffix.get(self.stripped()..) {
            Some(tail) => self.tail(position).cmp(tail),
            // It ends within a head that is complete here.
            None => Ordering::Greater,
        }
    }

    fn heads_at(self) -> usize {
        size_of::<Header>() + round_up(self.header().prefix_len as usize)
    }

    fn words_at(self) -> usize {
        self.heads_at() + round_up(size_of::<u32>() * self.len())
    }

    fn offsets_at(self) -> usize {
        self.words_at() + size_of::<u64>() * self.len()
    }

    fn tails_at(self) -> usize {
        self.offsets_at() + offsets_bytes(self.header().stride, self.len())
    }

    fn fences_at(self) -> usize {
        self.tails_at() + self.tail_start(self.len())
    }

    fn bytes_from(self, offset: usize) -> *const u8 {
        debug_assert!(offset <= self.header().bytes as usize);
        // SAFETY: every offset computed here is within the allocation.
        unsafe { self.at.as_ptr().cast::<u8>().add(offset) }
    }

    fn slice(self, offset: usize, len: usize) -> &'g [u8] {
        debug_assert!(offset + len <= self.header().bytes as usize);
        // SAFETY: a part that the builder wrote, and that never changes.
        unsafe { slice::from_raw_parts(self.bytes_from(offset), len) }
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

pub(super) fn offsets_bytes(stride: u32, count: usize) -> usize {
    match stride {
        NARROW_OFFSETS => size_of::<u16>() * (count + 1),
        WIDE_OFFSETS => size_of::<u32>() * (count + 1),
        _ => 0,
    }
}

pub(super) fn round_up(bytes: usize) -> usize {
    bytes.next_multiple_of(align_of::<Header>())
}

/// What an allocation of `bytes` takes: glibc adds a word and rounds to 16.
pub(super) const fn footprint(bytes: usize) -> usize {
    let rounded = (bytes + 8).next_multiple_of(16);
    if rounded < 32 { 32 } else { rounded }
}

pub(super) fn layout(bytes: usize) -> Layout {
    let align = align_of::<Header>();
    debug_assert!(Layout::from_size_align(bytes, align).is_ok());
    // SAFETY: the alignment is a power of two; a block's size fits 32 bits.
    unsafe { Layout::from_size_align_unchecked(bytes, align) }
}
