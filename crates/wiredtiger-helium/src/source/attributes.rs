//! What the catalog keeps of an object besides its name.
//!
//! A create, drop or rename changes two places: the catalog here and WiredTiger's
//! metadata. The state says which change may be half done.
//!
//! Invariant: every state can go forward and back, and the metadata decides which.
//! CRASH: whatever state a crash leaves, [`super::Source`] settles it when the object is
//! next opened or created, or at a checkpoint.

use crate::{
    config::Lookup,
    error::{Error, Result},
    metadata::{Hex, from_hex, word},
};
use heliumdb::DatastoreInfo;

/// Longest two formats together, in bytes, which is what the catalog has room for.
const FORMATS_BYTES_MAX: usize = 12_000;

/// Where in its life an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Being made, or made and not opened since: whether the metadata keeps its entry is not sure.
    Creating,
    /// In use.
    Live,
    /// Removed, once it is certain that the metadata has no entry for it.
    Dropping,
    /// Renamed from another object's name, which may come back.
    Renaming {
        /// The object's name before.
        from: String,
    },
}

impl State {
    /// The state of the object that `info` tells of; none if it was not made here.
    pub fn of(info: &DatastoreInfo) -> Option<Self> {
        Attributes::read(&info.attributes).map(|attributes| attributes.state)
    }
}

/// What the catalog keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Where in its life the object is.
    pub state: State,
    /// Format of keys.
    pub key_format: String,
    /// Format of values.
    pub value_format: String,
}

impl Attributes {
    /// Attributes of an object that is being made.
    pub fn new(key_format: &str, value_format: &str) -> Result<Self> {
        if key_format.len() + value_format.len() > FORMATS_BYTES_MAX {
            return Err(Error::invalid(format!(
                "key and value format are longer than {FORMATS_BYTES_MAX} bytes together"
            )));
        }
        Ok(Self {
            state: State::Creating,
            key_format: key_format.to_owned(),
            value_format: value_format.to_owned(),
        })
    }

    /// Reads them; none if the datastore was not made by this data source.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let get = |key| Some(text.value(key).ok()??.text);
        let state = match get("wiredtiger_object")?.as_str() {
            "creating" => State::Creating,
            "live" => State::Live,
            "dropping" => State::Dropping,
            "renaming" => State::Renaming {
                from: String::from_utf8(from_hex(&get("from")?)?).ok()?,
            },
            _ => return None,
        };
        Some(Self {
            state,
            key_format: get("key_format")?,
            value_format: get("value_format")?,
        })
    }

    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let state = match &self.state {
            State::Creating => "creating".to_owned(),
            State::Live => "live".to_owned(),
            State::Dropping => "dropping".to_owned(),
            State::Renaming { from } => {
                format!("renaming,from={}", word(&Hex(from.as_bytes()).to_string()))
            }
        };
        format!(
            "wiredtiger_object={state},key_format={},value_format={}",
            word(&self.key_format),
            word(&self.value_format)
        )
        .into_bytes()
    }

    /// The same object in another state.
    pub fn in_state(&self, state: State) -> Self {
        Self {
            state,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_read_back() {
        let states = [
            State::Creating,
            State::Live,
            State::Dropping,
            State::Renaming {
                from: "a \"b\",=()\\ü".into(),
            },
        ];
        for state in states {
            let attributes = Attributes::new("r", "8t").expect("short").in_state(state);
            assert_eq!(Attributes::read(&attributes.to_bytes()), Some(attributes));
        }
    }

    #[test]
    fn what_others_made_is_not_ours() {
        for bytes in [&b""[..], b"libhe", b"wiredtiger_object=strange", &[0xff, 0]] {
            assert_eq!(Attributes::read(bytes), None);
        }
    }

    #[test]
    fn formats_have_a_limit_that_fits_the_catalog() {
        let longest = Attributes::new("u", &"5".repeat(FORMATS_BYTES_MAX - 1)).expect("fits");
        let renaming = longest.in_state(State::Renaming {
            from: "x".repeat(1000),
        });
        assert!(renaming.to_bytes().len() <= heliumdb::limits::ATTRIBUTES_BYTES_MAX);
        assert!(Attributes::new("u", &"5".repeat(FORMATS_BYTES_MAX)).is_err());
    }
}
