//! Entries to be: what a new block shall hold, described without copying a key.
//!
//! Invariant: the pieces are in key order, and no key is in two of them.

use super::block::{Block, HEAD_BYTES};

/// Some of the entries.
#[derive(Clone, Copy)]
pub(super) enum Piece<'a> {
    /// Those of a block from one position up to another.
    Run {
        block: Block<'a>,
        from: usize,
        to: usize,
    },
    /// A new one.
    One { key: &'a [u8], word: u64 },
}

/// The entries of a block to be built.
pub(super) struct Entries<'a> {
    pieces: [Option<Piece<'a>>; 3],
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

/// A key somewhere.
#[derive(Clone, Copy)]
enum Key<'a> {
    Plain(&'a [u8]),
    In { block: Block<'a>, position: usize },
}

impl<'a> Entries<'a> {
    /// None.
    pub(super) fn none() -> Self {
        Self { pieces: [None; 3] }
    }

    /// Two new ones.
    pub(super) fn pair(first: (&'a [u8], u64), second: (&'a [u8], u64)) -> Self {
        let one = |(key, word)| Some(Piece::One { key, word });
        Self {
            pieces: [one(first), one(second), None],
        }
    }

    /// Those of `block`, and a new one that takes `position`.
    pub(super) fn inserting(block: Block<'a>, position: usize, key: &'a [u8], word: u64) -> Self {
        Self {
            pieces: [
                run(block, 0, position),
                Some(Piece::One { key, word }),
                run(block, position, block.len()),
            ],
        }
    }

    /// Those of `block` but the one at `position`.
    pub(super) fn removing(block: Block<'a>, position: usize) -> Self {
        Self {
            pieces: [
                run(block, 0, position),
                run(block, position + 1, block.len()),
                None,
            ],
        }
    }

    /// Those of two neighbours.
    pub(super) fn joining(left: Block<'a>, right: Block<'a>) -> Self {
        Self {
            pieces: [run(left, 0, left.len()), run(right, 0, right.len()), None],
        }
    }

    /// Those at the positions from `from` up to `to`.
    pub(super) fn part(&self, from: usize, to: usize) -> Self {
        let mut start = 0;
        Self {
            pieces: self.pieces.map(|piece| {
                let piece = piece?;
                let (first, len) = (start, piece.len());
                start += len;
                piece.part(
                    from.saturating_sub(first).min(len),
                    to.saturating_sub(first).min(len),
                )
            }),
        }
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = &Piece<'a>> {
        self.pieces.iter().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.pieces().map(Piece::len).sum()
    }

    pub(super) fn measure(&self) -> Measure {
        let prefix_len = match (self.first(), self.last()) {
            (Some(first), Some(last)) => first.shared_with(last),
            _ => 0,
        };
        let mut measure = Measure {
            count: 0,
            prefix_len,
            suffix_bytes: 0,
            shortest: usize::MAX,
            longest: 0,
        };
        for piece in self.pieces() {
            piece.add_to(&mut measure);
        }
        measure.shortest = measure.shortest.min(measure.longest);
        measure
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
        for (position, weight) in weights().enumerate() {
            // Before or behind the entry that the middle falls in, whichever is nearer.
            if left + weight > total / 2 {
                let cut = position + usize::from(total / 2 - left > weight / 2);
                return cut.clamp(1, measure.count - 1);
            }
            left += weight;
        }
        measure.count / 2
    }

    /// The shortest string above the key before `position` and not above the one at it.
    pub(super) fn separator(&self, position: usize) -> Vec<u8> {
        let mut keys = self.keys().skip(position - 1);
        let (Some(below), Some(above)) = (keys.next(), keys.next()) else {
            unreachable!("a block is cut between two of its entries");
        };
        let mut separator = above.to_vec();
        separator.truncate(below.shared_with(above) + 1);
        separator
    }

    /// The key at `position`.
    pub(super) fn key(&self, position: usize) -> Vec<u8> {
        self.keys().nth(position).map_or_else(Vec::new, Key::to_vec)
    }

    /// The first `len` bytes of the first key, in place or put together in `scratch`.
    pub(super) fn prefix_of_first<'s>(&self, len: usize, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        match self.first() {
            Some(Key::Plain(key)) => &key[..len],
            Some(Key::In { block, .. }) if len <= block.prefix().len() => &block.prefix()[..len],
            Some(Key::In { block, position }) => {
                block.push_key(position, scratch);
                &scratch[..len]
            }
            None => &[],
        }
    }

    fn first(&self) -> Option<Key<'a>> {
        self.pieces().find_map(|piece| piece.keys().next())
    }

    fn last(&self) -> Option<Key<'a>> {
        let pieces = self.pieces.iter().rev().flatten();
        pieces.filter_map(|piece| piece.keys().next_back()).next()
    }

    fn keys(&self) -> impl Iterator<Item = Key<'a>> {
        self.pieces().flat_map(|piece| piece.keys())
    }
}

