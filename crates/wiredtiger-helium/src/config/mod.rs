//! Configuration: of the connection, of an object, of a cursor.
//!
//! Invariant: what is not understood is refused with a sentence that names the key,
//! never ignored.

mod columns;
mod connection;
mod object;
mod parser;
#[cfg(test)]
mod tests;
mod volume;

pub use connection::{ConnectionOptions, Verbosity, VolumeConfig};
pub use object::{CreateOptions, CursorOptions};
pub use parser::{Item, Kind, Pairs};

use crate::error::Result;

/// A value that was looked up, with a text of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its text, without quotes.
    pub text: String,
    /// What it is.
    pub kind: Kind,
}

impl Value {
    /// The same, borrowed.
    pub fn item(&self) -> Item<'_> {
        Item {
            text: &self.text,
            kind: self.kind,
        }
    }
}

/// The configuration of one call, in which keys are looked up by name.
pub trait Lookup {
    /// The value of `key`; the last one given wins.
    fn value(&self, key: &str) -> Result<Option<Value>>;
}

/// A configuration in one string.
impl Lookup for str {
    fn value(&self, key: &str) -> Result<Option<Value>> {
        let mut found = None;
        for pair in Pairs::new(self) {
            let (k, v) = pair?;
            if k.text == key {
                found = Some(Value {
                    text: v.text.to_owned(),
                    kind: v.kind,
                });
            }
        }
        Ok(found)
    }
}
