//! What walks note of a leaf: which copy of its items lies side by side, and how many items they had to fetch from
//! elsewhere.
//!
//! Invariant: a note is a hint and nothing more. Leaves are split, merged and changed without a look at it; what a copy
//! holds is told from it alone, item by item.

use super::{
    Tree,
    build::Frame,
    entries::Entries,
    node::{Content, Node},
    order::Order,
    split::build_with_spare,
};
use crossbeam_epoch::Guard;
use std::{ptr, sync::atomic::Ordering::*};

/// A leaf that a walk is in.
#[derive(Clone, Copy)]
pub(crate) struct Leaf<'g>(pub(super) &'g Node);

impl PartialEq for Leaf<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.0, other.0)
    }
}

impl<'g> Leaf<'g> {
    /// Name of the copy of its items, 0 if there is none.
    #[inline]
    pub(crate) fn pack(self) -> u32 {
        self.0.pack.load(Relaxed)
    }

    /// There is another copy, or with 0 none.
    pub(crate) fn set_pack(self, name: u32) {
        self.0.pack.store(name, Relaxed);
        self.0.fetched.store(0, Relaxed);
    }

    /// It is left alone until so many items more were fetched.
    pub(crate) fn put_off(self, items: usize) {
        let items = items.min(i16::MAX as usize) as i16;
        self.0.fetched.store(-items, Relaxed);
    }

    /// Walks fetched so many items more; how many that makes.
    #[inline]
    pub(crate) fn count(self, items: usize) -> isize {
        // What two threads note at once is counted once: it is a hint.
        let fetched = &self.0.fetched;
        let all = fetched.load(Relaxed).saturating_add(items as i16);
        fetched.store(all, Relaxed);
        isize::from(all)
    }

    /// How many slots it has.
    pub(crate) fn slots(self, guard: &'g Guard) -> usize {
        match self.0.content(guard) {
            Content::Block(block) => block.len(),
            Content::Moved(_) => 0,
        }
    }

    /// Shows `each` the items of the leaf in key order: key and word.
    pub(crate) fn each(self, guard: &'g Guard, mut each: impl FnMut(&[u8], u64)) {
        let Content::Block(block) = self.0.content(guard) else {
            return;
        };
        let order = Order::of(block);
        let mut key = Vec::new();
        for rank in 0..order.len() {
            let slot = order.slot(rank);
            let word = block.word(slot).load(Acquire);
            if word != 0 {
                key.clear();
                block.push_key(slot, &mut key);
                each(&key, word);
            }
        }
    }
}

/// A leaf with fewer slots out of order is left as it is.
const UNORDERED_MIN: usize = 4;

impl Tree {
    /// Brings the slots of a leaf into the order of their keys, so that walks need not sort them each time. It does not
    /// count as a change.
    pub(crate) fn bring_in_order(&self, leaf: Leaf<'_>, guard: &Guard) {
        let node = leaf.0;
        let latched = node.latch();
        let Content::Block(block) = node.content(guard) else {
            return;
        };
        let header = block.header();
        if usize::from(header.appended.load(Relaxed)) < UNORDERED_MIN {
            return;
        }
        let frame = Frame {
            last: header.last.load(Relaxed),
            run: header.run.load(Relaxed),
            ..Frame::of(block)
        };
        let ordered = build_with_spare(&Entries::of(block), &frame);
        // Whoever takes the mark from the old block now reports the range once more than is needed.
        let is_changed = header.changed.load(Acquire);
        ordered.view().header().changed.store(is_changed, Relaxed);
        latched.publish(ordered, &self.counters, guard);
    }
}
