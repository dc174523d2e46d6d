//! What became of a version, in one atomic byte.
//!
//! Invariants:
//! - Only its transaction seals, unseals and resolves a version; whoever writes outside any
//!   transaction overrules it. Of sealing and overruling the first one wins: never both.
//! - A version that another one was linked above, or is about to be, is committed under the latch
//!   of its leaf only: so whoever has marked it, and holds the latch, counts what stays.
//! - Who takes away the mark of someone who waits wakes them.

use std::sync::atomic::{AtomicU8, Ordering};

/// What became of a version's transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Unresolved = 0,
    Committed = 1,
    Aborted = 2,
}

/// Bits that hold a [`State`]; all zero while it is not resolved. The others are marks.
const OUTCOME: u8 = 3;
/// Another version is above, or is being linked there.
const OVERTAKEN: u8 = 4;
/// Its transaction is being committed: nobody may decide past it any more.
const SEALED: u8 = 8;
/// Someone has decided past it: its transaction must not commit.
const OVERRULED: u8 = 16;
/// Someone waits until it is resolved, or its seal is taken away.
const AWAITED: u8 = 32;

/// Whether a version could be overruled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Overrule {
    /// It is overruled.
    Done,
    /// It is sealed.
    Sealed,
    /// It was resolved before.
    Resolved,
}

/// The state of a version: see the module.
pub(super) struct StateWord(AtomicU8);

impl StateWord {
    pub(super) fn new(state: State, sealed: bool) -> Self {
        let mark = if sealed { SEALED } else { 0 };
        Self(AtomicU8::new(state as u8 | mark))
    }

    #[inline]
    pub(super) fn get(&self) -> State {
        #[cfg(test)]
        look::happens();
        outcome(self.0.load(Ordering::Acquire))
    }

    /// From here on it will be committed, or aborted, but not overruled; false if it was.
    pub(super) fn seal(&self) -> bool {
        self.change(|now| (now & OVERRULED == 0).then_some(now | SEALED))
            .is_ok()
    }

    /// It will not be committed now after all; true if someone waits.
    pub(super) fn unseal(&self) -> bool {
        self.0.fetch_and(!(SEALED | AWAITED), Ordering::AcqRel) & AWAITED != 0
    }

    pub(super) fn is_sealed(&self) -> bool {
        let now = self.0.load(Ordering::Acquire);
        outcome(now) == State::Unresolved && now & SEALED != 0
    }

    /// Notes that another version is above; false if this one is resolved.
    pub(super) fn overtake(&self) -> bool {
        let marked = |now| (outcome(now) == State::Unresolved).then_some(now | OVERTAKEN);
        self.change(marked).is_ok()
    }

    /// Keeps its transaction from committing, if that is not sealed.
    pub(super) fn overrule(&self) -> Overrule {
        let overruled = |now| {
            let is_free = outcome(now) == State::Unresolved && now & SEALED == 0;
            is_free.then_some(now | OVERRULED)
        };
        match self.change(overruled) {
            Ok(_) => Overrule::Done,
            Err(now) if outcome(now) == State::Unresolved => Overrule::Sealed,
            Err(_) => Overrule::Resolved,
        }
    }

    /// Asks to be woken when it is resolved or not sealed any more; false if it is so already.
    pub(super) fn wait_for(&self) -> bool {
        let awaited = |now| {
            let is_sealed = outcome(now) == State::Unresolved && now & SEALED != 0;
            is_sealed.then_some(now | AWAITED)
        };
        self.change(awaited).is_ok()
    }

    /// Commits it if nothing but its seal was marked.
    #[inline]
    pub(super) fn commit_unmarked(&self) -> bool {
        let (from, to) = (State::Unresolved as u8 | SEALED, State::Committed as u8);
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Resolves it; true if someone waits.
    pub(super) fn resolve(&self, state: State) -> bool {
        self.0.swap(state as u8, Ordering::AcqRel) & AWAITED != 0
    }

    fn change(&self, to: impl FnMut(u8) -> Option<u8>) -> Result<u8, u8> {
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, to)
    }
}

fn outcome(word: u8) -> State {
    match word & OUTCOME {
        0 => State::Unresolved,
        1 => State::Committed,
        _ => State::Aborted,
    }
}

/// Something else that a test has happen just before a thread looks at a state: whoever looked at more before that has looked
/// in the wrong order.
#[cfg(test)]
pub(crate) mod look {
    use std::cell::RefCell;

    type Deed = Box<dyn FnOnce()>;

    thread_local! {
        static BEFORE: RefCell<Option<Deed>> = const { RefCell::new(None) };
    }

    /// Does `deed` once, before this thread looks at a state.
    pub(crate) fn before_next(deed: impl FnOnce() + 'static) {
        BEFORE.set(Some(Box::new(deed)));
    }

    /// Whether it was done.
    pub(crate) fn has_happened() -> bool {
        BEFORE.take().is_none()
    }

    pub(super) fn happens() {
        if let Some(deed) = BEFORE.take() {
            deed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unresolved() -> StateWord {
        StateWord::new(State::Unresolved, false)
    }

    #[test]
    fn of_sealing_and_overruling_the_first_one_wins() {
        let overruled = unresolved();
        assert_eq!(overruled.overrule(), Overrule::Done);
        assert!(!overruled.seal() && !overruled.is_sealed());
        let sealed = unresolved();
        assert!(sealed.seal() && sealed.seal());
        assert_eq!(sealed.overrule(), Overrule::Sealed);
        assert!(sealed.commit_unmarked());
        assert_eq!(sealed.overrule(), Overrule::Resolved);
        assert_eq!(sealed.get(), State::Committed);
    }

    #[test]
    fn what_was_overruled_stays_so_when_seals_are_taken_away() {
        let word = unresolved();
        word.overrule();
        assert!(!word.unseal());
        assert!(!word.seal());
        let word = StateWord::new(State::Unresolved, true);
        word.unseal();
        assert_eq!(word.overrule(), Overrule::Done);
    }

    #[test]
    fn whoever_waits_is_woken_by_every_end() {
        for end in 0..3 {
            let word = StateWord::new(State::Unresolved, true);
            assert!(word.wait_for());
            assert!(!word.commit_unmarked(), "nobody would be woken");
            let woken = match end {
                0 => word.unseal(),
                1 => word.resolve(State::Committed),
                _ => word.resolve(State::Aborted),
            };
            assert!(woken);
            assert!(!word.wait_for(), "there is nothing to wait for any more");
        }
        assert!(!unresolved().wait_for());
    }

    #[test]
    fn an_overtaken_version_is_not_committed_without_the_latch() {
        let word = StateWord::new(State::Unresolved, true);
        assert!(word.overtake());
        assert!(!word.commit_unmarked());
        assert!(!word.resolve(State::Committed));
        assert!(!word.overtake());
    }
}
