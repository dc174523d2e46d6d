//! A snapshot: which transactions had ended at some moment.
//!
//! Invariant: ids are given in rising order, and a transaction's versions are stamped before
//! its id leaves the running ones; so a later snapshot sees all that an earlier one sees.

use std::sync::Arc;

use super::TxnId;

/// Which transactions were running at some moment: those that a snapshot of then does not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnSnapshot {
    low: TxnId,
    high: TxnId,
    running: Box<[TxnId]>,
}

impl TxnSnapshot {
    /// A snapshot of the moment when `running` (in rising order) had not ended, and `next` was
    /// the id that would be given next.
    pub fn new(running: &[TxnId], next: TxnId) -> Self {
        debug_assert!(running.is_sorted());
        Self {
            low: running.first().copied().unwrap_or(next),
            high: next,
            running: running.into(),
        }
    }

    /// Whether transaction `id` had ended then.
    pub fn sees(&self, id: TxnId) -> bool {
        id < self.low || (id < self.high && self.running.binary_search(&id).is_err())
    }

    /// Every smaller id is seen.
    pub fn low(&self) -> TxnId {
        self.low
    }
}

/// What is known of who may still look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readers {
    /// Everyone sees what was committed below this id.
    pub(crate) oldest: TxnId,
    /// What was committed below this id is not taken back any more.
    pub(crate) final_below: TxnId,
    /// If known: every snapshot that is in use, and last of all one of now. Snapshots to come
    /// see at least what the last one sees.
    pub(crate) snapshots: Option<Vec<Arc<TxnSnapshot>>>,
    /// If they are known: how many of those have ended that may have left versions, or kept others from going.
    pub(crate) wrote: u64,
}

impl Readers {
    /// All that is known is the oldest id that someone may need.
    pub(crate) fn below(oldest: TxnId) -> Self {
        Self {
            oldest,
            final_below: oldest,
            snapshots: None,
            wrote: 0,
        }
    }

    /// Whether everyone, those to come included, sees what transaction `id` has committed, and it is not
    /// taken back. Whoever is running, and looks at nothing but what is newest, does not matter.
    pub(crate) fn all_see(&self, id: TxnId) -> bool {
        let known = self.snapshots.as_deref().unwrap_or_default();
        id < self.oldest
            || (id < self.final_below && !known.is_empty() && known.iter().all(|s| s.sees(id)))
    }

    /// Whether transaction `id` is over for good: everyone who comes sees it, and it is not taken back.
    pub(super) fn is_over(&self, id: TxnId) -> bool {
        let now = self.snapshots.as_ref().and_then(|all| all.last());
        id < self.oldest || (id < self.final_below && now.is_some_and(|now| now.sees(id)))
    }
}
