//! Building a tree of entries that come in key order.
//!
//! Leaves are built part by part, by as many threads as there are parts; then they are linked
//! from the right to the left, and the levels above are put on top. Invariant: the parts' ranges
//! follow each other without a gap, from the empty key to the end.

use super::{
    Tree,
    build::{Frame, OwnedBlock},
    counters::Counters,
    entries::{Measure, shared},
    node::{Node, Root},
    split::BLOCK_KEY_BYTES_MAX,
};
use crossbeam_epoch::{Guard, pin};
use parking_lot::Mutex;

/// Keys of a leaf: a few slots are left for more.
const LEAF_KEYS: usize = 112;
/// Slots to append to.
const LEAF_SPARE: usize = 8;
/// Keys of an inner block.
const INNER_KEYS: usize = 112;
/// Keys that an inner block has however long they are.
const INNER_KEYS_MIN: usize = 8;

/// Leaves that follow each other.
pub(crate) struct Part {
    leaves: Vec<Leaf>,
    items: u64,
}

struct Leaf {
    low: Vec<u8>,
    block: OwnedBlock,
}

/// Takes the entries of one part.
pub(crate) struct PartBuilder {
    part: Part,
    low: Vec<u8>,
    run: Run,
}

/// Some keys and words in key order.
#[derive(Default)]
struct Run {
    keys: Vec<u8>,
    ends: Vec<usize>,
    words: Vec<u64>,
}

impl Run {
    fn key(&self, i: usize) -> &[u8] {
        let start = i.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.keys[start..self.ends[i]]
    }

    fn last(&self) -> Option<&[u8]> {
        Some(self.key(self.ends.len().checked_sub(1)?))
    }

    fn push(&mut self, key: &[u8], word: u64) {
        self.keys.extend_from_slice(key);
        self.ends.push(self.keys.len());
        self.words.push(word);
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.ends.clear();
        self.words.clear();
    }

    fn build(&self, frame: &Frame<'_>) -> OwnedBlock {
        let count = self.words.len();
        let lens = || (0..count).map(|i| self.key(i).len());
        let prefix_len = match count {
            0 => 0,
            _ => shared(self.key(0), self.key(count - 1)),
        };
        let measure = Measure {
            count,
            prefix_len,
            suffix_bytes: self.keys.len() - prefix_len * count,
            shortest: lens().min().unwrap_or(0) - prefix_len,
            longest: lens().max().unwrap_or(0) - prefix_len,
        };
        let spare = match frame.level {
            // A lone key shares all of itself with itself: the next will not fit the prefix.
            0 if count >= 2 && measure.suffix_bytes < BLOCK_KEY_BYTES_MAX / 4 => LEAF_SPARE,
            _ => 0,
        };
        let entries = (0..count).map(|i| (self.key(i), self.words[i]));
        let prefix = self.keys.get(..prefix_len).unwrap_or_default();
        OwnedBlock::of_sorted(entries, prefix, &measure, &Frame { spare, ..*frame })
    }
}

impl PartBuilder {
    /// A part that starts at `low`.
    pub(crate) fn new(low: &[u8]) -> Self {
        Self {
            part: Part {
                leaves: Vec::new(),
                items: 0,
            },
            low: low.to_vec(),
            run: Run::default(),
        }
    }

    /// Adds an entry; false if its key is not above those before, or below the part's start.
    #[must_use]
    pub(crate) fn push(&mut self, key: &[u8], word: u64) -> bool {
        let in_order = match self.run.last() {
            Some(last) => last < key,
            None => *self.low <= *key,
        };
        if !in_order {
            return false;
        }
        let full = self.run.words.len() >= LEAF_KEYS
            || self.run.keys.len() + key.len() > BLOCK_KEY_BYTES_MAX;
        if full && let Some(last) = self.run.last() {
            // The shortest string above the one and not above the other.
            let separator = key[..shared(last, key) + 1].to_vec();
            self.cut(Some(&separator));
            self.low = separator;
        }
        self.part.items += 1;
        self.run.push(key, word);
        true
    }

    /// Ends the part, at the start of the next one if there is any; false if a key is not below it.
    pub(crate) fn finish(mut self, high: Option<&[u8]>) -> Option<Part> {
        if let (Some(high), Some(last)) = (high, self.run.last())
            && last >= high
        {
            return None;
        }
        self.cut(high);
        Some(self.part)
    }

    fn cut(&mut self, high: Option<&[u8]>) {
        let frame = Frame {
            low: &self.low,
            high,
            changed: false,
            ..Frame::whole(0)
        };
        let block = self.run.build(&frame);
        let low = std::mem::take(&mut self.low);
        self.part.leaves.push(Leaf { low, block });
        self.run.clear();
    }
}

impl Tree {
    /// The tree of `parts`, the first of which starts at the empty key.
    pub(crate) fn of_parts(parts: Vec<Part>) -> Self {
        let guard = pin();
        let counters = Counters::default();
        counters.add_items(parts.iter().map(|part| part.items).sum());
        let mut nodes: Vec<(Vec<u8>, &Node)> = Vec::new();
        let leaves = parts.into_iter().flat_map(|part| part.leaves);
        for mut leaf in leaves.collect::<Vec<_>>().into_iter().rev() {
            if let Some((_, next)) = nodes.last() {
                leaf.block.set_next(next);
            }
            nodes.push((leaf.low, Node::create(leaf.block, &counters, &guard)));
        }
        nodes.reverse();
        let mut level = 0;
        while nodes.len() > 1 {
            level += 1;
            nodes = level_above(&nodes, level, &counters, &guard);
        }
        let Some((_, top)) = nodes.first() else {
            return Self::new();
        };
        Self {
            root: Root::new(top),
            growing: Mutex::new(()),
            counters,
        }
    }
}

/// The nodes whose children are `below`.
fn level_above<'g>(
    below: &[(Vec<u8>, &'g Node)],
    level: u8,
    counters: &Counters,
    guard: &'g Guard,
) -> Vec<(Vec<u8>, &'g Node)> {
    let mut above: Vec<(Vec<u8>, &Node)> = Vec::new();
    let mut end = below.len();
    let mut run = Run::default();
    while end > 0 {
        let start = first_child(&below[..end]);
        let high = below.get(end).map(|(low, _)| low.as_slice());
        let children = &below[start..end];
        run.clear();
        for (low, node) in &children[1..] {
            run.push(low, node.word());
        }
        let frame = Frame {
            low: &children[0].0,
            high,
            next: above.last().map(|(_, node)| *node),
            first: children[0].1.word(),
            ..Frame::whole(level)
        };
        let node = Node::create(run.build(&frame), counters, guard);
        above.push((children[0].0.clone(), node));
        end = start;
    }
    above.reverse();
    above
}

/// Where the children of the last node above `below` start: enough of them, so that there are
/// fewer nodes on each level.
fn first_child(below: &[(Vec<u8>, &Node)]) -> usize {
    let mut bytes = 0;
    for (keys, (i, (low, _))) in below.iter().enumerate().rev().enumerate() {
        let light = bytes + low.len() <= BLOCK_KEY_BYTES_MAX || keys < INNER_KEYS_MIN;
        if keys == INNER_KEYS || !light {
            return i + 1;
        }
        bytes += low.len();
    }
    0
}
