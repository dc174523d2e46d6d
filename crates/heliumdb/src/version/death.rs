//! Why nobody sees an item.
//!
//! Invariant: what is said of a slot holds for everybody whom it names, until the slot changes.

use crossbeam_epoch::Guard;

use super::{
    TxnId,
    chain::{Seen, Walk, base_seen},
    payload::Said,
    state::State,
};
use crate::location::Word;

/// Why there is no item for anybody who sees certain removals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Death {
    /// For whoever sees all that was committed under lower ids; zero is everybody.
    pub(crate) below: TxnId,
    /// It was removed by the transaction that was asked for, and is not committed.
    pub(crate) is_own: bool,
}

/// Why nobody sees an item who sees what is newest, transaction `own`'s writes included; `None` if somebody does, or
/// what is newest is not committed.
pub(crate) fn death(word: Word, own: TxnId, guard: &Guard) -> Option<Death> {
    let mut walk = Walk::new(word, guard);
    for version in walk.by_ref() {
        let state = version.state();
        match (state, version.payload.get(guard)) {
            (State::Aborted, _) | (_, Said::Reserve) => {}
            (State::Committed, Said::Tombstone) => {
                return Some(Death {
                    below: if version.owner == 0 {
                        0
                    } else {
                        version.owner + 1
                    },
                    is_own: false,
                });
            }
            (State::Unresolved, Said::Tombstone) if own != 0 && version.owner == own => {
                return Some(Death {
                    below: 0,
                    is_own: true,
                });
            }
            _ => return None,
        }
    }
    let is_empty = base_seen(walk.base()) == Seen::Absent;
    is_empty.then_some(Death {
        below: 0,
        is_own: false,
    })
}
