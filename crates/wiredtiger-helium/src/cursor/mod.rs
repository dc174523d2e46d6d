//! Cursors: reading and writing an object through the eyes of a session.
//!
//! Invariant: key and value are in buffers of the cursor's own, which stay as they are
//! until its next operation and are reused by it; an operation that fails leaves the key
//! buffer alone. The position is a key, not a place: next and previous work from it
//! whatever became of the item.

mod place;
mod read;
mod write;

use crate::{
    config::CursorOptions,
    error::{Code, Error, Result},
    host::Host,
    source::{Object, Source},
    transactions::SessionState,
};
use place::Place;
use std::sync::Arc;

/// Longest part of a key that is shown, in bytes.
const KEY_SHOWN_BYTES: usize = 64;

/// A key or value that an operation is given.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The one that the cursor's last operation left in its buffer.
    Held,
    /// These bytes.
    Bytes(&'a [u8]),
}

/// The key that an operation is given, in both forms; the object says which counts.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// As bytes.
    pub bytes: Input<'a>,
    /// As a record number.
    pub recno: u64,
}

/// An open cursor.
pub struct Cursor<H: Host> {
    source: Arc<Source<H>>,
    object: Arc<Object>,
    session: H::Session,
    state: Arc<SessionState>,
    appends: bool,
    overwrites: bool,
    /// Of a bulk cursor: the last key that it has inserted.
    last_filled: Option<Vec<u8>>,
    /// There was nothing to remove.
    has_missed: bool,
    place: Place,
}

impl<H: Host> Cursor<H> {
    /// A cursor on an object that was entered for it.
    pub fn new(
        source: Arc<Source<H>>,
        object: Arc<Object>,
        session: H::Session,
        options: CursorOptions,
    ) -> Self {
        let state = source.transactions().attach(session);
        Self {
            appends: options.append && object.has_recnos,
            overwrites: options.overwrite,
            last_filled: options.bulk.then(Vec::new),
            has_missed: false,
            place: Place {
                has_recnos: object.has_recnos,
                ..Place::default()
            },
            source,
            object,
            session,
            state,
        }
    }

    /// The connection's data source.
    pub fn source(&self) -> &Arc<Source<H>> {
        &self.source
    }

    /// The object's URI.
    pub fn uri(&self) -> &str {
        &self.object.uri
    }

    /// Whether it was opened so that inserts replace and updates create.
    pub fn overwrites(&self) -> bool {
        self.overwrites
    }

    /// Whether it is a bulk cursor.
    pub fn is_bulk(&self) -> bool {
        self.last_filled.is_some()
    }

    /// Closes it. What a bulk cursor has inserted is durable from here on, as commits are.
    pub fn close(self) -> Result<()> {
        match self.is_bulk() {
            true => self.source.make_durable(&self.object),
            false => Ok(()),
        }
    }

    /// Refuses what a bulk cursor does not do: anything but to insert.
    pub fn check_not_bulk(&self) -> Result<()> {
        match self.last_filled {
            Some(_) => Err(bulk_only_inserts()),
            None => Ok(()),
        }
    }

    /// Whether keys are record numbers.
    pub fn has_recnos(&self) -> bool {
        self.object.has_recnos
    }

    /// Whether values are bit fields for which removing means setting to zero.
    pub fn has_bit_fields(&self) -> bool {
        self.object.has_bit_fields
    }

    /// Whether rows are keys alone, as those of an index are.
    pub fn has_no_values(&self) -> bool {
        self.object.value_format.text().is_empty()
    }

    /// The current key.
    pub fn key(&self) -> &[u8] {
        &self.place.key
    }

    /// The current record number.
    pub fn recno(&self) -> u64 {
        self.place.recno
    }

    /// The current value.
    pub fn value(&self) -> &[u8] {
        &self.place.value
    }

    /// Refuses a row whose key or value is not of the object's formats: another program wrote it.
    pub fn check_formats(&self) -> Result<()> {
        let (object, place) = (&self.object, &self.place);
        let (what, format) = if !object.key_format.accepts(&place.key) {
            ("key", &object.key_format)
        } else if !place.lacks_value && !object.value_format.accepts(&place.value) {
            ("value", &object.value_format)
        } else {
            return Ok(());
        };
        Err(Error::new(
            Code::Io,
            format!(
                "{}: the {what} of the row {} is not of the {what}_format {}: another program wrote it; the row can be \
                 removed, or read with a raw cursor",
                object.uri,
                self.shown_key(),
                format.text()
            ),
        ))
    }

    fn shown_key(&self) -> String {
        let key = &self.place.key;
        let shown = key[..key.len().min(KEY_SHOWN_BYTES)].escape_ascii();
        match key.len() {
            _ if self.object.has_recnos => self.place.recno.to_string(),
            0..=KEY_SHOWN_BYTES => format!("\"{shown}\""),
            length => format!("\"{shown}...\" ({length} bytes)"),
        }
    }

    /// Whether the step that was the last operation has left the row's value out; says so once.
    pub fn take_lack(&mut self) -> bool {
        std::mem::take(&mut self.place.lacks_value)
    }

    /// Whether `start` is in one of the cursor's own buffers.
    pub fn owns(&self, start: *const u8) -> bool {
        self.place.owns(start)
    }

    /// Whether it stands on an item.
    pub fn is_positioned(&self) -> bool {
        self.place.positioned
    }

    /// Whether it stands on a bit field that is zero, as one is that was removed.
    pub fn is_on_zero(&self) -> bool {
        self.object.has_bit_fields && self.place.positioned && self.place.value == write::NO_BITS
    }

    /// From now on insertions append, or do not.
    pub fn set_appends(&mut self, appends: bool) {
        self.appends = appends && self.object.has_recnos;
    }

    /// Whether the last removal succeeded because there was nothing to remove.
    pub fn has_missed(&self) -> bool {
        self.has_missed
    }

    /// Stands nowhere from now on; key and value stay in their buffers.
    pub fn leave_place(&mut self) {
        self.place.positioned = false;
    }

    /// Loses the position.
    pub fn reset(&mut self) {
        self.place.reset();
    }
}

/// What a bulk cursor answers to anything else.
pub fn bulk_only_inserts() -> Error {
    Error::new(Code::Unsupported, "a bulk cursor only inserts")
}

impl<H: Host> Drop for Cursor<H> {
    fn drop(&mut self) {
        if self.last_filled.is_some() {
            self.object.end_filling();
        }
        self.object.leave();
        self.source.transactions().detach(self.session);
    }
}
