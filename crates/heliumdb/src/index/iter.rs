//! Walking through the tree in key order.
//!
//! Invariant: the walk's position is a key, the last one passed (or the bound it
//! started from); a block and a rank in it only remember where that key was. If the
//! block has changed, the key is found anew: so no step goes back or repeats, and each
//! sees the tree as it is.

use super::{
    Tree,
    block::Block,
    descend::{Place, find_along},
    leaf::Leaf,
    node::Node,
    order::Order,
};
use crossbeam_epoch::Guard;
use std::sync::atomic::Ordering;

/// Where a walk starts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound<'a> {
    /// At the first item going forward, at the last going backward.
    Unbounded,
    /// At this key, or the next one in the walk's direction.
    Included(&'a [u8]),
    /// At the next one from this key in the walk's direction.
    Excluded(&'a [u8]),
}

/// Which way a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// To greater keys.
    Forward,
    /// To smaller keys.
    Backward,
}

/// A walk through a tree: see [`Tree::iter`].
pub(crate) struct Iter<'g> {
    tree: &'g Tree,
    guard: &'g Guard,
    direction: Direction,
    node: &'g Node,
    block: Block<'g>,
    /// Of the block's slots when it was looked at.
    order: Order,
    /// Forward, the next item's rank in that order; backward, one above it.
    rank: usize,
    /// The last key passed, or the bound.
    key: Vec<u8>,
    start: Start,
    /// Whether `key` starts with the prefix of `block`.
    has_prefix: bool,
    /// No leaf was being changed when the walk left it, since it was asked to watch.
    was_steady: bool,
}

/// What `key` is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Beyond the last key: where a backward walk without bound starts.
    End,
    /// Yet to be passed if it is there.
    At,
    /// Passed.
    Beyond,
}

impl<'g> Iter<'g> {
    pub(super) fn new(
        tree: &'g Tree,
        from: Bound<'_>,
        direction: Direction,
        guard: &'g Guard,
    ) -> Self {
        let (key, start) = match (from, direction) {
            (Bound::Included(key), _) => (key, Start::At),
            (Bound::Excluded(key), _) => (key, Start::Beyond),
            (Bound::Unbounded, Direction::Forward) => (&[][..], Start::At),
            (Bound::Unbounded, Direction::Backward) => (&[][..], Start::End),
        };
        let place = match start {
            Start::End => tree.find_last(guard),
            Start::At | Start::Beyond => tree.find(key, 0, guard),
        };
        let mut iter = Self {
            tree,
            guard,
            direction,
            node: place.node,
            block: place.block,
            order: Order::of(place.block),
            rank: 0,
            key: key.to_vec(),
            start,
            has_prefix: false,
            was_steady: true,
        };
        iter.stand_at(&place);
        iter
    }

