//! Why a command is not done, in the words of the protocol: a code, and a sentence.

use std::borrow::Cow;

use heliumdb::ErrorKind;

/// What goes back instead of a result.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// In Redis' words, or in ours where it has none.
    Said(Cow<'static, str>),
    /// The store's.
    Store(heliumdb::Error),
    /// The answer is not in memory, and who asks must not wait: it is done again by who may. No client sees this.
    Waits,
}

/// What a command comes to.
pub type Outcome<T = ()> = Result<T, Refusal>;

/// Something else was expected here.
pub const SYNTAX: Refusal = said("ERR syntax error");
/// Not a whole number.
pub const NOT_AN_INTEGER: Refusal = said("ERR value is not an integer or out of range");

/// A sentence that is known beforehand.
pub const fn said(why: &'static str) -> Refusal {
    Refusal::Said(Cow::Borrowed(why))
}

/// A sentence that is made up now.
pub fn saying(why: String) -> Refusal {
    Refusal::Said(Cow::Owned(why))
}

impl From<heliumdb::Error> for Refusal {
    fn from(why: heliumdb::Error) -> Self {
        Self::Store(why)
    }
}

impl Refusal {
    /// As the client gets it.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Said(why) => Cow::Borrowed(why),
            Self::Store(why) => Cow::Owned(format!("{} {why}", code(why.kind()))),
            Self::Waits => Cow::Borrowed("TRYAGAIN this has to wait for a device"),
        }
    }
}

/// The first word, which programs look at.
fn code(kind: ErrorKind) -> &'static str {
    use ErrorKind as K;
    match kind {
        K::Conflict | K::PrepareConflict => "CONFLICT",
        K::Busy | K::InDoubt | K::VersionBudget => "TRYAGAIN",
        K::VolumeFull | K::OutOfMemory => "OOM",
        K::ReadOnly => "READONLY",
        K::Damaged | K::DeviceMismatch => "DAMAGED",
        K::Io | K::Poisoned | K::OutcomeUnknown => "IOERR",
        K::DatastoreNotFound => "NODATASTORE",
        K::DatastoreExists => "EXISTS",
        K::ItemNotFound => "NOITEM",
        K::ItemExists => "EXISTS",
        K::Unsupported => "UNSUPPORTED",
        _ => "ERR",
    }
}
