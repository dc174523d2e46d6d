//! What a copy of a damaged volume says of decisions that may have been lost.
//!
//! Invariant: of what may have been decided before the damage a copy says "it was" or nothing, never "it was not".

use crossbeam_epoch as epoch;

use crate::{
    error::{Error, ErrorKind, Result},
    format::{name::GlobalTxn, trees::DECISIONS_TREE},
    index::Tree as Index,
    location::{Slot, Word},
    log::Log,
};

/// In the decisions tree: no decision has such a key.
pub(crate) const KEY: &[u8] = b"lost";

/// The record that says that decisions of this epoch, or of one before, may be missing.
pub(crate) fn record(epoch: u64) -> (Vec<u8>, Vec<u8>) {
    (KEY.to_vec(), epoch.to_le_bytes().to_vec())
}

/// Refuses to say that `name` was not decided if that is not certain.
pub(super) fn check(decisions: &Index, log: &Log, name: GlobalTxn) -> Result<()> {
    let guard = epoch::pin();
    let Slot::At(location) = Word(decisions.get(KEY, &guard)).slot() else {
        return Ok(());
    };
    let mut value = Vec::new();
    if !log.read(location, DECISIONS_TREE, KEY, &mut value)? {
        return Err(Error::new(
            ErrorKind::Damaged,
            "a record of the volume's decisions is not where the log had it a moment ago",
        ));
    }
    let lost = value.try_into().map_or(u64::MAX, u64::from_le_bytes);
    if name.epoch() > lost {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InDoubt,
        format!(
            "whether a transaction over several volumes committed is not known any more: volume {}, which decided it, was \
             damaged and salvaged. Salvage the volume that asks as well, and say which way such transactions go",
            name.decider
        ),
    ))
}
