//! Walking through all items of a datastore, whether it has an order or not.
//!
//! Invariant: each slot of the index that is there throughout is passed once, in the order of the index.

use std::ops::Bound;

use super::{
    Datastore,
    ends::{Ends, Eyed, Newest},
};
use crate::{
    error::Result,
    index::Direction,
    read::{Item, Wanted},
    version::View,
};

/// Iterator over all items of a datastore that a view sees: see
/// [`DatastoreExt::items_of`](crate::host::DatastoreExt::items_of).
pub struct Items<'a>(Ends<&'a dyn View>);

/// Iterator over all newest committed items of a datastore, which any thread may go on with: see
/// [`Datastore::items`].
pub struct NewestItems(Ends<Newest>);

/// Iterator over keys and the lengths of their values: see [`Datastore::lengths`].
pub struct Lengths(Ends<Newest>);

impl Datastore {
    /// All newest committed items, each once, in the order in which the index has them: by key, or in an
    /// [unordered](crate::DatastoreOptions::unordered) datastore in none that means anything. What is written meanwhile
    /// may be among them or not; that the datastore is emptied or removed does not show.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let url = format!("he://{}", dir.path().join("volume").display());
    /// # let volume = heliumdb::Volume::open(&url, &Default::default())?;
    /// let mut options = heliumdb::DatastoreOptions::default();
    /// options.create = true;
    /// options.unordered = true;
    /// let store = volume.open_datastore(b"sessions", &options)?;
    /// store.put(b"one", b"1")?;
    /// store.put(b"two", b"2")?;
    /// let mut names: Vec<_> = store.items().map(|item| item.unwrap().0).collect();
    /// names.sort();
    /// assert_eq!(names, [b"one", b"two"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn items(&self) -> NewestItems {
        NewestItems(all(self, Newest))
    }

    /// The keys of all newest committed items, each once and in the order of [`Datastore::items`], with how many bytes
    /// their values have: much less is read for values that are long.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let url = format!("he://{}", dir.path().join("volume").display());
    /// # let volume = heliumdb::Volume::open(&url, &Default::default())?;
    /// let store = volume.create_datastore(b"pictures")?;
    /// store.put(b"cat", &vec![0; 10 << 20])?;
    /// let largest = store.lengths().map(|found| found.unwrap().1).max();
    /// assert_eq!(largest, Some(10 << 20));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lengths(&self) -> Lengths {
        Lengths(all(self, Newest).wanting(Wanted::Lengths))
    }
}

fn all<E: Eyed>(datastore: &Datastore, looker: E) -> Ends<E> {
    Ends::new(datastore, Ok(looker), (Bound::Unbounded, Bound::Unbounded)).all_the_way()
}

impl Iterator for NewestItems {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(Direction::Forward)
    }
}

impl<'a> Items<'a> {
    pub(crate) fn of(datastore: &Datastore, view: &'a dyn View) -> Self {
        Self(all(datastore, view))
    }
}

impl Iterator for Items<'_> {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(Direction::Forward)
    }
}

impl Iterator for Lengths {
    type Item = Result<(Vec<u8>, u64)>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.0.next(Direction::Forward)?;
        Some(item.map(|(key, len)| (key, Wanted::length(&len))))
    }
}

const _: () = {
    const fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<NewestItems>();
    is_send_and_sync::<Lengths>();
};