impl<'a> Piece<'a> {
    fn len(&self) -> usize {
        match self {
            Self::Run { from, to, .. } => to - from,
            Self::One { .. } => 1,
        }
    }

    fn part(self, from: usize, to: usize) -> Option<Self> {
        match self {
            Self::Run {
                block, from: start, ..
            } => run(block, start + from, start + to),
            Self::One { .. } => (from < to).then_some(self),
        }
    }

    fn keys(&self) -> impl DoubleEndedIterator<Item = Key<'a>> + use<'a> {
        let piece = *self;
        (0..self.len()).map(move |i| match piece {
            Self::Run { block, from, .. } => Key::In {
                block,
                position: from + i,
            },
            Self::One { key, .. } => Key::Plain(key),
        })
    }

    fn add_to(&self, measure: &mut Measure) {
        let prefix_len = measure.prefix_len;
        match *self {
            Self::Run { block, from, to } => {
                let count = to - from;
                // What this block's prefix has more than the new one's goes to each key.
                let more = block.prefix().len() + block.stripped();
                let tails = block.tail_start(to) - block.tail_start(from);
                measure.count += count;
                measure.suffix_bytes += count * more + tails - count * prefix_len;
                let (shortest, longest) = block.tail_lens(from, to);
                measure.shortest = measure.shortest.min(more + shortest - prefix_len);
                measure.longest = measure.longest.max(more + longest - prefix_len);
            }
            Self::One { key, .. } => {
                let len = key.len() - prefix_len;
                measure.count += 1;
                measure.suffix_bytes += len;
                measure.shortest = measure.shortest.min(len);
                measure.longest = measure.longest.max(len);
            }
        }
    }
}

impl<'a> Key<'a> {
    fn len(self) -> usize {
        match self {
            Self::Plain(key) => key.len(),
            Self::In { block, position } => block.prefix().len() + block.suffix_len(position),
        }
    }

    fn to_vec(self) -> Vec<u8> {
        let mut key = Vec::new();
        match self {
            Self::Plain(plain) => key.extend_from_slice(plain),
            Self::In { block, position } => block.push_key(position, &mut key),
        }
        key
    }

    /// How many bytes the two keys have in common at their starts.
    fn shared_with(self, other: Self) -> usize {
        match (self, other) {
            (Self::Plain(a), Self::Plain(b)) => shared(a, b),
            (Self::Plain(key), Self::In { block, position })
            | (Self::In { block, position }, Self::Plain(key)) => {
                let prefix = block.prefix();
                let len = shared(key, prefix);
                if len < prefix.len() {
                    return len;
                }
                let (head, tail) = block.suffix(position);
                len + shared_in_two(&key[len..], &head[..block.stripped()], tail)
            }
            (
                Self::In { block, position },
                Self::In {
                    block: other,
                    position: at,
                },
            ) if block.as_ptr() == other.as_ptr() => {
                let (head_a, tail_a) = block.suffix(position);
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

fn run(block: Block<'_>, from: usize, to: usize) -> Option<Piece<'_>> {
    (from < to).then_some(Piece::Run { block, from, to })
}

fn shared(a: &[u8], b: &[u8]) -> usize {
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
