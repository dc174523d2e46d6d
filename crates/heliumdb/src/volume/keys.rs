//! Walks that are after keys only.
//!
//! Invariant: they read no value and ask no device: keys are in the index, and whether there is an item is in the
//! index and its versions.

use super::Item;
use crate::error::Result;

/// What a walk is after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// Keys and values.
    Items,
    /// Keys: the values are shown as if they were empty.
    Keys,
}

/// Iterator over the keys of what another one iterates over: see [`super::Range::keys`].
pub struct Keys<R>(pub(crate) R);

fn key(item: Result<Item>) -> Result<Vec<u8>> {
    item.map(|(key, _)| key)
}

impl<R: Iterator<Item = Result<Item>>> Iterator for Keys<R> {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(key)
    }
}

impl<R: DoubleEndedIterator<Item = Result<Item>>> DoubleEndedIterator for Keys<R> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(key)
    }
}
