//! Which WiredTiger is running, found without knowing any of its layouts.
//!
//! Invariant: only the first word of the connection is read. In every release
//! that word is the address of a function of the library, so the dynamic linker
//! can name the library, and the library can name its own version.
#![expect(unsafe_code, reason = "talks to the dynamic linker")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::ptr;

/// A release of WiredTiger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number of the release.
    pub major: u32,
    /// The second number of the release.
    pub minor: u32,
    /// The third number of the release.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Finds the version of the library that a connection belongs to.
///
/// The error is a sentence for a person.
///
/// # Safety
///
/// `connection` is null or a `WT_CONNECTION` of any release, still as the
/// library made it (nobody replaced its first function).
pub unsafe fn running_version(connection: *const c_void) -> Result<Version, String> {
    if connection.is_null() {
        return Err("cannot tell the WiredTiger version: the connection is null".to_owned());
    }
    // SAFETY: the caller vouches for a connection, whose first word is a pointer.
    let first_function = unsafe { *connection.cast::<*const c_void>() };
    let library = containing_object(first_function).ok_or_else(|| {
        "cannot tell the WiredTiger version: the connection's functions belong to no loaded library"
            .to_owned()
    })?;
    let version = find_symbol(&library, c"wiredtiger_version").ok_or_else(|| {
        format!(
            "cannot tell the WiredTiger version: {} has no function wiredtiger_version",
            library.name()
        )
    })?;
    // SAFETY: a symbol of this name, in the object that made the connection, has this type in
    // every release.
    let version = unsafe { std::mem::transmute::<*mut c_void, WiredtigerVersion>(version) };
    let (mut major, mut minor, mut patch) = (-1, -1, -1);
    // SAFETY: the function only stores through its three pointers.
    unsafe { version(&mut major, &mut minor, &mut patch) };
    match (
        u32::try_from(major),
        u32::try_from(minor),
        u32::try_from(patch),
    ) {
        (Ok(major), Ok(minor), Ok(patch)) => Ok(Version {
            major,
            minor,
            patch,
        }),
        _ => Err(format!(
            "cannot tell the WiredTiger version: {} answers {major}.{minor}.{patch}",
            library.name()
        )),
    }
}

/// What the dynamic linker says about the object that holds an address.
fn containing_object(address: *const c_void) -> Option<DlInfo> {
    let mut info = DlInfo {
        dli_fname: ptr::null(),
        dli_fbase: ptr::null_mut(),
        dli_sname: ptr::null(),
        dli_saddr: ptr::null_mut(),
    };
    // SAFETY: dladdr takes any address and fills the structure only when it answers non-zero.
    let found = unsafe { dladdr(address, &mut info) } != 0;
    (found && !info.dli_fname.is_null()).then_some(info)
}

/// A symbol of exactly that object: not of its dependencies, nor of a second copy elsewhere.
fn find_symbol(library: &DlInfo, name: &CStr) -> Option<*mut c_void> {
    // The main program is listed under the name it was started by, which need not lead back to
    // it; a null name always does.
    [library.dli_fname, ptr::null()]
        .into_iter()
        .find_map(|file| {
            // SAFETY: `file` is null or the linker's own C string; NOLOAD runs no initialisers.
            let handle = unsafe { dlopen(file, RTLD_LAZY | RTLD_NOLOAD) };
            if handle.is_null() {
                return None;
            }
            // SAFETY: a live handle and a C string. Closing drops only the count taken above: the
            // object stays loaded, for it is running the caller.
            let symbol = unsafe {
                let symbol = dlsym(handle, name.as_ptr());
                dlclose(handle);
                symbol
            };
            let owner = containing_object(symbol)?;
            (owner.dli_fbase == library.dli_fbase).then_some(symbol)
        })
}

type WiredtigerVersion = unsafe extern "C" fn(*mut c_int, *mut c_int, *mut c_int) -> *const c_char;

/// `Dl_info` of `<dlfcn.h>`.
#[repr(C)]
struct DlInfo {
    dli_fname: *const c_char,
    dli_fbase: *mut c_void,
    dli_sname: *const c_char,
    dli_saddr: *mut c_void,
}

impl DlInfo {
    fn name(&self) -> String {
        // SAFETY: `containing_object` made sure of a name; the linker keeps it while the object
        // is loaded, and it is, because it runs.
        let name = unsafe { CStr::from_ptr(self.dli_fname) };
        name.to_string_lossy().into_owned()
    }
}

const RTLD_LAZY: c_int = 1;
const RTLD_NOLOAD: c_int = 4;

unsafe extern "C" {
    fn dladdr(address: *const c_void, info: *mut DlInfo) -> c_int;
    fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlclose(handle: *mut c_void) -> c_int;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_connection_is_refused() {
        // SAFETY: null is allowed.
        let answer = unsafe { running_version(ptr::null()) };
        assert!(answer.is_err_and(|why| why.contains("null")));
    }

    #[test]
    fn a_stranger_is_refused_by_name() {
        // A table whose first function belongs to this test program.
        extern "C" fn not_wiredtiger() {}
        let table = [not_wiredtiger as *const c_void];
        // SAFETY: the first word is an address, which is all that is read.
        let answer = unsafe { running_version(table.as_ptr().cast()) };
        assert!(answer.is_err_and(|why| why.contains("wiredtiger_version")));
    }

    #[test]
    fn an_address_outside_every_object_is_refused() {
        let table = [ptr::without_provenance::<c_void>(8)];
        // SAFETY: the first word is only looked up, never followed.
        let answer = unsafe { running_version(table.as_ptr().cast()) };
        assert!(answer.is_err_and(|why| why.contains("no loaded library")));
    }
}
