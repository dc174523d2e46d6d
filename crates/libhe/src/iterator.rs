//! Iterators: `he_iter_open` and what follows.
//!
//! Invariant: what an iterator hands out stays where it is until its next step, even if the
//! datastore is closed before that. It shows its datastore as it was when the iterator was opened.

use std::{mem, ops, ptr, sync::Arc};

use parking_lot::Mutex;

use crate::{
    code::{Code, Result},
    datastore::{Direction, while_reading},
    handle::Number,
    limits::KEY_BYTES_MAX,
    store::{self, Item, Position, ReadAhead, Snapshot},
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
    steps: Mutex<Steps>,
}

struct Steps {
    /// Where the next items come from, until the datastore's handle is closed.
    rest: Option<Rest>,
    direction: Direction,
    /// Which part of the values is wanted.
    window: ops::Range<usize>,
    place: Place,
    /// Nothing changes in a snapshot: what is read ahead is what will be asked for.
    ahead: Box<ReadAhead>,
    /// Where the next item is read while the last one is still looked at.
    next: (Vec<u8>, Vec<u8>),
    shown: Shown,
}

struct Rest {
    source: Source,
    /// It stays open for as long as a step may be under way.
    _volume: Arc<OpenVolume>,
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
        window: ops::Range<usize>,
    ) -> Self {
        Self {
            parent,
            steps: Mutex::new(Steps {
                rest: Some(Rest {
                    source,
                    _volume: volume,
                }),
                direction,
                window,
                place: Place::At(seek.to_vec()),
                ahead: Box::default(),
                next: Default::default(),
                shown: Shown::default(),
            }),
        }
    }

    /// The next item; it stays as it is until the next call. `ARGUMENTS` if the datastore was closed.
    pub fn next(&self) -> Result<*const ShownItem> {
        self.steps.lock().next()
    }

    /// There are no more steps: the datastore is closed. What was handed out stays.
    pub fn end(&self) {
        let rest = self.steps.lock().rest.take();
        // The last one closes the volume, which takes its time.
        drop(rest);
    }
}

impl Steps {
    fn next(&mut self) -> Result<*const ShownItem> {
        let rest = self.rest.as_ref().ok_or(Code::ARGUMENTS)?;
        let (key, value) = &mut self.next;
        let keys_only = self.window.is_empty();
        let is_there = match self.place.position(self.direction) {
            None => false,
            Some(position) => {
                let from = (position, keys_only);
                rest.source.seek(from, &mut self.ahead, key, value)?
            }
        };
        // An empty key, which no caller can store, is the last one backwards.
        if !is_there || key.is_empty() {
            self.place = Place::End;
            return Err(Code::ITEM_NOT_FOUND);
        }
        self.place.go_behind(key);
        if key.len() > KEY_BYTES_MAX {
            return Err(Code::UNSUPPORTED);
        }
        let shown = &mut self.shown;
        mem::swap(&mut shown.key, key);
        mem::swap(&mut shown.value, value);
        let start = self.window.start.min(shown.value.len());
        *shown.item = ShownItem {
            key: shown.key.as_mut_ptr().expose_provenance(),
            value: match keys_only {
                true => 0,
                false => shown.value[start..].as_mut_ptr().expose_provenance(),
            },
            key_len: shown.key.len(),
            value_len: shown.value.len(),
        };
        Ok(ptr::from_ref(&*shown.item))
    }
}

impl Place {
    fn position(&self, direction: Direction) -> Option<Position<'_>> {
        Some(match (self, direction) {
            (Self::End, _) => return None,
            (Self::At(key), Direction::Forward) if key.is_empty() => Position::After(b""),
            (Self::At(key), Direction::Backward) if key.is_empty() => Position::Last,
            (Self::At(key), Direction::Forward) => Position::AtOrAfter(key),
            (Self::At(key), Direction::Backward) => Position::AtOrBefore(key),
            (Self::Behind(key), Direction::Forward) => Position::After(key),
            (Self::Behind(key), Direction::Backward) => Position::Before(key),
        })
    }

    fn go_behind(&mut self, key: &[u8]) {
        let mut kept = match mem::replace(self, Self::End) {
            Self::At(kept) | Self::Behind(kept) => kept,
            Self::End => Vec::new(),
        };
        kept.clear();
        kept.extend_from_slice(key);
        *self = Self::Behind(kept);
    }
}

impl Source {
    /// The item nearest to a position, or its key alone; false if there is none.
    fn seek(
        &self,
        (position, keys_only): (Position<'_>, bool),
        ahead: &mut ReadAhead,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        let items = match self {
            Self::Datastore(snapshot) => {
                let found = snapshot.seek((position, keys_only), ahead, key, value);
                return found.map_err(while_reading);
            }
            Self::Queue(items) => items,
        };
        let below =
            |is_below: &dyn Fn(&[u8]) -> bool| items.partition_point(|item| is_below(&item.0));
        let found = match position {
            Position::First => items.first(),
            Position::Last => items.last(),
            Position::AtOrAfter(from) => items.get(below(&|key| key < from)),
            Position::After(from) => items.get(below(&|key| key <= from)),
            Position::AtOrBefore(from) => items[..below(&|key| key <= from)].last(),
            Position::Before(from) => items[..below(&|key| key < from)].last(),
        };
        if let Some(item) = found {
            key.clone_from(&item.0);
            value.clone_from(&item.1);
        }
        Ok(found.is_some())
    }

    /// Shows all items in order until `show` says stop; `Ok(false)` if it did. Those that no
    /// caller could take are left out, which is told at the end.
    pub fn each(self, show: &mut dyn FnMut(&mut Item) -> bool) -> Result<bool> {
        match self {
            Self::Datastore(snapshot) => each(snapshot.items(), show),
            Self::Queue(items) => each(items.into_iter().map(Ok), show),
        }
    }
}

fn each(
    items: impl Iterator<Item = store::Result<Item>>,
    show: &mut dyn FnMut(&mut Item) -> bool,
) -> Result<bool> {
    let mut left_out = false;
    for item in items {
        let mut item = item.map_err(while_reading)?;
        match item.0.len() {
            0 => {}
            1..=KEY_BYTES_MAX => {
                if !show(&mut item) {
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
