//! Linking a version: the one place where a chain gets a new head.
//!
//! Invariant: the caller holds the leaf's latch; the version's memory is counted as soon as it is there.

use crossbeam_epoch::Guard;

use super::Unsettled;
use crate::{
    location::{Slot, Word},
    log::Log,
    version::chain::{self, Held, New, VERSION_BYTES},
};

/// A version that was put on top of a slot.
pub(crate) struct NewHead {
    /// What the slot has from now on.
    pub(crate) word: Word,
    pub(crate) held: Held,
    /// That made a chain of a plain slot, which has to be settled.
    pub(crate) founded: bool,
}

impl Unsettled {
    /// Puts a version on top of what the slot has, which is trimmed first where that is due.
    #[inline]
    pub(crate) fn link(&self, word: Word, new: New, log: &Log, guard: &Guard) -> NewHead {
        let (word, left) = self.trim(word, log, guard);
        let founded = !matches!(word.slot(), Slot::Chain(_));
        let (word, held) = chain::link(word, new, left, guard);
        let bytes = VERSION_BYTES + held.version().payload_bytes();
        self.add_bytes(bytes as isize);
        NewHead {
            word,
            held,
            founded,
        }
    }
}
