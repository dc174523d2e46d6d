//! Iterating over a datastore, from both ends.
//!
//! Invariant: keys still to be read lie between `low` and `high`; what was read ahead at
//! either end lies outside of them, in the order in which that end hands it out.

use std::{collections::VecDeque, ops::Bound};

use super::{
    Datastore, Keys, Position, Wanted,
    datastore::{Item, start},
};
use crate::error::{Error, Result};

/// Items read ahead at most. The first step reads one, each further one twice as many.
const READ_AHEAD_ITEMS_MAX: usize = 128;

/// Iterator over the newest committed items of a range: see [`Datastore::range`].
pub struct Range {
    /// Of the items that there were when the walk began.
    datastore: Result<Datastore>,
    low: Bound<Vec<u8>>,
    high: Bound<Vec<u8>>,
    front: VecDeque<Item>,
    back: VecDeque<Item>,
    read_ahead: usize,
    wanted: Wanted,
    /// Nothing is left between `low` and `high`.
    exhausted: bool,
}

impl Range {
    pub(super) fn new(datastore: &Datastore, low: Bound<Vec<u8>>, high: Bound<Vec<u8>>) -> Self {
        Self {
            datastore: datastore.pinned(None),
            low,
            high,
            front: VecDeque::new(),
            back: VecDeque::new(),
            read_ahead: 1,
            wanted: Wanted::Items,
            exhausted: false,
        }
    }

    /// The keys alone, as far as none was handed out yet: no value is read, and no device asked.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let url = format!("he://{}", dir.path().join("volume").display());
    /// # let volume = heliumdb::Volume::open(&url, &Default::default())?;
    /// let store = volume.create_datastore(b"store", b"")?;
    /// store.put(b"a", b"1")?;
    /// store.put(b"b", b"2")?;
    /// let keys: heliumdb::Result<Vec<_>> = store.range::<&[u8]>(..).keys().rev().collect();
    /// assert_eq!(keys?, [b"b", b"a"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keys(mut self) -> Keys<Self> {
        self.wanted = Wanted::Keys;
        Keys(self)
    }

    fn fill_front(&mut self) -> Result<()> {
        let position = match &self.low {
            Bound::Included(key) => Position::AtOrAfter(key),
            Bound::Excluded(key) => Position::After(key),
            Bound::Unbounded => Position::First,
        };
        let within = |key: &[u8]| match &self.high {
            Bound::Included(high) => key <= high.as_slice(),
            Bound::Excluded(high) => key < high.as_slice(),
            Bound::Unbounded => true,
        };
        let most = self.read_ahead;
        let datastore = self.datastore.as_ref().map_err(Error::clone)?;
        let (start, wanted) = (start(position), self.wanted);
        self.exhausted =
            !datastore.nearest_many(None, start, (most, wanted), within, &mut self.front)?;
        if let Some((key, _)) = self.front.back() {
            self.low = Bound::Excluded(key.clone());
        }
        self.read_ahead = (2 * most).min(READ_AHEAD_ITEMS_MAX);
        Ok(())
    }

    fn fill_back(&mut self) -> Result<()> {
        let position = match &self.high {
            Bound::Included(key) => Position::AtOrBefore(key),
            Bound::Excluded(key) => Position::Before(key),
            Bound::Unbounded => Position::Last,
        };
        let within = |key: &[u8]| match &self.low {
            Bound::Included(low) => key >= low.as_slice(),
            Bound::Excluded(low) => key > low.as_slice(),
            Bound::Unbounded => true,
        };
        let most = self.read_ahead;
        let datastore = self.datastore.as_ref().map_err(Error::clone)?;
        let (start, wanted) = (start(position), self.wanted);
        self.exhausted =
            !datastore.nearest_many(None, start, (most, wanted), within, &mut self.back)?;
        if let Some((key, _)) = self.back.back() {
            self.high = Bound::Excluded(key.clone());
        }
        self.read_ahead = (2 * most).min(READ_AHEAD_ITEMS_MAX);
        Ok(())
    }

    /// Hands out an error once; what was read ahead is still handed out after it.
    fn failed(&mut self, why: Error) -> Option<Result<Item>> {
        self.exhausted = true;
        Some(Err(why))
    }
}

impl Iterator for Range {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.front.is_empty()
            && !self.exhausted
            && let Err(why) = self.fill_front()
        {
            return self.failed(why);
        }
        self.front
            .pop_front()
            .or_else(|| self.back.pop_back())
            .map(Ok)
    }
}

impl DoubleEndedIterator for Range {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.back.is_empty()
            && !self.exhausted
            && let Err(why) = self.fill_back()
        {
            return self.failed(why);
        }
        self.back
            .pop_front()
            .or_else(|| self.front.pop_back())
            .map(Ok)
    }
}
