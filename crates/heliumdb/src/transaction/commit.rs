//! Committing: the write path from versions to the log and back.

use std::cell::RefCell;

use super::{
    Durability, Phase, WriteSet,
    part::{Manners, Part},
    several,
};
use crate::{
    enough,
    error::{Error, ErrorKind, Result},
    log::{Appended, Batch, BatchKind},
    scratch,
    version::TxnId,
    write::Cancelling,
};

/// A buffer that grew past this is not kept for the next commit.
const KEPT_BATCH_BYTES: usize = 1 << 20;

thread_local! {
    static BATCH: RefCell<Option<Batch>> = const { RefCell::new(None) };
}

impl WriteSet {
    /// Makes all writes durable and resolves them as committed, over all volumes or none.
    ///
    /// On error nothing was committed, unless the kind is `OutcomeUnknown`: then the outcome shows when the volumes are
    /// opened again. Until then they are poisoned, unless the device merely had no room for what a transaction of
    /// the volume's own has written: that is committed for all who look, and durable when there is room. Either
    /// way the transaction is to be aborted.
    pub fn commit(&mut self, durability: Durability) -> Result<()> {
        self.check_active()?;
        for part in &self.parts {
            part.volume.access.check_writable()?;
        }
        // A batch's versions are sealed from their linking: it does not look at anything.
        if self.manners != Manners::Blind {
            let sealed = self.parts.iter().try_for_each(Part::seal);
            sealed.inspect_err(|_| self.unseal())?;
        }
        self.parts.iter_mut().for_each(Part::drop_shadowed);
        self.parts.iter_mut().for_each(Part::enter_gate);
        let logged = match &mut self.parts[..] {
            [] => Ok(None),
            [part] => commit_part(part, durability, self.manners),
            parts => several::commit(self.id, parts).map(|()| None),
        };
        match logged {
            Ok(_) => {
                self.phase = Phase::Committed;
                self.parts.iter_mut().for_each(|part| part.publish(self.id));
            }
            // Nobody waits for what may never be resolved.
            Err(_) => self.unseal(),
        }
        self.parts.iter_mut().for_each(Part::leave_gate);
        if logged.is_ok() && self.manners == Manners::External {
            self.parts
                .iter()
                .for_each(|part| part.queue_founded(self.id));
        }
        logged?.map_or(Ok(()), Err)
    }

    /// Whether it is committed in memory, durably or not.
    pub(super) fn is_committed(&self) -> bool {
        self.phase == Phase::Committed
    }

    fn unseal(&self) {
        self.parts.iter().for_each(Part::unseal);
    }

    /// The committed transaction's id is over, and everyone sees what was committed below `oldest`.
    pub(super) fn settle(&self, oldest: TxnId) {
        for part in &self.parts {
            part.settle_founded(self.id, oldest);
        }
    }

    /// Takes back a commit that no one has seen yet: durable when it returns. A transaction that
    /// did not commit is aborted.
    ///
    /// Legal until the horizon has passed the id, that of readers and that of cancels: after that
    /// it is refused with `InvalidArgument`, and the transaction stays committed. Any other error
    /// has poisoned all volumes that the transaction wrote to.
    pub fn cancel(&mut self) -> Result<()> {
        if self.phase != Phase::Committed {
            self.abort();
            return Ok(());
        }
        let _cancelling = self.begin_cancel()?;
        self.phase = Phase::Aborted;
        self.parts.iter_mut().for_each(Part::enter_gate);
        let cancelled = match &self.parts[..] {
            [] => Ok(()),
            [part] => cancel_part(part, None),
            parts => several::cancel(parts, self.id),
        };
        let cancelled = cancelled.map_err(|why| poison(&self.parts, why));
        self.undo();
        self.parts.iter_mut().for_each(Part::leave_gate);
        cancelled
    }

    /// From here until the returned values are dropped the horizon does not pass the transaction.
    fn begin_cancel(&self) -> Result<Vec<Cancelling>> {
        let parts = self.parts.iter();
        let begun = parts.map(|part| part.begin_cancel(self.id));
        begun.collect()
    }
}

/// One frame, one sync: the whole commit on a single volume. With an error in what it returns it is one that is only
/// buffered: the device had no room, and gets it when there is some.
fn commit_part(part: &mut Part, durability: Durability, manners: Manners) -> Result<Option<Error>> {
    let Some(appended) = append(part, part.spill.commit_kind(), |_| {})? else {
        return Ok(None);
    };
    let mut late = None;
    // CRASH: the batch is buffered; until the sync returns it is wholly there after recovery
    // or wholly gone, as its frame's checksum decides.
    if durability == Durability::Synced {
        match part.volume.log.sync_to(appended.end) {
            Ok(()) => {}
            // A keeper outside would tell others that it failed.
            Err(why) if why.kind() == ErrorKind::VolumeFull && manners != Manners::External => {
                late = Some(why.outcome_unknown());
            }
            Err(why) => return Err(poison(std::slice::from_ref(part), why)),
        }
    }
    part.logged(&appended);
    Ok(late)
}

/// Appends the part as one batch of `kind`, with what `more` adds; `None` if there is nothing
/// to log.
pub(super) fn append(
    part: &mut Part,
    kind: BatchKind,
    more: impl FnOnce(&mut Batch),
) -> Result<Option<Appended>> {
    enough::for_batch(part.value_bytes)?;
    scratch::lend(
        &BATCH,
        || None,
        |kept| {
            let batch = match kept {
                Some(batch) => {
                    batch.clear(kind);
                    batch
                }
                None => kept.insert(Batch::new(kind)),
            };
            part.encode(batch);
            more(batch);
            if batch.len() == 0 && !matches!(batch.kind(), BatchKind::CommitSpilled(_)) {
                return Ok(None);
            }
            let appended = part.append(batch);
            if batch.bytes() > KEPT_BATCH_BYTES {
                *kept = None;
            }
            appended.map(Some)
        },
    )
}

/// From the moment a commit, or what takes it back, is in the buffer until its success the outcome
/// is unknown. Nothing more is acknowledged on any volume of it, before anybody hears of that.
pub(super) fn poison(parts: &[Part], why: Error) -> Error {
    let why = why.outcome_unknown();
    for part in parts {
        part.volume.log.health().poison(why.clone());
    }
    why
}

/// Takes back what a part was logged as, with the `decision` in it about others.
pub(super) fn cancel_part(part: &Part, decision: Option<u64>) -> Result<()> {
    let Some(batch_id) = part.batch_id else {
        return Ok(());
    };
    // CRASH: until the cancel record is durable, recovery finds the batch committed. The record
    // comes first: a decision that is gone while its batch counts would settle others' parts
    // as absent.
    let mut end = part.volume.log.append_cancel(batch_id)?;
    if let Some(number) = decision {
        end = part.volume.decisions.delete(number)?;
    }
    part.volume.log.sync_to(end)
}
