//! What must hold of a write, whoever writes: lengths, and whether there is an item.

use crate::{
    error::{Error, ErrorKind, Result},
    limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX},
    version::Mode,
};

/// Refuses a key or a value that no item can have.
#[inline]
pub(crate) fn lengths(key: &[u8], value: Option<&[u8]>) -> Result<()> {
    if key.len() > KEY_BYTES_MAX {
        return Err(key_too_long(key.len()));
    }
    match value {
        Some(value) if value.len() > VALUE_BYTES_MAX => Err(value_too_long(value.len())),
        _ => Ok(()),
    }
}

/// Refuses a write of which `mode` does not hold.
#[inline]
pub(crate) fn mode(is_present: bool, mode: Mode) -> Result<()> {
    match (is_present, mode) {
        (true, Mode::Absent) => Err(Error::item_exists()),
        (false, Mode::Present) => Err(Error::item_not_found()),
        _ => Ok(()),
    }
}

/// Whether a deletion found its item, which others may have deleted since it was seen.
pub(crate) fn is_done<T>(deleted: Result<T>) -> Result<bool> {
    match deleted {
        Ok(_) => Ok(true),
        Err(why) if why.kind() == ErrorKind::ItemNotFound => Ok(false),
        Err(why) => Err(why),
    }
}

fn key_too_long(bytes: usize) -> Error {
    Error::new(
        ErrorKind::KeyTooLong,
        format!("the key has {bytes} bytes; the longest that fits has {KEY_BYTES_MAX}"),
    )
}

fn value_too_long(bytes: usize) -> Error {
    Error::new(
        ErrorKind::ValueTooLong,
        format!("the value has {bytes} bytes; the longest that fits has {VALUE_BYTES_MAX}"),
    )
}
