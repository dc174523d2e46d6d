//! Iterating over what a transaction or a snapshot sees, from both ends.
//!
//! Invariant: keys still to be read lie between `low` and `high`; what was read ahead at
//! either end lies outside of them, in the order in which that end hands it out.

use std::{collections::VecDeque, ops::Bound};

use super::eyes::Eyes;
use crate::{
    error::{Error, Result},
    index::Direction,
    volume::{Datastore, Item, Keys, Position, Wanted, start},
};

/// Items read ahead at most. The first step reads one, each further one twice as many.
const READ_AHEAD_ITEMS_MAX: usize = 128;

/// Iterator over the items of a range, of one moment unless at read-uncommitted: see
/// [`crate::Readable::range`].
pub struct SnapshotRange<'a> {
    /// Who looks, and at what: the items that they saw when the walk began.
    looks: Result<(Eyes<'a>, Datastore)>,
    /// The range as it was asked for.
    bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>),
    low: Bound<Vec<u8>>,
    high: Bound<Vec<u8>>,
    front: VecDeque<Item>,
    back: VecDeque<Item>,
    read_ahead: usize,
    wanted: Wanted,
    /// Nothing is left between `low` and `high`.
    exhausted: bool,
}

impl<'a> SnapshotRange<'a> {
    pub(super) fn new(
        datastore: &Datastore,
        eyes: Result<Eyes<'a>>,
        low: Bound<Vec<u8>>,
        high: Bound<Vec<u8>>,
    ) -> Self {
        let pinned = |eyes| datastore.pinned(Some(&eyes)).map(|pinned| (eyes, pinned));
        Self {
            looks: eyes.and_then(pinned),
            bounds: (low.clone(), high.clone()),
            low,
            high,
            front: VecDeque::new(),
            back: VecDeque::new(),
            read_ahead: 1,
            wanted: Wanted::Items,
            exhausted: false,
        }
    }

    /// The keys alone: no value is read, and no device asked. See [`crate::Range::keys`].
    pub fn keys(mut self) -> Keys<Self> {
        self.wanted = Wanted::Keys;
        Keys(self)
    }

    /// Goes on from `key`, forward or back, within the range: `next` then gives the first item
    /// at or after the key, `next_back` the last one at or before it. What the other end had
    /// handed out comes again.
    pub fn seek(&mut self, key: &[u8], direction: SeekDirection) {
        let at = Bound::Included(key.to_vec());
        (self.low, self.high) = self.bounds.clone();
        match direction {
            SeekDirection::Forward if is_after(key, &self.low) => self.low = at,
            SeekDirection::Backward if is_before(key, &self.high) => self.high = at,
            _ => {}
        }
        self.front.clear();
        self.back.clear();
        self.exhausted = false;
        self.read_ahead = 1;
    }

    fn fill(&mut self, direction: Direction) -> Result<()> {
        let (eyes, datastore) = self.looks.as_ref().map_err(Error::clone)?;
        let (from, to) = match direction {
            Direction::Forward => (&self.low, &self.high),
            Direction::Backward => (&self.high, &self.low),
        };
        let position = match (from, direction) {
            (Bound::Included(key), Direction::Forward) => Position::AtOrAfter(key),
            (Bound::Excluded(key), Direction::Forward) => Position::After(key),
            (Bound::Unbounded, Direction::Forward) => Position::First,
            (Bound::Included(key), Direction::Backward) => Position::AtOrBefore(key),
            (Bound::Excluded(key), Direction::Backward) => Position::Before(key),
            (Bound::Unbounded, Direction::Backward) => Position::Last,
        };
        let within = |key: &[u8]| match direction {
            Direction::Forward => is_before(key, to),
            Direction::Backward => is_after(key, to),
        };
        let items = match direction {
            Direction::Forward => &mut self.front,
            Direction::Backward => &mut self.back,
        };
        let most = (self.read_ahead, self.wanted);
        let more = datastore.nearest_many(Some(eyes), start(position), most, within, items)?;
        let last = items.back().map(|(key, _)| Bound::Excluded(key.clone()));
        if let Some(last) = last {
            match direction {
                Direction::Forward => self.low = last,
                Direction::Backward => self.high = last,
            }
        }
        self.exhausted = !more;
        self.read_ahead = (2 * self.read_ahead).min(READ_AHEAD_ITEMS_MAX);
        Ok(())
    }

    /// Hands out an error once; what was read ahead is still handed out after it.
    fn failed(&mut self, why: Error) -> Option<Result<Item>> {
        self.exhausted = true;
        Some(Err(why))
    }
}

/// Which way [`SnapshotRange::seek`] goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekDirection {
    /// To greater keys, with `next`.
    Forward,
    /// To smaller keys, with `next_back`.
    Backward,
}

fn is_before(key: &[u8], high: &Bound<Vec<u8>>) -> bool {
    match high {
        Bound::Included(high) => key <= high.as_slice(),
        Bound::Excluded(high) => key < high.as_slice(),
        Bound::Unbounded => true,
    }
}

fn is_after(key: &[u8], low: &Bound<Vec<u8>>) -> bool {
    match low {
        Bound::Included(low) => key >= low.as_slice(),
        Bound::Excluded(low) => key > low.as_slice(),
        Bound::Unbounded => true,
    }
}

impl Iterator for SnapshotRange<'_> {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.front.is_empty()
            && !self.exhausted
            && let Err(why) = self.fill(Direction::Forward)
        {
            return self.failed(why);
        }
        self.front
            .pop_front()
            .or_else(|| self.back.pop_back())
            .map(Ok)
    }
}

impl DoubleEndedIterator for SnapshotRange<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.back.is_empty()
            && !self.exhausted
            && let Err(why) = self.fill(Direction::Backward)
        {
            return self.failed(why);
        }
        self.back
            .pop_front()
            .or_else(|| self.front.pop_back())
            .map(Ok)
    }
}
