//! Having something happen in the middle of a call of WiredTiger's.
//!
//! WiredTiger compares the cursors of a range through their own method, which a test may replace
//! for a while. Invariant: the method that was there is back when [`Cursor::at_comparison`] is over.
#![expect(unsafe_code, reason = "replaces a method of WiredTiger's")]

use std::cell::Cell;
use std::ffi::c_int;

use wiredtiger_abi::v3_2 as wt;

use super::Cursor;

type Compare = unsafe extern "C" fn(*mut wt::Cursor, *mut wt::Cursor, *mut c_int) -> c_int;

/// What happens, and when.
struct Interrupt {
    theirs: Compare,
    comparisons_left: usize,
    act: *mut dyn FnMut(),
}

thread_local! {
    static NOW: Cell<Option<Interrupt>> = const { Cell::new(None) };
}

impl Cursor<'_> {
    /// Runs `work`, in which the cursor is compared with others, and `act` behind the comparison
    /// of that number, counted from one.
    pub fn at_comparison<R>(
        &self,
        number: usize,
        act: &mut dyn FnMut(),
        work: impl FnOnce() -> R,
    ) -> R {
        // SAFETY: the cursor is live, and used by this thread alone; its method is put back
        // before `act`, which is forgotten with it, goes away.
        unsafe {
            let slot = &raw mut (*self.as_ptr()).compare;
            let Some(theirs) = *slot else { return work() };
            let act =
                std::mem::transmute::<*mut (dyn FnMut() + '_), *mut (dyn FnMut() + 'static)>(act);
            NOW.set(Some(Interrupt {
                theirs,
                comparisons_left: number,
                act,
            }));
            *slot = Some(compare);
            let result = work();
            *slot = Some(theirs);
            NOW.set(None);
            result
        }
    }
}

unsafe extern "C" fn compare(
    one: *mut wt::Cursor,
    other: *mut wt::Cursor,
    to: *mut c_int,
) -> c_int {
    let Some(mut now) = NOW.take() else { return -1 };
    now.comparisons_left = now.comparisons_left.wrapping_sub(1);
    let (theirs, act) = (now.theirs, now.act);
    let is_due = now.comparisons_left == 0;
    NOW.set(Some(now));
    // SAFETY: the method's own arguments; `act` is there while the method is replaced.
    unsafe {
        let answer = theirs(one, other, to);
        if is_due {
            (*act)();
        }
        answer
    }
}
