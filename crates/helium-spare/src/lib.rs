//! Memory that the system does not give (`ulimit -v`).
//!
//! A program that uses a library expects an error for that, not its end. So some memory is kept that nobody uses: where
//! the system gives none, that is given back to it, and the operation that is under way has it to end with. Until it can
//! be had again ([`is_there`]), a library refuses operations that take memory; who reads, deletes or closes goes on.
//!
//! Invariant: no operation that keeps what it is given in memory begins without what is kept.
//!
//! Whatever is linked with this crate allocates here. The allocator is the library's own: the program's goes on without.
#![expect(unsafe_code, reason = "allocators are unsafe by their interface")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

#[global_allocator]
static ALLOCATOR: Keeping = Keeping;

/// A piece of what is kept: nothing but addresses, as it is never touched. The C library's allocator takes so many at once for
/// the small things of a thread, so that a piece alone may be gone before anybody has got anything of it.
const PIECE: Layout = match Layout::from_size_align(64 << 20, 4096) {
    Ok(layout) => layout,
    Err(_) => panic!("it is no layout"),
};

/// The pieces, null where one is not there: enough for the copies of the longest value that an operation makes, and for
/// what other threads do meanwhile.
static KEPT: [AtomicPtr<u8>; 3] = [const { AtomicPtr::new(ptr::null_mut()) }; 3];

/// Whether what takes memory may begin.
#[inline]
pub fn is_there() -> bool {
    // The last one is the first that is given back, and the last that is got.
    !KEPT[KEPT.len() - 1].load(Ordering::Relaxed).is_null() || keep()
}

#[cold]
fn keep() -> bool {
    for place in &KEPT {
        if !place.load(Ordering::Acquire).is_null() {
            continue;
        }
        // SAFETY: the layout has a size.
        let piece = unsafe { System.alloc(PIECE) };
        if piece.is_null() {
            return false;
        }
        let (none, set) = (ptr::null_mut(), Ordering::AcqRel);
        if place
            .compare_exchange(none, piece, set, Ordering::Acquire)
            .is_err()
        {
            // Another thread was faster.
            // SAFETY: it was allocated above, with this layout.
            unsafe { System.dealloc(piece, PIECE) };
        }
    }
    true
}

/// Gives a piece of what is kept back to the system; false if there is none.
#[cold]
fn give_back() -> bool {
    for place in KEPT.iter().rev() {
        let piece = place.swap(ptr::null_mut(), Ordering::AcqRel);
        if !piece.is_null() {
            // SAFETY: whoever takes it out owns it; it was allocated with this layout.
            unsafe { System.dealloc(piece, PIECE) };
            return true;
        }
    }
    false
}

struct Keeping;

impl Keeping {
    #[inline]
    fn given(mut at: *mut u8, again: impl Fn() -> *mut u8) -> *mut u8 {
        while at.is_null() && give_back() {
            at = again();
        }
        at
    }
}

// SAFETY: all of it is the system's allocator's.
unsafe impl GlobalAlloc for Keeping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller says.
        let alloc = || unsafe { System.alloc(layout) };
        Self::given(alloc(), alloc)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller says.
        let alloc = || unsafe { System.alloc_zeroed(layout) };
        Self::given(alloc(), alloc)
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: as the caller says; where it fails, what was there is there.
        let realloc = || unsafe { System.realloc(at, layout, bytes) };
        Self::given(realloc(), realloc)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe { System.dealloc(at, layout) }
    }
}
