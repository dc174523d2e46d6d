//! Iterating over a datastore, from both ends.
//!
//! Invariant: what is still to come lies between `low` and `high`; each step narrows them.

use std::ops::Bound;

use super::{Datastore, Position, datastore::Item};
use crate::error::Result;

/// Iterator over a range of a datastore, from both ends: see [`Datastore::range`].
pub struct Range {
    datastore: Datastore,
    low: Bound<Vec<u8>>,
    high: Bound<Vec<u8>>,
    done: bool,
}

impl Range {
    pub(super) fn new(datastore: Datastore, low: Bound<Vec<u8>>, high: Bound<Vec<u8>>) -> Self {
        Self {
            datastore,
            low,
            high,
            done: false,
        }
    }

    fn step(&mut self, position: impl Fn(&Self) -> Position<'_>) -> Option<Result<Item>> {
        if self.done {
            return None;
        }
        let found = self.datastore.nearest(position(self)).transpose();
        match &found {
            Some(Ok((key, _))) if self.contains(key) => {}
            Some(Err(_)) => self.done = true,
            _ => {
                self.done = true;
                return None;
            }
        }
        found
    }

    fn contains(&self, key: &[u8]) -> bool {
        let above = match &self.low {
            Bound::Included(low) => key >= low.as_slice(),
            Bound::Excluded(low) => key > low.as_slice(),
            Bound::Unbounded => true,
        };
        let below = match &self.high {
            Bound::Included(high) => key <= high.as_slice(),
            Bound::Excluded(high) => key < high.as_slice(),
            Bound::Unbounded => true,
        };
        above && below
    }
}

impl Iterator for Range {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.step(|range| match &range.low {
            Bound::Included(key) => Position::AtOrAfter(key),
            Bound::Excluded(key) => Position::After(key),
            Bound::Unbounded => Position::First,
        });
        if let Some(Ok((key, _))) = &found {
            self.low = Bound::Excluded(key.clone());
        }
        found
    }
}

impl DoubleEndedIterator for Range {
    fn next_back(&mut self) -> Option<Self::Item> {
        let found = self.step(|range| match &range.high {
            Bound::Included(key) => Position::AtOrBefore(key),
            Bound::Excluded(key) => Position::Before(key),
            Bound::Unbounded => Position::Last,
        });
        if let Some(Ok((key, _))) = &found {
            self.high = Bound::Excluded(key.clone());
        }
        found
    }
}
