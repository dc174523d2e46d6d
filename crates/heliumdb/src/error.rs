//! The store's one error type: a kind that tells the caller what to do, and a
//! sentence that says what was wrong, where, and what to do about it.

use std::{fmt, io, sync::Arc};

use crate::printable;

/// Result of every fallible call of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it was: what a caller dispatches on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument or option is not acceptable; nothing was done.
    InvalidArgument,
    /// The volume URL cannot be understood.
    InvalidUrl,
    /// A key is longer than [`crate::limits::KEY_BYTES_MAX`].
    KeyTooLong,
    /// A value is longer than [`crate::limits::VALUE_BYTES_MAX`].
    ValueTooLong,
    /// No item with that key.
    ItemNotFound,
    /// An item with that key exists already.
    ItemExists,
    /// Another transaction wrote the item first: roll back and retry.
    Conflict,
    /// A prepared transaction has written the item: retry when it is resolved.
    PrepareConflict,
    /// Something else uses the object now: retry when it is done.
    Busy,
    /// No datastore of that name or id.
    DatastoreNotFound,
    /// A datastore of that name exists already.
    DatastoreExists,
    /// The volume holds [`crate::limits::DATASTORES_MAX`] datastores.
    TooManyDatastores,
    /// The file or device is not a Helium volume, and is not blank either.
    NotAVolume,
    /// Another process, or this one, has the volume open.
    VolumeInUse,
    /// The volume has no room for this; deletes still work.
    VolumeFull,
    /// The file or device is too small for a volume.
    VolumeTooSmall,
    /// A device is missing, foreign, swapped or truncated.
    DeviceMismatch,
    /// The volume was written by a newer version.
    UnsupportedFormat,
    /// Bytes on the device do not match their checksum.
    Damaged,
    /// The operating system refused a read, write or sync.
    Io,
    /// A fork of the process that opened the volume tried to use it.
    Forked,
    /// An earlier write or sync failed: the volume is read-only until reopened.
    Poisoned,
    /// A commit, or another write, was under way when the device failed: its outcome shows at reopen.
    OutcomeUnknown,
    /// A batch awaits the decision of a volume that is not open.
    InDoubt,
    /// The volume was opened read-only.
    ReadOnly,
    /// Unsettled versions use their whole memory budget: roll back and retry later.
    VersionBudget,
    /// The volume or datastore was closed, dropped or truncated meanwhile.
    Closed,
    /// The system gives this process no more memory: writes are refused until it has some.
    OutOfMemory,
    /// Not supported.
    Unsupported,
    /// Long work was stopped before it was done, as asked.
    Cancelled,
}

impl ErrorKind {
    /// Whether rolling back and running the transaction again may succeed.
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Conflict | Self::PrepareConflict | Self::Busy | Self::VersionBudget
        )
    }
}

/// A failure: its kind, a sentence, and the system's error if there was one.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: Box<str>,
    source: Option<Arc<io::Error>>,
}

impl Error {
    /// An error of `kind` that reads as `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into().into_boxed_str(),
            source: None,
        }
    }

    /// The [`ErrorKind::ItemExists`] of a key that was to be new.
    #[cold]
    pub fn item_exists() -> Self {
        Self::new(
            ErrorKind::ItemExists,
            "an item with that key exists already",
        )
    }

    /// The [`ErrorKind::ItemNotFound`] of a key that was to be there.
    #[cold]
    pub fn item_not_found() -> Self {
        Self::new(ErrorKind::ItemNotFound, "no item with that key")
    }

    /// That error, for those to whom it is one, where a deletion says that its item was not there.
    pub fn item_not_found_unless(was_there: bool) -> Result<()> {
        was_there.then_some(()).ok_or_else(Self::item_not_found)
    }

    /// An [`ErrorKind::Io`] error: `what` says which operation on which device failed.
    pub fn io(what: impl fmt::Display, source: io::Error) -> Self {
        Self {
            kind: ErrorKind::Io,
            message: format!("{what}: {source}").into_boxed_str(),
            source: Some(Arc::new(source)),
        }
    }

    /// The same failure, reported as `kind`.
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same failure with `what` was being done in front of the sentence.
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message).into_boxed_str();
        self
    }

    /// The same failure with what can be done about it behind the sentence.
    pub(crate) fn advice(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{}; {what}", self.message).into_boxed_str();
        self
    }

    /// The failure of something that others may have written out by then.
    pub(crate) fn outcome_unknown(self) -> Self {
        let what = "whether it took effect shows when the volume is opened again";
        match self.kind {
            // It was said already.
            ErrorKind::OutcomeUnknown => self,
            _ => self.context(what).with_kind(ErrorKind::OutcomeUnknown),
        }
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether rolling back and running the transaction again may succeed.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names and paths are in it, which others may have chosen.
        printable::write(f, &self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}
