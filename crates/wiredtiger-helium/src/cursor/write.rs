//! Writing: insert, update, remove, reserve.
//!
//! Invariant: the transaction is known to WiredTiger before anything is tried, and every
//! check runs inside it, so that a failed write keeps it from committing. The store
//! decides about conflicts and existence; nothing here looks before it writes.

use super::{Cursor, Input, Key};
use crate::{
    config::Verbosity,
    error::{Code, Error, Result},
    host::Host,
    recno,
};
use heliumdb::host::{Change, Mode};

/// The value of a bit field that was removed.
pub(super) const NO_BITS: &[u8] = &[0];
/// The value of an item that has none.
const NO_BYTES: &[u8] = &[];

impl<H: Host> Cursor<H> {
    /// Sets the value of an item, or of a new one at the end if the cursor appends.
    /// The cursor stands nowhere afterwards.
    pub fn insert(&mut self, key: Key<'_>, value: Input<'_>, overwrite: bool) -> Result<()> {
        let mode = if overwrite { Mode::Any } else { Mode::Absent };
        if self.is_bulk() {
            self.fill(key, value)?;
        } else if self.appends {
            self.append(value)?;
        } else {
            self.write("insert", key, value, Write::Value(mode))?;
        }
        if let Some(last) = &mut self.last_filled {
            last.clone_from(&self.place.key);
        }
        self.place.keep_value(value);
        self.place.positioned = false;
        Ok(())
    }

    /// Inserts an item outside of transactions, as bulk cursors do: nobody sees the object before they are closed.
    fn fill(&mut self, key: Key<'_>, value: Input<'_>) -> Result<()> {
        if !self.appends {
            self.check_order(key)?;
        }
        let (object, place) = (&self.object, &mut self.place);
        let datastore = &object.datastore;
        let key = if self.appends {
            let recno = object.append.append(datastore, |recno| {
                place.set_recno(recno);
                Ok(datastore.try_insert(&place.key, place.bytes_of(value))?)
            })?;
            Key {
                bytes: Input::Held,
                recno,
            }
        } else {
            place.take_key(key)?;
            let put = || Ok(datastore.put(&place.key, place.bytes_of(value))?);
            match object.has_recnos {
                true => object.append.set(datastore, place.recno, put).map(drop)?,
                false => put()?,
            }
            key
        };
        self.tell("bulk insert", key, value);
        Ok(())
    }

