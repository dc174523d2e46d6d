//! The newest state of each key.
//!
//! Invariant: per tree and key the highest sequence number wins, of tombstones too, in
//! whatever order the items come.

use std::collections::{BTreeMap, HashMap};

use crossbeam_epoch as epoch;

use crate::{
    index::{Bound, Direction, Tree as Index},
    location::{Location, Slot, Word},
};

#[derive(Default)]
pub(super) struct Newest {
    trees: BTreeMap<u32, Index>,
    /// Most trees that there can be.
    pub(super) trees_max: usize,
    /// Items of others than the first so many.
    pub(super) left_out: u64,
    /// What the indexes' words count.
    states: Vec<State>,
    /// Where else the newest state of a key is: moving leaves two copies for a while.
    copies: HashMap<usize, Vec<Location>>,
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
        let Self {
            trees,
            states,
            copies,
            ..
        } = self;
        if trees.len() >= self.trees_max && !trees.contains_key(&tree) {
            self.left_out += 1;
            return;
        }
        let word = at.map_or(Word::EMPTY, Word::at);
        let index = trees.entry(tree).or_insert_with(Index::new);
        let new = to_word(states.len());
        let known = index.update(key, &epoch::pin(), |old| match old {
            0 => (new, None),
            old => (old, Some(to_number(old))),
        });
        let Some(number) = known else {
            return states.push(State { sequence, word });
        };
        match states.get_mut(number) {
            Some(state) if state.sequence < sequence => {
                *state = State { sequence, word };
                copies.remove(&number);
            }
            Some(state) if state.sequence == sequence => {
                copies.entry(number).or_default().extend(at);
            }
            _ => {}
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
            newest: self,
            number: 0,
            last: None,
        })
    }
}

/// A walk through the keys of a tree.
pub(super) struct Keys<'a> {
    index: &'a Index,
    newest: &'a Newest,
    /// Of the state of the last key.
    number: usize,
    last: Option<Vec<u8>>,
}

impl Keys<'_> {
    /// Where else the item of the last key is.
    pub(super) fn copies(&self) -> &[Location] {
        let copies = self.newest.copies.get(&self.number);
        copies.map_or(&[], Vec::as_slice)
    }

    pub(super) fn next(&mut self) -> Option<(&[u8], Option<Location>)> {
        let guard = epoch::pin();
        let bound = self
            .last
            .as_deref()
            .map_or(Bound::Unbounded, Bound::Excluded);
        let mut all = self.index.iter(bound, Direction::Forward, &guard);
        let (key, word) = all.next()?;
        self.number = to_number(word);
        let state = self.newest.states.get(self.number);
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
