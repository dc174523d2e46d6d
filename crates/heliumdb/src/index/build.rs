//! Building blocks: from runs of older blocks' entries and new ones, in key order.
//!
//! Invariant: a block's prefix is the longest that its keys share, and its size is what
//! its entries and spare slots need. A run whose prefix and layout stay the same is
//! copied part by part; otherwise its keys are put together and cut anew.
#![expect(
    unsafe_code,
    reason = "blocks are hand-laid allocations; raw access to them is here, in block.rs and in append.rs"
)]

use super::{
    block::{
        Block, HEAD_BYTES, HEADS_IN_TAILS, Header, NARROW_OFFSETS, NO_HIGH, WIDE_OFFSETS,
        offsets_bytes, round_up,
    },
    entries::{Entries, Measure, Run},
    memory,
    node::Node,
    search::head,
};
use std::{
    mem::{ManuallyDrop, size_of},
    ptr::{self, NonNull},
    sync::atomic::{AtomicBool, AtomicI8, AtomicU8, Ordering},
};

/// A block that nobody else sees: freed when dropped.
pub(super) struct OwnedBlock {
    at: NonNull<Header>,
}

/// What a block is told apart from its entries.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) level: u8,
    pub(super) low: &'a [u8],
    pub(super) high: Option<&'a [u8]>,
    pub(super) next: Option<&'a Node>,
    /// Word of the first child, 0 in a leaf.
    pub(super) first: u64,
    /// Number of slots to append to.
    pub(super) spare: usize,
    /// Rank of the key inserted last.
    pub(super) last: u8,
    /// How many inserts in a row went one way.
    pub(super) run: i8,
    /// Whether it holds anything that was not there when it was last walked.
    pub(super) changed: bool,
}

impl<'a> Frame<'a> {
    /// Of a block that covers all keys.
    pub(super) fn whole(level: u8) -> Self {
        Self {
            level,
            low: &[],
            high: None,
            next: None,
            first: 0,
            spare: 0,
            last: 0,
            run: 0,
            changed: true,
        }
    }

    /// Of a block that has the place of `block`.
    pub(super) fn of(block: Block<'a>) -> Self {
        Self {
            level: block.level(),
            low: block.low(),
            high: block.high(),
            next: block.next(),
            first: block.header().first,
            ..Self::whole(0)
        }
    }
}

impl OwnedBlock {
    /// A block of `entries`, whose measure is `measure`.
    pub(super) fn build(entries: &Entries<'_>, measure: &Measure, frame: &Frame<'_>) -> Self {
        let block = Self::allocate(header(measure, frame));
        let mut filler = Filler::new(block.view());
        if measure.count > 0 {
            let mut scratch = Vec::new();
            let prefix = entries.prefix(measure.prefix_len, &mut scratch);
            filler.put_bytes(size_of::<Header>(), prefix);
        }
        for run in entries.runs() {
            filler.add(&run);
        }
        filler.finish(frame);
        block
    }

    /// A block of keys with words, in key order, whose measure is `measure`.
    pub(super) fn of_sorted<'k>(
        entries: impl Iterator<Item = (&'k [u8], u64)>,
        prefix: &[u8],
        measure: &Measure,
        frame: &Frame<'_>,
    ) -> Self {
        let block = Self::allocate(header(measure, frame));
        let mut filler = Filler::new(block.view());
        filler.put_bytes(size_of::<Header>(), prefix);
        entries.for_each(|(key, word)| filler.add_key(key, word));
        filler.finish(frame);
        block
    }

    /// Gives a block that was built without one its right sibling.
    pub(super) fn set_next(&mut self, next: &Node) {
        // SAFETY: owned, and nobody else sees it yet.
        unsafe { (*self.at.as_ptr()).next = ptr::from_ref(next) }
    }

    fn allocate(header: Header) -> Self {
        let at = memory::allocate(header.bytes as usize).cast::<Header>();
        // SAFETY: fresh memory, large enough and aligned for a header.
        unsafe { at.write(header) };
        Self { at }
    }

