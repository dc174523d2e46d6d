//! Adding a key to a node, splitting it where it would get too large.
//!
//! Invariant: a split is complete for readers with the one store that publishes the
//! left half, whose `next` is the right one; telling the parent only makes them faster.
//!
//! A block remembers where its last key went and how many went the same way before:
//! where keys come in order, up or down, a split leaves full blocks behind.

use super::{
    Tree,
    block::Block,
    build::{Frame, OwnedBlock},
    entries::{Entries, Measure},
    node::{Latched, Node},
};
use crossbeam_epoch::Guard;

/// Most keys of a leaf.
pub(super) const LEAF_KEYS_MAX: usize = 64;
/// Most children of an inner block.
pub(super) const CHILDREN_MAX: usize = 128;
/// A block with more bytes of keys is split if it has enough keys for that.
pub(super) const BLOCK_KEY_BYTES_MAX: usize = 16 << 10;
/// A leaf with fewer keys is not split for its bytes.
const LEAF_KEYS_TO_SPLIT: usize = 2;
/// Nor is an inner block with fewer children: it must branch, or the tree would only
/// get higher.
const CHILDREN_TO_SPLIT: usize = 8;
/// After so many inserts in a row one expects more of them.
const RUN: i8 = 6;

/// A new node that its parent does not know yet.
pub(super) struct Split<'g> {
    level: u8,
    low: Vec<u8>,
    node: &'g Node,
}

/// Most keys of a block.
pub(super) fn keys_max(level: u8) -> usize {
    if level == 0 {
        LEAF_KEYS_MAX
    } else {
        CHILDREN_MAX
    }
}

impl Tree {
    /// Adds a key, which `block`, current in the `latched` node, does not have.
    pub(super) fn insert<'g>(
        &'g self,
        latched: Latched<'g>,
        block: Block<'g>,
        position: usize,
        key: &[u8],
        word: u64,
        guard: &'g Guard,
    ) {
        let mut split = self.insert_latched(&latched, block, position, key, word, guard);
        drop(latched);
        while let Some(news) = split {
            split = self.tell_parent(&news, guard);
        }
    }

    fn insert_latched<'g>(
        &'g self,
        latched: &Latched<'g>,
        block: Block<'g>,
        position: usize,
        key: &[u8],
        word: u64,
        guard: &'g Guard,
    ) -> Option<Split<'g>> {
        let entries = Entries::inserting(block, position, key, word);
        let measure = entries.measure();
        let frame = Frame {
            last: position as u8,
            run: run_after(block, position),
            ..Frame::of(block)
        };
        if fits(&measure, frame.level) {
            let new = OwnedBlock::build(&entries, &measure, &frame);
            latched.publish(new, &self.counters, guard);
            return None;
        }
        let cut = cut(&entries, &measure, &frame, position);
        Some(self.split(latched, &entries, &frame, cut, guard))
    }

    fn split<'g>(
        &'g self,
        latched: &Latched<'g>,
        entries: &Entries<'_>,
        frame: &Frame<'_>,
        cut: usize,
        guard: &'g Guard,
    ) -> Split<'g> {
        // A leaf's fence may be anything between two keys; an inner block's first key
        // is its low fence.
        let low = if frame.level == 0 {
            entries.separator(cut)
        } else {
            entries.key(cut)
        };
        let inserted = usize::from(frame.last);
        let right = Frame {
            low: &low,
            last: inserted.saturating_sub(cut) as u8,
            run: if inserted >= cut { frame.run } else { 0 },
            ..*frame
        };
        let node = Node::create(
            build(&entries.part(cut, entries.len()), &right),
            &self.counters,
            guard,
        );
        let left = Frame {
            high: Some(&low),
            next: Some(node),
            run: if inserted < cut { frame.run } else { 0 },
            ..*frame
        };
        latched.publish(build(&entries.part(0, cut), &left), &self.counters, guard);
        Split {
            level: frame.level,
            low,
            node,
        }
    }

    /// Enters a new node in the level above, which may have to split in turn.
    fn tell_parent<'g>(&'g self, news: &Split<'g>, guard: &'g Guard) -> Option<Split<'g>> {
        let level = news.level + 1;
        if self.height(guard) < level && self.grow(news, guard) {
            return None;
        }
        let (latched, place) = self.find_latched(&news.low, level, guard);
        debug_assert!(!place.found.exact, "a node is entered once");
        let position = place.found.position;
        self.insert_latched(
            &latched,
            place.block,
            position,
            &news.low,
            news.node.word(),
            guard,
        )
    }

    /// Adds a level above the topmost, unless another thread has just done so.
    fn grow<'g>(&'g self, news: &Split<'g>, guard: &'g Guard) -> bool {
        let _growing = self.growing.lock();
        if self.height(guard) > news.level {
            return false;
        }
        let top = self.root.get(guard);
        let children = Entries::pair((&[], top.word()), (&news.low, news.node.word()));
        let block = build(&children, &Frame::whole(news.level + 1));
        self.root.set(Node::create(block, &self.counters, guard));
        true
    }

    /// Level of the root.
    pub(super) fn height(&self, guard: &Guard) -> u8 {
        self.find(&[], u8::MAX, guard).block.level()
    }
}

/// Builds a block of `entries`.
pub(super) fn build(entries: &Entries<'_>, frame: &Frame<'_>) -> OwnedBlock {
    OwnedBlock::build(entries, &entries.measure(), frame)
}

/// Fewest keys of a block that is split for its bytes.
pub(super) fn keys_to_split(level: u8) -> usize {
    if level == 0 {
        LEAF_KEYS_TO_SPLIT
    } else {
        CHILDREN_TO_SPLIT
    }
}

fn fits(measure: &Measure, level: u8) -> bool {
    measure.count <= keys_max(level)
        && (measure.suffix_bytes <= BLOCK_KEY_BYTES_MAX || measure.count < keys_to_split(level))
}

/// Where to cut `entries`, the one at `position` being new.
fn cut(entries: &Entries<'_>, measure: &Measure, frame: &Frame<'_>, position: usize) -> usize {
    let rising = frame.run >= RUN || (frame.high.is_none() && position + 1 == measure.count);
    let falling = frame.run <= -RUN || (frame.low.is_empty() && position == 0);
    if rising && position > 0 {
        // All below stay; the new key starts a block, or if others are above it, ends
        // one, in which the next has room.
        let last = position + 1 == measure.count;
        return if last { position } else { position + 1 };
    }
    if falling && position + 1 < measure.count {
        return position.max(1);
    }
    entries.middle(measure)
}

/// How many inserts in a row went up, or down if negative, with one at `position`.
fn run_after(block: Block<'_>, position: usize) -> i8 {
    let header = block.header();
    let last = usize::from(header.last);
    if position == last + 1 {
        header.run.max(0).saturating_add(1)
    } else if position == last {
        header.run.min(0).saturating_sub(1)
    } else {
        0
    }
}