    /// Refuses a key that a bulk cursor is given behind one that is not smaller.
    fn check_order(&self, key: Key<'_>) -> Result<()> {
        let Some(last) = self.last_filled.as_ref().filter(|last| !last.is_empty()) else {
            return Ok(());
        };
        let mut number = Vec::new();
        let key = match key.bytes {
            _ if self.object.has_recnos => {
                recno::pack(key.recno, &mut number);
                &number[..]
            }
            Input::Held => &self.place.key,
            Input::Bytes(bytes) => bytes,
        };
        if key > last.as_slice() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "bulk: the key \"{}\" comes behind \"{}\", which is not smaller",
            key.escape_ascii(),
            last.escape_ascii()
        )))
    }

    /// Sets the value of an item, and stands on it.
    pub fn update(&mut self, key: Key<'_>, value: Input<'_>, overwrite: bool) -> Result<()> {
        let mode = if overwrite { Mode::Any } else { Mode::Present };
        self.write("update", key, value, Write::Value(mode))?;
        self.place.keep_value(value);
        self.place.positioned = true;
        Ok(())
    }

    /// Removes an item; that there is none is an error unless `overwrite` says otherwise, or the
    /// cursor stood on it. The cursor stays where it was.
    pub fn remove(&mut self, key: Key<'_>, overwrite: bool) -> Result<()> {
        let (left, write) = if self.object.has_bit_fields {
            (NO_BITS, Write::Value(Mode::Present))
        } else {
            (NO_BYTES, Write::Removal)
        };
        let left = Input::Bytes(left);
        self.has_missed = false;
        self.place.positioned = match self.write("remove", key, left, write) {
            Err(error) if overwrite && error.code() == Code::NotFound => {
                self.has_missed = true;
                false
            }
            stood_there => stood_there?,
        };
        self.place.keep_value(left);
        Ok(())
    }

    /// Claims an item for the transaction without changing it, and stands on it.
    pub fn reserve(&mut self, key: Key<'_>) -> Result<()> {
        let nothing = Input::Bytes(NO_BYTES);
        self.write("reserve", key, nothing, Write::Claim)?;
        self.place.keep_value(nothing);
        self.place.positioned = true;
        Ok(())
    }

    /// Does one write; says whether the cursor stood on the item, and stands there still.
    fn write(&mut self, what: &str, key: Key<'_>, value: Input<'_>, write: Write) -> Result<bool> {
        let written = self.try_write(what, key, value, write);
        let Err(refusal) = written else {
            return written;
        };
        if self.source.host().check_writable(self.session).is_ok() || !write.needs_item() {
            return Err(refusal);
        }
        // WiredTiger looks for what has to be there before it refuses to write.
        self.search(key).and(Err(refusal))
    }

    fn try_write(
        &mut self,
        what: &str,
        key: Key<'_>,
        value: Input<'_>,
        write: Write,
    ) -> Result<bool> {
        self.tell(what, key, value);
        let (source, object, place) = (&*self.source, &self.object, &mut self.place);
        let session = self.session;
        source.write(session, &self.state, object, |transaction, view| {
            let held = place.take_key(key)?;
            place.positioned = held;
            let (change, mode) = write.in_store(place.bytes_of(value), held);
            let mut put = || {
                transaction
                    .write(&object.datastore, view, &place.key, change, mode)
                    .map_err(|error| source.write_refused(session, error))
            };
            match change {
                Change::Put(_) if object.has_recnos => {
                    object.append.set(&object.datastore, place.recno, put)?;
                }
                Change::Remove if object.has_recnos => {
                    object.append.keep(&object.datastore, place.recno)?;
                    put()?;
                }
                _ => put()?,
            }
            Ok(held)
        })
    }

    /// Inserts an item under the next record number.
    fn append(&mut self, value: Input<'_>) -> Result<()> {
        let (source, object, place) = (&*self.source, &self.object, &mut self.place);
        let session = self.session;
        let result = source.write(session, &self.state, object, |transaction, view| {
            object.append.append(&object.datastore, |recno| {
                place.set_recno(recno);
                let change = Change::Put(place.bytes_of(value));
                transaction
                    .write(&object.datastore, view, &place.key, change, Mode::Absent)
                    .map_err(|error| source.write_refused(session, error))
            })
        });
        let recno = result?;
        let key = Key {
            bytes: Input::Held,
            recno,
        };
        self.tell("append", key, value);
        Ok(())
    }

    fn tell(&self, what: &str, key: Key<'_>, value: Input<'_>) {
        if self.source.verbosity() < Verbosity::Operations {
            return;
        }
        let length = self.place.bytes_of(value).len();
        let key = match key.bytes {
            _ if self.object.has_recnos => key.recno.to_string(),
            Input::Held => self.place.key.escape_ascii().to_string(),
            Input::Bytes(bytes) => bytes.escape_ascii().to_string(),
        };
        let text = format!("{what} {} key {key}, value of {length} bytes", self.uri());
        self.source.host().message(Some(self.session), &text);
    }
}

/// What a write is, before its value is known.
#[derive(Clone, Copy)]
enum Write {
    Value(Mode),
    Removal,
    Claim,
}

impl Write {
    /// Whether it is for an item that is there.
    fn needs_item(self) -> bool {
        !matches!(self, Self::Value(Mode::Any | Mode::Absent))
    }

    /// An item on which the cursor stands (`held`) counts as there, as on WiredTiger's own tables.
    fn in_store(self, value: &[u8], held: bool) -> (Change<'_>, Mode) {
        match self {
            Self::Value(Mode::Present) if held => (Change::Put(value), Mode::Any),
            Self::Value(mode) => (Change::Put(value), mode),
            Self::Removal if held => (Change::Remove, Mode::Any),
            Self::Removal => (Change::Remove, Mode::Present),
            Self::Claim => (Change::Reserve, Mode::Present),
        }
    }
}