    pub(super) fn view(&self) -> Block<'_> {
        // SAFETY: built, and owned for as long as `self` is borrowed.
        unsafe { Block::from_raw(self.at) }
    }

    /// Gives up ownership.
    pub(super) fn into_raw(self) -> NonNull<Header> {
        ManuallyDrop::new(self).at
    }

    /// # Safety
    /// `at` came from [`Self::into_raw`], and nobody but the new owner frees it.
    pub(super) unsafe fn from_raw(at: NonNull<Header>) -> Self {
        Self { at }
    }
}

// SAFETY: a block is memory that belongs to whoever holds the value, on whichever thread.
unsafe impl Send for OwnedBlock {}

impl Drop for OwnedBlock {
    fn drop(&mut self) {
        let bytes = self.view().header().bytes as usize;
        // SAFETY: allocated with this size by `allocate`, and owned.
        unsafe { memory::free(self.at.cast::<u8>(), bytes) }
    }
}

/// The header of a block to be built; it says all sizes.
fn header(measure: &Measure, frame: &Frame<'_>) -> Header {
    let stripped = if measure.shortest >= HEAD_BYTES {
        HEAD_BYTES
    } else {
        0
    };
    let slots = measure.count + frame.spare;
    let tails = measure.suffix_bytes - stripped * measure.count;
    let tails_with_spare = tails + frame.spare * tails.div_ceil(measure.count.max(1));
    let stride = if measure.shortest == measure.longest {
        (measure.shortest - stripped) as u32
    } else if tails_with_spare <= usize::from(u16::MAX) {
        NARROW_OFFSETS
    } else {
        WIDE_OFFSETS
    };
    let bytes = size_of::<Header>()
        + round_up(measure.prefix_len)
        + round_up(size_of::<u32>() * slots)
        + size_of::<u64>() * slots
        + offsets_bytes(stride, slots)
        + tails_with_spare
        + frame.low.len()
        + frame.high.map_or(0, <[u8]>::len);
    Header {
        next: frame.next.map_or(ptr::null(), ptr::from_ref),
        first: frame.first,
        bytes: bytes as u32,
        sorted: measure.count as u8,
        spare: frame.spare as u8,
        appended: AtomicU8::new(0),
        level_and_flags: frame.level | if stripped == 0 { HEADS_IN_TAILS } else { 0 },
        prefix_len: measure.prefix_len as u32,
        low_len: frame.low.len() as u32,
        high_len: frame.high.map_or(NO_HIGH, |high| high.len() as u32),
        stride,
        dead: AtomicU8::new(0),
        last: AtomicU8::new(frame.last),
        run: AtomicI8::new(frame.run),
        changed: AtomicBool::new(frame.changed),
    }
}

/// Writes entries into a fresh block, front to back.
struct Filler<'a> {
    block: Block<'a>,
    at: *mut u8,
    /// Entries written.
    count: usize,
    /// Bytes of tails written.
    tail_end: usize,
    scratch: Vec<u8>,
}

impl<'a> Filler<'a> {
    fn new(block: Block<'a>) -> Self {
        Self {
            block,
            at: block.as_ptr().cast::<u8>(),
            count: 0,
            tail_end: 0,
            scratch: Vec::new(),
        }
    }

    fn add(&mut self, run: &Run<'_>) {
        match *run {
            Run::Old { block, from, to } => {
                let alike = block.prefix().len() == self.block.prefix().len()
                    && block.stripped() == self.block.stripped();
                if alike {
                    self.add_alike(block, from, to);
                } else {
                    self.add_anew(block, from, to);
                }
            }
            Run::New { key, word } => self.add_key(key, word),
        }
    }

