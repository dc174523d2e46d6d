//! Iterators: `he_iter_open` and what follows.
//!
//! Invariant: what an iterator hands out stays where it is until its next step. It shows its
//! datastore as it was when the iterator was opened.

use std::{ops::Range, ptr, sync::Arc};

use parking_lot::Mutex;

use crate::{
    code::{Code, Result},
    datastore::{Direction, while_reading},
    handle::Number,
    limits::KEY_BYTES_MAX,
    store::{self, Item, Position, Snapshot},
    volumes::OpenVolume,
};

/// Where the items come from.
pub enum Source {
    Datastore(Snapshot),
    /// A transaction's own content, in order.
    Queue(Vec<Item>),
}

/// What a handle of an iterator stands for.
pub struct IteratorHandle {
    /// The handle of the datastore or transaction that it was opened on.
    pub parent: Number,
    /// The volume stays open for as long as a step may be under way.
    _volume: Arc<OpenVolume>,
    steps: Mutex<Steps>,
}

struct Steps {
    source: Source,
    direction: Direction,
    /// Which part of the values is wanted.
    window: Range<usize>,
    place: Place,
    shown: Shown,
}

enum Place {
    /// At this key, or the nearest in the direction; an empty one is the beginning.
    At(Vec<u8>),
    /// Behind this key.
    Behind(Vec<u8>),
    End,
}

/// What was handed out last.
#[derive(Default)]
struct Shown {
    key: Vec<u8>,
    value: Vec<u8>,
    item: Box<ShownItem>,
}

/// `struct he_item` of the versions that have iterators. Addresses are kept as numbers: this
/// library never follows them.
#[repr(C)]
#[derive(Default)]
pub struct ShownItem {
    key: usize,
    value: usize,
    key_len: usize,
    value_len: usize,
}

impl IteratorHandle {
    /// An iterator that starts at `seek`, if it is not empty, and shows the `window` of each value.
    pub fn new(
        parent: Number,
        volume: Arc<OpenVolume>,
        source: Source,
        seek: &[u8],
        direction: Direction,
        window: Range<usize>,
    ) -> Self {
        Self {
            parent,
            _volume: volume,
            steps: Mutex::new(Steps {
                source,
                direction,
                window,
                place: Place::At(seek.to_vec()),
                shown: Shown::default(),
            }),
        }
    }

    /// The next item; it stays as it is until the next call.
    pub fn next(&self) -> Result<*const ShownItem> {
        self.steps.lock().next()
    }
}

impl Steps {
    fn next(&mut self) -> Result<*const ShownItem> {
        let Some((key, value)) = self.find()? else {
            self.place = Place::End;
            return Err(Code::ITEM_NOT_FOUND);
        };
        self.place = Place::Behind(key.clone());
        if key.len() > KEY_BYTES_MAX {
            return Err(Code::UNSUPPORTED);
        }
        let window = self.window.start.min(value.len())..self.window.end.min(value.len());
        let shown = &mut self.shown;
        shown.key = key;
        shown.value.clear();
        shown
            .value
            .extend_from_slice(value.get(window).unwrap_or_default());
        *shown.item = ShownItem {
            key: shown.key.as_ptr().expose_provenance(),
            value: if self.window.is_empty() {
                0
            } else {
                shown.value.as_ptr().expose_provenance()
            },
            key_len: shown.key.len(),
            value_len: value.len(),
        };
        Ok(ptr::from_ref(&*shown.item))
    }

    fn find(&self) -> Result<Option<Item>> {
        let position = match (&self.place, self.direction) {
            (Place::End, _) => return Ok(None),
            // An empty key, which no caller can store, is passed over.
            (Place::At(key), Direction::Forward) if key.is_empty() => Position::After(b""),
            (Place::At(key), Direction::Forward) => Position::AtOrAfter(key),
            (Place::At(key), Direction::Backward) if key.is_empty() => Position::Last,
            (Place::At(key), Direction::Backward) => Position::AtOrBefore(key),
            (Place::Behind(key), Direction::Forward) => Position::After(key),
            (Place::Behind(key), Direction::Backward) => Position::Before(key),
        };
        let item = self.source.nearest(position)?;
        Ok(item.filter(|(key, _)| !key.is_empty()))
    }
}

impl Source {
    /// The item nearest to a position.
    pub fn nearest(&self, position: Position<'_>) -> Result<Option<Item>> {
        match self {
            Self::Datastore(snapshot) => snapshot.nearest(position).map_err(while_reading),
            Self::Queue(items) => Ok(nearest_of(items, position).cloned()),
        }
    }

    /// Shows all items in order until `show` says stop; `Ok(false)` if it did. Those that no
    /// caller could take are left out, which is told at the end.
    pub fn each(self, show: &mut dyn FnMut(&Item) -> bool) -> Result<bool> {
        match self {
            Self::Datastore(snapshot) => each(snapshot.items(), show),
            Self::Queue(items) => each(items.into_iter().map(Ok), show),
        }
    }
}

fn each(
    items: impl Iterator<Item = store::Result<Item>>,
    show: &mut dyn FnMut(&Item) -> bool,
) -> Result<bool> {
    let mut left_out = false;
    for item in items {
        let item = item.map_err(while_reading)?;
        match item.0.len() {
            0 => {}
            1..=KEY_BYTES_MAX => {
                if !show(&item) {
                    return Ok(false);
                }
            }
            _ => left_out = true,
        }
    }
    if left_out {
        Err(Code::UNSUPPORTED)
    } else {
        Ok(true)
    }
}

fn nearest_of<'a>(items: &'a [Item], position: Position<'_>) -> Option<&'a Item> {
    let below = |key: &[u8]| items.partition_point(|(its, _)| its.as_slice() < key);
    let upto = |key: &[u8]| items.partition_point(|(its, _)| its.as_slice() <= key);
    match position {
        Position::First => items.first(),
        Position::Last => items.last(),
        Position::AtOrAfter(key) => items.get(below(key)),
        Position::After(key) => items.get(upto(key)),
        Position::AtOrBefore(key) => items.get(upto(key).checked_sub(1)?),
        Position::Before(key) => items.get(below(key).checked_sub(1)?),
    }
}
