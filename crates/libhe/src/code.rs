//! The codes that calls return, their names, and which of them a failure of the store is.
//!
//! Invariant: every code that leaves this library is in the table, so that `he_strerror`
//! can name it.

use heliumdb::{Error, ErrorKind};

/// A code of `he.h`: negative, never zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code(pub i32);

/// Result of everything behind the boundary.
pub type Result<T, E = Code> = std::result::Result<T, E>;

macro_rules! codes {
    ($($name:ident = $number:literal),* $(,)?) => {
        #[expect(dead_code, reason = "some are only for others to return, as a server's client")]
        impl Code {
            $(pub const $name: Self = Self($number);)*
        }

        /// The symbol of each code, as `he.h` spells it, with a zero at its end.
        const NAMES: &[(i32, &str)] = &[
            $(($number, concat!("HE_ERR_", stringify!($name), "\0"))),*
        ];
    };
}

codes! {
    SOFTWARE = -100,
    ARGUMENTS = -101,
    MEMORY = -102,
    CHECKSUM = -103,
    TERMINATED = -104,
    UNSUPPORTED = -105,
    DEVICE_STAT = -106,
    DEVICE_OPEN = -107,
    DEVICE_ACCESS = -108,
    DEVICE_LOCK = -109,
    DEVICE_GEOMETRY = -110,
    DEVICE_READ = -111,
    DEVICE_WRITE = -112,
    VOLUME_TOO_SMALL = -113,
    VOLUME_INVALID = -114,
    VOLUME_CORRUPT = -115,
    VOLUME_IN_USE = -116,
    VOLUME_FULL = -117,
    DATASTORE_NOT_FOUND = -118,
    DATASTORE_EXISTS = -119,
    DATASTORE_IN_USE = -120,
    ITEM_NOT_FOUND = -121,
    ITEM_EXISTS = -122,
    NETWORK_LISTEN = -123,
    NETWORK_ACCEPT = -124,
    NETWORK_CONNECT = -125,
    NETWORK_READ = -126,
    NETWORK_WRITE = -127,
    NETWORK_PROTOCOL = -128,
    READ_ONLY_DATASTORE = -129,
}

/// The name of a code, with a zero at its end; `None` for numbers that are not ours.
pub fn name(number: i32) -> Option<&'static str> {
    NAMES
        .iter()
        .find(|(code, _)| *code == number)
        .map(|(_, name)| *name)
}

/// What was being done when the store failed: the same failure has another code then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum During {
    /// Opening a volume.
    Open,
    /// Reading items.
    Read,
    /// Anything that changes something.
    Write,
}

/// The code for a failure of the store.
pub fn of(why: &Error, during: During) -> Code {
    match why.kind() {
        ErrorKind::InvalidArgument
        | ErrorKind::InvalidUrl
        | ErrorKind::KeyTooLong
        | ErrorKind::ValueTooLong
        | ErrorKind::Closed => Code::ARGUMENTS,
        ErrorKind::ItemNotFound => Code::ITEM_NOT_FOUND,
        ErrorKind::ItemExists => Code::ITEM_EXISTS,
        ErrorKind::Busy | ErrorKind::Conflict | ErrorKind::PrepareConflict => {
            Code::DATASTORE_IN_USE
        }
        ErrorKind::DatastoreNotFound => Code::DATASTORE_NOT_FOUND,
        ErrorKind::DatastoreExists => Code::DATASTORE_EXISTS,
        ErrorKind::TooManyDatastores | ErrorKind::VolumeFull => Code::VOLUME_FULL,
        ErrorKind::NotAVolume | ErrorKind::DeviceMismatch | ErrorKind::InDoubt => {
            Code::VOLUME_INVALID
        }
        ErrorKind::VolumeInUse | ErrorKind::Forked => Code::DEVICE_LOCK,
        ErrorKind::VolumeTooSmall => Code::VOLUME_TOO_SMALL,
        ErrorKind::Damaged if during == During::Open => Code::VOLUME_CORRUPT,
        ErrorKind::Damaged => Code::CHECKSUM,
        ErrorKind::Io => of_io(why, during),
        ErrorKind::Poisoned | ErrorKind::OutcomeUnknown => Code::DEVICE_WRITE,
        ErrorKind::ReadOnly => Code::READ_ONLY_DATASTORE,
        ErrorKind::VersionBudget | ErrorKind::OutOfMemory => Code::MEMORY,
        ErrorKind::Unsupported | ErrorKind::UnsupportedFormat => Code::UNSUPPORTED,
        _ => Code::SOFTWARE,
    }
}

fn of_io(why: &Error, during: During) -> Code {
    use std::io::ErrorKind as Io;
    match (during, io_kind(why)) {
        // A thread, too, is memory that the system does not give.
        (_, Some(Io::OutOfMemory | Io::WouldBlock)) => Code::MEMORY,
        (During::Open, Some(Io::PermissionDenied | Io::ReadOnlyFilesystem)) => Code::DEVICE_ACCESS,
        (During::Open, _) => Code::DEVICE_OPEN,
        (During::Read, _) => Code::DEVICE_READ,
        (During::Write, _) => Code::DEVICE_WRITE,
    }
}

fn io_kind(why: &Error) -> Option<std::io::ErrorKind> {
    let source = std::error::Error::source(why)?;
    Some(source.downcast_ref::<std::io::Error>()?.kind())
}

/// Whether the system refused access to a device, so that reading alone may still work.
pub fn is_access_refused(why: &Error) -> bool {
    why.kind() == ErrorKind::Io && of_io(why, During::Open) == Code::DEVICE_ACCESS
}
