//! Building blocks: from stretches of older blocks and single entries, in key order.
//!
//! Invariant: a block's prefix is the longest that its keys share, and its size is
//! exact. A stretch whose prefix and layout stay the same is copied piecewise, which is
//! the usual insert; otherwise its keys are put together and cut anew.
#![expect(
    unsafe_code,
    reason = "blocks are hand-laid allocations; all raw access to them is in this file and block.rs"
)]

use super::{
    block::{
        Block, HEAD_BYTES, HEADS_IN_TAILS, Header, NARROW_OFFSETS, NO_HIGH, WIDE_OFFSETS, head,
        layout, offsets_bytes, round_up,
    },
    entries::{Entries, Measure, Piece},
    node::Node,
};
use std::{
    alloc::{alloc, dealloc, handle_alloc_error},
    mem::{ManuallyDrop, size_of},
    ptr::{self, NonNull},
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
    /// Where the last key was inserted.
    pub(super) last: u8,
    /// How many inserts in a row went one way.
    pub(super) run: i8,
}

impl<'a> Frame<'a> {
    /// Of a block that covers all keys.
    pub(super) fn whole(level: u8) -> Self {
        Self {
            level,
            low: &[],
            high: None,
            next: None,
            last: 0,
            run: 0,
        }
    }

    /// Of a block that has the place of `block`.
    pub(super) fn of(block: Block<'a>) -> Self {
        Self {
            level: block.level(),
            low: block.low(),
            high: block.high(),
            next: block.next(),
            last: block.header().last,
            run: 0,
        }
    }
}

impl OwnedBlock {
    /// A block of `entries`, whose measure is `measure`.
    pub(super) fn build(entries: &Entries<'_>, measure: &Measure, frame: &Frame<'_>) -> Self {
        let stripped = if measure.shortest >= HEAD_BYTES {
            HEAD_BYTES
        } else {
            0
        };
        let tails = measure.suffix_bytes - stripped * measure.count;
        let stride = if measure.shortest == measure.longest {
            (measure.shortest - stripped) as u32
        } else if tails <= usize::from(u16::MAX) {
            NARROW_OFFSETS
        } else {
            WIDE_OFFSETS
        };
        let bytes = size_of::<Header>()
            + round_up(measure.prefix_len)
            + round_up(size_of::<u32>() * measure.count)
            + size_of::<u64>() * measure.count
            + offsets_bytes(stride, measure.count)
            + tails
            + frame.low.len()
            + frame.high.map_or(0, <[u8]>::len);
        let block = Self::allocate(Header {
            next: frame.next.map_or(ptr::null(), ptr::from_ref),
            bytes: bytes as u32,
            count: measure.count as u8,
            level_and_flags: frame.level | if stripped == 0 { HEADS_IN_TAILS } else { 0 },
            last: frame.last,
            run: frame.run,
            prefix_len: measure.prefix_len as u32,
            low_len: frame.low.len() as u32,
            high_len: frame.high.map_or(NO_HIGH, |high| high.len() as u32),
            stride,
        });
        let mut filler = Filler::new(block.view());
        if measure.count > 0 {
            let mut first = Vec::new();
            let prefix = entries.prefix_of_first(measure.prefix_len, &mut first);
            filler.put_bytes(size_of::<Header>(), prefix);
        }
        for piece in entries.pieces() {
            filler.add(piece);
        }
        filler.finish(frame.low, frame.high.unwrap_or_default());
        block
    }

    fn allocate(header: Header) -> Self {
        let layout = layout(header.bytes as usize);
        // SAFETY: the size is not zero, it includes the header.
        let at = unsafe { alloc(layout) }.cast::<Header>();
        let Some(at) = NonNull::new(at) else {
            handle_alloc_error(layout)
        };
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

impl Drop for OwnedBlock {
    fn drop(&mut self) {
        let layout = self.view().layout();
        // SAFETY: allocated with this layout by `allocate`, and owned.
        unsafe { dealloc(self.at.as_ptr().cast::<u8>(), layout) }
    }
}

/// Writes entries into a fresh block, front to back.
struct Filler<'a> {
    block: Block<'a>,
    at: *mut u8,
    prefix_len: usize,
    stripped: usize,
    heads_at: usize,
    words_at: usize,
    offsets_at: usize,
    tails_at: usize,
    /// Entries written.
    count: usize,
    /// Bytes of tails written.
    tail_end: usize,
    scratch: Vec<u8>,
}

impl<'a> Filler<'a> {
    fn new(block: Block<'a>) -> Self {
        let header = block.header();
        let count = block.len();
        let heads_at = size_of::<Header>() + round_up(header.prefix_len as usize);
        let words_at = heads_at + round_up(size_of::<u32>() * count);
        let offsets_at = words_at + size_of::<u64>() * count;
        Self {
            block,
            at: block.as_ptr().cast::<u8>(),
            prefix_len: header.prefix_len as usize,
            stripped: block.stripped(),
            heads_at,
            words_at,
            offsets_at,
            tails_at: offsets_at + offsets_bytes(header.stride, count),
            count: 0,
            tail_end: 0,
            scratch: Vec::new(),
        }
    }