    /// Copies entries that look the same in the new block.
    fn add_alike(&mut self, block: Block<'_>, from: usize, to: usize) {
        self.put_heads(&block.heads()[from..to]);
        self.put_words(block, from, to);
        if self.has_offsets() {
            let start = block.tail_start(from);
            for slot in from..to {
                let offset = self.tail_end + block.tail_start(slot) - start;
                self.put_offset(self.count + slot - from, offset);
            }
        }
        let tails = block.tails(from, to);
        self.put_bytes(self.block.tails_at() + self.tail_end, tails);
        self.tail_end += tails.len();
        self.count += to - from;
    }

    /// Puts the keys together and cuts them anew.
    fn add_anew(&mut self, block: Block<'_>, from: usize, to: usize) {
        for slot in from..to {
            let mut key = std::mem::take(&mut self.scratch);
            key.clear();
            block.push_key(slot, &mut key);
            self.add_key(&key, block.word(slot).load(Ordering::Relaxed));
            self.scratch = key;
        }
    }

    fn add_key(&mut self, key: &[u8], word: u64) {
        let suffix = &key[self.block.prefix().len()..];
        self.put_heads(&[head(suffix)]);
        self.put_word(word);
        if self.has_offsets() {
            self.put_offset(self.count, self.tail_end);
        }
        let tail = &suffix[self.block.stripped()..];
        self.put_bytes(self.block.tails_at() + self.tail_end, tail);
        self.tail_end += tail.len();
        self.count += 1;
    }

    fn finish(&mut self, frame: &Frame<'_>) {
        assert_eq!(self.count, self.block.sorted());
        if self.has_offsets() {
            self.put_offset(self.count, self.tail_end);
        }
        let fences_at = self.block.fences_at();
        assert!(self.block.tails_at() + self.tail_end <= fences_at);
        self.put_bytes(fences_at, frame.low);
        self.put_bytes(fences_at + frame.low.len(), frame.high.unwrap_or_default());
    }

    fn has_offsets(&self) -> bool {
        self.block.header().stride >= WIDE_OFFSETS
    }

    fn put_heads(&mut self, heads: &[u32]) {
        assert!(self.count + heads.len() <= self.block.capacity());
        // SAFETY: within the heads' part of a block that nobody else sees.
        unsafe {
            let to = self.at.add(self.block.heads_at()).cast::<u32>();
            ptr::copy_nonoverlapping(heads.as_ptr(), to.add(self.count), heads.len());
        }
    }

    fn put_word(&mut self, word: u64) {
        assert!(self.count < self.block.capacity());
        // SAFETY: an aligned word in a block that nobody else sees.
        unsafe {
            let words = self.at.add(self.block.words_at()).cast::<u64>();
            words.add(self.count).write(word);
        }
    }

    fn put_words(&mut self, block: Block<'_>, from: usize, to: usize) {
        assert!(from <= to && to <= block.len());
        assert!(self.count + to - from <= self.block.capacity());
        // SAFETY: the source's words do not change, because its node is latched (others
        // may load them, which is no race with our reading them); the target is fresh.
        unsafe {
            let source = block.words().add(from).cast::<u64>();
            let words = self.at.add(self.block.words_at()).cast::<u64>();
            ptr::copy_nonoverlapping(source, words.add(self.count), to - from);
        }
    }

    fn put_offset(&mut self, slot: usize, offset: usize) {
        assert!(slot <= self.block.capacity());
        // SAFETY: there is an offset for each slot and one more, 2 or 4 bytes wide as
        // the stride says, in a block that nobody else sees.
        unsafe {
            let offsets = self.at.add(self.block.offsets_at());
            if self.block.header().stride == WIDE_OFFSETS {
                offsets.cast::<u32>().add(slot).write(offset as u32);
            } else {
                offsets.cast::<u16>().add(slot).write(offset as u16);
            }
        }
    }

    fn put_bytes(&mut self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.block.header().bytes as usize);
        // SAFETY: within the allocation, as just checked, and nobody else sees it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.at.add(offset), bytes.len()) }
    }
}
