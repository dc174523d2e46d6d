//! A walk that goes on from call to call, and what it has read ahead.
//!
//! Invariant: no guard, lock or pointer is held from call to call; where the walk is, and what it has read ahead, are bytes of its
//! own. Whether these still hold is its user's to know: an iterator shows what there was when it looked, and
//! [`super::ReadAhead`] checks.

use std::{
    mem,
    ops::{Bound, Range},
};

use super::{Batch, Item, Look, Seeing, Taken, Wanted};
use crate::{
    error::{Error, Result},
    index::{self, Direction},
    version::TxnId,
};

/// Items of a batch at most. The first look of a walk is after one item, each further one fetches four times as many as were
/// used of the one before.
const ITEMS_MAX: usize = 128;
const GROWTH: usize = 4;
/// What is in memory is fetched in smaller batches, lest much is fetched in vain where the walk
/// ends: so many items, or this part of those that the walk has passed.
const ITEMS_IN_MEMORY: usize = 32;
const PART_OF_WALKED: usize = 4;
/// A batch that has grown to so many bytes ends; one for which devices are asked may be larger.
const BYTES_MAX: usize = 64 << 10;
const COLD_BYTES_MAX: usize = 256 << 10;
/// A buffer that grew beyond this is not kept.
const KEPT_BYTES: usize = 1 << 20;

/// See the module.
pub(crate) struct Cursor {
    /// Behind which key of the index the next batch begins.
    from: Bound<Vec<u8>>,
    direction: Direction,
    keys: Vec<u8>,
    values: Vec<u8>,
    items: Vec<Ahead>,
    /// How many of them have been handed out.
    used: usize,
    /// How many the walk has passed in the batches before.
    walked: usize,
    /// The last batch had to ask a device, or would have had to.
    is_cold: bool,
    /// It is going to walk all the way.
    is_long: bool,
}

/// One item: where its key is among the keys, and its value among the values, if it is there.
pub(super) struct Ahead {
    key: Range<usize>,
    value: Option<Range<usize>>,
    /// Who wrote the version, if it was one that not everyone sees.
    pub(super) owner: TxnId,
}

impl Cursor {
    /// A walk that begins at `from`.
    pub(crate) fn new(from: Bound<Vec<u8>>, direction: Direction) -> Self {
        Self {
            from,
            direction,
            keys: Vec::new(),
            values: Vec::new(),
            items: Vec::new(),
            used: 0,
            walked: 0,
            is_cold: false,
            is_long: false,
        }
    }

    /// It is known to walk all the way: nothing that it reads ahead is in vain.
    pub(crate) fn all_the_way(mut self) -> Self {
        self.is_long = true;
        self
    }

    /// Behind which key of the index the walk goes on once nothing is left of what was read ahead.
    pub(crate) fn from(&self) -> &Bound<Vec<u8>> {
        &self.from
    }

    /// Whether nothing is left of what was read ahead.
    pub(crate) fn is_empty(&self) -> bool {
        self.used == self.items.len()
    }

    /// The next item that was read ahead: its key, and its value or what stands for that.
    pub(crate) fn next(&mut self) -> Option<(&[u8], &[u8])> {
        let next = self.used;
        self.used += usize::from(next < self.items.len());
        let item = self.items.get(next)?;
        Some((self.key(item), self.value(item).unwrap_or_default()))
    }

    /// The next item, which was looked at, is handed out.
    pub(super) fn pass(&mut self) {
        self.used += 1;
    }

    /// As [`Cursor::next`], as bytes of their own.
    pub(crate) fn pop(&mut self) -> Option<Item> {
        let (key, value) = self.next()?;
        Some((key.to_vec(), value.to_vec()))
    }

    /// The item that was to be the last one, for a walk that comes from the other side.
    pub(crate) fn pop_last(&mut self) -> Option<Item> {
        let last = if self.is_empty() {
            None
        } else {
            self.items.pop()
        }?;
        let value = self.value(&last).unwrap_or_default();
        Some((self.key(&last).to_vec(), value.to_vec()))
    }

    pub(super) fn key(&self, item: &Ahead) -> &[u8] {
        &self.keys[item.key.clone()]
    }

    pub(super) fn value(&self, item: &Ahead) -> Option<&[u8]> {
        item.value.clone().map(|value| &self.values[value])
    }

    /// The item that is next, and the one before it, of what was read ahead.
    pub(super) fn around(&self) -> (Option<&Ahead>, Option<&Ahead>) {
        let last = self.used.checked_sub(1).and_then(|i| self.items.get(i));
        (self.items.get(self.used), last)
    }

    /// Reads the next items on the way `to` there; false if there are no more. What cannot be looked at or read is said when it comes
    /// first, and the walk goes on from it then.
    pub(crate) fn fill(
        &mut self,
        look: Look<'_>,
        to: &Bound<Vec<u8>>,
        wanted: Wanted,
    ) -> Result<bool> {
        let most = self.begin(true);
        let bound = match &self.from {
            Bound::Unbounded => index::Bound::Unbounded,
            Bound::Included(key) => index::Bound::Included(key),
            Bound::Excluded(key) => index::Bound::Excluded(key),
        };
        let direction = self.direction;
        let slots = Seeing::new(look, (bound, direction));
        let mut batch = self.batch(look, slots, wanted);
        let within = |key: &[u8]| is_on_the_way(key, to, direction);
        let goes_on = match most {
            1 => batch.look_up_first(within),
            most => batch.look_up(most, within),
        };
        let (is_all, failed) = self.take_over(look, batch);
        match failed {
            Some(why) if self.items.is_empty() => Err(why),
            _ => Ok(goes_on || !is_all),
        }
    }

