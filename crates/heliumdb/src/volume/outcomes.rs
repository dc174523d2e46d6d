//! What became of the batches below a position of the log, for a copy of what lies below it.
//!
//! The log alone does not say: a prepared batch may be committed, and seen, long before that is logged;
//! and a commit may be taken back later. Invariant: a batch below the position counts if and only if its
//! transaction was acknowledged and, by the time of [`Volume::outcomes`], can not be taken back or was built on; what
//! comes later leaves that as it is.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    thread,
    time::Duration,
};

use super::Volume;
use crate::{
    clock,
    error::Result,
    format::name::GlobalTxn,
    id::VolumeId,
    limits::BACKUP_WAIT_MS,
    location::Lsn,
    log::Hold,
    progress::{Phase, Reporter},
};

/// What somebody else than the log says of its batches.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Transactions over several volumes that committed, each with one volume that prepared for it.
    pub(crate) decided: HashSet<(GlobalTxn, VolumeId)>,
    /// Batches that do not count.
    pub(crate) cancelled: HashSet<u64>,
}

/// How often it is looked again whether what can be taken back still can.
const PAUSE: Duration = Duration::from_millis(1);
/// Of the drain's looks, every so many times somebody is asked whether to go on.
const LOOKS: u32 = 64;

impl Volume {
    /// What became of all that is below `end`, as far as the log does not say it up to a position
    /// that is returned with it.
    pub(crate) fn outcomes(
        &self,
        hold: &Hold,
        end: Lsn,
        reporter: &mut Reporter<'_>,
    ) -> Result<(Told, Lsn)> {
        if self.shared().access.options().read_only {
            return Ok((Told::default(), end));
        }
        let total = self.shared().log.stats().used_bytes;
        self.await_commits(total, reporter)?;
        // Its keeper may have shown a commit to others this moment, and is about to let it go.
        let deadline = clock::now() + Duration::from_millis(BACKUP_WAIT_MS);
        let mut told = Told {
            cancelled: self.shared().writing.certainty.open_batches(),
            ..Told::default()
        };
        while told.cancelled.iter().any(|batch| *batch < end) && clock::now() < deadline {
            reporter.at(Phase::Records, 0, total)?;
            thread::sleep(PAUSE);
            let open = self.shared().writing.certainty.open_batches();
            told.cancelled.retain(|batch| open.contains(batch));
        }
        let prepared = self.shared().log.prepared().into_iter();
        let committed = prepared.filter(|(_, prepared)| prepared.committed);
        told.decided = committed.map(|(name, _)| (name, self.id())).collect();
        // What is not among these any more has been logged by now.
        Ok((told, hold.end()?))
    }

    /// Returns when all who are appending now have been acknowledged, or have failed.
    fn await_commits(&self, total: u64, reporter: &mut Reporter<'_>) -> Result<()> {
        let (reporter, looks) = (RefCell::new(reporter), Cell::new(0));
        let stopped = RefCell::new(Ok(()));
        let give_up = || {
            looks.set(looks.get() + 1);
            let asked = match looks.get() % LOOKS {
                0 => reporter.borrow_mut().at(Phase::Records, 0, total),
                _ => self.shared().access.check_writable(),
            };
            let is_over = asked.is_err();
            if is_over {
                *stopped.borrow_mut() = asked;
            }
            is_over
        };
        self.shared().checkpoints.drain_gate(give_up);
        stopped.into_inner()
    }
}
