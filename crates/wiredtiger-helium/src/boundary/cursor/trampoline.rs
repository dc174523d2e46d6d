//! Standing in front of a wrapper's `get_value`, which takes as many places for values as the format has columns.
//!
//! Invariant: WiredTiger's method is entered as if it had been called at once, with all arguments where the caller
//! has put them, so nothing here depends on how many there are. That takes a few instructions of the processor's; on
//! other processors nothing is put in front, and rows come with their values.

use super::late;
use std::{
    ffi::c_int,
    mem::transmute,
    sync::atomic::{AtomicUsize, Ordering::*},
};
use wiredtiger_abi::v3_2::Cursor as WtCursor;

type GetValue = unsafe extern "C" fn(*mut WtCursor, ...) -> c_int;

/// Whether there is one for this processor.
pub(super) const IS_THERE: bool = cfg!(target_arch = "x86_64");

/// WiredTiger's own method: one for all wrappers.
static THEIRS: AtomicUsize = AtomicUsize::new(0);

/// Puts ours in front of the wrapper's method; false if that cannot be done.
pub(super) fn put(wrapper: &mut WtCursor) -> bool {
    let Some(method) = wrapper.get_value else {
        return false;
    };
    let (method, ours) = (method as usize, get_value as *const () as usize);
    if method == ours {
        return true;
    }
    let known = THEIRS.compare_exchange(0, method, Relaxed, Relaxed);
    if !IS_THERE || known.is_err_and(|known| known != method) {
        return false;
    }
    // SAFETY: it takes what WiredTiger's takes, whatever that is.
    wrapper.get_value = Some(unsafe { transmute::<usize, GetValue>(ours) });
    true
}

/// Takes it away again.
pub(super) fn take_away(wrapper: &mut WtCursor) {
    let theirs = THEIRS.load(Relaxed);
    let is_put = |method: GetValue| method as usize == get_value as *const () as usize;
    if theirs != 0 && wrapper.get_value.is_some_and(is_put) {
        // SAFETY: it was there before.
        wrapper.get_value = Some(unsafe { transmute::<usize, GetValue>(theirs) });
    }
}

/// Calls [`late::before_value`] with the cursor, and goes on in WiredTiger's method if that answers zero. The arguments are
/// saved meanwhile; `rax` says how many of them are floating-point numbers, of which values have none.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn get_value() {
    std::arch::naked_asm!(
        "push rdi",
        "push rsi",
        "push rdx",
        "push rcx",
        "push r8",
        "push r9",
        "push rax",
        "call {before}",
        "mov r11d, eax",
        "pop rax",
        "pop r9",
        "pop r8",
        "pop rcx",
        "pop rdx",
        "pop rsi",
        "pop rdi",
        "test r11d, r11d",
        "jnz 2f",
        "jmp qword ptr [rip + {theirs}]",
        "2:",
        "mov eax, r11d",
        "ret",
        before = sym late::before_value,
        theirs = sym THEIRS,
    )
}

#[cfg(not(target_arch = "x86_64"))]
unsafe extern "C" fn get_value() {}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    type Place = *mut u64;

    /// A method of as many columns as do not fit into the processor's registers.
    unsafe extern "C" fn theirs(
        _: *mut WtCursor,
        a: Place,
        b: Place,
        c: Place,
        d: Place,
        e: Place,
        f: Place,
        g: Place,
    ) -> c_int {
        for (value, place) in (1..).zip([a, b, c, d, e, f, g]) {
            // SAFETY: the test passes places for numbers.
            unsafe { *place = value };
        }
        7
    }

    #[test]
    fn all_arguments_arrive_and_the_answer_comes_back() {
        // A wrapper that has no cursor of ours in it.
        let mut room = [0_u64; 128];
        let wrapper = room.as_mut_ptr().cast::<WtCursor>();
        let address = theirs as *const () as usize;
        let mut places = [0_u64; 7];
        let [a, b, c, d, e, f, g] = places.each_mut().map(std::ptr::from_mut);
        // SAFETY: zeros are a cursor, and the method is called with what it takes.
        unsafe {
            (*wrapper).get_value = Some(transmute::<usize, GetValue>(address));
            assert!(put(&mut *wrapper) && put(&mut *wrapper));
            let method = (*wrapper).get_value.unwrap();
            assert_ne!(method as usize, address);
            assert_eq!(method(wrapper, a, b, c, d, e, f, g), 7);
            take_away(&mut *wrapper);
            assert_eq!((*wrapper).get_value.unwrap() as usize, address);
        }
        assert_eq!(places, [1, 2, 3, 4, 5, 6, 7]);
    }
}
