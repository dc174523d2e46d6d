//! Writes outside any transaction, on a chain with versions whose transactions are not resolved.
//!
//! Invariant: what such a write decides by is what precedes it. A transaction that is not sealed
//! and has a version in the chain does not commit any more, and its version says so for as long
//! as there is one: what becomes of the versions above does not matter. Before one that is sealed
//! nobody decides by what is below it.

use crossbeam_epoch::Guard;

use super::{
    chain::{self, Version, Walk},
    payload::Said,
    state::{Overrule, State},
    waiting::{Turn, Waiting},
};
use crate::location::Word;

/// Keeps the transactions that have unresolved versions in the chain from committing; those that
/// are sealed will come to lie below.
pub(crate) fn overrule(word: Word, guard: &Guard) {
    for version in chain::unresolved(word, guard) {
        version.word().overrule();
    }
}

/// As [`overrule`], for a write that depends on the newest committed state: if a version above
/// that is sealed, says when to try again, and overrules nobody. The caller holds the latch, and
/// has marked the chain as overtaken.
pub(crate) fn overrule_or_wait(word: Word, waiting: &Waiting, guard: &Guard) -> Option<Turn> {
    loop {
        let sealed = |version: &&Version| version.word().is_sealed();
        match undecided(word, guard).find(sealed) {
            Some(sealed) => {
                let turn = waiting.turn();
                if sealed.word().wait_for() {
                    return Some(turn);
                }
            }
            // Or one was sealed since.
            None if undecided(word, guard).any(|v| v.word().overrule() == Overrule::Sealed) => {}
            None => {
                // What is below the newest committed state, too, as any write outside does.
                overrule(word, guard);
                return None;
            }
        }
    }
}

/// The unresolved versions above the newest committed state.
fn undecided(word: Word, guard: &Guard) -> impl Iterator<Item = &Version> {
    let is_above = |version: &&Version| {
        version.state() != State::Committed || version.payload.get(guard) == Said::Reserve
    };
    Walk::new(word, guard)
        .take_while(is_above)
        .filter(|version| version.state() == State::Unresolved)
}