    /// The next item: its key, valid until the next call, and its word. After `None`
    /// it may go on, if there are new items.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<(&[u8], u64)> {
        if !self.node.holds(self.block) || self.block.len() != self.order.len() {
            self.find_again();
        }
        loop {
            let rank = match self.direction {
                Direction::Forward if self.rank < self.order.len() => {
                    self.rank += 1;
                    self.rank - 1
                }
                Direction::Backward if self.rank > 0 => {
                    self.rank -= 1;
                    self.rank
                }
                direction => {
                    if !self.step(direction) {
                        return None;
                    }
                    continue;
                }
            };
            let slot = self.order.slot(rank);
            let word = self.block.word(slot).load(Ordering::Acquire);
            if word != 0 {
                self.pass(slot);
                return Some((&self.key, word));
            }
        }
    }

    /// The key passed last.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// The rank in its leaf of the slot passed last.
    #[inline]
    pub(crate) fn rank(&self) -> usize {
        match self.direction {
            Direction::Forward => self.rank.saturating_sub(1),
            Direction::Backward => self.rank,
        }
    }

    /// The leaf that it is in.
    #[inline]
    pub(crate) fn leaf(&self) -> Leaf<'g> {
        Leaf(self.node)
    }

    /// Goes on from there, in the direction that it has.
    pub(crate) fn go_to(&mut self, from: Bound<'_>) {
        let (key, start) = match from {
            Bound::Included(key) => (key, Start::At),
            Bound::Excluded(key) => (key, Start::Beyond),
            Bound::Unbounded => return,
        };
        self.key.clear();
        self.key.extend_from_slice(key);
        self.start = start;
        let place = self.tree.find(&self.key, 0, self.guard);
        self.stand_at(&place);
    }

    /// From here on [`Iter::was_steady`] tells of every leaf that the walk leaves.
    pub(crate) fn watch(&mut self) {
        self.was_steady = true;
    }

    /// Whether nobody was changing a leaf when the walk left it, since it was asked to watch.
    pub(crate) fn was_steady(&self) -> bool {
        self.was_steady
    }

    /// Whether the slot passed last still has this word, and nobody has the leaf latched, nor has changed it since
    /// the walk looked at it: whoever changes it from here on latches it later than this.
    pub(crate) fn is_steady(&self, word: u64) -> bool {
        let last = match self.direction {
            Direction::Forward => self.rank.checked_sub(1),
            Direction::Backward => Some(self.rank),
        };
        let Some(rank) = last.filter(|rank| *rank < self.order.len()) else {
            return false;
        };
        let slot = self.order.slot(rank);
        self.is_leaf_steady() && self.block.word(slot).load(Ordering::Acquire) == word
    }

    fn is_leaf_steady(&self) -> bool {
        !self.node.is_latched()
            && self.node.holds(self.block)
            && self.block.len() == self.order.len()
    }

    /// Makes the key in `slot` the one passed last.
    #[inline]
    fn pass(&mut self, slot: usize) {
        let prefix = self.block.prefix();
        if self.has_prefix {
            self.key.truncate(prefix.len());
        } else {
            self.key.clear();
            self.key.extend_from_slice(prefix);
            self.has_prefix = true;
        }
        self.block.push_suffix(slot, &mut self.key);
        self.start = Start::Beyond;
    }

    /// Goes to the neighbouring leaf; false if there is none.
    fn step(&mut self, direction: Direction) -> bool {
        self.was_steady &= self.is_leaf_steady();
        // The fences, and not the key, are where the neighbour's keys start: there may
        // be leaves without keys.
        let (fence, place) = match direction {
            Direction::Forward => {
                let (Some(high), Some(next)) = (self.block.high(), self.block.next()) else {
                    return false;
                };
                (high, find_along(next, high, self.guard))
            }
            Direction::Backward => {
                let low = self.block.low();
                if low.is_empty() {
                    return false;
                }
                (low, self.tree.find_before(low, self.guard))
            }
        };
        self.look_at(&place);
        self.rank = self.block.rank(fence, &place.found, self.order.len());
        true
    }

    /// Finds the key again after its leaf has changed.
    #[cold]
    fn find_again(&mut self) {
        let place = match self.start {
            Start::End => self.tree.find_last(self.guard),
            Start::At | Start::Beyond => self.tree.find(&self.key, 0, self.guard),
        };
        self.stand_at(&place);
    }

    /// Stands where `key` was found, before or behind it.
    fn stand_at(&mut self, place: &Place<'g>) {
        self.look_at(place);
        if self.start == Start::End {
            self.rank = self.order.len();
            return;
        }
        // Found again, because a slot may have been appended before the order was made;
        // and one appended after that is not in it.
        let found = self.block.search(&self.key);
        let is_there = found.slot.is_some_and(|slot| slot < self.order.len());
        let behind = match (self.direction, self.start) {
            (Direction::Forward, Start::Beyond) | (Direction::Backward, Start::At) => is_there,
            _ => false,
        };
        let below = self.block.rank(&self.key, &found, self.order.len());
        self.rank = below + usize::from(behind);
    }

    fn look_at(&mut self, place: &Place<'g>) {
        self.node = place.node;
        self.block = place.block;
        self.order.set(place.block);
        self.has_prefix = false;
    }
}
