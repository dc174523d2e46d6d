//! Reading: search, search near, next, previous; and values that a step has left out.
//!
//! Invariant: what the cursor stands on changes only when an operation succeeds, and
//! nothing is allocated once the buffers have grown.

use super::{Cursor, Key, Place};
use crate::{
    error::{Code, Error, Result},
    host::Host,
    recno,
};
use heliumdb::host::DatastoreExt;
use heliumdb::{Position, host::Wanted};
use std::{cmp::Ordering, mem};

impl<H: Host> Cursor<H> {
    /// Finds the item of `key`.
    pub fn search(&mut self, key: Key<'_>) -> Result<()> {
        self.place.take_key(key)?;
        self.place.positioned = false;
        let view = self.source.view(self.session, &self.state);
        let Place { key, value, .. } = &mut self.place;
        if !self.object.datastore.read(&view, key, value)? {
            return Err(Code::NotFound.into());
        }
        self.place.positioned = true;
        Ok(())
    }

    /// Reads the value of the row that the last step left without one, through the eyes that found the row.
    pub fn bring_value(&mut self) -> Result<()> {
        let view = self.source.view(self.session, &self.state);
        let Place { key, value, .. } = &mut self.place;
        if self.object.datastore.read(&view, key, value)? {
            return Ok(());
        }
        let why = format!(
            "{}: the value of the row {} is not there any more",
            self.uri(),
            self.shown_key()
        );
        Err(Error::new(Code::Io, why))
    }

    /// Finds the item of `key`, or the nearest larger one, or the nearest smaller one, and
    /// says which it was. All looks are through the snapshot of this one call.
    pub fn search_near(&mut self, key: Key<'_>, wanted: Wanted) -> Result<Ordering> {
        self.place.take_key(key)?;
        self.place.positioned = false;
        if !self.seek(wanted, |key| Position::AtOrAfter(key))?
            && !self.seek(wanted, |key| Position::Before(key))?
        {
            return Err(Code::NotFound.into());
        }
        let which = self.place.next_key.cmp(&self.place.key);
        self.arrive()?;
        Ok(which)
    }

    /// Moves to the next item, or to the first. Where only its key is wanted, the value is empty.
    pub fn next(&mut self, wanted: Wanted) -> Result<()> {
        let found = if self.place.positioned {
            self.seek(wanted, |key| Position::After(key))
        } else {
            self.seek(wanted, |_| Position::First)
        };
        self.arrive_if(found)
    }

    /// Moves to the previous item, or to the last. Where only its key is wanted, the value is empty.
    pub fn previous(&mut self, wanted: Wanted) -> Result<()> {
        let found = if self.place.positioned {
            self.seek(wanted, |key| Position::Before(key))
        } else {
            self.seek(wanted, |_| Position::Last)
        };
        self.arrive_if(found)
    }

    fn arrive_if(&mut self, found: Result<bool>) -> Result<()> {
        if found? {
            return self.arrive();
        }
        self.place.positioned = false;
        Err(Code::NotFound.into())
    }

    /// Reads the item that `from` the current key names into the spare key buffer and the
    /// value buffer.
    fn seek(&mut self, wanted: Wanted, from: impl FnOnce(&[u8]) -> Position<'_>) -> Result<bool> {
        let view = self.source.view(self.session, &self.state);
        let Place {
            key,
            next_key,
            value,
            ahead,
            lacks_value,
            ..
        } = &mut self.place;
        let datastore = &self.object.datastore;
        let found = datastore.seek_ahead(&view, (from(key), wanted), ahead, next_key, value)?;
        *lacks_value = found && wanted == Wanted::AtHand && !ahead.has_value();
        Ok(found)
    }

    /// Stands on the item that a seek has read.
    fn arrive(&mut self) -> Result<()> {
        let place = &mut self.place;
        if place.has_recnos {
            place.recno = recno::unpack(&place.next_key).ok_or_else(|| {
                Error::new(
                    Code::Io,
                    format!("{}: a key is not a record number", self.object.uri),
                )
            })?;
        }
        mem::swap(&mut place.key, &mut place.next_key);
        place.positioned = true;
        Ok(())
    }
}
