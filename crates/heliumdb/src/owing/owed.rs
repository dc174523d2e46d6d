//! A decision that other volumes may still ask for, as the volume that made it keeps it in memory.
//!
//! Invariant: the decision is deleted only when every participant has it durably what became of its
//! part: by its own resolve record, below what a log that has not failed calls durable; or because it
//! was opened anew since, which leaves nothing in doubt and makes the answers durable first. That a volume is
//! open says nothing, nor that it is open read-only. Or the caller has said that the participant is lost.

use std::sync::Arc;

use super::Owing;
use crate::{
    error::Result, format::name::GlobalTxn, id::VolumeId, location::Lsn, log::Log, version::TxnId,
    write::Decisions,
};

/// A decided transaction whose participants have not all resolved it durably.
pub(crate) struct Owed {
    /// Once it is final, the transaction cannot be cancelled any more; zero if it was decided in an
    /// earlier session.
    owner: TxnId,
    name: GlobalTxn,
    participants: Vec<Participant>,
}

/// A volume that prepared.
pub(crate) struct Participant {
    id: VolumeId,
    /// Its log, if it was open when the decision was made or found.
    log: Option<Arc<Log>>,
    /// The end of its resolve record, once that was written.
    resolved: Option<Lsn>,
    settled: bool,
}

impl Participant {
    /// One that is open, with its log, or is not.
    pub(crate) fn new(id: VolumeId, log: Option<Arc<Log>>) -> Self {
        Self {
            id,
            log,
            resolved: None,
            settled: false,
        }
    }

    /// One that was opened together with the decider: nothing of it is in doubt any more.
    pub(crate) fn settled(id: VolumeId) -> Self {
        Self {
            settled: true,
            ..Self::new(id, None)
        }
    }

    /// Takes the next step towards its resolve record being durable; true if it is.
    fn step(&mut self, name: GlobalTxn, decider: &Owing) -> bool {
        if let Some(log) = &self.log {
            if self.resolved.is_none() {
                self.resolved = log.append_resolve(name, true).ok();
            }
            let durable = self
                .resolved
                .is_some_and(|end| log.reach().durable() >= end);
            self.settled |= durable && log.health().poisoned().is_none();
        }
        self.settled = self.settled || decider.opened_since(self.id, self.log.as_ref());
        self.settled
    }
}

impl Owed {
    pub(crate) fn new(owner: TxnId, name: GlobalTxn, participants: Vec<Participant>) -> Self {
        Self {
            owner,
            name,
            participants,
        }
    }

    pub(crate) fn owner(&self) -> TxnId {
        self.owner
    }

    pub(crate) fn name(&self) -> GlobalTxn {
        self.name
    }

    /// Whether `volume` prepared for it.
    pub(crate) fn is_for(&self, volume: VolumeId) -> bool {
        self.participants.iter().any(|p| p.id == volume)
    }

    /// Whether nobody can take the decision back, given that nobody below `below` can.
    pub(crate) fn is_final(&self, below: TxnId, decisions: &Decisions) -> bool {
        decisions.is_certain(self.owner, below)
    }

    /// Takes the next step towards forgetting the decision, once it is final: resolve records,
    /// then, when all of them are durable, the end. True when nothing is owed any more.
    pub(crate) fn step(&mut self, below: TxnId, decider: &Owing) -> bool {
        if !self.is_final(below, &decider.on.decisions) {
            return false;
        }
        let open = self.participants.iter_mut();
        let open = open
            .filter_map(|p| (!p.step(self.name, decider)).then_some(p))
            .count();
        open == 0 && decider.on.decisions.delete(self.name.number).is_ok()
    }

    /// Whether `volume` prepared for it and is open still.
    pub(crate) fn has_open(&self, volume: VolumeId) -> bool {
        let mut open = self.participants.iter().filter(|p| p.id == volume);
        open.any(|p| p.log.as_ref().is_some_and(|log| !log.health().is_closed()))
    }

    /// Owes it no more to those of `lost`, buffered. It has to be final. True when it is owed to nobody
    /// any more, and deleted.
    pub(crate) fn lose(&mut self, lost: &[VolumeId], decider: &Owing) -> Result<bool> {
        let name = self.name;
        let all = self.participants.iter_mut();
        let left =
            all.filter_map(|p| (!lost.contains(&p.id) && !p.step(name, decider)).then_some(p.id));
        let left: Vec<VolumeId> = left.collect();
        match left.is_empty() {
            true => decider.on.decisions.delete(name.number)?,
            false => decider.on.decisions.narrow(name.number, &left)?,
        };
        self.participants.retain(|p| left.contains(&p.id));
        Ok(left.is_empty())
    }

    /// Makes the resolve records durable, for a volume that is about to close.
    pub(crate) fn flush(&self) -> Result<()> {
        for participant in &self.participants {
            if let (Some(log), Some(end)) = (&participant.log, participant.resolved) {
                log.sync_to(end)?;
            }
        }
        Ok(())
    }
}
