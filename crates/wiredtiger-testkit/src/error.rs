//! WiredTiger's error codes, by name.
//!
//! Invariant: a code is kept as it came, known or not.

use std::ffi::c_int;
use std::fmt;

use wiredtiger_abi::v3_2 as wt;

/// The answer of this crate's calls.
pub type Result<T> = std::result::Result<T, Error>;

/// What a call of WiredTiger returned; shows itself by name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(
    /// The number.
    pub c_int,
);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:expr, $c:literal;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// The name in C, if the code is one that has a meaning here.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($c),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// Success.
    OK = 0, "OK";
    /// No such object or file.
    ENOENT = 2, "ENOENT";
    /// A device failed.
    EIO = 5, "EIO";
    /// No memory.
    ENOMEM = 12, "ENOMEM";
    /// Not permitted, as when the database is read-only.
    EACCES = 13, "EACCES";
    /// In use.
    EBUSY = 16, "EBUSY";
    /// Is there already.
    EEXIST = 17, "EEXIST";
    /// A wrong argument or configuration.
    EINVAL = 22, "EINVAL";
    /// No space left.
    ENOSPC = 28, "ENOSPC";
    /// Not supported for this object.
    ENOTSUP = 95, "ENOTSUP";
    /// A conflict: the transaction has to be rolled back.
    ROLLBACK = wt::WT_ROLLBACK, "WT_ROLLBACK";
    /// The key was to be new and is there.
    DUPLICATE_KEY = wt::WT_DUPLICATE_KEY, "WT_DUPLICATE_KEY";
    /// An error without a number of its own.
    ERROR = wt::WT_ERROR, "WT_ERROR";
    /// No such item.
    NOTFOUND = wt::WT_NOTFOUND, "WT_NOTFOUND";
    /// The connection is unusable from now on.
    PANIC = wt::WT_PANIC, "WT_PANIC";
    /// Recovery has to run first.
    RUN_RECOVERY = wt::WT_RUN_RECOVERY, "WT_RUN_RECOVERY";
    /// An in-memory database is full.
    CACHE_FULL = wt::WT_CACHE_FULL, "WT_CACHE_FULL";
    /// The item was changed by a prepared transaction.
    PREPARE_CONFLICT = wt::WT_PREPARE_CONFLICT, "WT_PREPARE_CONFLICT";
    /// The database is damaged.
    TRY_SALVAGE = wt::WT_TRY_SALVAGE, "WT_TRY_SALVAGE";
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error {}", self.0),
        }
    }
}

/// A call that did not succeed.
#[derive(Debug, Clone)]
pub struct Error {
    /// What it returned.
    pub code: Code,
    /// What was called, on what.
    pub call: String,
    /// What WiredTiger and the extension said meanwhile (only when opening a connection).
    pub messages: Vec<String>,
}

impl Error {
    pub(crate) fn new(code: Code, call: impl Into<String>) -> Self {
        Self {
            code,
            call: call.into(),
            messages: Vec::new(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, self.code)?;
        self.messages
            .iter()
            .try_for_each(|message| write!(f, "\n  {message}"))
    }
}

impl std::error::Error for Error {}

/// Turns what a C function returned into a result.
pub(crate) fn check(answer: c_int, call: impl FnOnce() -> String) -> Result<()> {
    match Code(answer) {
        Code::OK => Ok(()),
        code => Err(Error::new(code, call())),
    }
}

/// Reads off a result how a call ended.
pub trait Outcome {
    /// What the call returned.
    fn code(&self) -> Code;

    /// Whether there was an item: `WT_NOTFOUND` is an answer here, other errors stay errors.
    fn found(self) -> Result<bool>;
}

impl<T> Outcome for Result<T> {
    fn code(&self) -> Code {
        self.as_ref().map_or_else(|error| error.code, |_| Code::OK)
    }

    fn found(self) -> Result<bool> {
        match self {
            Ok(_) => Ok(true),
            Err(error) if error.code == Code::NOTFOUND => Ok(false),
            Err(error) => Err(error),
        }
    }
}
