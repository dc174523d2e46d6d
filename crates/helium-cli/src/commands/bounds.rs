//! Which part of a datastore a command is about: the keys of a range, or those that start alike.

use std::{ffi::OsString, ops::Bound};

use heliumdb::ErrorKind;

use crate::{
    failure::{Failure, Result},
    text::Encoding,
};

/// The arguments that say so.
#[derive(Debug, clap::Args)]
pub struct Selection {
    /// Only keys from this one on
    #[arg(long, value_name = "KEY")]
    from: Option<OsString>,
    /// Only keys before this one
    #[arg(long, value_name = "KEY")]
    to: Option<OsString>,
    /// Only keys that start with this
    #[arg(short, long, value_name = "START", conflicts_with_all = ["from", "to"])]
    prefix: Option<OsString>,
}

/// From where to where.
pub type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Everything.
pub const EVERYTHING: Bounds = (Bound::Unbounded, Bound::Unbounded);

impl Selection {
    /// Whether anything was selected.
    pub fn is_given(&self) -> bool {
        self.from.is_some() || self.to.is_some() || self.prefix.is_some()
    }

    /// The keys that are meant.
    pub fn bounds(&self, encoding: Encoding) -> Result<Bounds> {
        let read = |key: &Option<OsString>| {
            let key = key.as_ref().map(|key| encoding.read("key", key));
            key.transpose()
        };
        if let Some(prefix) = read(&self.prefix)? {
            let behind = behind(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
            return Ok((Bound::Included(prefix), behind));
        }
        let from = read(&self.from)?.map_or(Bound::Unbounded, Bound::Included);
        let to = read(&self.to)?.map_or(Bound::Unbounded, Bound::Excluded);
        Ok((from, to))
    }
}

/// What went wrong with a walk, of which `whole` says what can be had of a datastore that has no ranges.
pub fn explain(why: heliumdb::Error, whole: &str) -> Failure {
    let is_unordered = why.kind() == ErrorKind::Unsupported;
    let failure = Failure::from(why);
    match is_unordered {
        true => failure.advise(whole),
        false => failure,
    }
}

/// The first key behind all that start with `prefix`.
fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut behind = prefix.get(..=last)?.to_vec();
    *behind.last_mut()? += 1;
    Some(behind)
}

#[cfg(test)]
mod tests {
    use super::behind;

    #[test]
    fn what_is_behind_a_prefix() {
        assert_eq!(behind(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(behind(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(behind(b"\xff"), None);
        assert_eq!(behind(b""), None);
    }
}
