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
    descend::Place,
    entries::{Entries, Measure},
    node::{Latched, Node},
    order::SLOTS_MAX,
};
use crossbeam_epoch::Guard;
use std::sync::atomic::Ordering;

/// Most keys of a leaf.
pub(super) const LEAF_KEYS_MAX: usize = SLOTS_MAX;
/// Most keys of an inner block, which has one more child.
pub(super) const INNER_KEYS_MAX: usize = SLOTS_MAX;
/// A block with more bytes of keys is split if it has enough keys for that.
pub(super) const BLOCK_KEY_BYTES_MAX: usize = 16 << 10;
/// A leaf with fewer keys is not split for its bytes.
const LEAF_KEYS_TO_SPLIT: usize = 2;
/// Nor is an inner block with fewer keys: it must branch, or the tree would only
/// get higher.
const INNER_KEYS_TO_SPLIT: usize = 8;
/// Most spare slots of a leaf, unless keys come in order.
const SPARE_SLOTS_MAX: usize = 24;
/// Most bytes of keys that a leaf has room for in its spare slots.
const SPARE_KEY_BYTES_MAX: usize = 4 << 10;
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
        INNER_KEYS_MAX
    }
}

impl Tree {
    /// Adds `key`, which is not at its `place`, current in the `latched` node, not even
    /// dead.
    pub(super) fn insert<'g>(
        &'g self,
        latched: Latched<'g>,
        place: &Place<'g>,
        key: &[u8],
        word: u64,
        guard: &'g Guard,
    ) {
        let mut split = self.insert_latched(&latched, place, key, word, guard);
        drop(latched);
        while let Some(news) = split {
            split = self.tell_parent(&news, guard);
        }
    }

    fn insert_latched<'g>(
        &'g self,
        latched: &Latched<'g>,
        place: &Place<'g>,
        key: &[u8],
        word: u64,
        guard: &'g Guard,
    ) -> Option<Split<'g>> {
        let block = place.block;
        let rank = block.rank(key, &place.found, block.len());
        let run = run_after(block, rank);
        if block.append(latched, key, word) {
            block.header().last.store(rank as u8, Ordering::Relaxed);
            block.header().run.store(run, Ordering::Relaxed);
            return None;
        }
        let (entries, rank) = Entries::inserting(block, rank, key, word);
        let measure = entries.measure();
        let frame = Frame {
            last: rank as u8,
            run,
            ..Frame::of(block)
        };
        if fits(&measure, frame.level) {
            let new = build_with_spare(&entries, &frame);
            latched.publish(new, &self.counters, guard);
            return None;
        }
        let cut = Cut::choose(&entries, &measure, &frame);
        Some(self.split(latched, &entries, &frame, &cut, guard))
    }

    fn split<'g>(
        &'g self,
        latched: &Latched<'g>,
        entries: &Entries<'_>,
        frame: &Frame<'_>,
        cut: &Cut,
        guard: &'g Guard,
    ) -> Split<'g> {
        let new_is_right = cut.is_right(frame.last);
        // A leaf's fence may be anything between two keys. From an inner block's keys
        // one moves up, and its child becomes the first of the right part.
        let (low, first, right) = if frame.level == 0 {
            let right = entries.part(cut.at, entries.len());
            (entries.separator(cut.at), 0, right)
        } else {
            let right = entries.part(cut.at + 1, entries.len());
            (entries.key_at(cut.at), entries.word_at(cut.at), right)
        };
        let right_frame = Frame {
            low: &low,
            first,
            last: frame.last.saturating_sub(cut.at as u8),
            run: if new_is_right { frame.run } else { 0 },
            ..*frame
        };
        let right = cut.build(&right, &right_frame, new_is_right);
        let node = Node::create(right, &self.counters, guard);
        let left_frame = Frame {
            high: Some(&low),
            next: Some(node),
            run: if new_is_right { 0 } else { frame.run },
            ..*frame
        };
        let left = cut.build(&entries.part(0, cut.at), &left_frame, !new_is_right);
        latched.publish(left, &self.counters, guard);
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
        debug_assert!(place.found.slot.is_none(), "a node is entered once");
        self.insert_latched(&latched, &place, &news.low, news.node.word(), guard)
    }

    /// Adds a level above the topmost, unless another thread has just done so.
    fn grow<'g>(&'g self, news: &Split<'g>, guard: &'g Guard) -> bool {
        let _growing = self.growing.lock();
        if self.height(guard) > news.level {
            return false;
        }
        let top = self.root.get(guard);
        let children = Entries::one(&news.low, news.node.word());
        let frame = Frame {
            first: top.word(),
            ..Frame::whole(news.level + 1)
        };
        let block = build(&children, &frame);
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
        INNER_KEYS_TO_SPLIT
    }
}

