//! Reading the item that somebody sees in one slot of the index.
//!
//! Invariant: what is shown is what they saw in the slot or, where its place in the log has been used again since, what
//! they see there now. An item of an unordered tree is shown under the key that it has in the log, and only if that key leads
//! to its slot.

use std::mem;

use super::{Look, Wanted};
use crate::{
    error::{Error, ErrorKind, Result},
    format::item::{self, ItemHeader},
    location::{Location, Word},
    log::{Asked, Purpose, Ready, Value, append_value},
    version::{chain::Seen, look},
};

/// Attempts to read an item whose place is used again each time, before that counts as damage.
const ATTEMPTS: usize = 64;

/// What is known of an item: its key, or what the index has for it.
#[derive(Clone, Copy)]
pub(crate) enum Which<'a> {
    Key(&'a [u8]),
    Slot(&'a [u8]),
}

/// What came of an item that was to be taken.
#[derive(PartialEq, Eq)]
pub(crate) enum Taken {
    /// Its value, or what stands for that, was appended.
    Value,
    /// There is only its key.
    Key,
    /// There is no such item any more.
    Gone,
}

/// An item that was read.
pub(crate) struct Shown<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: Value<'a>,
    /// Where it is, if it is in the log.
    pub(crate) at: Option<Location>,
}

impl<'a> Look<'a> {
    /// What the index has for an item.
    #[inline]
    pub(crate) fn word(&self, which: Which<'_>) -> Word {
        Word(match which {
            Which::Key(key) => self.tree.get(key, self.guard),
            Which::Slot(slot) => self.tree.index.get(slot, self.guard),
        })
    }