    fn add(&mut self, piece: &Piece<'_>) {
        match *piece {
            Piece::Run { block, from, to } if from < to => {
                let alike =
                    block.prefix().len() == self.prefix_len && block.stripped() == self.stripped;
                if alike {
                    self.add_alike(block, from, to);
                } else {
                    self.add_anew(block, from, to);
                }
            }
            Piece::Run { .. } => {}
            Piece::One { key, word } => self.add_suffix(&key[self.prefix_len..], word),
        }
    }

    /// Copies entries that look the same in the new block.
    fn add_alike(&mut self, block: Block<'_>, from: usize, to: usize) {
        let count = to - from;
        self.put_heads(&block.heads()[from..to]);
        self.put_words(block, from, to);
        let tails = block.tails(from, to);
        let start = block.tail_start(from);
        for i in 0..self.offsets_of(count) {
            self.put_offset(
                self.count + i,
                self.tail_end + block.tail_start(from + i) - start,
            );
        }
        self.put_bytes(self.tails_at + self.tail_end, tails);
        self.tail_end += tails.len();
        self.count += count;
    }

    /// Puts the keys together and cuts them anew.
    fn add_anew(&mut self, block: Block<'_>, from: usize, to: usize) {
        for i in from..to {
            let mut key = std::mem::take(&mut self.scratch);
            key.clear();
            block.push_key(i, &mut key);
            let word = block.word(i).load(std::sync::atomic::Ordering::Relaxed);
            self.add_suffix(&key[self.prefix_len..], word);
            self.scratch = key;
        }
    }

    fn add_suffix(&mut self, suffix: &[u8], word: u64) {
        self.put_heads(&[head(suffix)]);
        assert!(self.count < self.block.len());
        // SAFETY: fresh, aligned, and within the words' part.
        unsafe {
            self.at
                .add(self.words_at)
                .cast::<u64>()
                .add(self.count)
                .write(word);
        }
        if self.offsets_of(1) > 0 {
            self.put_offset(self.count, self.tail_end);
        }
        let tail = &suffix[self.stripped..];
        self.put_bytes(self.tails_at + self.tail_end, tail);
        self.tail_end += tail.len();
        self.count += 1;
    }

    fn finish(&mut self, low: &[u8], high: &[u8]) {
        assert_eq!(self.count, self.block.len());
        if self.offsets_of(1) > 0 {
            self.put_offset(self.count, self.tail_end);
        }
        let fences_at = self.tails_at + self.tail_end;
        self.put_bytes(fences_at, low);
        self.put_bytes(fences_at + low.len(), high);
        assert_eq!(
            fences_at + low.len() + high.len(),
            self.block.header().bytes as usize
        );
    }

    /// How many offsets `count` entries need.
    fn offsets_of(&self, count: usize) -> usize {
        if self.tails_at > self.offsets_at {
            count
        } else {
            0
        }
    }

    fn put_heads(&mut self, heads: &[u32]) {
        assert!(self.count + heads.len() <= self.block.len());
        // SAFETY: within the heads' part of a block that nobody else sees.
        unsafe {
            let to = self.at.add(self.heads_at).cast::<u32>().add(self.count);
            ptr::copy_nonoverlapping(heads.as_ptr(), to, heads.len());
        }
    }

    fn put_words(&mut self, block: Block<'_>, from: usize, to: usize) {
        assert!(from <= to && to <= block.len());
        assert!(self.count + to - from <= self.block.len());
        // SAFETY: the source's words do not change, because its node is latched (others
        // may load them, which is no race with our reading them); the target is fresh.
        unsafe {
            let source = block.words().add(from).cast::<u64>();
            let target = self.at.add(self.words_at).cast::<u64>().add(self.count);
            ptr::copy_nonoverlapping(source, target, to - from);
        }
    }

    fn put_offset(&mut self, position: usize, offset: usize) {
        assert!(position <= self.block.len());
        let wide = self.block.header().stride == WIDE_OFFSETS;
        // SAFETY: there are count + 1 offsets, 2 or 4 bytes wide as the stride says.
        unsafe {
            let offsets = self.at.add(self.offsets_at);
            if wide {
                offsets.cast::<u32>().add(position).write(offset as u32);
            } else {
                offsets.cast::<u16>().add(position).write(offset as u16);
            }
        }
    }

    fn put_bytes(&mut self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.block.header().bytes as usize);
        // SAFETY: within the allocation, as just checked, and nobody else sees it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.at.add(offset), bytes.len()) }
    }
}
