//! The index: an ordered map in memory from keys to words that threads share.
//!
//! A B-link tree (Lehman and Yao) whose [`node`]s hold compact [`block`]s. Keys are
//! added to a block in its spare slots ([`append`]) and removed by a zero word; when
//! that will not do, a new block is built, published in the node, and the old one
//! retired through the epoch. Readers take no lock: they [`descend`], and where a node
//! has split meanwhile they step to its right sibling, where it was absorbed, to its
//! left one. Writers latch one node at a time ([`merge`]: a parent and two children,
//! from above and from the left).
//!
//! Invariants:
//! - On each level the nodes' ranges [low, high) are disjoint and cover all keys.
//! - A node's parent level may not know it yet, but never names a node that is gone.
//! - The leftmost node of a level stays, and levels are only ever added: an emptied
//!   tree keeps one nearly empty node per level.

mod append;
mod block;
mod build;
mod changes;
mod counters;
mod descend;
mod entries;
mod iter;
mod leaf;
mod load;
mod many;
mod memory;
mod merge;
mod node;
mod order;
mod search;
mod split;
#[cfg(test)]
mod tests;
mod unordered;
mod warm;

pub(crate) use iter::{Bound, Direction, Iter};
pub(crate) use leaf::Leaf;
pub(crate) use load::{Part, PartBuilder};
pub(crate) use unordered::{HASH_BYTES, IndexKey, Secret};

use counters::Counters;
use crossbeam_epoch::Guard;
use descend::Place;
use entries::Entries;
use node::{Latched, Node, Root};
use order::Order;
use parking_lot::Mutex;
use std::{mem, sync::atomic::Ordering};

/// Ordered map from byte strings to words other than zero, shared by threads.
pub(crate) struct Tree {
    root: Root,
    /// Held while a level is added.
    growing: Mutex<()>,
    counters: Counters,
}

impl Tree {
    /// An empty tree.
    pub(crate) fn new() -> Self {
        let counters = Counters::default();
        let leaf = split::build(&Entries::none(), &build::Frame::whole(0));
        let root = Root::new(Node::create(leaf, &counters, &crossbeam_epoch::pin()));
        Self {
            root,
            growing: Mutex::new(()),
            counters,
        }
    }

    /// The word of `key`, 0 if there is none. Takes no lock.
    ///
    /// What the word points to stays valid while `guard` lives, if its owner takes it
    /// out of the tree before retiring it through the epoch.
    #[inline]
    pub(crate) fn get(&self, key: &[u8], guard: &Guard) -> u64 {
        self.find(key, 0, guard).word()
    }

    /// Runs `f` with the word of `key`, 0 if there is none, and stores the word that `f`
    /// returns, 0 to remove or not to create the slot. Nobody else changes the slot
    /// meanwhile. `f` must be short and must not touch the tree; if it panics, nothing
    /// changes.
    pub(crate) fn update<R>(
        &self,
        key: &[u8],
        guard: &Guard,
        f: impl FnOnce(u64) -> (u64, R),
    ) -> R {
        let (latched, place) = self.find_latched(key, 0, guard);
        let old = place.word();
        let (new, result) = f(old);
        self.store(latched, &place, key, (old, new), guard);
        result
    }

    /// Walks through the items in key order from a bound on, either way.
    ///
    /// Never goes back, never repeats a key, and passes every key that is there
    /// throughout. Each step looks at the tree as it is then.
    pub(crate) fn iter<'g>(
        &'g self,
        from: Bound<'_>,
        direction: Direction,
        guard: &'g Guard,
    ) -> Iter<'g> {
        Iter::new(self, from, direction, guard)
    }

    /// Number of items.
    pub(crate) fn len(&self) -> u64 {
        self.counters.items()
    }

    /// Bytes of memory that the tree takes, rounded up as they are allocated; without
    /// what was replaced and waits for readers to be done with it.
    pub(crate) fn memory_bytes(&self) -> u64 {
        mem::size_of::<Self>() as u64 + self.counters.bytes()
    }

    /// Hands each word to `f`, in key order, and leaves the tree empty.
    pub(crate) fn drain_words(&mut self, mut f: impl FnMut(u64)) {
        let mut drained = mem::replace(self, Self::new());
        drained.root.free(|block| {
            if block.level() == 0 {
                let order = Order::of(block);
                let words = (0..order.len()).map(|rank| block.word(order.slot(rank)));
                let live = words.map(|word| word.load(Ordering::Acquire));
                live.filter(|&word| word != 0).for_each(&mut f);
            }
        });
    }

    /// Changes the word of the key that was found at `place` from `old` to `new`.
    fn store<'g>(
        &'g self,
        latched: Latched<'g>,
        place: &Place<'g>,
        key: &[u8],
        (old, new): (u64, u64),
        guard: &'g Guard,
    ) {
        if old == new {
            return;
        }
        let block = place.block;
        match (place.found.slot, old, new) {
            (None, ..) => {
                self.counters.add_item();
                self.insert(latched, place, key, new, guard);
            }
            (Some(slot), _, 0) => {
                self.counters.subtract_item();
                self.remove(latched, block, (slot, old), guard);
            }
            (Some(slot), ..) => {
                if old == 0 {
                    self.counters.add_item();
                }
                block.set_word(&latched, slot, old, new);
            }
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.root.free(|_| {});
    }
}

impl Place<'_> {
    /// The word of the key that was sought, 0 if there is none.
    #[inline]
    fn word(&self) -> u64 {
        self.found
            .slot
            .map_or(0, |slot| self.block.word(slot).load(Ordering::Acquire))
    }
}
