//! Our entry in WiredTiger's metadata: which datastore of which volume an object is, and
//! what is in it.
//!
//! Invariant: an entry is read only if its version is ours, and the ids in it, not the
//! names, say which datastore is meant.

use crate::{
    config::{CreateOptions, Lookup},
    error::{Code, Error, Result},
};
use heliumdb::{DatastoreId, VolumeId};
use std::fmt::Write;

/// Version of the entries written here.
const MAJOR: u64 = 1;
const MINOR: u64 = 0;

/// What identifies a datastore for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The volume.
    pub volume: VolumeId,
    /// The datastore in it.
    pub datastore: DatastoreId,
}

/// A metadata entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which datastore it is. An entry of the C connector has only its name.
    pub identity: Option<Identity>,
    /// Format of keys.
    pub key_format: String,
    /// Format of values.
    pub value_format: String,
}

impl Entry {
    /// Reads the entry `text`.
    pub fn read(text: &str) -> Result<Self> {
        let identity = match text.value("helium_version")? {
            Some(version) => {
                check_version(&version.text)?;
                Some(read_identity(text)?)
            }
            None if text.value("wiredtiger_helium_version")?.is_some() => None,
            None => return Err(unreadable("it names no version")),
        };
        let format = |key| -> Result<String> {
            let value = text
                .value(key)?
                .ok_or_else(|| unreadable("a format is missing"))?;
            Ok(value.text)
        };
        Ok(Self {
            identity,
            key_format: format("key_format")?,
            value_format: format("value_format")?,
        })
    }
}

/// The entry for a datastore that was made with `options`.
pub fn entry_text(identity: Identity, options: &CreateOptions) -> String {
    let mut text = format!(
        "{},key_format={},value_format={},helium_o_compress={}",
        identity_text(identity),
        word(&options.key_format),
        word(&options.value_format),
        options.compress,
    );
    for (key, value) in [
        ("columns", &options.columns),
        ("app_metadata", &options.app_metadata),
    ] {
        if !value.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(text, ",{key}={value}");
        }
    }
    text
}

/// The entry `text` of the C connector with what is missing in it: it can still read it.
pub fn with_identity(identity: Identity, text: &str) -> String {
    format!("{},{text}", identity_text(identity))
}

fn identity_text(identity: Identity) -> String {
    format!(
        "helium_version=(major={MAJOR},minor={MINOR}),volume_id={},datastore_id={}",
        Hex(&identity.volume.0),
        identity.datastore.0
    )
}

/// `text` as a configuration value: in quotes if it needs them.
pub fn word(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric()) {
        text.to_owned()
    } else {
        format!("\"{text}\"")
    }
}

/// Bytes in hexadecimal.
pub struct Hex<'a>(pub &'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The bytes that `text` gives in hexadecimal.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |c: u8| (c as char).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8))
        .collect()
}

fn check_version(version: &str) -> Result<()> {
    let number = |key| -> Result<Option<u64>> {
        Ok(version
            .value(key)?
            .and_then(|value| value.item().as_number()))
    };
    match (number("major")?, number("minor")?) {
        (Some(MAJOR), Some(_)) => Ok(()),
        (Some(major), Some(minor)) => Err(Error::new(
            Code::Unsupported,
            format!(
                "the metadata entry has version {major}.{minor}; this extension reads {MAJOR}.x"
            ),
        )),
        _ => Err(unreadable("its version is not one")),
    }
}

fn read_identity(text: &str) -> Result<Identity> {
    let volume = text
        .value("volume_id")?
        .and_then(|value| from_hex(&value.text))
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| unreadable("its volume_id is not one"))?;
    let datastore = text
        .value("datastore_id")?
        .and_then(|value| value.item().as_number())
        .and_then(|id| id.try_into().ok())
        .ok_or_else(|| unreadable("its datastore_id is not one"))?;
    Ok(Identity {
        volume: VolumeId(volume),
        datastore: DatastoreId(datastore),
    })
}

fn unreadable(why: &str) -> Error {
    Error::new(
        Code::Io,
        format!("the metadata entry cannot be read: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity {
        volume: VolumeId([0xab; 16]),
        datastore: DatastoreId(77),
    };

    #[test]
    fn an_entry_reads_back_whatever_its_length() {
        let options = CreateOptions {
            key_format: "r".into(),
            value_format: "5s".repeat(2000),
            columns: "(k,a,b)".into(),
            app_metadata: "\"x=(y),z\"".into(),
            ..CreateOptions::default()
        };
        let text = entry_text(IDENTITY, &options);
        let entry = Entry::read(&text).expect("readable");
        assert_eq!(entry.identity, Some(IDENTITY));
        assert_eq!(entry.key_format, "r");
        assert_eq!(entry.value_format, options.value_format);
        let columns = text.value("columns").expect("readable").expect("there");
        assert_eq!(columns.text, "(k,a,b)");
        assert!(text.contains("app_metadata=\"x=(y),z\""));
    }

    #[test]
    fn another_version_is_refused_by_number() {
        let text = "helium_version=(major=9,minor=3),key_format=u,value_format=u";
        let error = Entry::read(text).expect_err("too new");
        assert_eq!(error.code(), Code::Unsupported);
        assert!(error.message().contains("9.3"));
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for text in [
            "",
            "key_format=u,value_format=u",
            "helium_version=(major=1,minor=0),key_format=u,value_format=u",
            "helium_version=(major=1,minor=0),volume_id=xyz,datastore_id=1,key_format=u,value_format=u",
            "helium_version=(major=x),key_format=u,value_format=u",
            "helium_version=(major=1",
        ] {
            assert!(Entry::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_entry_of_the_c_connector_has_no_ids() {
        let text = "wiredtiger_helium_version=(major=1,minor=0),key_format=r,\
                    value_format=8t,helium_o_compress=0";
        let entry = Entry::read(text).expect("readable");
        assert_eq!(entry.identity, None);
        assert_eq!(entry.value_format, "8t");
        // Nor does it lose anything when it gets them.
        let text = with_identity(IDENTITY, text);
        assert!(text.contains(",wiredtiger_helium_version=(major=1,minor=0),"));
        let identity = Some(IDENTITY);
        assert_eq!(
            Entry::read(&text).expect("readable"),
            Entry { identity, ..entry }
        );
    }

    #[test]
    fn hexadecimal_goes_both_ways() {
        let bytes = [0, 1, 0x7f, 0xff];
        assert_eq!(
            from_hex(&Hex(&bytes).to_string()).as_deref(),
            Some(&bytes[..])
        );
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("0g"), None);
    }
}
