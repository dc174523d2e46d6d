//! The data source's one error type: what WiredTiger is told, and what a person is told.
//!
//! Invariant: an error that belongs to normal work (no such item, a conflict, an object
//! in use) carries no text and costs no allocation; every other one carries a sentence,
//! which the boundary prints through WiredTiger's error handler.

use heliumdb::ErrorKind;
use std::{borrow::Cow, fmt};

/// Result of every fallible call behind the boundary.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What WiredTiger is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// `WT_NOTFOUND`.
    NotFound,
    /// `WT_DUPLICATE_KEY`.
    DuplicateKey,
    /// `WT_ROLLBACK`.
    Rollback,
    /// `WT_PREPARE_CONFLICT`.
    PrepareConflict,
    /// `WT_PANIC`.
    Panic,
    /// `EINVAL`.
    Invalid,
    /// `EBUSY`.
    Busy,
    /// `EEXIST`.
    Exists,
    /// `ENOENT`.
    NoEntry,
    /// `ENOTSUP`.
    Unsupported,
    /// `ENOSPC`.
    NoSpace,
    /// `ENOMEM`.
    NoMemory,
    /// `EIO`.
    Io,
    /// `EROFS`.
    ReadOnly,
    /// What a call into WiredTiger answered.
    Host(i32),
}

/// A failure.
#[derive(Clone, Debug)]
pub struct Error {
    code: Code,
    message: Cow<'static, str>,
}

impl Error {
    /// A failure that needs explaining.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// `EINVAL` with the sentence that says why.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Invalid, message)
    }

    /// The same failure with where it happened in front of the sentence, if there is one.
    pub fn context(mut self, place: impl fmt::Display) -> Self {
        if !self.message.is_empty() {
            self.message = format!("{place}: {}", self.message).into();
        }
        self
    }

    /// What WiredTiger is told.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What a person is told; empty if there is nothing to say.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the transaction may go on after a write that ended so.
    pub fn spares_transaction(&self) -> bool {
        matches!(self.code, Code::NotFound | Code::DuplicateKey)
    }

    /// The same failure as the store knows it, for a transaction that is marked as failed.
    pub fn to_store(&self) -> heliumdb::Error {
        let kind = match self.code {
            Code::Rollback => ErrorKind::Conflict,
            Code::PrepareConflict => ErrorKind::PrepareConflict,
            Code::NoSpace => ErrorKind::VolumeFull,
            Code::Io | Code::Panic => ErrorKind::Io,
            Code::ReadOnly => ErrorKind::ReadOnly,
            _ => ErrorKind::InvalidArgument,
        };
        heliumdb::Error::new(kind, self.message.clone())
    }
}

/// A failure of normal work, which needs no sentence.
impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self {
            code,
            message: Cow::Borrowed(""),
        }
    }
}

impl From<heliumdb::Error> for Error {
    fn from(error: heliumdb::Error) -> Self {
        let code = code_of(error.kind());
        match code {
            Code::NotFound | Code::DuplicateKey | Code::Rollback | Code::PrepareConflict => {
                code.into()
            }
            _ => Self::new(code, error.to_string()),
        }
    }
}

fn code_of(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::ItemNotFound => Code::NotFound,
        ErrorKind::ItemExists => Code::DuplicateKey,
        ErrorKind::Conflict | ErrorKind::VersionBudget => Code::Rollback,
        ErrorKind::PrepareConflict => Code::PrepareConflict,
        ErrorKind::Busy | ErrorKind::VolumeInUse => Code::Busy,
        ErrorKind::DatastoreNotFound => Code::NoEntry,
        ErrorKind::DatastoreExists => Code::Exists,
        ErrorKind::TooManyDatastores | ErrorKind::VolumeFull => Code::NoSpace,
        ErrorKind::OutOfMemory => Code::NoMemory,
        ErrorKind::ReadOnly => Code::ReadOnly,
        ErrorKind::Unsupported | ErrorKind::UnsupportedFormat => Code::Unsupported,
        ErrorKind::InvalidArgument
        | ErrorKind::InvalidUrl
        | ErrorKind::KeyTooLong
        | ErrorKind::ValueTooLong
        | ErrorKind::NotAVolume
        | ErrorKind::VolumeTooSmall
        | ErrorKind::Forked
        | ErrorKind::DeviceMismatch => Code::Invalid,
        // Damaged, Io, Poisoned, OutcomeUnknown, InDoubt, Closed, and what the store adds later.
        _ => Code::Io,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            write!(f, "{:?}", self.code)
        } else {
            f.write_str(&self.message)
        }
    }
}

impl std::error::Error for Error {}
