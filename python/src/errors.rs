//! The store's errors as Python's: which class of `heliumdb.errors` says what.
//!
//! The classes are in Python, where one can be a `KeyError` too.

use heliumdb::{Error, ErrorKind};
use pyo3::{prelude::*, sync::PyOnceLock, types::PyModule};

/// What a call that runs Python's code may fail for.
pub enum Failure {
    Store(Error),
    Python(PyErr),
}

impl From<Error> for Failure {
    fn from(why: Error) -> Self {
        Self::Store(why)
    }
}

impl From<PyErr> for Failure {
    fn from(why: PyErr) -> Self {
        Self::Python(why)
    }
}

impl Failure {
    pub fn raised(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Store(why) => raised(py, &why),
            Self::Python(why) => why,
        }
    }
}

/// The exception for `why`: its sentence, its kind, and the system's number if there is one.
pub fn raised(py: Python<'_>, why: &Error) -> PyErr {
    let errno = std::error::Error::source(why)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .and_then(std::io::Error::raw_os_error);
    let (class, kind) = class_of(why.kind());
    made(py, class, why.to_string(), kind, errno)
}

/// An exception of the package's own.
pub fn own(py: Python<'_>, kind: ErrorKind, sentence: impl Into<String>) -> PyErr {
    raised(py, &Error::new(kind, sentence))
}

fn made(py: Python<'_>, class: &str, text: String, kind: &str, errno: Option<i32>) -> PyErr {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let build = || {
        let module =
            MODULE.get_or_try_init(py, || py.import("heliumdb.errors").map(Bound::unbind))?;
        module.bind(py).getattr(class)?.call1((text, kind, errno))
    };
    match build() {
        Ok(exception) => PyErr::from_value(exception),
        Err(why) => why,
    }
}

/// The class, and the name of the kind.
fn class_of(kind: ErrorKind) -> (&'static str, &'static str) {
    match kind {
        ErrorKind::InvalidArgument => ("Invalid", "invalid-argument"),
        ErrorKind::InvalidUrl => ("Invalid", "invalid-url"),
        ErrorKind::KeyTooLong => ("Invalid", "key-too-long"),
        ErrorKind::ValueTooLong => ("Invalid", "value-too-long"),
        ErrorKind::TooManyDatastores => ("Invalid", "too-many-datastores"),
        ErrorKind::ItemNotFound => ("NotFound", "item-not-found"),
        ErrorKind::DatastoreNotFound => ("NotFound", "datastore-not-found"),
        ErrorKind::ItemExists => ("Exists", "item-exists"),
        ErrorKind::DatastoreExists => ("Exists", "datastore-exists"),
        ErrorKind::Conflict => ("Conflict", "conflict"),
        ErrorKind::PrepareConflict => ("Conflict", "prepare-conflict"),
        ErrorKind::Busy => ("Busy", "busy"),
        ErrorKind::VersionBudget => ("Busy", "version-budget"),
        ErrorKind::NotAVolume => ("NotAVolume", "not-a-volume"),
        ErrorKind::VolumeTooSmall => ("NotAVolume", "volume-too-small"),
        ErrorKind::UnsupportedFormat => ("NotAVolume", "unsupported-format"),
        ErrorKind::VolumeInUse => ("VolumeInUse", "volume-in-use"),
        ErrorKind::VolumeFull => ("VolumeFull", "volume-full"),
        ErrorKind::DeviceMismatch => ("Damaged", "device-mismatch"),
        ErrorKind::Damaged => ("Damaged", "damaged"),
        ErrorKind::Io => ("DeviceError", "io"),
        ErrorKind::Poisoned => ("DeviceError", "poisoned"),
        ErrorKind::OutcomeUnknown => ("OutcomeUnknown", "outcome-unknown"),
        ErrorKind::InDoubt => ("InDoubt", "in-doubt"),
        ErrorKind::Forked => ("Forked", "forked"),
        ErrorKind::ReadOnly => ("ReadOnly", "read-only"),
        ErrorKind::Closed => ("Closed", "closed"),
        ErrorKind::OutOfMemory => ("OutOfMemory", "out-of-memory"),
        ErrorKind::Unsupported => ("Unsupported", "unsupported"),
        ErrorKind::Cancelled => ("Cancelled", "cancelled"),
        _ => ("HeliumError", "other"),
    }
}
