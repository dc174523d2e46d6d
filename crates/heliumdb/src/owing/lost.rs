//! Volumes that are lost for ever, and the decisions that are kept for them.
//!
//! Invariant: a decision is given up for a volume only because the caller says that it is lost, while
//! nobody in this process has it open, and when nobody can take the decision back any more.

use std::collections::BTreeSet;

use super::{Owed, Owing, new_copy};
use crate::{
    error::{Error, ErrorKind, Result},
    id::VolumeId,
};

impl Owing {
    /// Gives up what is owed to volumes that are `lost`, buffered; how many decisions that were.
    pub(crate) fn lose(&self, lost: &[VolumeId]) -> Result<u64> {
        self.on.access.check_writable()?;
        // What it has of them is not its own yet.
        if self.is_new_copy() {
            return Err(new_copy(self.on.access.url()));
        }
        // Held throughout: whoever asks meanwhile gets his answer before or after all of it.
        let mut all = self.owed.lock();
        for &id in lost {
            self.check_lost(id, &all)?;
        }
        let mut forgotten = 0;
        let mut outcome = Ok(());
        all.retain_mut(|owed| {
            if outcome.is_err() || !lost.iter().any(|&id| owed.is_for(id)) {
                return true;
            }
            match owed.lose(lost, self) {
                Ok(over) => {
                    forgotten += 1;
                    !over
                }
                Err(why) => {
                    outcome = Err(why);
                    true
                }
            }
        });
        outcome.map(|()| forgotten)
    }

    /// Refuses a volume that is not lost, as far as can be seen, or that a decision which may go
    /// either way is about.
    fn check_lost(&self, id: VolumeId, all: &[Owed]) -> Result<()> {
        if id == self.on.access.id() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "volume {id} is {} itself, which is not lost",
                    self.on.access.url()
                ),
            ));
        }
        if !(self.find_open)(id).is_empty() || all.iter().any(|owed| owed.has_open(id)) {
            return Err(Error::new(
                ErrorKind::Busy,
                format!("volume {id} is not lost: this process has it open; close it first"),
            ));
        }
        let mut about = all.iter().filter(|owed| owed.is_for(id));
        if about.any(|owed| !owed.is_final(0, &self.on.decisions)) {
            return Err(Error::new(
                ErrorKind::Busy,
                format!(
                    "a transaction that {} decided for volume {id} can still be taken back; try again when it is over",
                    self.on.access.url()
                ),
            ));
        }
        Ok(())
    }
}

/// Refuses to end a volume that keeps decisions for others.
pub(crate) fn check_none(url: &str, owed: &BTreeSet<VolumeId>) -> Result<()> {
    if owed.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = owed.iter().map(VolumeId::to_string).collect();
    let ids = ids.join(", ");
    Err(Error::new(
        ErrorKind::Busy,
        format!(
            "{url}: is not truncated or destroyed, because it keeps decisions about transactions that other volumes \
             have not settled: {ids}; open it together with them once. What it keeps for volumes that are lost for ever \
             it forgets by `helium salvage {url} --lost ID` (Volume::forget_lost)"
        ),
    ))
}
