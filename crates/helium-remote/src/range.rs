//! Items in order, a page at a time.
//!
//! Invariant: a page begins behind the last key of the one before, and a key that is not on the way is no answer: so a
//! walk goes on, whatever a server says.

use std::{ops::Bound, vec};

use heliumdb::{Item, Position, Result};

/// Items and bytes of a page.
const PAGE_ITEMS: u64 = 4096;
const PAGE_BYTES: usize = 512 << 10;

/// Which items, and what of them.
#[derive(Clone, Debug)]
pub struct Walk {
    /// From here on.
    pub low: Bound<Vec<u8>>,
    /// Up to here.
    pub high: Bound<Vec<u8>>,
    /// The last one first.
    pub backward: bool,
    /// Values are not wanted: they are empty then.
    pub keys: bool,
    /// No more than so many.
    pub most: u64,
}

impl Walk {
    /// All items.
    pub fn all() -> Self {
        Self {
            low: Bound::Unbounded,
            high: Bound::Unbounded,
            backward: false,
            keys: false,
            most: u64::MAX,
        }
    }

    /// Only the item nearest to a position.
    pub(crate) fn from(position: Position<'_>) -> Self {
        let all = Self {
            most: 1,
            ..Self::all()
        };
        let forward = |low| Self { low, ..all.clone() };
        let backward = |high| Self {
            high,
            backward: true,
            ..all.clone()
        };
        match position {
            Position::First => all.clone(),
            Position::AtOrAfter(key) => forward(Bound::Included(key.to_vec())),
            Position::After(key) => forward(Bound::Excluded(key.to_vec())),
            Position::Last => backward(Bound::Unbounded),
            Position::AtOrBefore(key) => backward(Bound::Included(key.to_vec())),
            Position::Before(key) => backward(Bound::Excluded(key.to_vec())),
        }
    }

    pub(crate) fn words(&self) -> Vec<Vec<u8>> {
        let (low, high) = (bound(&self.low, b"-"), bound(&self.high, b"+"));
        let mut words = vec![b"HE.RANGE".to_vec()];
        match self.backward {
            false => words.extend([low, high]),
            true => words.extend([high, low, b"REV".to_vec()]),
        }
        words.extend([
            b"LIMIT".to_vec(),
            self.most.min(PAGE_ITEMS).to_string().into_bytes(),
        ]);
        words.extend([b"BYTES".to_vec(), PAGE_BYTES.to_string().into_bytes()]);
        if self.keys {
            words.push(b"KEYS".to_vec());
        }
        words
    }

    /// Whether `key` is on the way.
    pub(crate) fn has(&self, key: &[u8]) -> bool {
        let is_behind = match &self.low {
            Bound::Unbounded => true,
            Bound::Included(low) => key >= low.as_slice(),
            Bound::Excluded(low) => key > low.as_slice(),
        };
        is_behind
            && match &self.high {
                Bound::Unbounded => true,
                Bound::Included(high) => key <= high.as_slice(),
                Bound::Excluded(high) => key < high.as_slice(),
            }
    }
}

fn bound(end: &Bound<Vec<u8>>, unbounded: &[u8]) -> Vec<u8> {
    match end {
        Bound::Unbounded => unbounded.to_vec(),
        Bound::Included(key) => [b"[", key.as_slice()].concat(),
        Bound::Excluded(key) => [b"(", key.as_slice()].concat(),
    }
}

/// What asks for the next page.
pub(crate) type Asker<'a> = Box<dyn FnMut(&Walk) -> Result<Vec<Item>> + 'a>;

/// Items on their way.
pub struct Items<'a> {
    ask: Asker<'a>,
    /// What is asked next; `None` at the end.
    rest: Option<Walk>,
    ready: vec::IntoIter<Item>,
}

impl<'a> Items<'a> {
    pub(crate) fn new(ask: Asker<'a>, walk: Walk) -> Self {
        Self {
            ask,
            rest: (walk.most > 0).then_some(walk),
            ready: Vec::new().into_iter(),
        }
    }
}

impl Iterator for Items<'_> {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(item) = self.ready.next() {
            return Some(Ok(item));
        }
        let mut walk = self.rest.take()?;
        let page = match (self.ask)(&walk) {
            Ok(page) => page,
            Err(why) => return Some(Err(why)),
        };
        let last = Bound::Excluded(page.last()?.0.clone());
        match walk.backward {
            false => walk.low = last,
            true => walk.high = last,
        }
        walk.most = walk.most.saturating_sub(page.len() as u64);
        self.rest = (walk.most > 0).then_some(walk);
        self.ready = page.into_iter();
        self.ready.next().map(Ok)
    }
}