    /// What is seen in a slot that has this word.
    #[inline]
    pub(crate) fn see(&self, word: Word) -> Result<Seen<'a>> {
        look(self.eyes, word, self.guard)
    }

    /// Shows `show` the item that was `seen`, of whose bytes `ready` may be known, with `built`, to which its value was
    /// appended if it does not lie anywhere in one piece; `None` if there is none.
    #[inline]
    pub(crate) fn read<R>(
        &self,
        which: Which<'_>,
        (seen, ready): (Seen<'a>, Ready<'_>),
        built: &mut Vec<u8>,
        mut show: impl FnMut(Shown<'_>, &mut Vec<u8>) -> R,
    ) -> Result<Option<R>> {
        let start = built.len();
        if let Seen::At(at) = seen {
            let shown = |shown: Shown<'_>, built: &mut Vec<u8>| show(shown, built);
            let done = self.read_at(which, (at, ready), built, shown)?;
            if done.is_some() {
                return Ok(done);
            }
        }
        self.again(which, seen, |seen| match seen {
            Seen::Absent => Ok(None),
            Seen::Bytes(bytes) => {
                let shown = Shown {
                    key: self.key(which)?,
                    value: Value::Here(bytes),
                    at: None,
                };
                Ok(Some(show(shown, built)))
            }
            Seen::At(at) => {
                built.truncate(start);
                let shown = |shown: Shown<'_>, built: &mut Vec<u8>| show(shown, built);
                self.read_at(which, (at, Ready::No), built, shown)
            }
        })
    }

    /// As [`Look::read`], of what is at one place; `None` if another item is there now.
    #[inline]
    pub(crate) fn read_at<R>(
        &self,
        which: Which<'_>,
        (at, ready): (Location, Ready<'_>),
        built: &mut Vec<u8>,
        mut show: impl FnMut(Shown<'_>, &mut Vec<u8>) -> R,
    ) -> Result<Option<R>> {
        self.ask(which, (at, ready), |asked| {
            let shown = |value: Value<'_>, built: &mut Vec<u8>| {
                let (key, at) = (asked.key, Some(at));
                show(Shown { key, value, at }, built)
            };
            let log = self.tree.log();
            log.with_value(asked, self.guard, built, shown)
        })
    }

    /// Appends what is `wanted` of the item that was `seen` to `to`, and shows its key. Where it `is_stable` only the
    /// place that was seen counts.
    #[inline]
    pub(super) fn take(
        &self,
        which: Which<'_>,
        (seen, ready): (Seen<'a>, Ready<'_>),
        (wanted, is_stable): (Wanted, bool),
        to: &mut Vec<u8>,
        mut key: impl FnMut(&[u8]),
    ) -> Result<Taken> {
        let is_left_out = match wanted {
            Wanted::Items | Wanted::Lengths => false,
            Wanted::Keys => true,
            Wanted::AtHand => matches!(seen, Seen::At(_)) && !ready.is_at_hand(),
        };
        if is_left_out {
            key(self.key(which)?);
            return Ok(Taken::Key);
        }
        let done = if wanted == Wanted::Lengths {
            self.read_len(which, (seen, ready), |its, len| {
                key(its);
                to.extend_from_slice(&len.to_le_bytes());
            })
        } else {
            let append = |shown: Shown<'_>, built: &mut Vec<u8>| {
                key(shown.key);
                append_value(shown.value, built);
            };
            match seen {
                Seen::At(at) if is_stable => self.read_at(which, (at, ready), to, append),
                _ => self.read(which, (seen, ready), to, append),
            }
        };
        Ok(done?.map_or(Taken::Gone, |()| Taken::Value))
    }

    /// How long the value of the item at `at` is, if that needs no look at the item.
    fn len_of(&self, which: Which<'_>, at: Location) -> Option<u64> {
        match which {
            // The index has a hash in place of its key.
            Which::Slot(_) if self.tree.is_unordered() => None,
            Which::Key(key) | Which::Slot(key) => item::value_len(at, key).map(|len| len as u64),
        }
    }

    /// Where something has to be read to have what is `wanted` of an item that was `seen`.
    pub(super) fn missing(&self, wanted: Wanted, seen: Seen<'_>) -> Option<Location> {
        let Seen::At(at) = seen else { return None };
        let is_told = match wanted {
            Wanted::Keys => true,
            // The key of an item of an unordered tree is there only.
            Wanted::Lengths => at.exact_bytes().is_some() && !self.tree.is_unordered(),
            Wanted::Items | Wanted::AtHand => false,
        };
        (!is_told).then_some(at)
    }

    /// Shows `show` the key of the item that was `seen`, and how long its value is.
    pub(crate) fn read_len<R>(
        &self,
        which: Which<'_>,
        (seen, ready): (Seen<'a>, Ready<'_>),
        mut show: impl FnMut(&[u8], u64) -> R,
    ) -> Result<Option<R>> {
        let mut ready = ready;
        self.again(which, seen, |seen| match seen {
            Seen::Absent => Ok(None),
            Seen::Bytes(bytes) => Ok(Some(show(self.key(which)?, bytes.len() as u64))),
            Seen::At(at) => {
                if let Some(len) = self.len_of(which, at) {
                    return Ok(Some(show(self.key(which)?, len)));
                }
                let ready = mem::replace(&mut ready, Ready::No);
                self.ask(which, (at, ready), |asked| {
                    let len = self.tree.log().value_len(asked, self.guard)?;
                    Ok(len.map(|len| show(asked.key, len)))
                })
            }
        })
    }

    /// Attempts to read what was seen in a slot; what is seen there now, as long as there is another item at its place.
    fn again<R>(
        &self,
        which: Which<'_>,
        mut seen: Seen<'a>,
        mut attempt: impl FnMut(Seen<'a>) -> Result<Option<R>>,
    ) -> Result<Option<R>> {
        for left in (0..ATTEMPTS).rev() {
            let done = attempt(seen)?;
            let Seen::At(at) = seen else {
                return Ok(done);
            };
            if done.is_some() {
                return Ok(done);
            }
            if left == 0 {
                return Err(self.misplaced(which, at));
            }
            seen = self.see(self.word(which))?;
        }
        Ok(None)
    }

    /// Lets `read` ask for the item at a place: under its key, which only the item itself says where the index has hashes.
    #[inline]
    fn ask<R>(
        &self,
        which: Which<'_>,
        (at, ready): (Location, Ready<'_>),
        read: impl FnOnce(Asked<'_>) -> Result<Option<R>>,
    ) -> Result<Option<R>> {
        let (purpose, tree) = (self.purpose, self.tree.id);
        let key = match which {
            Which::Slot(slot) if self.tree.is_unordered() => {
                return self.ask_for_slot(slot, (at, ready), read);
            }
            Which::Key(key) | Which::Slot(key) => key,
        };
        read(Asked {
            purpose,
            at,
            tree,
            key,
            ready,
        })
    }

    fn ask_for_slot<R>(
        &self,
        slot: &[u8],
        (at, ready): (Location, Ready<'_>),
        read: impl FnOnce(Asked<'_>) -> Result<Option<R>>,
    ) -> Result<Option<R>> {
        let mut raw = Vec::new();
        let (bytes, ready) = match ready {
            Ready::Here(bytes) | Ready::Read(bytes) => (bytes, ready),
            Ready::No => {
                let log = self.tree.log();
                if !log.read_raw(self.purpose, at, &mut raw, self.guard)? {
                    return Ok(None);
                }
                (&raw[..], Ready::Read(&raw))
            }
        };
        // Where there is none, reading it says what is wrong.
        let key = ItemHeader::decode(bytes).map_or(&[][..], |header| header.key(bytes));
        let done = read(Asked {
            purpose: self.purpose,
            at,
            tree: self.tree.id,
            key,
            ready,
        })?;
        Ok(done.filter(|_| *self.tree.index_key(key) == *slot))
    }

    /// The key of an item of which nothing is read.
    fn key<'k>(&self, which: Which<'k>) -> Result<&'k [u8]> {
        match which {
            Which::Slot(_) if self.tree.is_unordered() => Err(Error::new(
                ErrorKind::Unsupported,
                "a walk through the items of an unordered datastore cannot show what its transaction has not committed yet",
            )),
            Which::Key(key) | Which::Slot(key) => Ok(key),
        }
    }

    /// The key of the item at `at` that belongs to `slot`, if it can be made out though the item is damaged: a key is
    /// right if it leads to the slot.
    pub(crate) fn key_of_damaged(&self, slot: &[u8], at: Location) -> Result<Option<Vec<u8>>> {
        if !self.tree.is_unordered() {
            return Ok(Some(slot.to_vec()));
        }
        let mut raw = Vec::new();
        let log = self.tree.log();
        if !log.read_raw(Purpose::Walk, at, &mut raw, self.guard)? {
            return Ok(None);
        }
        let key = ItemHeader::decode(&raw).map(|header| header.key(&raw).to_vec());
        Ok(key.filter(|key| *self.tree.index_key(key) == *slot))
    }

    /// What is said of an item in whose place there is another one, whoever looks again.
    #[cold]
    pub(crate) fn misplaced(&self, which: Which<'_>, at: Location) -> Error {
        let (Which::Key(key) | Which::Slot(key)) = which;
        self.tree.log().medium().misplaced(at, self.tree.id, key)
    }
}