fn fits(measure: &Measure, level: u8) -> bool {
    measure.count <= keys_max(level)
        && (measure.suffix_bytes <= BLOCK_KEY_BYTES_MAX || measure.count < keys_to_split(level))
}

/// Where a block is cut in two.
struct Cut {
    at: usize,
    /// Whether more keys are to be expected only where the new one went.
    in_run: bool,
}

impl Cut {
    /// For `entries`, of which the one at `frame.last` is new.
    fn choose(entries: &Entries<'_>, measure: &Measure, frame: &Frame<'_>) -> Self {
        let rank = usize::from(frame.last);
        let is_last = rank + 1 == measure.count;
        let rising = frame.run >= RUN || (frame.high.is_none() && is_last);
        let falling = frame.run <= -RUN || (frame.low.is_empty() && rank == 0);
        if rising && rank > 0 {
            // The new key starts a block, or if others are above it, ends one.
            let at = if is_last { rank } else { rank + 1 };
            Self { at, in_run: true }
        } else if falling && !is_last {
            let at = rank.max(1);
            Self { at, in_run: true }
        } else {
            let at = entries.middle(measure);
            Self { at, in_run: false }
        }
    }

    /// Whether the entry of that rank goes to the right part.
    fn is_right(&self, rank: u8) -> bool {
        usize::from(rank) >= self.at
    }

    fn build(&self, part: &Entries<'_>, frame: &Frame<'_>, has_new: bool) -> OwnedBlock {
        if self.in_run && !has_new {
            build(part, frame)
        } else {
            build_with_spare(part, frame)
        }
    }
}

/// Builds a block of `entries` with room for more.
pub(super) fn build_with_spare(entries: &Entries<'_>, frame: &Frame<'_>) -> OwnedBlock {
    let measure = entries.measure();
    let spare = spare(&measure, frame);
    OwnedBlock::build(entries, &measure, &Frame { spare, ..*frame })
}

/// How many slots to append to a new block has: the more, the less often it is built
/// again; but they cost memory.
fn spare(measure: &Measure, frame: &Frame<'_>) -> usize {
    // A lone key shares all of itself with itself: the next will not fit the prefix.
    if frame.level > 0 || measure.count < 2 {
        return 0;
    }
    let wanted = if frame.run >= RUN || frame.run <= -RUN {
        LEAF_KEYS_MAX
    } else {
        (measure.count / 4).clamp(1, SPARE_SLOTS_MAX)
    };
    let affordable = SPARE_KEY_BYTES_MAX / (measure.suffix_bytes / measure.count).max(1);
    wanted.min(affordable).min(LEAF_KEYS_MAX - measure.count)
}

/// How many inserts in a row went up, or down if negative, with one at `rank`.
fn run_after(block: Block<'_>, rank: usize) -> i8 {
    let header = block.header();
    let last = usize::from(header.last.load(Ordering::Relaxed));
    let run = header.run.load(Ordering::Relaxed);
    if rank == last + 1 {
        run.max(0).saturating_add(1)
    } else if rank == last {
        run.min(0).saturating_sub(1)
    } else {
        0
    }
}
