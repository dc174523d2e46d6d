//! Changing a leaf's block in place.
//!
//! Invariant: what is written lies where no reader looks, until the one store that
//! counts it in. The node's latch keeps other writers out.
#![expect(
    unsafe_code,
    reason = "blocks are hand-laid allocations; raw access to them is here, in block.rs and in build.rs"
)]

use super::{
    block::{Block, WIDE_OFFSETS},
    node::Latched,
    search::head,
};
use std::sync::atomic::Ordering;

impl Block<'_> {
    /// Adds an entry in a spare slot, if there is one and the key has the block's
    /// format. The key is not there, not even dead.
    pub(super) fn append(self, latched: &Latched<'_>, key: &[u8], word: u64) -> bool {
        debug_assert!(latched.node().holds(self));
        let slot = self.len();
        let Some(suffix) = key.strip_prefix(self.prefix()) else {
            return false;
        };
        let Some(tail) = suffix.get(self.stripped()..) else {
            return false;
        };
        if slot == self.capacity() || !self.has_room(slot, tail) {
            return false;
        }
        self.write(slot, suffix, tail, word);
        // Release: whoever counts the slot in sees what is in it.
        let appended = &self.header().appended;
        appended.store((slot - self.sorted()) as u8 + 1, Ordering::Release);
        self.mark_changed();
        true
    }

    fn has_room(self, slot: usize, tail: &[u8]) -> bool {
        let stride = self.header().stride;
        if stride < WIDE_OFFSETS {
            return tail.len() == stride as usize;
        }
        self.tails_at() + self.tail_start(slot) + tail.len() <= self.fences_at()
    }

    fn write(self, slot: usize, suffix: &[u8], tail: &[u8], word: u64) {
        let start = self.tail_start(slot);
        let end = start + tail.len();
        // SAFETY: the slot is within the capacity and its tail has room, as the caller
        // checked, so all of this is within the allocation. Nobody reads it before it
        // is counted in, and nobody else writes, because the node is latched.
        unsafe {
            let at = self.as_ptr().cast::<u8>();
            at.add(self.heads_at())
                .cast::<u32>()
                .add(slot)
                .write(head(suffix));
            at.add(self.words_at()).cast::<u64>().add(slot).write(word);
            at.add(self.tails_at() + start)
                .copy_from_nonoverlapping(tail.as_ptr(), tail.len());
            let offsets = at.add(self.offsets_at());
            match self.header().stride {
                WIDE_OFFSETS => offsets.cast::<u32>().add(slot + 1).write(end as u32),
                stride if stride > WIDE_OFFSETS => {
                    offsets.cast::<u16>().add(slot + 1).write(end as u16);
                }
                _ => {}
            }
        }
    }

    /// Replaces the word in `slot`; 0 makes the slot dead, another revives it.
    pub(super) fn set_word(self, latched: &Latched<'_>, slot: usize, old: u64, new: u64) {
        debug_assert!(latched.node().holds(self));
        // Release: whoever loads the word sees what it points to.
        self.word(slot).store(new, Ordering::Release);
        let dead = &self.header().dead;
        match (old, new) {
            (0, 0) => {}
            (0, _) => dead.store(dead.load(Ordering::Relaxed) - 1, Ordering::Relaxed),
            (_, 0) => dead.store(dead.load(Ordering::Relaxed) + 1, Ordering::Relaxed),
            _ => {}
        }
        self.mark_changed();
    }
}
