//! Some items of a walk that are taken together: looked up, then fetched side by side, then shown in order.
//!
//! Invariant: what is shown of an item is what the walk's eyes saw of it when its slot was looked at or, where its place
//! in the log was used again meanwhile, what they see now. Of an item that is [stable](Batch::look_up_stable) it is the
//! first, or nothing.

use std::{mem, ops::Range};

use super::{Look, Seeing, Shown, Taken, Wanted, Which};
use crate::{
    error::{Error, Result},
    location::Word,
    log::{Fetch, Value},
    version::{
        TxnId, View,
        chain::{self, Seen},
    },
};

/// Bytes that a key may well have: memory for so many is there at once.
const KEY_BYTES: usize = 16;
/// Keys of a batch take no more memory than this, roughly.
const KEYS_BYTES_MAX: usize = 64 << 10;

pub(crate) struct Batch<'a> {
    look: Look<'a>,
    slots: Seeing<'a>,
    wanted: Wanted,
    /// It ends where its items may have so many bytes.
    bytes_max: usize,
    /// What the index has for the items, end to end, behind so many bytes that were there before.
    keys: Vec<u8>,
    base: usize,
    found: Vec<Found<'a>>,
    fetch: Fetch<'a>,
    is_stable: bool,
    /// What an item could not be looked at for: its turn comes after those before it.
    failed: Option<Error>,
}

/// One of what was looked up.
pub(super) struct One<'a> {
    index: usize,
    /// Where what the index has for it is among the keys.
    pub(super) slot: Range<usize>,
    seen: Seen<'a>,
    /// Who wrote it, if not everyone sees that.
    pub(super) owner: TxnId,
}

struct Found<'a> {
    /// Where its key ends.
    end: usize,
    seen: Seen<'a>,
    /// Who wrote it, if not everyone sees that.
    owner: TxnId,
}

impl<'a> Batch<'a> {
    /// Of the items that come next.
    pub(crate) fn new(look: Look<'a>, slots: Seeing<'a>, wanted: Wanted) -> Self {
        Self {
            look,
            slots,
            wanted,
            bytes_max: usize::MAX,
            keys: Vec::new(),
            base: 0,
            found: Vec::new(),
            fetch: Fetch::new(),
            is_stable: false,
            failed: None,
        }
    }

    /// Ends where the items may have so many bytes, and puts their keys behind `keys`.
    pub(super) fn within(self, bytes_max: usize, keys: Vec<u8>) -> Self {
        Self {
            bytes_max,
            base: keys.len(),
            keys,
            ..self
        }
    }

    /// Looks up the next items, `most` of them at most, as long as keys are `within`, and fetches them; false if there
    /// are no more.
    pub(crate) fn look_up(&mut self, most: usize, within: impl Fn(&[u8]) -> bool) -> bool {
        self.begin(most);
        let mut bytes = 0;
        let mut goes_on = true;
        while self.has_room(most, bytes) {
            match self.slots.next(&within) {
                Ok(Some(seen)) => bytes += self.push(seen, 0),
                Ok(None) => {
                    goes_on = false;
                    break;
                }
                Err(why) => {
                    self.failed = Some(why);
                    break;
                }
            }
        }
        self.fetch();
        goes_on
    }

    /// As [`Batch::look_up`], of items that do not depend on who looks, up to the first that does: what a new look of
    /// `view` finds as well, until something of the tree is resolved.
    pub(super) fn look_up_stable(&mut self, most: usize, view: &dyn View) {
        self.begin(most);
        self.is_stable = true;
        let mut bytes = 0;
        while self.has_room(most, bytes) {
            let next = self.slots.slots.next();
            let stable =
                next.and_then(|(_, word)| chain::stable(Word(word), view, self.look.guard));
            let Some((at, owner)) = stable else { break };
            bytes += self.push(Seen::At(at), owner);
        }
        self.fetch();
    }

