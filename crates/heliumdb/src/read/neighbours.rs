//! When neighbours are copied to lie side by side.
//!
//! Items lie in the log in the order in which they were written, so each step of a walk would wait for memory. Where walks come
//! again, a [copy](super::pack) of a leaf's values is made, which is then read from front to back; the read cache keeps it,
//! by its own rules and in its own budget. (The ideas are those of Bf-Tree's mini-pages, VLDB 2024, and of KVell's partial
//! order in memory, SOSP 2019.)
//!
//! Copied is what is in memory as part of the log. What was read from a device the read cache has already, one by one, and
//! twice there it would push out as much that is hot.
//!
//! Invariant: what walks fetch from elsewhere pays for copies. One pass over everything makes none; and where a copy would
//! leave out most items, or most of the one before is out of date already, it takes many passes until another one is tried.

use super::{
    Look, Which,
    pack::{Pack, Packing},
};
use crate::{
    index::{Direction, Leaf},
    location::{Location, Word},
    log::{Fetch, Purpose, Ready, append_value},
    version::chain::Seen,
};
use std::mem;

/// A value with more bytes is left out: what it costs to come to it is little beside it.
const VALUE_BYTES_MAX: usize = 1024;
/// Places for longer items are not looked at: a value takes more room there than it has bytes, unless it is compressed.
const PLACE_BYTES_MAX: usize = 2 * VALUE_BYTES_MAX;
/// Fewer items that a walk wants of a leaf are not looked for in its copy: to find them there costs as much.
const FEW: usize = 4;
/// A leaf is copied once walks have fetched so many eighths of its items: more than one pass.
const PASSES_EIGHTHS: usize = 10;
/// Items that no copy can have, or that were written again before walks came back, are fetched so many times more
/// before that counts.
const PASSES_IN_VAIN: usize = 16;

impl<'a> Look<'a> {
    /// Asks the processor for what leads to the copy of a leaf's items.
    #[inline]
    pub(super) fn prepare(&self, leaf: Leaf<'a>) {
        let name = leaf.pack();
        if name != 0 {
            self.tree.log().prefetch_pack(name);
        }
    }

    /// The copy of a leaf's items, of which a walk is about to fetch so many; made now, if it is time for that. `None`
    /// where there is none, or they are too few to look there.
    pub(super) fn pack(
        &self,
        leaf: Leaf<'a>,
        items: usize,
        direction: Direction,
    ) -> Option<Pack<'a>> {
        let name = leaf.pack();
        if name != 0 {
            if items < FEW {
                return None;
            }
            if let Some(pack) = self.pack_named(name, direction) {
                return Some(pack);
            }
            // Others needed its memory more.
            leaf.set_pack(0);
        }
        match self.fetched(leaf, items) {
            0 => None,
            name => self.pack_named(name, direction),
        }
    }

    fn pack_named(&self, name: u32, direction: Direction) -> Option<Pack<'a>> {
        Pack::of(self.tree.log().pack(name, self.guard)?, direction)
    }

    /// Walks fetched so many items of a leaf: a copy is made of it, if it is time for that, and its name is returned.
    #[inline]
    pub(super) fn fetched(&self, leaf: Leaf<'a>, items: usize) -> u32 {
        let slots = leaf.slots(self.guard);
        match leaf.count(items) > (slots * PASSES_EIGHTHS / 8) as isize {
            true => self.copy(leaf, slots),
            false => 0,
        }
    }

    #[cold]
    fn copy(&self, leaf: Leaf<'a>, slots: usize) -> u32 {
        let (log, old) = (self.tree.log(), leaf.pack());
        self.tree.index.bring_in_order(leaf, self.guard);
        let kept = self.copied(leaf, old).and_then(|copied| {
            let name = log.keep_pack(&copied.packing.into_bytes(), self.guard)?;
            // Walks look no more in the old copy.
            if old != 0 {
                log.drop_pack(old, self.guard);
            }
            leaf.set_pack(name);
            Some((name, copied.left_out))
        });
        let (name, in_vain) = kept.unwrap_or((0, slots));
        leaf.put_off(in_vain * PASSES_IN_VAIN);
        name
    }

    /// A copy of a leaf's items, also from the `old` one; `None` if it is not worth its memory.
    fn copied(&self, leaf: Leaf<'a>, old: u32) -> Option<Copied> {
        let log = self.tree.log();
        let mut old = self.pack_named(old, Direction::Forward);
        let (mut keys, mut found) = (Vec::new(), Vec::new());
        leaf.each(self.guard, |key, word| {
            // What others see elsewhere has another position.
            let Ok(Seen::At(at)) = self.see(Word(word)) else {
                return;
            };
            if let Some(position) = log.position_of(at, self.guard) {
                keys.extend_from_slice(key);
                found.push(Found {
                    end: keys.len(),
                    at,
                    position,
                    copied: old.as_mut().and_then(|old| old.find(position)),
                });
            }
        });
        let still_true = found.iter().filter(|found| found.copied.is_some());
        if old.is_some() && still_true.count() < found.len() / 2 {
            return None;
        }
        let mut fetch = Fetch::new();
        let places = found.iter().map(|found| match found.copied {
            None => Some(found.at),
            Some(_) => None,
        });
        log.find(Purpose::Walk, places, &mut fetch, self.guard);
        let mut copied = Copied::default();
        let mut start = 0;
        for (i, found) in found.iter().enumerate() {
            let which = Which::Slot(&keys[mem::replace(&mut start, found.end)..found.end]);
            let ready = fetch.ready(i);
            let is_added = copied
                .packing
                .add(found.position, |values| match found.copied {
                    Some(value) => {
                        values.extend_from_slice(value);
                        true
                    }
                    None => self.append_small(which, (found.at, ready), values),
                });
            copied.left_out += usize::from(!is_added);
        }
        (copied.packing.len() > copied.left_out).then_some(copied)
    }

    /// Appends the value of the item at a place to `values`, if it is in the log's memory and small; whether it did.
    fn append_small(
        &self,
        which: Which<'_>,
        (at, ready): (Location, Ready<'_>),
        values: &mut Vec<u8>,
    ) -> bool {
        let is_here = ready.is_at_hand() && self.tree.log().is_resident(at, self.guard);
        if !is_here || at.class_bytes() > PLACE_BYTES_MAX {
            return false;
        }
        let before = values.len();
        let read = self.read_at(which, (at, ready), values, |shown, values| {
            append_value(shown.value, values);
        });
        // What cannot be read is said to whoever comes to it.
        matches!(read, Ok(Some(()))) && values.len() - before <= VALUE_BYTES_MAX
    }
}

/// An item of a leaf.
struct Found<'a> {
    /// Where its key ends.
    end: usize,
    at: Location,
    position: u64,
    /// Its value, if the old copy has it.
    copied: Option<&'a [u8]>,
}

/// A copy that was made.
#[derive(Default)]
struct Copied {
    packing: Packing,
    /// How many items it has not.
    left_out: usize,
}
