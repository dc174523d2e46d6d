//! What every call does around its work: catching panics, and handing codes to C.

use std::{
    ffi::{c_int, c_void},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
};

use errno::{Errno, errno, set_errno};

use crate::{
    code::{Code, Result},
    handle::{self, Found, Number},
};

/// Runs `work` and answers C with zero or a code.
pub fn answer(work: impl FnOnce() -> Result<()>) -> c_int {
    told(work).map_or_else(|code| code.0, |()| 0)
}

/// Refuses to begin what takes memory where the system gives none.
#[inline]
pub fn memory() -> Result<()> {
    helium_spare::is_there().then_some(()).ok_or(Code::MEMORY)
}

/// Runs `work` and answers C with a handle, or null and a code in `errno`.
pub fn answer_handle(work: impl FnOnce() -> Result<Number>) -> *mut c_void {
    let work = || memory().and_then(|()| work());
    told(work).map_or(ptr::null_mut(), |number| {
        ptr::without_provenance_mut(number.0)
    })
}

/// Runs `work` and answers C with an address, or null and a code in `errno`.
pub fn answer_address<T>(work: impl FnOnce() -> Result<*const T>) -> *const T {
    told(work).unwrap_or(ptr::null())
}

/// Runs `work` and answers C with one or zero; what goes wrong is a zero, and nothing in `errno`.
pub fn answer_whether(work: impl FnOnce() -> Result<bool>) -> c_int {
    let before = errno();
    let answer = caught(work).unwrap_or(false).into();
    set_errno(before);
    answer
}

/// The number of a handle that C passed.
pub fn number(handle: *const c_void) -> Number {
    Number(handle.addr())
}

/// What a handle that C passed stands for.
pub fn find(handle: *const c_void) -> Result<Found> {
    handle::find(number(handle))
}

/// Runs `work`. What goes wrong is in `errno` afterwards; if nothing does, what was there before,
/// whatever the system calls below have left.
fn told<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = errno();
    let done = caught(work);
    set_errno(done.as_ref().err().map_or(before, |code| Errno(code.0)));
    done
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

    #[test]
    fn errno_is_as_before_unless_something_goes_wrong() {
        let left_by = |work: &dyn Fn()| {
            set_errno(Errno(4711));
            work();
            errno().0
        };
        let noise = || set_errno(Errno(2));
        let answered = || {
            answer(|| {
                noise();
                Ok(())
            });
        };
        let handed_out = || {
            answer_handle(|| {
                noise();
                Ok(Number(1))
            });
        };
        let refused = || {
            answer(|| Err(Code::MEMORY));
        };
        assert_eq!(left_by(&answered), 4711);
        assert_eq!(left_by(&handed_out), 4711);
        assert_eq!(left_by(&refused), Code::MEMORY.0);
    }
}
