//! Iterators: `he_iter_open` and what follows.
//!
//! Invariant: what an iterator hands out stays where it is until its next step, even if the
//! datastore is closed before that. It shows its datastore as it was when the iterator was opened.

use std::{
    collections::VecDeque,
    ops::{self, Bound, RangeBounds},
    ptr,
    sync::Arc,
};

use parking_lot::Mutex;

use crate::{
    code::{Code, Result},
    datastore::{Direction, while_reading},
    handle::Number,
    limits::KEY_BYTES_MAX,
    store::{self, Item, Range, Snapshot},
    volumes::OpenVolume,
};

/// Items read ahead at most.
const AHEAD_ITEMS_MAX: usize = 63;

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
    /// What comes next, as far as it was read, and how many more to read at once.
    ahead: VecDeque<Item>,
    ahead_items: usize,
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
                ahead: VecDeque::new(),
                ahead_items: 1,
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
        let mut steps = self.steps.lock();
        steps.ahead.clear();
        let rest = steps.rest.take();
        drop(steps);
        // The last one closes the volume, which takes its time.
        drop(rest);
    }
}

impl Steps {
    fn next(&mut self) -> Result<*const ShownItem> {
        let rest = self.rest.as_ref().ok_or(Code::ARGUMENTS)?;
        if self.ahead.is_empty() {
            self.ahead = self.read_ahead(&rest.source)?.into();
            // 1, 3, 7 and so on: the store, which reads 1, 2, 4 at a time, then reads no more.
            self.ahead_items = (2 * self.ahead_items + 1).min(AHEAD_ITEMS_MAX);
        }
        let Some((key, value)) = self.ahead.pop_front() else {
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
            key: shown.key.as_mut_ptr().expose_provenance(),
            value: if self.window.is_empty() {
                0
            } else {
                shown.value.as_mut_ptr().expose_provenance()
            },
            key_len: shown.key.len(),
            value_len: if self.window.is_empty() {
                0
            } else {
                value.len()
            },
        };
        Ok(ptr::from_ref(&*shown.item))
    }

    /// Nothing changes in a snapshot: what is read ahead is what will be asked for.
    fn read_ahead(&self, source: &Source) -> Result<Vec<Item>> {
        use Bound::{Excluded, Included, Unbounded};
        let from = match &self.place {
            Place::End => return Ok(Vec::new()),
            Place::At(key) if key.is_empty() => None,
            Place::At(key) => Some(Included(key.as_slice())),
            Place::Behind(key) => Some(Excluded(key.as_slice())),
        };
        // An empty key, which no caller can store, is passed over.
        let least = Excluded(b"".as_slice());
        let range = match self.direction {
            Direction::Forward => (from.unwrap_or(least), Unbounded),
            Direction::Backward => (least, from.unwrap_or(Unbounded)),
        };
        let backward = self.direction == Direction::Backward;
        source.some(range, backward, self.ahead_items, self.window.is_empty())
    }
}

impl Source {
    /// Up to `most` items of a range, from its end if `backward`; without their values if `keys_only`.
    fn some(
        &self,
        range: Range<'_>,
        backward: bool,
        most: usize,
        keys_only: bool,
    ) -> Result<Vec<Item>> {
        match self {
            Self::Datastore(snapshot) if keys_only => {
                let items = snapshot.some_keys(range, backward, most);
                items.map_err(while_reading)
            }
            Self::Datastore(snapshot) => {
                let items = snapshot.some(range, backward, most);
                items.map_err(while_reading)
            }
            Self::Queue(items) => {
                let within = items
                    .iter()
                    .filter(|(key, _)| range.contains(key.as_slice()));
                Ok(if backward {
                    within.rev().take(most).cloned().collect()
                } else {
                    within.take(most).cloned().collect()
                })
            }
        }
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
