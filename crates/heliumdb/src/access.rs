//! An open volume's log, and who may use it.
//!
//! Invariant: what checks here, and then goes on, is in the process that opened the volume, and before its close; what writes
//! is behind no failure of a write. Whoever works for a volume has this, and so the volume's sentences about it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    error::{Error, ErrorKind, Result},
    id::VolumeId,
    log::Log,
    options::VolumeOptions,
    process::Owner,
};

/// See the module.
pub(crate) struct Access {
    url: String,
    options: VolumeOptions,
    log: Arc<Log>,
    /// Who opened it: a fork of that process leaves it alone.
    owner: Owner,
    closed: AtomicBool,
}

impl Access {
    pub(crate) fn new(url: String, options: VolumeOptions, log: Arc<Log>) -> Arc<Self> {
        Arc::new(Self {
            url,
            options,
            owner: log.health().owner(),
            log,
            closed: AtomicBool::new(false),
        })
    }

    /// The URL or device names that it was opened by.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How it was opened.
    pub(crate) fn options(&self) -> &VolumeOptions {
        &self.options
    }

    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    pub(crate) fn id(&self) -> VolumeId {
        self.log.medium().volume_id()
    }

    /// The process that opened it.
    pub(crate) fn owner(&self) -> Owner {
        self.owner
    }

    /// Whether this is a copy in a fork of the process that opened it.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.owner.is_elsewhere()
    }

    /// Whether it is closed, or being closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// From now on it is closed; false if it was.
    pub(crate) fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::AcqRel)
    }

    #[inline]
    pub(crate) fn check_open(&self) -> Result<()> {
        self.owner.check()?;
        if self.is_closed() {
            return Err(self.was_closed());
        }
        Ok(())
    }

    #[cold]
    fn was_closed(&self) -> Error {
        Error::new(
            ErrorKind::Closed,
            format!("the volume {} was closed", self.url),
        )
    }

    #[inline]
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.check_open()?;
        if self.options.read_only || self.log.health().is_poisoned() {
            return Err(self.takes_no_writes());
        }
        Ok(())
    }

    #[cold]
    fn takes_no_writes(&self) -> Error {
        match self
            .log
            .health()
            .poisoned()
            .filter(|_| !self.options.read_only)
        {
            Some(why) => why
                .context(format!(
                    "the volume {} is read-only since a write failed; close it and open it again",
                    self.url
                ))
                .with_kind(ErrorKind::Poisoned),
            None => Error::new(
                ErrorKind::ReadOnly,
                format!("the volume {} was opened read-only", self.url),
            ),
        }
    }

    /// Refuses a volume that may hold only a part of what was to be copied to it.
    pub(crate) fn check_whole(&self) -> Result<()> {
        match self.log.is_unfinished_copy() {
            true => Err(Error::new(
                ErrorKind::NotAVolume,
                format!("{} holds a copy that is not finished", self.url),
            )),
            false => Ok(()),
        }
    }
}
