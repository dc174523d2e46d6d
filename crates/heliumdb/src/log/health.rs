//! Whether the log takes writes: not after a failure, not once it is closed, and not where it was opened to be read.
//!
//! Invariant: the first failure is kept, and nothing is acknowledged from then on: whoever appends, flushes or waits
//! asks here first.

use super::group::Group;
use crate::{Error, ErrorKind, Result, options::VolumeOptions, process::Owner};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering::*},
};

/// See the module.
pub(crate) struct Health {
    /// Who opened the log: a fork of that process leaves it alone.
    owner: Owner,
    read_only: bool,
    poison: OnceLock<Error>,
    closed: AtomicBool,
    /// Those who wait for a sync: they hear of a failure.
    waiting: Arc<Group>,
}

impl Health {
    pub(super) fn new(options: &VolumeOptions, waiting: Arc<Group>) -> Result<Self> {
        Ok(Self {
            owner: Owner::here()?,
            read_only: options.read_only,
            poison: OnceLock::new(),
            closed: AtomicBool::new(false),
            waiting,
        })
    }

    /// Nothing is acknowledged from now on. The first reason is kept.
    pub(crate) fn poison(&self, why: Error) {
        if self.poison.set(why).is_ok() {
            tracing::error!(
                "the volume is read-only from now on: {}",
                self.poison.get().map_or("".into(), Error::to_string)
            );
        }
        self.waiting.wake_all();
    }

    /// What has failed, if anything has.
    pub(crate) fn poisoned(&self) -> Option<Error> {
        self.poison.get().cloned()
    }

    /// Whether anything has failed.
    #[inline]
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poison.get().is_some()
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// The process that opened the log.
    pub(crate) fn owner(&self) -> Owner {
        self.owner
    }

    /// Refuses to go on in a fork of the process that opened the log.
    pub(super) fn check_owner(&self) -> Result<()> {
        self.owner.check()
    }

    /// Whether this is a fork of the process that opened the log.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.owner.is_elsewhere()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    /// Closes the log; false if it was closed already.
    pub(super) fn close(&self) -> bool {
        !self.closed.swap(true, AcqRel)
    }

    /// Refuses to go on after a failure, and on closed and read-only volumes.
    #[inline]
    pub(super) fn check_writable(&self) -> Result<()> {
        self.owner.check()?;
        if self.is_poisoned() || self.is_closed() || self.read_only {
            return Err(self.takes_no_writes());
        }
        Ok(())
    }

    #[cold]
    fn takes_no_writes(&self) -> Error {
        if let Some(why) = self.poisoned() {
            return why.with_kind(ErrorKind::Poisoned).context(
                "the volume is read-only until it is opened again, because of an earlier failure",
            );
        }
        if self.is_closed() {
            return Error::new(ErrorKind::Closed, "the volume is closed");
        }
        Error::new(ErrorKind::ReadOnly, "the volume was opened read-only")
    }
}
