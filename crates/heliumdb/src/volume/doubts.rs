//! What a crash left in doubt between volumes, settled when they are opened.
//!
//! Invariant: who asks is told only what is durable with the decider, which is among those that are opened
//! together or open in this process already; what was answered is durable before the volume is anybody's.

use std::sync::Arc;

use super::recover::Opened;
use crate::{
    error::{Error, ErrorKind, Result},
    format::name::GlobalTxn,
    id::VolumeId,
    owing::{Owing, new_copy, not_durable, only},
    shared::{Lease, Shared, all_with_id},
};

/// Asks the deciders what became of prepared batches, and makes the answers durable. `others` are
/// volumes that were named together with these and are open already.
pub(super) fn resolve(opened: &mut [Opened], others: &[Arc<Lease>]) -> Result<()> {
    for asking in 0..opened.len() {
        for name in opened[asking].replayed.recovery.in_doubt() {
            check_may_resolve(&opened[asking])?;
            let committed = ask(opened, others, &opened[asking], name)?;
            let replayed = &mut opened[asking].replayed;
            replayed.log().append_resolve(name, committed)?;
            replayed.recovery.settle(name, committed);
        }
    }
    // CRASH: resolve records are buffered until here; without them the same question is
    // asked, and answered the same, next time.
    for volume in opened.iter().filter(|volume| !volume.options.read_only) {
        volume
            .replayed
            .log()
            .sync_to(volume.replayed.log().reach().end())?;
    }
    Ok(())
}

/// Sees to the decisions of volumes that were just opened: those that nobody can ask for any more
/// go, and the others are owed from now on.
pub(super) fn adopt(fresh: &[Arc<Lease>], others: &[Arc<Lease>]) -> Result<()> {
    let writable = fresh
        .iter()
        .filter(|volume| !volume.access.options().read_only);
    let settled: Vec<VolumeId> = writable.clone().map(|volume| volume.id()).collect();
    for decider in writable {
        decider.owing.adopt_decisions(&settled, |id| {
            let named = others.iter().find(|volume| volume.id() == id);
            named.map_or_else(|| found(decider, id), |named| Some(named.owing.clone()))
        })?;
    }
    Ok(())
}

/// A volume that is open already, for one that has a path too: whoever brings devices of his own says
/// himself which volumes belong together.
fn found(asking: &Shared, id: VolumeId) -> Option<Arc<Owing>> {
    asking.is_registered().then(|| only(all_with_id(id)))?
}

fn ask(opened: &[Opened], others: &[Arc<Lease>], asking: &Opened, name: GlobalTxn) -> Result<bool> {
    let asker = asking.replayed.log().medium().volume_id();
    let fresh = opened.iter().find(|volume| volume.id() == name.decider);
    if let Some(decider) = fresh {
        let log = decider.replayed.log();
        if log.is_unfinished_copy() {
            return Err(new_copy(&decider.url));
        }
        log.medium()
            .assure()
            .map_err(|why| not_durable(&decider.url, why))?;
        return decider.replayed.recovery.has_decided(log, name, asker);
    }
    let named = others.iter().find(|volume| volume.id() == name.decider);
    let decider = match named {
        Some(named) => Some(named.owing.clone()),
        // Of two copies of a volume nobody knows which one was meant.
        None if asking.registration.is_none() || !all_with_id(asker).is_empty() => None,
        None => only(all_with_id(name.decider)),
    };
    match decider {
        Some(decider) => decider.answer(name, asker),
        None => Err(missing_decider(asking, name.decider)),
    }
}

fn check_may_resolve(asking: &Opened) -> Result<()> {
    if !asking.options.read_only {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InDoubt,
        format!(
            "{}: a transaction over several volumes was cut short and has to be settled, which a read-only open \
             cannot do; open the volume for writing once",
            asking.url
        ),
    ))
}

fn missing_decider(asking: &Opened, decider: VolumeId) -> Error {
    Error::new(
        ErrorKind::InDoubt,
        format!(
            "{}: a transaction over several volumes was cut short, and only volume {decider} knows whether it \
             committed; open that volume together with this one. If it is lost for ever, salvage copies this one, and \
             takes such transactions as it is told to",
            asking.url
        ),
    )
}
