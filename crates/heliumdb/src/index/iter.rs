//! Walking through the tree in key order.
//!
//! Invariant: the walk's position is a key, the last one passed (or the bound it
//! started from); a block and a position in it only remember where that key was. If the
//! block is no longer current, the key is found anew: so no step goes back or repeats,
//! and each sees the tree as it is.

use super::{
    Tree,
    block::Block,
    descend::{Place, find_along},
    node::Node,
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
    /// Forward, the position of the next item; backward, one above it.
    position: usize,
    /// The last key passed, or the bound.
    key: Vec<u8>,
    start: Start,
    /// Whether `key` starts with the prefix of `block`.
    has_prefix: bool,
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
            position: 0,
            key: key.to_vec(),
            start,
            has_prefix: false,
        };
        iter.stand_at(&place);
        iter
    }

    /// The next item: its key, valid until the next call, and its word. After `None`
    /// it may go on, if there are new items.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<(&[u8], u64)> {
        if !self.node.holds(self.block) {
            self.find_again();
        }
        loop {
            let item = match self.direction {
                Direction::Forward if self.position < self.block.len() => {
                    self.position += 1;
                    self.position - 1
                }
                Direction::Backward if self.position > 0 => {
                    self.position -= 1;
                    self.position
                }
                direction => {
                    if !self.step(direction) {
                        return None;
                    }
                    continue;
                }
            };
            let word = self.block.word(item).load(Ordering::Acquire);
            self.pass(item);
            return Some((&self.key, word));
        }
    }

    /// Makes the key at `item` the one passed last.
    #[inline]
    fn pass(&mut self, item: usize) {
        let prefix = self.block.prefix();
        if self.has_prefix {
            self.key.truncate(prefix.len());
        } else {
            self.key.clear();
            self.key.extend_from_slice(prefix);
            self.has_prefix = true;
        }
        self.block.push_suffix(item, &mut self.key);
        self.start = Start::Beyond;
    }

    /// Goes to the neighbouring leaf; false if there is none.
    fn step(&mut self, direction: Direction) -> bool {
        // The fences, and not the key, are where the neighbour's keys start: there may
        // be leaves without keys.
        let place = match direction {
            Direction::Forward => {
                let (Some(high), Some(next)) = (self.block.high(), self.block.next()) else {
                    return false;
                };
                find_along(next, high, self.guard)
            }
            Direction::Backward => {
                let low = self.block.low();
                if low.is_empty() {
                    return false;
                }
                self.tree.find_before(low, self.guard)
            }
        };
        self.settle(&place, place.found.position);
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
        let behind = match (self.direction, self.start) {
            (Direction::Forward, Start::Beyond) => place.found.exact,
            (Direction::Backward, Start::At) => place.found.exact,
            _ => false,
        };
        self.settle(place, place.found.position + usize::from(behind));
    }

    fn settle(&mut self, place: &Place<'g>, position: usize) {
        self.node = place.node;
        self.block = place.block;
        self.position = position;
        self.has_prefix = false;
    }
}
