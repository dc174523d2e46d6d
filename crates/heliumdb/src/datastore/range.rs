//! Iterators over the newest committed items, and over keys alone.

use super::{
    Datastore,
    ends::{Bounds, Ends, Newest},
};
use crate::{
    error::Result,
    index::Direction,
    read::{Item, Wanted},
};

/// Iterator over the newest committed items of a range: see [`Datastore::range`].
pub struct Range(Ends<Newest>);

/// Iterator over the keys of what another one iterates over: see [`Range::keys`].
pub struct Keys<R>(pub(crate) R);

impl Range {
    pub(super) fn new(datastore: &Datastore, bounds: Bounds) -> Self {
        Self(Ends::in_order(datastore, Ok(Newest), bounds))
    }

    /// The keys alone, as far as none was handed out yet: no value is read, and no device asked.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let url = format!("he://{}", dir.path().join("volume").display());
    /// # let volume = heliumdb::Volume::open(&url, &Default::default())?;
    /// let store = volume.create_datastore(b"store")?;
    /// store.put(b"a", b"1")?;
    /// store.put(b"b", b"2")?;
    /// let keys: heliumdb::Result<Vec<_>> = store.range::<&[u8]>(..).keys().rev().collect();
    /// assert_eq!(keys?, [b"b", b"a"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keys(self) -> Keys<Self> {
        Keys(Self(self.0.wanting(Wanted::Keys)))
    }
}

impl Iterator for Range {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(Direction::Forward)
    }
}

impl DoubleEndedIterator for Range {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next(Direction::Backward)
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
