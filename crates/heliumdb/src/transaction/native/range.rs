//! Iterating over what a transaction or a snapshot sees, from both ends.

use std::ops::Bound;

use super::eyes::Eyes;
use crate::{
    datastore::{Bounds, Datastore, Ends, Eyed, Keys},
    error::Result,
    index::Direction,
    read::{Item, Wanted, is_on_the_way},
    version,
};

/// Iterator over the items of a range, of one moment unless at read-uncommitted: see
/// [`crate::Readable::range`].
pub struct SnapshotRange<'a> {
    ends: Ends<Eyes<'a>>,
    /// The range as it was asked for.
    bounds: Bounds,
}

/// Which way [`SnapshotRange::seek`] goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekDirection {
    /// To greater keys, with `next`.
    Forward,
    /// To smaller keys, with `next_back`.
    Backward,
}

impl Eyed for Eyes<'_> {
    fn eyes(&self) -> version::Eyes<'_> {
        Some(self)
    }
}

impl<'a> SnapshotRange<'a> {
    pub(super) fn new(datastore: &Datastore, eyes: Result<Eyes<'a>>, bounds: Bounds) -> Self {
        Self {
            ends: Ends::in_order(datastore, eyes, bounds.clone()),
            bounds,
        }
    }

    /// The keys alone: no value is read, and no device asked. See [`crate::Range::keys`].
    pub fn keys(self) -> Keys<Self> {
        Keys(Self {
            ends: self.ends.wanting(Wanted::Keys),
            ..self
        })
    }

    /// The next item from the end that a walk in `direction` begins at.
    pub(super) fn step(&mut self, direction: Direction) -> Option<Result<Item>> {
        self.ends.next(direction)
    }

    /// Through what it looks.
    pub(super) fn eyes(&self) -> Result<&Eyes<'a>> {
        self.ends.looker()
    }

    /// Whether it still comes to `key`, where there may be another item than before, and has read nothing ahead of that.
    pub(super) fn comes_to(&mut self, key: &[u8]) -> bool {
        self.ends.comes_to(key)
    }

    /// Goes on from `key`, forward or back, within the range: `next` then gives the first item
    /// at or after the key, `next_back` the last one at or before it. What the other end had
    /// handed out comes again.
    pub fn seek(&mut self, key: &[u8], direction: SeekDirection) {
        let at = Bound::Included(key.to_vec());
        let (mut low, mut high) = self.bounds.clone();
        match direction {
            SeekDirection::Forward if is_on_the_way(key, &low, Direction::Backward) => low = at,
            SeekDirection::Backward if is_on_the_way(key, &high, Direction::Forward) => high = at,
            _ => {}
        }
        self.ends.go_to((low, high));
    }
}

impl Iterator for SnapshotRange<'_> {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        self.ends.next(Direction::Forward)
    }
}

impl DoubleEndedIterator for SnapshotRange<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.ends.next(Direction::Backward)
    }
}
