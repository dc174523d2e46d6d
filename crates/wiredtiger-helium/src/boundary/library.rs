//! This shared library itself.
#![expect(unsafe_code, reason = "talks to the dynamic linker")]

use std::{
    ffi::{c_char, c_int, c_void},
    ptr,
};

/// `RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE`.
const KEEP: c_int = 0x2 | 0x4 | 0x1000;

#[repr(C)]
struct DlInfo {
    file: *const c_char,
    base: *mut c_void,
    symbol: *const c_char,
    address: *mut c_void,
}

unsafe extern "C" {
    fn dladdr(address: *const c_void, info: *mut DlInfo) -> c_int;
    fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
}

/// Keeps this library's code in the process after WiredTiger has unloaded it.
///
/// Our wrapper of the connection's close is still on the stack when WiredTiger unloads
/// its extensions, and application threads run our thread-local destructors when they
/// end. No state of a connection is kept by this.
pub fn stay_loaded() {
    let mut info = DlInfo {
        file: ptr::null(),
        base: ptr::null_mut(),
        symbol: ptr::null(),
        address: ptr::null_mut(),
    };
    let own = stay_loaded as fn() as *const c_void;
    // SAFETY: any address may be asked about, and `info` is the linker's own layout.
    let found = unsafe { dladdr(own, &mut info) } != 0;
    if found && !info.file.is_null() {
        // SAFETY: the name comes from the linker. Nothing is loaded, only kept; where the
        // program is linked with this crate there is nothing to keep, and it says so with null.
        unsafe { dlopen(info.file, KEEP) };
    }
}
