//! An open object: its datastore, its kinds of key and value, and who uses it.
//!
//! Invariant: a datastore is dropped or renamed only while no cursor is open on its
//! object and no unresolved transaction has written to it; both are counted here.

use super::{append::Append, format::Format, numbers::Numbers};
use crate::{error::Result, metadata::Entry};
use heliumdb::Datastore;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// The key format of record numbers.
pub const RECNO_FORMAT: &str = "r";

/// An object that someone has opened.
pub struct Object {
    /// Its URI.
    pub uri: String,
    /// Where its items are.
    pub datastore: Datastore,
    /// Whether keys are record numbers.
    pub has_recnos: bool,
    /// Whether values are bit fields under record numbers, for which removing means setting to
    /// zero. Under other keys they are values like others.
    pub has_bit_fields: bool,
    /// What a key has to be, and a value.
    pub key_format: Format,
    pub value_format: Format,
    /// Which record number comes next.
    pub append: Append,
    cursors: AtomicUsize,
    writers: AtomicUsize,
    /// Its only user is a bulk cursor, and nobody else may enter.
    is_filled: AtomicBool,
}

impl Object {
    /// The object that `entry` describes; what is kept of record numbers is in `numbers`.
    pub fn new(uri: &str, datastore: Datastore, entry: &Entry, numbers: Arc<Numbers>) -> Self {
        Self {
            uri: uri.to_owned(),
            datastore,
            has_recnos: entry.key_format == RECNO_FORMAT,
            has_bit_fields: entry.key_format == RECNO_FORMAT && is_bit_field(&entry.value_format),
            key_format: Format::parse(&entry.key_format),
            value_format: Format::parse(&entry.value_format),
            append: Append::new(numbers),
            cursors: AtomicUsize::new(0),
            writers: AtomicUsize::new(0),
            is_filled: AtomicBool::new(false),
        }
    }

    /// Keeps the last record number, if there is one and no row shows it.
    pub fn keep_last_number(&self) -> Result<()> {
        match self.has_recnos {
            true => self.append.keep_last(&self.datastore),
            false => Ok(()),
        }
    }

    /// Counts a user: a cursor, or a check of the whole object.
    pub fn enter(&self) {
        self.cursors.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends what [`Self::enter`] began.
    pub fn leave(&self) {
        self.cursors.fetch_sub(1, Ordering::Release);
    }

    /// Has the user that was counted last be the only one; false if there are others. To be called under the
    /// registry's lock, as what counts users is.
    pub fn begin_filling(&self) -> bool {
        let is_alone =
            self.cursors.load(Ordering::Acquire) == 1 && self.writers.load(Ordering::Acquire) == 0;
        self.is_filled.store(is_alone, Ordering::Relaxed);
        is_alone
    }

    /// Ends what [`Self::begin_filling`] began.
    pub fn end_filling(&self) {
        self.is_filled.store(false, Ordering::Release);
    }

    /// Whether a bulk cursor has it for itself.
    pub fn is_filled(&self) -> bool {
        self.is_filled.load(Ordering::Acquire)
    }

    /// Counts a transaction that has written here.
    pub fn begin_writer(&self) {
        self.writers.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends what [`Self::begin_writer`] began.
    pub fn end_writer(&self) {
        self.writers.fetch_sub(1, Ordering::Release);
    }

    /// Whether anything uses it. Once it is out of the registry and unused, it stays so:
    /// only an open cursor begins a writer.
    pub fn is_busy(&self) -> bool {
        self.cursors.load(Ordering::Acquire) > 0 || self.writers.load(Ordering::Acquire) > 0
    }
}

/// Whether a value format is a bit field: `t`, alone or after its number of bits.
fn is_bit_field(format: &str) -> bool {
    format
        .strip_suffix('t')
        .is_some_and(|bits| bits.bytes().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::is_bit_field;

    #[test]
    fn bit_fields_are_told_by_their_format() {
        for format in ["t", "1t", "8t"] {
            assert!(is_bit_field(format));
        }
        for format in ["u", "", "tt", "8tS", "St", "i"] {
            assert!(!is_bit_field(format));
        }
    }
}
