//! Where somebody begins to look, which way they go, and what they are after.

use crate::{
    index::{Bound, Direction},
    log::Purpose,
};

/// Where a seek starts, and which way it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position<'a> {
    /// The first item.
    First,
    /// The last item.
    Last,
    /// The first item at or after the key.
    AtOrAfter(&'a [u8]),
    /// The first item after the key.
    After(&'a [u8]),
    /// The last item at or before the key.
    AtOrBefore(&'a [u8]),
    /// The last item before the key.
    Before(&'a [u8]),
}

/// What a walk is after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// Keys and values.
    Items,
    /// Keys: the values are shown as if they were empty. No value is read, and no device asked.
    Keys,
    /// Keys, and the values that lie in memory in one piece: see [`crate::host::DatastoreExt::seek_ahead`]. Elsewhere, all.
    AtHand,
    /// Keys, and how long the values are: eight bytes, the least first, stand for each. That is in memory, and no device asked, but
    /// for values that are compressed or longer than 256 KiB, and in unordered datastores: there it stands in front of the value,
    /// which is read with it if it is no longer. Nothing is decompressed.
    Lengths,
}

impl Wanted {
    /// The length that stands for a value where lengths are wanted.
    pub fn length(bytes: &[u8]) -> u64 {
        bytes
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

/// A bound in the index, and the direction from there.
pub(crate) type Start<'a> = (Bound<'a>, Direction);

pub(crate) fn start(position: Position<'_>) -> Start<'_> {
    match position {
        Position::First => (Bound::Unbounded, Direction::Forward),
        Position::Last => (Bound::Unbounded, Direction::Backward),
        Position::AtOrAfter(key) => (Bound::Included(key), Direction::Forward),
        Position::After(key) => (Bound::Excluded(key), Direction::Forward),
        Position::AtOrBefore(key) => (Bound::Included(key), Direction::Backward),
        Position::Before(key) => (Bound::Excluded(key), Direction::Backward),
    }
}

/// Whether who looks from there wants that item, or is on a walk.
pub(crate) fn purpose(position: Position<'_>) -> Purpose {
    match position {
        Position::After(_) | Position::Before(_) => Purpose::Walk,
        _ => Purpose::Point,
    }
}
