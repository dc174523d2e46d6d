//! Finding the node that covers a key, from the root down and to the right.
//!
//! Invariant: a search is never to the right of its key. It goes down to a child whose
//! low fence is not above the key, and from an absorbed node to the left; whatever is
//! to be made up for is made up by stepping to the right.

use super::{
    Tree,
    block::Block,
    node::{Content, Latched, Node},
    search::Found,
};
use crossbeam_epoch::Guard;

/// A node, the block it held when it was found, and a key's position there.
#[derive(Clone, Copy)]
pub(super) struct Place<'g> {
    pub(super) node: &'g Node,
    pub(super) block: Block<'g>,
    pub(super) found: Found,
}

impl Tree {
    /// The node of `level` that covers `key`. The tree has that level.
    #[inline]
    pub(super) fn find<'g>(&'g self, key: &[u8], level: u8, guard: &'g Guard) -> Place<'g> {
        self.find_for(key, level, guard, |_| {})
    }

    /// As [`Self::find`]; `prepare` sees each block before it is searched.
    #[inline]
    fn find_for<'g>(
        &'g self,
        key: &[u8],
        level: u8,
        guard: &'g Guard,
        prepare: impl Fn(Block<'g>),
    ) -> Place<'g> {
        let mut node = self.root.get(guard);
        loop {
            let place = loop {
                match look_at(node, key, guard, &prepare) {
                    Ok(place) => break place,
                    Err(elsewhere) => node = elsewhere,
                }
            };
            if place.block.level() <= level {
                return place;
            }
            node = place.block.child(covering_child(place.found));
        }
    }

    /// As [`Self::find`], with the node latched and its block current.
    pub(super) fn find_latched<'g>(
        &'g self,
        key: &[u8],
        level: u8,
        guard: &'g Guard,
    ) -> (Latched<'g>, Place<'g>) {
        let mut place = self.find_for(key, level, guard, Block::prefetch_spare);
        loop {
            let latched = place.node.latch();
            if place.node.holds(place.block) {
                if place.found.slots != place.block.len() {
                    place.found = place.block.search(key);
                }
                return (latched, place);
            }
            // Changed meanwhile. What it holds now leads on, or is it; one latch at a time.
            match look_at(place.node, key, guard, |_| {}) {
                Ok(now) => return (latched, now),
                Err(elsewhere) => {
                    drop(latched);
                    place = find_along(elsewhere, key, guard);
                }
            }
        }
    }

    /// The leaf of the greatest keys below `key`, which is not empty: low < key <= high.
    pub(super) fn find_before<'g>(&'g self, key: &[u8], guard: &'g Guard) -> Place<'g> {
        debug_assert!(!key.is_empty());
        let mut node = self.root.get(guard);
        loop {
            let block = match node.content(guard) {
                Content::Block(block) => block,
                Content::Moved(left) => {
                    node = left;
                    continue;
                }
            };
            let beyond = block.high().is_some_and(|high| high < key);
            if let (true, Some(right)) = (beyond, block.next()) {
                node = right;
                continue;
            }
            let found = block.search(key);
            if block.level() == 0 {
                return Place { node, block, found };
            }
            node = block.child(found.sorted_below);
        }
    }

    /// The rightmost leaf.
    pub(super) fn find_last<'g>(&'g self, guard: &'g Guard) -> Place<'g> {
        let mut node = self.root.get(guard);
        loop {
            let block = match node.content(guard) {
                Content::Block(block) => block,
                Content::Moved(left) => {
                    node = left;
                    continue;
                }
            };
            if let Some(right) = block.next() {
                node = right;
                continue;
            }
            if block.level() == 0 {
                let found = Found {
                    sorted_below: block.sorted(),
                    slot: None,
                    slots: block.len(),
                };
                return Place { node, block, found };
            }
            node = block.child(block.len());
        }
    }
}

/// The node on `node`'s level that covers `key`; `node` is not to its right.
#[inline]
pub(super) fn find_along<'g>(mut node: &'g Node, key: &[u8], guard: &'g Guard) -> Place<'g> {
    loop {
        match look_at(node, key, guard, |_| {}) {
            Ok(place) => return place,
            Err(elsewhere) => node = elsewhere,
        }
    }
}

/// `key`'s place in `node`, or the node that leads on to it.
#[inline]
pub(super) fn look_at<'g>(
    node: &'g Node,
    key: &[u8],
    guard: &'g Guard,
    prepare: impl Fn(Block<'g>),
) -> Result<Place<'g>, &'g Node> {
    let block = match node.content(guard) {
        Content::Block(block) => block,
        Content::Moved(left) => return Err(left),
    };
    block.prefetch();
    prepare(block);
    let found = block.search(key);
    // Not above all sorted keys of the block: then not above its high fence either.
    if found.sorted_below == block.sorted()
        && let Some(right) = block.next()
        && !block.is_below_high(key)
    {
        return Err(right);
    }
    Ok(Place { node, block, found })
}

/// Which child of an inner block covers the key that was `found`.
pub(super) fn covering_child(found: Found) -> usize {
    found.sorted_below + usize::from(found.slot.is_some())
}
