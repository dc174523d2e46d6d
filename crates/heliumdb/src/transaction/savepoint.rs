//! Savepoints: going back to an earlier moment of a transaction.
//!
//! Invariant: what was written before the last savepoint is not changed in place; a later write
//! of the same key goes on top of it as a version of its own.

use super::{Phase, WriteSet};
use crate::error::{Error, ErrorKind, Result};

/// A moment of a transaction that [`crate::Transaction::rollback_to`] goes back to. It belongs to the
/// transaction that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint {
    transaction: u64,
    serial: u64,
}

/// What a part was like at a savepoint.
#[derive(Default)]
pub(super) struct Mark {
    pub(super) writes: usize,
    /// Versions of before have lower sequence numbers.
    pub(super) sequence: u64,
    pub(super) needed_bytes: u64,
    pub(super) spilled_batches: u64,
}

/// The savepoints of a transaction that can still be gone back to.
#[derive(Default)]
pub(super) struct Savepoints {
    made: u64,
    marks: Vec<(u64, Mark)>,
}

impl WriteSet {
    /// Marks this moment. `transaction` tells transactions apart.
    pub(crate) fn savepoint(&mut self, transaction: u64) -> Result<Savepoint> {
        self.check_active()?;
        let mark = self
            .parts
            .first_mut()
            .map_or_else(Mark::default, |part| part.mark());
        self.savepoints.made += 1;
        let serial = self.savepoints.made;
        self.savepoints.marks.push((serial, mark));
        Ok(Savepoint {
            transaction,
            serial,
        })
    }

    /// Undoes what was done since `to`, a failure included. It stays valid; later ones do not. If
    /// it cannot, nothing was undone, and the transaction does not commit as it is.
    pub(crate) fn rollback_to(&mut self, transaction: u64, to: Savepoint) -> Result<()> {
        let marks = &mut self.savepoints.marks;
        let found = marks.iter().position(|(serial, _)| *serial == to.serial);
        let (Some(found), true, Phase::Active) = (found, to.transaction == transaction, self.phase)
        else {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "the savepoint is of another transaction, or was undone by going back to an earlier one",
            ));
        };
        let mark = &marks[found].1;
        let done = match self.parts.first_mut() {
            Some(part) => part.undo_to_mark(self.id, mark),
            None => Ok(()),
        };
        match &done {
            Ok(()) => {
                marks.truncate(found + 1);
                self.failed = None;
            }
            Err(why) => self.fail(why.clone()),
        }
        done
    }
}
