//! Entries to be: what a new block shall hold, described without copying a key.
//!
//! Invariant: they are in key order, no key is there twice, and none is dead.

use super::{
    block::{Block, HEAD_BYTES},
    order::{Order, SLOTS_MAX},
};
use std::sync::atomic::Ordering;

/// Entries of one block with consecutive slots, or a new entry.
#[derive(Clone, Copy)]
pub(super) enum Run<'a> {
    /// From one slot up to another.
    Old {
        block: Block<'a>,
        from: usize,
        to: usize,
    },
    New {
        key: &'a [u8],
        word: u64,
    },
}

/// What a block's size follows from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    pub(super) count: usize,
    /// Bytes that all keys share.
    pub(super) prefix_len: usize,
    /// Bytes of all keys without that prefix.
    pub(super) suffix_bytes: usize,
    /// Length of the shortest suffix.
    pub(super) shortest: usize,
    /// Length of the longest suffix.
    pub(super) longest: usize,
}

/// The entries of a block to be built.
#[derive(Clone)]
pub(super) struct Entries<'a> {
    blocks: [Option<Block<'a>>; 2],
    new: (&'a [u8], u64),
    /// Where the entries are, the first of them at `start`.
    at: [At; SLOTS_MAX + 1],
    start: usize,
    end: usize,
}

/// Where an entry is.
#[derive(Clone, Copy, Default)]
struct At {
    /// Which of `blocks`, or [`NEW`].
    source: u8,
    slot: u8,
}

const NEW: u8 = 2;

/// A key somewhere.
#[derive(Clone, Copy)]
enum Key<'a> {
    Plain(&'a [u8]),
    In { block: Block<'a>, slot: usize },
}

impl<'a> Entries<'a> {
    /// None.
    pub(super) fn none() -> Self {
        Self {
            blocks: [None; 2],
            new: (&[], 0),
            at: [At::default(); SLOTS_MAX + 1],
            start: 0,
            end: 0,
        }
    }

    /// A new one.
    pub(super) fn one(key: &'a [u8], word: u64) -> Self {
        let mut entries = Self::none();
        entries.new = (key, word);
        entries.push(NEW, 0);
        entries
    }

    /// The live ones of `block`.
    pub(super) fn of(block: Block<'a>) -> Self {
        let mut entries = Self::none();
        entries.blocks[0] = Some(block);
        entries.push_block(0, block);
        entries
    }

    /// The live ones of `block`, and a new one that takes `rank` among its slots; with
    /// the rank that it gets.
    pub(super) fn inserting(
        block: Block<'a>,
        rank: usize,
        key: &'a [u8],
        word: u64,
    ) -> (Self, usize) {
        let mut entries = Self::none();
        entries.blocks[0] = Some(block);
        entries.new = (key, word);
        let order = Order::of(block);
        (0..rank).for_each(|r| entries.push_live(0, block, order.slot(r)));
        let rank_among_live = entries.end;
        entries.push(NEW, 0);
        (rank..order.len()).for_each(|r| entries.push_live(0, block, order.slot(r)));
        (entries, rank_among_live)
    }

    /// Those of `block` but the one in `slot`, all of which are in key order.
    pub(super) fn removing(block: Block<'a>, slot: usize) -> Self {
        let mut entries = Self::none();
        entries.blocks[0] = Some(block);
        (0..slot).for_each(|s| entries.push_live(0, block, s));
        (slot + 1..block.len()).for_each(|s| entries.push_live(0, block, s));
        entries
    }

    /// The live ones of two neighbours, which are not too many, and between those of
    /// inner blocks the right one's first child.
    pub(super) fn joining(left: Block<'a>, right: Block<'a>) -> Self {
        let mut entries = Self::none();
        entries.blocks = [Some(left), Some(right)];
        entries.push_block(0, left);
        if right.level() > 0 {
            entries.new = (right.low(), right.header().first);
            entries.push(NEW, 0);
        }
        entries.push_block(1, right);
        entries
    }

    /// Those from one rank up to another.
    pub(super) fn part(&self, from: usize, to: usize) -> Self {
        debug_assert!(from <= to && to <= self.len());
        Self {
            start: self.start + from,
            end: self.start + to,
            ..self.clone()
        }
    }

    fn push_block(&mut self, source: u8, block: Block<'a>) {
        let order = Order::of(block);
        (0..order.len()).for_each(|r| self.push_live(source, block, order.slot(r)));
    }

    fn push_live(&mut self, source: u8, block: Block<'a>, slot: usize) {
        if block.word(slot).load(Ordering::Relaxed) != 0 {
            self.push(source, slot as u8);
        }
    }

    fn push(&mut self, source: u8, slot: u8) {
        self.at[self.end] = At { source, slot };
        self.end += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// The entries, as few runs as they make.
    pub(super) fn runs(&self) -> impl Iterator<Item = Run<'a>> {
        let consecutive =
            |a: &At, b: &At| a.source == b.source && a.source != NEW && b.slot == a.slot + 1;
        let chunks = self.at[self.start..self.end].chunk_by(consecutive);
        chunks.filter_map(|run| {
            let (first, slot) = (run.first()?, usize::from(run.first()?.slot));
            match self.blocks.get(usize::from(first.source)) {
                Some(block) => Some(Run::Old {
                    block: (*block)?,
                    from: slot,
                    to: slot + run.len(),
                }),
                None => Some(Run::New {
                    key: self.new.0,
                    word: self.new.1,
                }),
            }
        })
    }

    pub(super) fn measure(&self) -> Measure {
        let count = self.len();
        let Some(last) = count.checked_sub(1) else {
            return Measure {
                count: 0,
                prefix_len: 0,
                suffix_bytes: 0,
                shortest: 0,
                longest: 0,
            };
        };
        let prefix_len = self.key(0).shared_with(self.key(last));
        let (bytes, shortest, longest) = match self.common_key_len() {
            Some(len) => (len * count, len, len),
            None => self.keys().map(Key::len).fold(
                (0, usize::MAX, 0),
                |(bytes, shortest, longest), len| {
                    (bytes + len, len.min(shortest), len.max(longest))
                },
            ),
        };
        Measure {
            count,
            prefix_len,
            suffix_bytes: bytes - prefix_len * count,
            shortest: shortest - prefix_len,
            longest: longest - prefix_len,
        }
    }

    /// Length of all keys, if they are known to be equally long.
    fn common_key_len(&self) -> Option<usize> {
        let len = self.key(0).len();
        let alike = self.runs().all(|run| match run {
            Run::Old { block, .. } => block.common_key_len() == Some(len),
            Run::New { key, .. } => key.len() == len,
        });
        alike.then_some(len)
    }

    /// Where to cut so that both parts weigh about the same; at least one entry each.
    pub(super) fn middle(&self, measure: &Measure) -> usize {
        debug_assert!(measure.count >= 2);
        let each = measure.suffix_bytes / measure.count;
        if measure.longest - measure.shortest <= each {
            return measure.count / 2;
        }
        let weights = || self.keys().map(|key| key.len() - measure.prefix_len + 16);
        let total: usize = weights().sum();
        let mut left = 0;
        for (rank, weight) in weights().enumerate() {
            // Before or behind the entry that the middle falls in, whichever is nearer.
            if left + weight > total / 2 {
                let cut = rank + usize::from(total / 2 - left > weight / 2);
                return cut.clamp(1, measure.count - 1);
            }
            left += weight;
        }
        measure.count / 2
    }

    /// The shortest string above the key before `rank` and not above the one at it.
    pub(super) fn separator(&self, rank: usize) -> Vec<u8> {
        let (below, above) = (self.key(rank - 1), self.key(rank));
        let mut separator = above.to_vec();
        separator.truncate(below.shared_with(above) + 1);
        separator
    }

    /// The key at `rank`.
    pub(super) fn key_at(&self, rank: usize) -> Vec<u8> {
        self.key(rank).to_vec()
    }

    /// The first `len` bytes of the first key, in place or put together in `scratch`.
    pub(super) fn prefix<'s>(&self, len: usize, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        match self.key(0) {
            Key::Plain(key) => &key[..len],
            Key::In { block, .. } if len <= block.prefix().len() => &block.prefix()[..len],
            Key::In { block, slot } => {
                block.push_key(slot, scratch);
                &scratch[..len]
            }
        }
    }

    /// The word at `rank`.
    pub(super) fn word_at(&self, rank: usize) -> u64 {
        let At { source, slot } = self.at[self.start..self.end][rank];
        match self.blocks.get(usize::from(source)) {
            Some(Some(block)) => block.word(slot.into()).load(Ordering::Relaxed),
            _ => self.new.1,
        }
    }

    fn keys(&self) -> impl Iterator<Item = Key<'a>> {
        (0..self.len()).map(|rank| self.key(rank))
    }

    fn key(&self, rank: usize) -> Key<'a> {
        let At { source, slot } = self.at[self.start..self.end][rank];
        match self.blocks.get(usize::from(source)) {
            Some(&Some(block)) => Key::In {
                block,
                slot: slot.into(),
            },
            _ => Key::Plain(self.new.0),
        }
    }
}

