//! When neighbours are copied to lie side by side.
//!
//! Items lie in the log in the order in which they were written, so each step of a walk would wait for memory. Where walks come
//! again, a [copy](super::pack) of a leaf's values is made, which is then read from front to back; the read cache keeps it,
//! by its own rules and in its own budget. (The ideas are those of Bf-Tree's mini-pages, VLDB 2024, and of KVell's partial
//! order in memory, SOSP 2019.)
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
    log::{Fetch, Purpose, append_value},
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

    fn pack_named(&self, name: u64, direction: Direction) -> Option<Pack<'a>> {
        Pack::of(self.tree.log().pack(name, self.guard)?, direction)
    }

    /// Walks fetched so many items of a leaf: a copy is made of it, if it is time for that, and its name is returned.
    #[inline]
    pub(super) fn fetched(&self, leaf: Leaf<'a>, items: usize) -> u64 {
        let slots = leaf.slots(self.guard);
        match leaf.count(items) > (slots * PASSES_EIGHTHS / 8) as i32 {
            true => self.copy(leaf, slots),
            false => 0,
        }
    }

    #[cold]
    fn copy(&self, leaf: Leaf<'a>, slots: usize) -> u64 {
        self.tree.index.bring_in_order(leaf, self.guard);
        let old = leaf.pack();
        let before = self.pack_named(old, Direction::Forward);
        let kept = self.packing(leaf, before).and_then(|(packing, left_out)| {
            let name = self
                .tree
                .log()
                .keep_pack(&packing.into_bytes(), self.guard)?;
            Some((name, left_out))
        });
        let (name, in_vain) = kept.unwrap_or((0, slots));
        leaf.set_pack(name);
        leaf.put_off(in_vain * PASSES_IN_VAIN);
        if old != 0 {
            self.tree.log().drop_pack(old, self.guard);
        }
        name
    }

    /// A copy of a leaf's items, and how many it leaves out; `None` if it is not worth its memory.
    fn packing(&self, leaf: Leaf<'a>, before: Option<Pack<'_>>) -> Option<(Packing, usize)> {
        let mut keys: Vec<u8> = Vec::new();
        let mut found: Vec<(usize, Location)> = Vec::new();
        leaf.each(self.guard, |key, word| {
            // What others see elsewhere has another position.
            if let Ok(Seen::At(at)) = self.see(Word(word)) {
                keys.extend_from_slice(key);
                found.push((keys.len(), at));
            }
        });
        let log = self.tree.log();
        let position = |at: Location| log.position_of(at, self.guard);
        if let Some(mut before) = before {
            let is_there = |(_, at): &&(usize, Location)| {
                position(*at).is_some_and(|position| before.find(position).is_some())
            };
            if found.iter().filter(is_there).count() < found.len() / 2 {
                return None;
            }
        }
        let mut fetch = Fetch::new();
        let places = found.iter().map(|(_, at)| Some(*at));
        log.find(Purpose::Walk, places, &mut fetch, self.guard);
        let mut packing = Packing::default();
        let mut start = 0;
        for (i, &(end, at)) in found.iter().enumerate() {
            let which = Which::Slot(&keys[mem::replace(&mut start, end)..end]);
            let ready = fetch.ready(i);
            let Some(position) = position(at) else {
                continue;
            };
            if !ready.is_at_hand() || at.class_bytes() > PLACE_BYTES_MAX {
                continue;
            }
            packing.add(position, |values| {
                let before = values.len();
                let read = self.read_at(which, (at, ready), values, |shown, values| {
                    append_value(shown.value, values);
                });
                // What cannot be read is said to whoever comes to it.
                matches!(read, Ok(Some(()))) && values.len() - before <= VALUE_BYTES_MAX
            });
        }
        let left_out = found.len() - packing.len();
        (packing.len() > left_out).then_some((packing, left_out))
    }
}
