//! Blocks: the contents of a node in one allocation.
//!
//! Invariant: a published block changes in three ways only, each under the latch of the
//! node that it is current in and each a single atomic store to readers: the word of a
//! slot is replaced; the word becomes 0, which leaves the slot *dead*; an entry is
//! *appended* to the spare slots of a leaf. What was there once stays where it is.
//!
//! In this order, what a search touches first at the front:
//!
//! | part | size | what |
//! |---|---|---|
//! | header | 48 | [`Header`] |
//! | prefix | `prefix_len`, padded to 8 | longest prefix that the sorted keys share; all start with it |
//! | heads | 4 per slot, padded to 8 | the four bytes behind the prefix as a number, zero-padded |
//! | words | 8 per slot | a leaf's words; an inner block's children |
//! | offsets | none, or 2 or 4 per slot, and one more | where the tails start; none if all are equally long |
//! | tails | | what is left of each key |
//! | fences | `low_len`, `high_len` | keys k of this block: low <= k < high |
//!
//! The first `sorted` slots are in key order, the appended ones as they came.
//!
//! A tail is what follows prefix and head, so that a head costs nothing; if one of the
//! sorted keys ends before its head does, the tails of the block hold the heads' bytes
//! too ([`HEADS_IN_TAILS`]): only so can a padded head be told from zero bytes.
//!
//! An inner block's keys are the low fences of its children but the first, whose low
//! fence is the block's own. So leaves and inner blocks are searched and built alike.
#![expect(
    unsafe_code,
    reason = "blocks are hand-laid allocations; raw access to them is here, in build.rs and in append.rs"
)]

use super::{memory, node::Node};
use std::{
    marker::PhantomData,
    mem::{align_of, size_of},
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicBool, AtomicI8, AtomicU8, AtomicU64, Ordering},
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
    /// Word of the first child, 0 in a leaf.
    pub(super) first: u64,
    /// Size of the allocation.
    pub(super) bytes: u32,
    /// Number of slots in key order.
    pub(super) sorted: u8,
    /// Number of slots that may be appended.
    pub(super) spare: u8,
    /// Number of slots that have been appended.
    pub(super) appended: AtomicU8,
    /// Distance from the leaves, and [`HEADS_IN_TAILS`].
    pub(super) level_and_flags: u8,
    pub(super) prefix_len: u32,
    pub(super) low_len: u32,
    /// Or [`NO_HIGH`].
    pub(super) high_len: u32,
    /// Length of every tail, or [`NARROW_OFFSETS`], or [`WIDE_OFFSETS`].
    pub(super) stride: u32,
    /// Number of slots whose word is 0. This and what follows is for latch holders.
    pub(super) dead: AtomicU8,
    /// Where in key order the last key was inserted: see [`super::split`].
    pub(super) last: AtomicU8,
    /// How many inserts in a row went up (positive) or down from there.
    pub(super) run: AtomicI8,
    /// Whether anything changed since the last walk by [`super::changes`].
    pub(super) changed: AtomicBool,
}

/// A block that stays allocated for `'g`, by an epoch guard or because it is owned.
#[derive(Clone, Copy)]
pub(super) struct Block<'g> {
    at: NonNull<Header>,
    lives: PhantomData<&'g Header>,
}

impl<'g> Block<'g> {
    /// Header, prefix and heads of most blocks.
    const SEARCHED_BYTES: usize = 448;

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