impl<'a> Key<'a> {
    fn len(self) -> usize {
        match self {
            Self::Plain(key) => key.len(),
            Self::In { block, slot } => block.key_len(slot),
        }
    }

    fn to_vec(self) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.len());
        match self {
            Self::Plain(plain) => key.extend_from_slice(plain),
            Self::In { block, slot } => block.push_key(slot, &mut key),
        }
        key
    }

    /// How many bytes the two keys have in common at their starts.
    fn shared_with(self, other: Self) -> usize {
        match (self, other) {
            (Self::Plain(a), Self::Plain(b)) => shared(a, b),
            (Self::Plain(key), Self::In { block, slot })
            | (Self::In { block, slot }, Self::Plain(key)) => {
                let prefix = block.prefix();
                let len = shared(key, prefix);
                if len < prefix.len() {
                    return len;
                }
                let (head, tail) = block.suffix(slot);
                len + shared_in_two(&key[len..], &head[..block.stripped()], tail)
            }
            (
                Self::In { block, slot },
                Self::In {
                    block: same,
                    slot: at,
                },
            ) if block.as_ptr() == same.as_ptr() => {
                let (head_a, tail_a) = block.suffix(slot);
                let (head_b, tail_b) = block.suffix(at);
                let stripped = block.stripped();
                let len = shared(&head_a[..stripped], &head_b[..stripped]);
                let tails = if len == stripped {
                    shared(tail_a, tail_b)
                } else {
                    0
                };
                block.prefix().len() + len + tails
            }
            _ => shared(&self.to_vec(), &other.to_vec()),
        }
    }
}

pub(super) fn shared(a: &[u8], b: &[u8]) -> usize {
    const STEP: usize = HEAD_BYTES * 2;
    let chunks = a.chunks_exact(STEP).zip(b.chunks_exact(STEP));
    let equal = chunks.take_while(|(a, b)| a == b).count() * STEP;
    let rest = a[equal..].iter().zip(&b[equal..]);
    equal + rest.take_while(|(a, b)| a == b).count()
}

/// As [`shared`] of `key` and `start` followed by `rest`.
fn shared_in_two(key: &[u8], start: &[u8], rest: &[u8]) -> usize {
    let len = shared(key, start);
    if len < start.len() {
        return len;
    }
    len + shared(&key[len..], rest)
}
