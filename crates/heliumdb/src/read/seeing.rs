//! A walk over a tree that comes to the items that somebody sees, and passes what they do not.
//!
//! Invariant: the slots that it does not look at are those of stretches that concern its eyes ([`crate::tree::Stretches`]): no
//! item that they see is passed.

use std::sync::atomic::Ordering;

use super::{Look, Start};
use crate::{
    error::Result,
    index::{Bound, Direction, Iter},
    location::Word,
    tree::{Passed, SLOTS_MAX, UNNOTED},
    version::{chain::Seen, death},
};

pub(crate) struct Seeing<'a> {
    pub(super) look: Look<'a>,
    direction: Direction,
    pub(super) slots: Iter<'a>,
    /// Slots without an item since the last item, or the last stretch.
    gap: usize,
    /// The first of them.
    first: Vec<u8>,
    /// Where the stretch ended that is before them, if one is.
    from: Option<Vec<u8>>,
    passed: Option<Passed>,
    /// What was to be noted cannot be: this walk does not try again.
    gave_up: bool,
    looked_at: u64,
}

impl<'a> Seeing<'a> {
    pub(crate) fn new(look: Look<'a>, (bound, direction): Start<'_>) -> Self {
        Self {
            look,
            direction,
            slots: look.tree.index.iter(bound, direction, look.guard),
            gap: 0,
            first: Vec::new(),
            from: None,
            passed: None,
            gave_up: false,
            looked_at: 0,
        }
    }

    /// Which way it goes.
    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    /// Whether there is a copy of the leaf that it is in, as far as is known.
    pub(super) fn is_packed(&self) -> bool {
        self.slots.leaf().pack() != 0
    }

    /// What the index has for what was found last.
    pub(crate) fn slot(&self) -> &[u8] {
        self.slots.key()
    }

    /// The next item, as long as keys are `within`.
    #[inline]
    pub(crate) fn next(&mut self, within: impl Fn(&[u8]) -> bool) -> Result<Option<Seen<'a>>> {
        loop {
            let Some((key, word)) = self.slots.next().filter(|(key, _)| within(key)) else {
                self.note();
                return Ok(None);
            };
            let word = Word(word);
            let seen = self.look.see(word)?;
            if seen.is_present() {
                if self.gap > 0 || self.from.is_some() {
                    self.note();
                    (self.gap, self.from) = (0, None);
                }
                return Ok(Some(seen));
            }
            if self.gap == 0 {
                self.first.clear();
                self.first.extend_from_slice(key);
            }
            self.pass(word);
        }
    }

    /// Passes a slot without an item.
    fn pass(&mut self, word: Word) {
        self.looked_at += 1;
        self.gap += 1;
        let is_look_due = self.gap == 1 || self.gap.is_multiple_of(UNNOTED);
        if is_look_due && self.look.tree.stretches.is_any() && self.go_on_behind() {
            return;
        }
        if self.passed.is_some() {
            self.add(word);
        } else if self.gap == UNNOTED && !self.gave_up {
            self.begin();
            let (from, direction) = (self.from.take(), self.direction);
            let start = match (&from, direction) {
                (Some(end), Direction::Forward) => Bound::Included(end.as_slice()),
                (Some(start), Direction::Backward) => Bound::Excluded(start.as_slice()),
                (None, _) => Bound::Included(self.first.as_slice()),
            };
            self.slots.go_to(start);
            self.from = from;
        }
    }

    /// Goes on behind the stretch that the walk is in, if it is in one.
    fn go_on_behind(&mut self) -> bool {
        let Some(stretch) = self
            .look
            .tree
            .stretches
            .find(self.slots.key(), self.look.eyes)
        else {
            return false;
        };
        self.note();
        let from = match self.direction {
            Direction::Forward => {
                self.slots.go_to(Bound::Included(&stretch.end));
                stretch.end
            }
            Direction::Backward => {
                self.slots.go_to(Bound::Excluded(&stretch.start));
                stretch.start
            }
        };
        (self.gap, self.from) = (0, Some(from));
        true
    }

    /// Begins to note what is passed.
    fn begin(&mut self) {
        let from = self.from.clone();
        let bounds = match self.direction {
            Direction::Forward => (from, None),
            Direction::Backward => (None, from),
        };
        self.passed = Some(self.look.tree.stretches.begin(bounds));
        self.slots.watch();
    }

    fn add(&mut self, word: Word) {
        let own = self.look.eyes.map_or(0, |view| view.own());
        let is_steady = self.slots.is_steady(word.0);
        let death = death(word, own, self.look.guard).filter(|_| is_steady);
        let Some((passed, death)) = self.passed.as_mut().zip(death) else {
            // What was passed until here is kept, unless a leaf on the way was being changed.
            self.note();
            self.gave_up = true;
            return;
        };
        passed.add(self.slots.key(), death, own);
        if passed.slots >= SLOTS_MAX {
            self.note();
            // The next one begins where this one ends.
            let mut end = self.slots.key().to_vec();
            if self.direction == Direction::Forward {
                end.push(0);
            }
            self.from = Some(end);
            self.begin();
        }
    }

    /// Keeps what was passed.
    fn note(&mut self) {
        if let Some(passed) = self.passed.take() {
            match self.slots.was_steady() {
                true => self.look.tree.stretches.end(passed),
                false => self.look.tree.stretches.give_up(passed),
            }
        }
    }
}

impl Drop for Seeing<'_> {
    fn drop(&mut self) {
        self.note();
        if self.looked_at > 0 {
            let passed = self.look.passed;
            passed.fetch_add(self.looked_at, Ordering::Relaxed);
        }
    }
}
