//! What every call does around its work: catching panics, and handing codes to C.

use std::{
    ffi::{c_int, c_void},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
};

use errno::{Errno, set_errno};

use crate::{
    code::{Code, Result},
    handle::{self, Found, Number},
};

/// Runs `work` and answers C with zero or a code.
pub fn answer(work: impl FnOnce() -> Result<()>) -> c_int {
    match caught(work) {
        Ok(()) => 0,
        Err(code) => {
            set_errno(Errno(code.0));
            code.0
        }
    }
}

/// Runs `work` and answers C with a handle, or null and a code in `errno`.
pub fn answer_handle(work: impl FnOnce() -> Result<Number>) -> *mut c_void {
    match caught(work) {
        Ok(number) => ptr::without_provenance_mut(number.0),
        Err(code) => {
            set_errno(Errno(code.0));
            ptr::null_mut()
        }
    }
}

/// Runs `work` and answers C with an address, or null and a code in `errno`.
pub fn answer_address<T>(work: impl FnOnce() -> Result<*const T>) -> *const T {
    caught(work).unwrap_or_else(|code| {
        set_errno(Errno(code.0));
        ptr::null()
    })
}

/// Runs `work` and answers C with one or zero; what goes wrong is a zero.
pub fn answer_whether(work: impl FnOnce() -> Result<bool>) -> c_int {
    caught(work).unwrap_or(false).into()
}

/// The number of a handle that C passed.
pub fn number(handle: *const c_void) -> Number {
    Number(handle.addr())
}

/// What a handle that C passed stands for.
pub fn find(handle: *const c_void) -> Result<Found> {
    handle::find(number(handle))
}

fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        // What was thrown may itself panic when it is dropped.
        mem::forget(panic);
        Err(Code::SOFTWARE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_code() {
        assert_eq!(answer(|| panic!("on purpose")), Code::SOFTWARE.0);
        assert_eq!(errno::errno().0, Code::SOFTWARE.0);
        assert!(answer_handle(|| panic!("on purpose")).is_null());
        assert_eq!(answer_whether(|| panic!("on purpose")), 0);
    }
}
