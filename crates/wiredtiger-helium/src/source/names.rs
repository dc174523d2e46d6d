//! URIs and what their objects are called on a volume.
//!
//! Invariant: the two directions are inverse to each other, and no object gets a name
//! that means something to the C connector. A datastore is called `WiredTiger.` and the
//! object's name, as there; a name that would be one of its internal stores, or the
//! cache of another object, gets a `~` at its end, and so does one that looks so escaped.

use crate::error::{Error, Result};

const SCHEME: &str = "helium:";
/// How names of datastores start.
pub const PREFIX: &str = "WiredTiger.";
const ESCAPE: char = '~';
/// How the name of an object's cache ends, at the C connector.
pub const CACHE_ENDING: &str = ".cache";
/// Its store of transactions' outcomes.
pub const OUTCOMES_STORE: &str = "WiredTiger.WiredTigerTxn";
/// The store that it opens a volume with, always empty.
pub const INIT_STORE: &str = "WiredTiger.WiredTigerInit";

/// The two parts of a `helium:volume/object` URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// What the configuration calls the volume.
    pub volume: &'a str,
    /// The object's own name, which may have slashes.
    pub object: &'a str,
}

impl<'a> Name<'a> {
    /// Takes `uri` apart.
    pub fn parse(uri: &'a str) -> Result<Self> {
        let complaint =
            |why: &str| Error::invalid(format!("'{uri}' {why}; a URI reads helium:volume/object"));
        let rest = uri
            .strip_prefix(SCHEME)
            .ok_or_else(|| complaint("does not start with helium:"))?;
        let (volume, object) = rest
            .split_once('/')
            .ok_or_else(|| complaint("has no slash after its volume"))?;
        if volume.is_empty() {
            return Err(complaint("names no volume"));
        }
        if object.is_empty() {
            return Err(complaint("names no object"));
        }
        let name = Self { volume, object };
        if name.datastore().len() > heliumdb::limits::NAME_BYTES_MAX {
            return Err(complaint("is too long"));
        }
        Ok(name)
    }

    /// The URI again.
    pub fn uri(&self) -> String {
        format!("{SCHEME}{}/{}", self.volume, self.object)
    }

    /// What the object's datastore is called.
    pub fn datastore(&self) -> Vec<u8> {
        let mut name = format!("{PREFIX}{}", self.object);
        if is_reserved(self.object) {
            name.push(ESCAPE);
        }
        name.into_bytes()
    }

    /// The object whose datastore has that name.
    pub fn of_datastore(volume: &'a str, datastore: &'a [u8]) -> Option<Self> {
        let name = std::str::from_utf8(datastore).ok()?.strip_prefix(PREFIX)?;
        let object = match name.strip_suffix(ESCAPE) {
            Some(escaped) if is_reserved(escaped) => escaped,
            _ if is_reserved(name) => return None,
            _ => name,
        };
        (!object.is_empty()).then_some(Self { volume, object })
    }
}

fn is_reserved(object: &str) -> bool {
    let plain = object.trim_end_matches(ESCAPE);
    let is_store = |store: &str| store.strip_prefix(PREFIX) == Some(plain);
    plain.ends_with(CACHE_ENDING) || [OUTCOMES_STORE, INIT_STORE].into_iter().any(is_store)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn datastore(object: &str) -> String {
        let name = Name {
            volume: "d",
            object,
        };
        String::from_utf8(name.datastore()).expect("text")
    }

    #[test]
    fn plain_names_are_the_c_connectors() {
        assert_eq!(datastore("access"), "WiredTiger.access");
        assert_eq!(datastore("a/b~"), "WiredTiger.a/b~");
        assert_eq!(datastore("foo.cache.x"), "WiredTiger.foo.cache.x");
    }

    #[test]
    fn no_two_objects_share_a_name_and_each_leads_back() {
        let bases = [
            "foo",
            "foo.cache",
            ".cache",
            "WiredTigerTxn",
            "WiredTigerInit",
            "~",
            "x~.cache",
        ];
        let mut seen = std::collections::HashSet::new();
        for base in bases {
            for escapes in 0..4 {
                let object = format!("{base}{}", "~".repeat(escapes));
                if !seen.insert(datastore(&object)) {
                    assert!(base == "~", "{object} collides");
                }
                let name = datastore(&object);
                assert_eq!(
                    Name::of_datastore("d", name.as_bytes()).map(|name| name.object),
                    Some(&*object)
                );
            }
        }
    }

    #[test]
    fn internal_names_are_nobodys() {
        for name in [
            "WiredTiger.WiredTigerTxn",
            "WiredTiger.WiredTigerInit",
            "WiredTiger.foo.cache",
            "WiredTiger.",
            "other",
        ] {
            assert_eq!(Name::of_datastore("d", name.as_bytes()), None, "{name}");
            let objects = ["WiredTigerTxn", "WiredTigerInit", "foo.cache"];
            assert!(objects.iter().all(|object| datastore(object) != name));
        }
    }

    #[test]
    fn bad_uris_are_refused_with_the_uri() {
        for uri in [
            "",
            "table:x",
            "helium:",
            "helium:x",
            "helium:/x",
            "helium:dev/",
        ] {
            let error = Name::parse(uri).expect_err(uri);
            assert_eq!(error.code(), Code::Invalid);
            assert!(error.message().contains(uri));
        }
        let long = format!("helium:d/{}", "x".repeat(70_000));
        assert!(Name::parse(&long).is_err());
        let name = Name::parse("helium:dev/a/b").expect("slashes may be in names");
        assert_eq!((name.volume, name.object), ("dev", "a/b"));
        assert_eq!(name.uri(), "helium:dev/a/b");
    }
}
