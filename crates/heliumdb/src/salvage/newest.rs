//! The newest state of each key.
//!
//! Invariant: per tree and key the highest sequence number wins, of tombstones too, in
//! whatever order the items come.

use std::collections::BTreeMap;

use crossbeam_epoch as epoch;

use crate::{
    index::{Bound, Direction, Tree as Index},
    location::{Location, Slot, Word},
};

#[derive(Default)]
pub(super) struct Newest {
    trees: BTreeMap<u32, Index>,
    /// What the indexes' words count.
    states: Vec<State>,
}

/// Of one key.
struct State {
    sequence: u64,
    /// [`Word::EMPTY`] is a tombstone.
    word: Word,
}

impl Newest {
    /// An item, or with `None` a tombstone, of `key`.
    pub(super) fn enter(&mut self, tree: u32, key: &[u8], sequence: u64, at: Option<Location>) {
        let Self { trees, states } = self;
        let word = at.map_or(Word::EMPTY, Word::at);
        let index = trees.entry(tree).or_insert_with(Index::new);
        let new = to_word(states.len());
        let known = index.update(key, &epoch::pin(), |old| match old {
            0 => (new, None),
            old => (old, Some(to_number(old))),
        });
        match known.and_then(|number| states.get_mut(number)) {
            None => states.push(State { sequence, word }),
            Some(state) if state.sequence <= sequence => *state = State { sequence, word },
            Some(_) => {}
        }
    }

    pub(super) fn trees(&self) -> impl Iterator<Item = u32> {
        self.trees.keys().copied()
    }

    /// Whether a tree has items that are not deleted.
    pub(super) fn has_items(&self, tree: u32) -> bool {
        let mut any = false;
        self.each(tree, |_, at| any |= at.is_some());
        any
    }

    /// Keys of a tree, deleted ones too.
    pub(super) fn len(&self, tree: u32) -> u64 {
        self.trees.get(&tree).map_or(0, Index::len)
    }

    /// The keys of a tree in order, each with its place, or `None` if its newest state is that
    /// it was deleted.
    pub(super) fn each(&self, tree: u32, mut f: impl FnMut(&[u8], Option<Location>)) {
        let mut walk = self.walk(tree);
        while let Some((key, at)) = walk.as_mut().and_then(Keys::next) {
            f(key, at);
        }
    }

    /// As [`Newest::each`], step by step; `None` if there is no such tree.
    pub(super) fn walk(&self, tree: u32) -> Option<Keys<'_>> {
        let index = self.trees.get(&tree)?;
        Some(Keys {
            index,
            states: &self.states,
            last: None,
        })
    }
}

/// A walk through the keys of a tree.
pub(super) struct Keys<'a> {
    index: &'a Index,
    states: &'a [State],
    last: Option<Vec<u8>>,
}

impl Keys<'_> {
    pub(super) fn next(&mut self) -> Option<(&[u8], Option<Location>)> {
        let guard = epoch::pin();
        let bound = self
            .last
            .as_deref()
            .map_or(Bound::Unbounded, Bound::Excluded);
        let mut all = self.index.iter(bound, Direction::Forward, &guard);
        let (key, word) = all.next()?;
        let state = self.states.get(to_number(word));
        let at = match state.map_or(Slot::Empty, |state| state.word.slot()) {
            Slot::At(location) => Some(location),
            Slot::Empty | Slot::Chain(_) => None,
        };
        let key = key.to_vec();
        Some((self.last.insert(key), at))
    }
}

/// Numbers as the index keeps them: words other than zero.
fn to_word(number: usize) -> u64 {
    ((number as u64) + 1) << 2
}

fn to_number(word: u64) -> usize {
    (word >> 2) as usize - 1
}
