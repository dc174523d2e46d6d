//! The table of all handles of the process.
//!
//! Invariant: a slot's entry carries the number it was given out as, and numbers are never
//! given twice. Looking up takes no lock and writes nothing that threads share.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

use arc_swap::{ArcSwapOption, Guard};
use heliumdb::process::Owner;
use parking_lot::Mutex;

use super::{Number, Object};
use crate::limits::HANDLES_MAX;

/// Set in every number, and no other bit above it: no process has memory at such addresses (x86-64
/// has it below 2^57 and above -2^57), so that nobody who looks at all words for pointers, as a
/// garbage collector does, takes a number for one.
const NO_ADDRESS: usize = 1 << 62;
/// Bits of a number that say which slot; above them is a count that never repeats.
const SLOT_BITS: u32 = HANDLES_MAX.trailing_zeros();
/// Slots of the first chunk; each further one has twice as many as all before it together.
const FIRST_BITS: u32 = 6;
const CHUNKS: usize = (SLOT_BITS - FIRST_BITS + 1) as usize;

type Slot = ArcSwapOption<Entry>;

/// An object under its number.
pub struct Entry {
    number: Number,
    /// Who was given the number: a fork of that process has a copy of all this.
    owner: Owner,
    object: Object,
}

impl Deref for Entry {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.object
    }
}

pub(super) struct Table {
    chunks: [OnceLock<Box<[Slot]>>; CHUNKS],
    slots: Mutex<Slots>,
}

struct Slots {
    given: usize,
    /// Slots never used start here.
    fresh: usize,
    /// Slots whose handle was ended.
    free: Vec<usize>,
}

/// An entry that was found: it stays for as long as this is held. Never empty.
pub struct Found(Guard<Option<Arc<Entry>>>);

impl Deref for Found {
    type Target = Object;

    fn deref(&self) -> &Object {
        match &*self.0 {
            Some(entry) => &entry.object,
            None => unreachable!("an entry is looked at before it counts as found"),
        }
    }
}

impl Found {
    /// Whether it is another process's: this is a fork of that.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|entry| entry.owner.is_elsewhere())
    }
}

impl Table {
    pub(super) const fn new() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            slots: Mutex::new(Slots {
                given: 0,
                fresh: 0,
                free: Vec::new(),
            }),
        }
    }

    /// Gives `object` a number; `None` if there are as many handles as there can be.
    pub(super) fn insert(&self, object: Object) -> Option<Number> {
        let owner = Owner::here().ok()?;
        let mut slots = self.slots.lock();
        let index = match slots.free.pop() {
            Some(index) => index,
            None if slots.fresh < HANDLES_MAX => {
                slots.fresh += 1;
                slots.fresh - 1
            }
            None => return None,
        };
        // As often as this, nobody opens anything: 2^42 times.
        let given = slots.given + 1;
        if given >= NO_ADDRESS >> SLOT_BITS {
            return None;
        }
        slots.given = given;
        let number = Number(NO_ADDRESS | (given << SLOT_BITS) | index);
        drop(slots);
        self.slot_or_make(index)?.store(Some(Arc::new(Entry {
            number,
            owner,
            object,
        })));
        Some(number)
    }

    pub(super) fn find(&self, number: Number) -> Option<Found> {
        let entry = self.slot(index_of(number))?.load();
        let is_it = entry.as_ref().is_some_and(|entry| entry.number == number);
        is_it.then_some(Found(entry))
    }

    /// Takes the entry out; `None` if somebody else has done so meanwhile.
    pub(super) fn remove(&self, found: Found) -> Option<Arc<Entry>> {
        let entry = found.0.as_ref()?.clone();
        let index = index_of(entry.number);
        let before = self.slot(index)?.compare_and_swap(&entry, None);
        let was_it = before
            .as_ref()
            .is_some_and(|there| Arc::ptr_eq(there, &entry));
        drop((before, found));
        if !was_it {
            return None;
        }
        self.slots.lock().free.push(index);
        Some(entry)
    }

    fn slot(&self, index: usize) -> Option<&Slot> {
        let (chunk, offset) = place(index);
        self.chunks.get(chunk)?.get()?.get(offset)
    }

    fn slot_or_make(&self, index: usize) -> Option<&Slot> {
        let (chunk, offset) = place(index);
        let make = || {
            let slots = (1 << FIRST_BITS) << chunk.saturating_sub(1);
            (0..slots).map(|_| Slot::empty()).collect()
        };
        self.chunks.get(chunk)?.get_or_init(make).get(offset)
    }
}

fn index_of(number: Number) -> usize {
    number.0 & (HANDLES_MAX - 1)
}

/// Chunk 0 has the first 64 slots, chunk 1 the next 64, then 128, 256 and so on.
fn place(index: usize) -> (usize, usize) {
    let bits = usize::BITS - (index >> FIRST_BITS).leading_zeros();
    if bits == 0 {
        (0, index)
    } else {
        let start = 1 << (FIRST_BITS + bits - 1);
        (bits as usize, index - start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_place_of_its_own_within_its_chunk() {
        let mut expected = (0, 0);
        for index in 0..HANDLES_MAX {
            let slots = (1 << FIRST_BITS) << expected.0.max(1) >> 1;
            if expected.1 == slots {
                expected = (expected.0 + 1, 0);
            }
            assert_eq!(place(index), expected, "slot {index}");
            assert!(expected.0 < CHUNKS);
            expected.1 += 1;
        }
    }
}
