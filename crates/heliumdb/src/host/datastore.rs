//! Reading a datastore through a view that the embedding program keeps.

use super::sealed::Sealed;
use crate::{
    Datastore, Result,
    datastore::Items,
    read::{Position, ReadAhead, Wanted},
    version::View,
};

/// What a [`Datastore`] has besides for programs that keep their transactions themselves.
pub trait DatastoreExt: Sealed {
    /// Reads the value of `key` that `view` sees into `value`, which is cleared first; false if
    /// there is no item. `PrepareConflict` if a prepared transaction has written it.
    fn read(&self, view: &dyn View, key: &[u8], value: &mut Vec<u8>) -> Result<bool>;

    /// Finds the nearest item that `view` sees from `position`, and reads its key and value
    /// (both cleared first); false if there is none. One atomic look at what `view` sees.
    fn seek(
        &self,
        view: &dyn View,
        position: Position<'_>,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool>;

    /// As [`DatastoreExt::seek`], for the key alone.
    fn seek_key(&self, view: &dyn View, position: Position<'_>, key: &mut Vec<u8>) -> Result<bool>;

    /// As [`DatastoreExt::seek`], for a cursor that walks: where the position goes on from the item
    /// that was found last with the same `ahead`, the next ones are fetched too, and later calls
    /// answered from there, as long as a new look would find the same. Where only keys are wanted, `value` is empty
    /// afterwards, and no device is asked. Nor is one where what is at hand is wanted: [`ReadAhead::has_value`] says whether
    /// the value was.
    fn seek_ahead(
        &self,
        view: &dyn View,
        wanted: (Position<'_>, Wanted),
        ahead: &mut ReadAhead,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool>;

    /// How long the newest committed value of `key` is; `None` if there is none. Of a long value no piece is read; a short one is
    /// where its length is.
    fn newest_length(&self, key: &[u8]) -> Result<Option<u64>>;

    /// As [`Datastore::nearest_into`], for what is wanted of the item.
    fn nearest_for(
        &self,
        wanted: (Position<'_>, Wanted),
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool>;

    /// As [`Datastore::items`], of what `view` sees. What its transaction has not committed yet is refused in an unordered
    /// datastore.
    fn items_of<'a>(&self, view: &'a dyn View) -> Items<'a>;
}

impl DatastoreExt for Datastore {
    fn read(&self, view: &dyn View, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        self.read_with(Some(view), key, value)
    }

    fn seek(
        &self,
        view: &dyn View,
        position: Position<'_>,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.seek_with(Some(view), position, key, value)
    }

    fn seek_key(&self, view: &dyn View, position: Position<'_>, key: &mut Vec<u8>) -> Result<bool> {
        self.seek_for(Some(view), (position, Wanted::Keys), key, &mut Vec::new())
    }

    fn seek_ahead(
        &self,
        view: &dyn View,
        wanted: (Position<'_>, Wanted),
        ahead: &mut ReadAhead,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.seek_ahead_with(view, wanted, ahead, key, value)
    }

    fn newest_length(&self, key: &[u8]) -> Result<Option<u64>> {
        Self::newest_length(self, key)
    }

    fn nearest_for(
        &self,
        wanted: (Position<'_>, Wanted),
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.seek_for(None, wanted, key, value)
    }

    fn items_of<'a>(&self, view: &'a dyn View) -> Items<'a> {
        Items::of(self, view)
    }
}
