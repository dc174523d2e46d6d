//! Decisions about transactions over several volumes, as the volume that made them keeps them.
//!
//! Invariant: of a decision that the index has it is known, before, in which batch it was logged, for as long as that may be
//! taken back ([`Certainty`](super::Certainty)).

use std::sync::Arc;

use crossbeam_epoch as epoch;

use super::{OwnRecords, Writing, lost_decisions, records::misplaced};
use crate::{
    error::Result,
    format::{name::GlobalTxn, trees::DECISIONS_TREE},
    id::VolumeId,
    index::{Bound, Direction, Tree as Index},
    location::{Location, Lsn, Slot, Word},
    log::Log,
    tree::Tree,
    version::TxnId,
};

/// See the module.
pub(crate) struct Decisions {
    tree: Arc<Tree>,
    records: Arc<OwnRecords>,
    writing: Arc<Writing>,
}

impl Decisions {
    pub(crate) fn new(
        tree: Arc<Tree>,
        records: &Arc<OwnRecords>,
        writing: &Arc<Writing>,
    ) -> Arc<Self> {
        Arc::new(Self {
            tree,
            records: records.clone(),
            writing: writing.clone(),
        })
    }

    pub(crate) fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    /// Puts a decision in the index, which counts as long as `batch` of `owner` does.
    pub(crate) fn insert(&self, number: u64, location: Location, owner: TxnId, batch: u64) {
        // First: whoever finds it in the index learns what it depends on.
        self.writing.certainty.decided(number, owner, batch);
        self.records
            .set(&self.tree, &number.to_be_bytes(), Some(location));
    }

    /// Whether nobody can take a decision of `owner` back, given that nobody below `below` can.
    pub(crate) fn is_certain(&self, owner: TxnId, below: TxnId) -> bool {
        owner < below || self.writing.certainty.is_certain(owner)
    }

    /// Forgets a decision, buffered: gone when the log is durable up to the returned position.
    pub(crate) fn delete(&self, number: u64) -> Result<Lsn> {
        self.replace(number, None)
    }

    /// Has a decision that is final name `participants` from now on, buffered like its deletion.
    pub(crate) fn narrow(&self, number: u64, participants: &[VolumeId]) -> Result<Lsn> {
        let value: Vec<u8> = participants.iter().flat_map(|id| id.0).collect();
        self.replace(number, Some(&value))
    }

    fn replace(&self, number: u64, value: Option<&[u8]>) -> Result<Lsn> {
        let key = number.to_be_bytes();
        self.records.write_outcome(&self.tree, &key, value, || {
            // What is there now depends on no other batch.
            self.writing.certainty.forget_decision(number);
        })
    }

    /// Whether there are any.
    pub(crate) fn has_any(&self) -> bool {
        let guard = epoch::pin();
        let mut all = self
            .tree
            .index
            .iter(Bound::Unbounded, Direction::Forward, &guard);
        let mut kept = std::iter::from_fn(|| all.next().map(|(_, word)| word));
        kept.any(|word| word != 0)
    }

    /// Whether the index has that one.
    pub(crate) fn has(&self, name: GlobalTxn) -> bool {
        self.tree.index.get(&name.decision_key(), &epoch::pin()) != 0
    }
}

/// Whether the decisions say that `name` committed, and that `participant` took part in it.
pub(crate) fn has_decided(
    decisions: &Index,
    log: &Log,
    name: GlobalTxn,
    participant: VolumeId,
) -> Result<bool> {
    let key = name.decision_key();
    let guard = epoch::pin();
    let Slot::At(location) = Word(decisions.get(&key, &guard)).slot() else {
        return lost_decisions::check(decisions, log, name).map(|()| false);
    };
    let mut participants = Vec::new();
    if !log.read(location, DECISIONS_TREE, &key, &mut participants)? {
        return Err(misplaced());
    }
    Ok(participants.chunks(16).any(|id| id == participant.0))
}
