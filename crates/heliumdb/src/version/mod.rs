//! Versions: who may see which state of an item.
//!
//! One mechanism for every front. Who the running transactions are comes from
//! outside, through [`View`] and [`Horizon`].

pub(crate) mod chain;
mod death;
pub(crate) mod outside;
mod payload;
pub(crate) mod prune;
mod snapshot;
pub(crate) mod standing;
mod state;
#[cfg(test)]
mod tests;
mod waiting;

pub(crate) use death::{Death, death};
pub(crate) use payload::{Payload, Said};
pub(crate) use prune::Swept;
pub(crate) use snapshot::Readers;
pub use snapshot::TxnSnapshot;
pub(crate) use state::State;
#[cfg(test)]
pub(crate) use state::look;
pub(crate) use waiting::{Attempt, Turn, Waiting};

use std::sync::Arc;

use crossbeam_epoch::Guard;

use crate::{
    error::Result,
    location::{Slot, Word},
};
use chain::Seen;

/// A transaction's id, given by whoever runs the transactions. Never on disk.
/// Zero is no transaction.
pub type TxnId = u64;

/// What a reader is protected from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Sees the newest version that is not aborted, committed or not.
    ReadUncommitted,
    /// Each operation sees what was committed when it began.
    ReadCommitted,
    /// Sees what was committed when the transaction began, and its own writes;
    /// its writes conflict with any that it does not see.
    Snapshot,
}

/// Through whose eyes an operation looks.
pub trait View {
    /// Id of the transaction that asks; zero if it has not written yet.
    fn own(&self) -> TxnId;
    /// Its isolation level.
    fn isolation(&self) -> Isolation;
    /// Whether the running transactions' keeper calls `id`'s updates visible to this
    /// reader. May be true of transactions that are prepared or rolled back: the
    /// store checks what became of them itself.
    fn sees(&self, id: TxnId) -> bool;
    /// Whether this reader sees all that was committed under lower ids than `id`. False if that is not known.
    fn sees_all_below(&self, id: TxnId) -> bool {
        id == 0
    }
    /// A number that no other view of the volume has, if all that this one sees stays as it is for as long as the view
    /// is there: writes outside transactions leave it what they replace, and it has written nothing itself. Else zero.
    fn moment(&self) -> u64 {
        0
    }
    /// Whether transaction `id`, which is not resolved, is prepared, as far as the keeper knows it
    /// other than by calling it visible: asked for readers who see what is not committed.
    fn is_prepared(&self, id: TxnId) -> bool {
        let _ = id;
        false
    }
    /// Whether this reader passes over what prepared transactions wrote, instead of being told.
    fn ignores_prepared(&self) -> bool {
        false
    }
}

/// Through whose eyes a slot is looked at; `None` sees the newest committed state.
pub(crate) type Eyes<'a> = Option<&'a dyn View>;

/// What they see in it.
#[inline]
pub(crate) fn look<'g>(eyes: Eyes<'_>, word: Word, guard: &'g Guard) -> Result<Seen<'g>> {
    // Nearly always: all see what has no versions.
    if let Slot::At(at) = word.slot() {
        return Ok(Seen::At(at));
    }
    match eyes {
        Some(view) => chain::read(word, view, guard),
        None => Ok(chain::read_committed(word, guard)),
    }
}

/// What the running transactions may still need. Nothing settles, moves or is resolved on another
/// volume before both ids have passed it.
pub trait Horizon: Send + Sync {
    /// Every update with a smaller id, if committed, is visible to every reader.
    fn oldest(&self) -> TxnId;
    /// Every update with a smaller id, if committed, cannot be cancelled any more: [`crate::host::WriteSet::cancel`]
    /// refuses it once a volume has heard that this id and the oldest have passed it.
    fn final_below(&self) -> TxnId {
        self.oldest()
    }

    /// If they are known: every snapshot that is in use, and last of all one of now. What none
    /// of them needs then goes from the middle of chains, too.
    fn snapshots(&self) -> Option<Vec<Arc<TxnSnapshot>>> {
        None
    }
}

/// What a write does to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// Sets the value.
    Put(&'a [u8]),
    /// Removes the item.
    Remove,
    /// Changes nothing, but conflicts like a write until the transaction ends.
    Reserve,
}

/// What must hold of an item for a write to go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Any,
    /// It must not be there ([`crate::ErrorKind::ItemExists`]).
    Absent,
    /// It must be there ([`crate::ErrorKind::ItemNotFound`]).
    Present,
}
