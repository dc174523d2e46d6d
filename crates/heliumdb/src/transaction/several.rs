//! One commit over several volumes: prepare on all but one, then a decision on that one.
//!
//! The *decider* is the volume with the smallest id. Every other volume gets its part as a
//! prepared batch; when all of these are durable, the decider's own part is logged together
//! with a decision, an item of its internal decisions tree: that frame commits everything.
//! Recovery of a prepared batch without a resolution asks the decider.
//!
//! A decision stays until every participant has durably resolved its part. That is not done
//! before the horizon has passed the transaction, because until then it may be cancelled.
//!
//! Invariant: once the decision is in the log's buffer, a failure poisons every volume that took part
//! before anybody hears of it, and no record says that the transaction was aborted.

use super::{
    commit::{append, cancel_part, poison},
    part::Part,
};
use crate::{
    error::{Error, ErrorKind, Result},
    format::name::GlobalTxn,
    id::VolumeId,
    limits::VOLUMES_PER_TRANSACTION_MAX,
    log::{Appended, BatchKind},
    owing::{Deciding, Owed, Participant},
    version::TxnId,
};

pub(super) fn check_count(volumes: usize) -> Result<()> {
    if volumes <= VOLUMES_PER_TRANSACTION_MAX {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidArgument,
        format!("a transaction may write to {VOLUMES_PER_TRANSACTION_MAX} volumes at most"),
    ))
}

pub(super) fn commit(owner: TxnId, parts: &mut [Part]) -> Result<()> {
    parts.sort_by_key(|part| part.volume.id());
    let (decider, others) = parts.split_first_mut().ok_or_else(no_parts)?;
    // Until it is over, whoever asks what became of it has to ask again.
    let deciding = Deciding::begin(&decider.volume.owing)?;
    let global = deciding.name();
    let appended = prepare(global, others)
        .and_then(|()| decide(global, decider, others))
        .map_err(|why| give_up(global, parts, why))?;
    // CRASH: all parts are prepared; this frame, whole or torn, decides for all of them.
    let volume = parts[0].volume.clone();
    let synced = volume.log.sync_to(appended.end);
    synced.map_err(|why| poison(parts, why))?;
    if let Some(&location) = appended.locations.last() {
        volume
            .decisions
            .insert(global.number, location, owner, appended.batch_id);
    }
    let (decider, others) = parts.split_first_mut().ok_or_else(no_parts)?;
    let participants = others.iter().map(|part| {
        part.volume.owing.note_decider(&volume.owing);
        Participant::new(part.volume.id(), Some(part.volume.log.clone()))
    });
    let owed = Owed::new(owner, global, participants.collect());
    volume.owing.owe(owed, appended.batch_id);
    decider.logged(&appended);
    Ok(())
}

/// The transaction has failed before it was decided, and the volumes that were reached may know;
/// or nobody knows whether it was.
fn give_up(global: GlobalTxn, parts: &[Part], why: Error) -> Error {
    if why.kind() == ErrorKind::OutcomeUnknown {
        return poison(parts, why);
    }
    resolve(global, &parts[1..], false);
    why
}

fn no_parts() -> Error {
    Error::new(ErrorKind::InvalidArgument, "a transaction over no volume")
}

fn ids(parts: &[Part]) -> Vec<VolumeId> {
    parts.iter().map(|part| part.volume.id()).collect()
}

/// Logs every other volume's part as a prepared batch, and makes them durable.
fn prepare(global: GlobalTxn, others: &mut [Part]) -> Result<()> {
    let participants = ids(others);
    let mut ends = Vec::with_capacity(others.len());
    for part in others.iter_mut() {
        let kind = BatchKind::Prepare {
            global,
            participants: participants.clone(),
        };
        let appended = append(part, kind, |_| {})?;
        if let Some(appended) = appended {
            part.batch_id = Some(appended.batch_id);
            part.prepared = Some(global);
            ends.push((part.volume.clone(), appended.end));
            part.logged(&appended);
        }
    }
    // CRASH: prepared batches without a decision are absent after recovery.
    for (volume, end) in ends {
        volume.log.sync_to(end)?;
    }
    Ok(())
}

/// Logs the decider's part with the decision.
fn decide(global: GlobalTxn, decider: &mut Part, others: &[Part]) -> Result<Appended> {
    let participants = ids(others);
    let sequence = decider.volume.writing.next_sequence();
    let tree = decider.volume.decisions.tree().id;
    let appended = append(decider, BatchKind::Commit, |batch| {
        let value: Vec<u8> = participants.iter().flat_map(|id| id.0).collect();
        let key = global.number.to_be_bytes();
        batch.set_compress(false);
        batch.push(tree, sequence, false, &key, Some(&value));
    });
    appended?.ok_or_else(no_parts)
}

/// Writes, buffered, what became of the prepared batches. A lost record costs a question to
/// the decider, nothing more, so its failure is not reported.
fn resolve(global: GlobalTxn, parts: &[Part], committed: bool) {
    for part in parts.iter().filter(|part| part.batch_id.is_some()) {
        let _ = part.volume.log.append_resolve(global, committed);
    }
}

/// Takes back a decided transaction: cancelled on the decider, together with the decision, then
/// resolved as absent everywhere else.
pub(super) fn cancel(parts: &[Part], owner: TxnId) -> Result<()> {
    let (decider, others) = parts.split_first().ok_or_else(no_parts)?;
    // Until the horizon has passed the transaction, which it does not now, it is owed.
    let owed = decider.volume.owing.find(owner);
    cancel_part(decider, owed.map(|global| global.number))?;
    decider.volume.owing.forget(owner);
    if let Some(global) = owed {
        resolve(global, others, false);
    }
    Ok(())
}