    fn begin(&mut self, most: usize) {
        self.keys.truncate(self.base);
        self.keys.reserve(most * KEY_BYTES);
        self.found.clear();
        self.found.reserve(most);
    }

    #[inline]
    fn has_room(&self, most: usize, bytes: usize) -> bool {
        self.found.len() < most
            && bytes < self.bytes_max
            && self.keys.len() - self.base < KEYS_BYTES_MAX
    }

    /// Adds the item that the walk has come to; the bytes that it may have.
    #[inline]
    fn push(&mut self, seen: Seen<'a>, owner: TxnId) -> usize {
        let key = self.slots.slot();
        self.keys.extend_from_slice(key);
        let end = self.keys.len();
        self.found.push(Found { end, seen, owner });
        match seen {
            Seen::At(at) if self.wanted != Wanted::Keys => key.len() + at.class_bytes(),
            _ => key.len(),
        }
    }

    fn fetch(&mut self) {
        let places = self.found.iter().map(|found| match found.seen {
            Seen::At(at) => Some(at),
            _ => None,
        });
        let Look {
            tree,
            purpose,
            guard,
            ..
        } = self.look;
        let (log, fetch) = (tree.log(), &mut self.fetch);
        match self.wanted {
            Wanted::Keys => {}
            Wanted::AtHand => log.find(purpose, places, fetch, guard),
            Wanted::Items | Wanted::Lengths => log.fetch(purpose, places, fetch, guard),
        }
    }

    /// Shows what was looked up, until `visit` returns false: then so does this.
    pub(crate) fn show(&mut self, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        let mut value = Vec::new();
        let mut start = self.base;
        for (i, found) in self.found.iter().enumerate() {
            value.clear();
            let which = Which::Slot(&self.keys[mem::replace(&mut start, found.end)..found.end]);
            let known = (found.seen, self.fetch.ready(i));
            let show = |shown: Shown<'_>, built: &mut Vec<u8>| match shown.value {
                Value::Here(value) => visit(shown.key, value),
                Value::Built => visit(shown.key, built),
            };
            let goes_on = self.look.read(which, known, &mut value, show)?;
            if goes_on == Some(false) {
                return Ok(false);
            }
        }
        self.failed.take().map_or(Ok(true), Err)
    }

    /// What was looked up.
    pub(super) fn items(&self) -> impl Iterator<Item = One<'a>> {
        let mut start = self.base;
        self.found.iter().enumerate().map(move |(index, found)| {
            let slot = mem::replace(&mut start, found.end)..found.end;
            let Found { seen, owner, .. } = *found;
            One {
                index,
                slot,
                seen,
                owner,
            }
        })
    }

    /// Appends what is wanted of an item to `to`, and shows its key.
    #[inline]
    pub(super) fn take(
        &self,
        one: &One<'a>,
        to: &mut Vec<u8>,
        key: impl FnMut(&[u8]),
    ) -> Result<Taken> {
        let which = Which::Slot(&self.keys[one.slot.clone()]);
        let known = (one.seen, self.fetch.ready(one.index));
        self.look
            .take(which, known, (self.wanted, self.is_stable), to, key)
    }

    /// How many items were looked up.
    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// What the index has for an item.
    pub(super) fn slot(&self, i: usize) -> &[u8] {
        let start = i.checked_sub(1).map_or(self.base, |i| self.found[i].end);
        &self.keys[start..self.found[i].end]
    }

    /// What an item could not be looked at for, behind those that were.
    pub(super) fn failed(&mut self) -> Option<Error> {
        self.failed.take()
    }

    /// Whether its items do not depend on who looks.
    pub(super) fn is_stable(&self) -> bool {
        self.is_stable
    }

    /// Whether a device had to be asked for any of the items, or would have had to.
    pub(super) fn is_cold(&self) -> bool {
        self.fetch.is_cold()
    }

    pub(super) fn into_keys(self) -> Vec<u8> {
        self.keys
    }
}
