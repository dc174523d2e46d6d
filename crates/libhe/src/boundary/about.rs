//! Versions, names of errors, and what a handle is.
#![expect(unsafe_code, reason = "functions that C calls")]

use std::{
    ffi::{c_char, c_int, c_void},
    io::Write,
};

use super::{
    guard::{answer_whether, find},
    pointers,
};
use crate::code;

/// Whether a handle is open: one or zero.
#[unsafe(no_mangle)]
pub extern "C" fn he_is_valid(he: *const c_void) -> c_int {
    answer_whether(|| {
        let found = find(he)?;
        Ok(found.datastore().is_ok() || found.transaction().is_ok())
    })
}

/// Whether a handle is one of a transaction: one or zero.
#[unsafe(no_mangle)]
pub extern "C" fn he_is_transaction(he: *const c_void) -> c_int {
    answer_whether(|| Ok(find(he)?.transaction().is_ok()))
}

/// Whether nothing can be written through a handle: one or zero.
#[unsafe(no_mangle)]
pub extern "C" fn he_is_read_only(he: *const c_void) -> c_int {
    answer_whether(|| {
        let found = find(he)?;
        let of_transaction = found.transaction().map(|transaction| transaction.read_only);
        of_transaction.or_else(|_| Ok(found.datastore()?.read_only))
    })
}

/// The symbol of a code, or what the system calls the number.
#[unsafe(no_mangle)]
pub extern "C" fn he_strerror(number: c_int) -> *const c_char {
    unsafe extern "C" {
        fn strerror(number: c_int) -> *const c_char;
    }
    match code::name(number) {
        Some(name) => name.as_ptr().cast(),
        // SAFETY: the system's function takes any number.
        None => unsafe { strerror(number) },
    }
}

/// Prints `message` and the symbol of the code in `errno` to the standard error output.
///
/// # Safety
///
/// `message` is null or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_perror(message: *const c_char) {
    let number = errno::errno();
    answer_whether(|| {
        // SAFETY: as the caller says, and so is the name.
        let (message, name) = unsafe {
            let name = pointers::text(he_strerror(number.0))?;
            (pointers::text(message).unwrap_or_default(), name)
        };
        let colon: &[u8] = if message.is_empty() { b"" } else { b": " };
        let line = [message, colon, name, b"\n"].concat();
        // Nobody could be told if this failed.
        let _ = std::io::stderr().write_all(&line);
        Ok(true)
    });
    errno::set_errno(number);
}

/// Leaves the version of the interface (2.8.2), and names it.
///
/// # Safety
///
/// Each address is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_version(
    major: *mut c_int,
    minor: *mut c_int,
    patch: *mut c_int,
) -> *const c_char {
    // SAFETY: as the caller says.
    unsafe { version([major, minor, patch], [2, 8, 2], c"2.8.2".as_ptr()) }
}

/// [`he_version`] for programs of version 2.2.
///
/// # Safety
///
/// Each address is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_version_v2_2(major: *mut c_int, minor: *mut c_int) -> *const c_char {
    let nowhere = std::ptr::null_mut();
    // SAFETY: as the caller says.
    unsafe { version([major, minor, nowhere], [2, 2, 0], c"2.2".as_ptr()) }
}

/// [`he_version`] for programs of version 2.12.
///
/// # Safety
///
/// Each address is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_version_v2_12(
    major: *mut c_int,
    minor: *mut c_int,
    patch: *mut c_int,
) -> *const c_char {
    // SAFETY: as the caller says.
    unsafe { version([major, minor, patch], [2, 12, 0], c"2.12.0".as_ptr()) }
}

/// [`he_version`] for programs of versions 3.x.
///
/// # Safety
///
/// Each address is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn he_version_v3(
    major: *mut c_int,
    minor: *mut c_int,
    patch: *mut c_int,
) -> *const c_char {
    // SAFETY: as the caller says.
    unsafe { version([major, minor, patch], [3, 8, 2], c"3.8.2".as_ptr()) }
}

/// # Safety
///
/// Each address is null or may be written.
unsafe fn version(
    addresses: [*mut c_int; 3],
    numbers: [c_int; 3],
    name: *const c_char,
) -> *const c_char {
    for (address, number) in addresses.into_iter().zip(numbers) {
        // SAFETY: as the caller says.
        unsafe { pointers::write(address, number) };
    }
    name
}
