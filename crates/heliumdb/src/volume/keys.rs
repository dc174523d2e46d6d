//! Walks that are after keys only.
//!
//! Invariant: they read no value and ask no device: keys are in the index, and whether there is an item is in the
//! index and its versions.

use crossbeam_epoch as epoch;

use super::{Datastore, Item, Position, seeing::Seeing, start};
use crate::{error::Result, version::View};

/// What a walk is after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// Keys and values.
    Items,
    /// Keys: the values are shown as if they were empty.
    Keys,
    /// Keys, and the values that lie in memory in one piece: see [`super::Datastore::seek_ahead_for`]. Elsewhere, all.
    AtHand,
}

/// Iterator over the keys of what another one iterates over: see [`super::Range::keys`].
pub struct Keys<R>(pub(crate) R);

impl Datastore {
    /// As [`Datastore::seek`], for the key alone.
    pub fn seek_key(
        &self,
        view: &dyn View,
        position: Position<'_>,
        key: &mut Vec<u8>,
    ) -> Result<bool> {
        self.shared.check_open()?;
        self.with_tree_of(Some(view), |tree| {
            tree.check_ordered()?;
            let guard = epoch::pin();
            let from = start(position);
            let mut items = Seeing::new(&self.shared, tree, Some(view), from, &guard);
            let found = items.next(|_| true)?.is_some();
            if found {
                key.clear();
                key.extend_from_slice(items.key());
            }
            Ok(found)
        })
    }
}

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
