//! What a tombstone in the log is still needed for, by what the index says of its item.
//!
//! Invariant: a tombstone counts as superseded only if something that nobody can take back was written
//! above it; and as needed only if nobody can take it back itself.

use crossbeam_epoch::Guard;
use std::cmp::Ordering;

use super::{
    TxnId,
    chain::{Version, Walk},
    payload::Said,
    state::State,
};
use crate::location::{Slot, Word};

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// Something older may yet be logged, or moved.
    Needed,
    /// As long as something older of the item is in the log.
    NeededByOlder,
    /// Something newer stands for it.
    Superseded,
    /// It may be taken back, or is not resolved.
    Unsure,
}

/// How the tombstone with this sequence number stands, of the item whose slot has `word`; who owns less
/// than `final_below` has committed for good, or not at all. The caller holds the leaf's latch.
pub(crate) fn of_tombstone(
    word: Word,
    sequence: u64,
    final_below: TxnId,
    guard: &Guard,
) -> Standing {
    let mut walk = Walk::new(word, guard);
    while let Some(version) = walk.next() {
        let is_final = version.state() == State::Committed && version.is_owned_below(final_below);
        match version.sequence.cmp(&sequence) {
            Ordering::Greater if is_final && version.payload.get(guard) != Said::Reserve => {
                return Standing::Superseded;
            }
            Ordering::Greater => {}
            Ordering::Equal if !is_final => return Standing::Unsure,
            Ordering::Equal => {
                // Something below that is kept for a reader moves like any item, perhaps in the same round: whatever
                // other segments hold now, the tombstone is needed above it.
                let may_come = |below: &Version| {
                    below.state() == State::Unresolved
                        || matches!(below.payload.get(guard), Said::At(_))
                };
                let is_needed = walk.any(may_come) || matches!(walk.base().slot(), Slot::At(_));
                return match is_needed {
                    true => Standing::Needed,
                    false => Standing::NeededByOlder,
                };
            }
            // It is not where it stood: somebody took it back, or is about to say what replaced it.
            Ordering::Less => return Standing::Unsure,
        }
    }
    match walk.base().slot() {
        Slot::At(_) => Standing::Superseded,
        _ => Standing::NeededByOlder,
    }
}
