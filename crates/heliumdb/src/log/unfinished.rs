//! What tells a volume that a copy is being put into from one that is whole.
//!
//! Invariant: from before the first of a copy is written until all of it is durable, the newest superblock says that it
//! is not finished. So whatever cuts it short leaves what no open takes for a volume; and only who was told to
//! make a copy, or a new volume, there writes over it.

use super::core::Log;
use crate::{Error, ErrorKind, Result, format::superblock::IS_UNFINISHED_COPY};

/// What such a volume is, said of its name.
pub(super) const UNFINISHED_COPY: &str = "a copy that was not finished, and holds only a part of what was to be copied: make the copy again, here or on \
     another volume (salvage finds what is in this one)";

impl Log {
    /// Whether a copy was begun here and is not finished.
    pub(crate) fn is_unfinished_copy(&self) -> bool {
        self.superblocks.has(IS_UNFINISHED_COPY)
    }

    /// Says, durably, that what is here from now on is a part of a copy.
    pub(crate) fn begin_copy(&self) -> Result<()> {
        if self.is_unfinished_copy() {
            return Ok(());
        }
        self.superblocks
            .update_twice(&self.medium, |next| next.flags |= IS_UNFINISHED_COPY)
    }

    /// All of the copy is durable: says so.
    pub(crate) fn finish_copy(&self) -> Result<()> {
        // CRASH: not finished, or finished; either is true of what is here.
        self.superblocks
            .update_twice(&self.medium, |next| next.flags &= !IS_UNFINISHED_COPY)
            .map_err(Error::outcome_unknown)
    }

    /// Has the epochs of a log that nobody has written to yet begin above `epoch`.
    pub(crate) fn begin_epochs_above(&self, epoch: u64) -> Result<()> {
        let appender = self.appender.lock();
        if self.reach.epoch() > epoch {
            return Ok(());
        }
        let is_untouched = appender.current.is_none() && appender.chain == 0;
        if !is_untouched {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "{}: a copy that keeps its volume's id needs a new volume, and this one has been written to",
                    self.medium.device(0).name()
                ),
            ));
        }
        // CRASH: an epoch without frames changes nothing.
        self.superblocks.update(&self.medium, |next| {
            next.epoch = next.epoch.max(epoch.saturating_add(1))
        })?;
        self.reach.begin_epoch(self.superblocks.epoch());
        Ok(())
    }

    /// The highest epoch that is known of.
    pub(crate) fn epoch(&self) -> u64 {
        self.reach.epoch().max(self.superblocks.epoch())
    }
}