    /// Begins a batch, of a walk that goes on from what was handed out last or of another one; says how many items it
    /// may have.
    pub(super) fn begin(&mut self, goes_on: bool) -> usize {
        self.walked = if goes_on { self.walked + self.used } else { 0 };
        let limit = match self.is_cold {
            true => ITEMS_MAX,
            false => (self.walked / PART_OF_WALKED).clamp(ITEMS_IN_MEMORY, ITEMS_MAX),
        };
        let most = match self.walked {
            _ if self.is_long => ITEMS_MAX,
            0 => 1,
            _ => (GROWTH * self.used).clamp(1, limit),
        };
        self.items.clear();
        self.used = 0;
        for bytes in [&mut self.keys, &mut self.values] {
            if bytes.capacity() > KEPT_BYTES {
                *bytes = Vec::new();
            }
            bytes.clear();
        }
        most
    }

    /// A batch of what `slots` comes to, whose keys go behind those that are here.
    pub(super) fn batch<'a>(
        &mut self,
        look: Look<'a>,
        slots: Seeing<'a>,
        wanted: Wanted,
    ) -> Batch<'a> {
        let keys = match look.tree.is_unordered() {
            // What the index has are no keys.
            true => Vec::new(),
            false => mem::take(&mut self.keys),
        };
        Batch::new(look, slots, wanted).within(self.bytes_max(), keys)
    }

    fn bytes_max(&self) -> usize {
        if self.is_cold {
            COLD_BYTES_MAX
        } else {
            BYTES_MAX
        }
    }

    /// Notes an item that is handed out at once.
    pub(super) fn hand_out(&mut self, key: &[u8]) {
        self.keys.extend_from_slice(key);
        self.items.push(Ahead {
            key: 0..key.len(),
            value: None,
            owner: 0,
        });
        self.used = 1;
    }

    /// Takes over what `batch` has, up to what cannot be looked at or read, or takes no more memory; whether that was
    /// all, and why not if that has a reason.
    pub(super) fn take_over(
        &mut self,
        look: Look<'_>,
        mut batch: Batch<'_>,
    ) -> (bool, Option<Error>) {
        let bytes_max = self.bytes_max();
        let is_unordered = look.tree.is_unordered();
        let Self {
            keys,
            values,
            items,
            ..
        } = self;
        items.reserve(batch.len());
        values.reserve(batch.bytes().min(bytes_max));
        let mut failed = None;
        let mut taken = 0;
        for one in batch.items() {
            if values.len() >= bytes_max {
                break;
            }
            let start = values.len();
            let key_start = keys.len();
            let done = match is_unordered {
                false => batch.take(&one, values, |_| {}),
                true => batch.take(&one, values, |key| keys.extend_from_slice(key)),
            };
            let value = match done {
                Ok(Taken::Value) => Some(start..values.len()),
                Ok(Taken::Key) => None,
                Ok(Taken::Gone) if batch.is_stable() => break,
                Ok(Taken::Gone) => {
                    values.truncate(start);
                    keys.truncate(key_start);
                    taken += 1;
                    continue;
                }
                Err(why) => {
                    values.truncate(start);
                    keys.truncate(key_start);
                    failed = Some(why);
                    break;
                }
            };
            let key = match is_unordered {
                false => one.slot,
                true => key_start..keys.len(),
            };
            let owner = one.owner;
            items.push(Ahead { key, value, owner });
            taken += 1;
        }
        let is_all = taken == batch.len();
        if is_all {
            failed = batch.failed();
        }
        if let Some(last) = taken.checked_sub(1) {
            set(&mut self.from, batch.slot(last));
        }
        self.is_cold = batch.is_cold();
        if !is_unordered {
            self.keys = batch.into_keys();
        }
        (is_all, failed)
    }
}

/// Behind `key`, in memory that is there.
fn set(bound: &mut Bound<Vec<u8>>, key: &[u8]) {
    let mut bytes = match mem::replace(bound, Bound::Unbounded) {
        Bound::Included(bytes) | Bound::Excluded(bytes) => bytes,
        Bound::Unbounded => Vec::new(),
    };
    bytes.clear();
    bytes.extend_from_slice(key);
    *bound = Bound::Excluded(bytes);
}

/// Whether a walk `to` there may come to `key`.
pub(crate) fn is_on_the_way(key: &[u8], to: &Bound<Vec<u8>>, direction: Direction) -> bool {
    match (to, direction) {
        (Bound::Unbounded, _) => true,
        (Bound::Included(to), Direction::Forward) => key <= to.as_slice(),
        (Bound::Excluded(to), Direction::Forward) => key < to.as_slice(),
        (Bound::Included(to), Direction::Backward) => key >= to.as_slice(),
        (Bound::Excluded(to), Direction::Backward) => key > to.as_slice(),
    }
}
