//! How long work tells how far it is, and is told to stop.

use crate::error::{Error, ErrorKind, Result};

/// What long work is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Reading the log for records that speak of others.
    Records,
    /// Reading the log for items.
    Items,
    /// Copying items.
    Copying,
    /// Checking items.
    Checking,
}

/// How far long work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Done of it: bytes of log when it is read, items otherwise.
    pub done: u64,
    /// Of so many; an estimate while others write.
    pub total: u64,
}

/// Reports progress, and hears whether to go on.
pub(crate) struct Reporter<'a> {
    report: &'a mut dyn FnMut(&Progress) -> bool,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(report: &'a mut dyn FnMut(&Progress) -> bool) -> Self {
        Self { report }
    }

    /// `Cancelled` if whoever hears it wants no more.
    pub(crate) fn at(&mut self, phase: Phase, done: u64, total: u64) -> Result<()> {
        if (self.report)(&Progress { phase, done, total }) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Cancelled,
            "stopped before it was done, as asked",
        ))
    }
}