    #[inline]
    pub(super) fn header(self) -> &'g Header {
        // SAFETY: the block lives for 'g; what changes in its header is atomic.
        unsafe { self.at.as_ref() }
    }

    /// Asks the processor for what a search will touch, all lines at once.
    #[inline]
    pub(super) fn prefetch(self) {
        for offset in (0..Self::SEARCHED_BYTES).step_by(64) {
            self.prefetch_line(offset);
        }
    }

    /// Asks the processor for what an appended entry will touch, so that it is there
    /// when the latch is given back: that waits for all writes.
    #[inline]
    pub(super) fn prefetch_spare(self) {
        let slot = self.len();
        if slot < self.capacity() {
            self.prefetch_line(self.words_at() + size_of::<u64>() * slot);
            let stride = self.header().stride;
            if stride < WIDE_OFFSETS {
                self.prefetch_line(self.tails_at() + stride as usize * slot);
            } else {
                self.prefetch_line(self.offsets_at() + size_of::<u16>() * slot);
            }
        }
    }

    /// Asks the processor for the word and the tail in a slot.
    #[inline]
    pub(super) fn prefetch_slot(self, slot: usize) {
        self.prefetch_line(self.words_at() + size_of::<u64>() * slot);
        let stride = self.header().stride;
        if stride < WIDE_OFFSETS {
            self.prefetch_line(self.tails_at() + stride as usize * slot);
        }
    }

    #[inline]
    fn prefetch_line(self, offset: usize) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let at = self.at.as_ptr().cast::<i8>().wrapping_add(offset);
            // SAFETY: a prefetch reads nothing and may name any address.
            unsafe { _mm_prefetch(at, _MM_HINT_T0) }
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        let _ = offset;
    }

    /// Number of slots in key order.
    #[inline]
    pub(super) fn sorted(self) -> usize {
        usize::from(self.header().sorted)
    }

    /// Number of slots, the appended ones included.
    #[inline]
    pub(super) fn len(self) -> usize {
        // Acquire: see what was written to the slots before they were counted in.
        self.sorted() + usize::from(self.header().appended.load(Ordering::Acquire))
    }

    /// Number of slots, those to be appended included.
    #[inline]
    pub(super) fn capacity(self) -> usize {
        self.sorted() + usize::from(self.header().spare)
    }

    /// Number of slots with a word other than 0, for the latch holder.
    pub(super) fn live(self) -> usize {
        self.len() - usize::from(self.header().dead.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn level(self) -> u8 {
        self.header().level_and_flags & !HEADS_IN_TAILS
    }

    /// How many bytes at the start of each suffix are only in its head.
    #[inline]
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

    /// Memory that the block takes.
    pub(super) fn footprint(self) -> usize {
        memory::footprint(self.header().bytes as usize)
    }

    #[inline]
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

    /// Whether `key` is below the high fence.
    pub(super) fn is_below_high(self, key: &[u8]) -> bool {
        self.high().is_none_or(|high| key < high)
    }

    /// The heads of all slots.
    #[inline]
    pub(super) fn heads(self) -> &'g [u32] {
        self.heads_of(self.len())
    }

    /// The heads of the slots in key order.
    #[inline]
    pub(super) fn sorted_heads(self) -> &'g [u32] {
        self.heads_of(self.sorted())
    }

    #[inline]
    fn heads_of(self, count: usize) -> &'g [u32] {
        // SAFETY: the first `count` heads, which are aligned, have been written and do
        // not change any more.
        unsafe { slice::from_raw_parts(self.bytes_from(self.heads_at()).cast::<u32>(), count) }
    }

    /// The word in `slot`; in an inner block, the address of a child.
    #[inline]
    pub(super) fn word(self, slot: usize) -> &'g AtomicU64 {
        assert!(slot < self.len());
        // SAFETY: an aligned word that has been written; it is only ever accessed
        // through atomics once published.
        unsafe { &*self.words().add(slot) }
    }

    pub(super) fn words(self) -> *const AtomicU64 {
        self.bytes_from(self.words_at()).cast::<AtomicU64>()
    }

    /// The child at `index` of an inner block, which has one more than it has keys.
    #[inline]
    pub(super) fn child(self, index: usize) -> &'g Node {
        assert!(self.level() > 0);
        let address = match index.checked_sub(1) {
            None => self.header().first,
            Some(slot) => self.word(slot).load(Ordering::Relaxed),
        };
        // SAFETY: an inner block's words are addresses exposed by `Node::word`, and a
        // node is retired after the last block that names it.
        unsafe { &*ptr::with_exposed_provenance::<Node>(address as usize) }
    }

    /// Where the tail of the key in `slot` starts; `slot` may be the count.
    #[inline]
    pub(super) fn tail_start(self, slot: usize) -> usize {
        debug_assert!(slot <= self.len());
        let stride = self.header().stride;
        if stride < WIDE_OFFSETS {
            return stride as usize * slot;
        }
        let offsets = self.bytes_from(self.offsets_at());
        if stride == NARROW_OFFSETS {
            // SAFETY: there is a 2-byte offset for each slot and one more.
            usize::from(unsafe { *offsets.cast::<u16>().add(slot) })
        } else {
            // SAFETY: there is a 4-byte offset for each slot and one more.
            unsafe { *offsets.cast::<u32>().add(slot) as usize }
        }
    }

    /// The tails of the keys from slot `from` up to `to`, one after the other.
    #[inline]
    pub(super) fn tails(self, from: usize, to: usize) -> &'g [u8] {
        assert!(from <= to && to <= self.len());
        let start = self.tail_start(from);
        self.slice(self.tails_at() + start, self.tail_start(to) - start)
    }

    #[inline]
    pub(super) fn tail(self, slot: usize) -> &'g [u8] {
        self.tails(slot, slot + 1)
    }

    /// What follows the prefix in the key in `slot`: its head, of which the first
    /// [`Self::stripped`] bytes count, and its tail.
    #[inline]
    pub(super) fn suffix(self, slot: usize) -> ([u8; HEAD_BYTES], &'g [u8]) {
        (self.heads()[slot].to_be_bytes(), self.tail(slot))
    }

    /// Length of the key in `slot`.
    pub(super) fn key_len(self, slot: usize) -> usize {
        let tail = self.tail_start(slot + 1) - self.tail_start(slot);
        self.prefix().len() + self.stripped() + tail
    }

    /// Length of all keys if they are equally long.
    pub(super) fn common_key_len(self) -> Option<usize> {
        let stride = self.header().stride;
        (stride < WIDE_OFFSETS).then(|| self.prefix().len() + self.stripped() + stride as usize)
    }

    /// Appends what follows the prefix in the key in `slot`.
    #[inline]
    pub(super) fn push_suffix(self, slot: usize, to: &mut Vec<u8>) {
        let (head, tail) = self.suffix(slot);
        if self.stripped() > 0 {
            to.extend_from_slice(&head);
        }
        to.extend_from_slice(tail);
    }

    /// Appends the key in `slot`.
    pub(super) fn push_key(self, slot: usize, to: &mut Vec<u8>) {
        to.extend_from_slice(self.prefix());
        self.push_suffix(slot, to);
    }

    #[inline]
    pub(super) fn heads_at(self) -> usize {
        size_of::<Header>() + round_up(self.header().prefix_len as usize)
    }

    #[inline]
    pub(super) fn words_at(self) -> usize {
        self.heads_at() + round_up(size_of::<u32>() * self.capacity())
    }

    #[inline]
    pub(super) fn offsets_at(self) -> usize {
        self.words_at() + size_of::<u64>() * self.capacity()
    }

    #[inline]
    pub(super) fn tails_at(self) -> usize {
        self.offsets_at() + offsets_bytes(self.header().stride, self.capacity())
    }

    pub(super) fn fences_at(self) -> usize {
        let header = self.header();
        let high_len = match header.high_len {
            NO_HIGH => 0,
            len => len as usize,
        };
        header.bytes as usize - header.low_len as usize - high_len
    }

    #[inline]
    fn bytes_from(self, offset: usize) -> *const u8 {
        debug_assert!(offset <= self.header().bytes as usize);
        // SAFETY: every offset computed here is within the allocation.
        unsafe { self.at.as_ptr().cast::<u8>().add(offset) }
    }

    #[inline]
    fn slice(self, offset: usize, len: usize) -> &'g [u8] {
        debug_assert!(offset + len <= self.header().bytes as usize);
        // SAFETY: bytes that were written before they were counted in, and that do not
        // change any more.
        unsafe { slice::from_raw_parts(self.bytes_from(offset), len) }
    }
}

pub(super) fn offsets_bytes(stride: u32, slots: usize) -> usize {
    match stride {
        NARROW_OFFSETS => size_of::<u16>() * (slots + 1),
        WIDE_OFFSETS => size_of::<u32>() * (slots + 1),
        _ => 0,
    }
}

pub(super) fn round_up(bytes: usize) -> usize {
    bytes.next_multiple_of(align_of::<Header>())
}
