//! Memory for nodes, packed.
//!
//! A descent goes through a node per level. Side by side they stay in the processor's
//! cache, and a few pages hold them all; from the allocator each would be on a page of
//! its own, among the blocks.
//!
//! Invariants: a page is in the list exactly if it has a free slot; a page without a
//! used slot is given back, but for the last in the list.
#![expect(unsafe_code, reason = "an allocator; all that it does is in this file")]

use parking_lot::Mutex;
use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    mem::size_of,
    ptr::{self, NonNull},
};

/// Size of a slot, and its alignment.
pub(super) const SLOT_BYTES: usize = 16;
const PAGE_BYTES: usize = 4096;
const PAGE: Layout = match Layout::from_size_align(PAGE_BYTES, PAGE_BYTES) {
    Ok(layout) => layout,
    Err(_) => panic!("a page's size is a power of two"),
};

/// Pages with free slots, all trees together.
static POOL: Mutex<Pool> = Mutex::new(Pool {
    first: ptr::null_mut(),
});

struct Pool {
    first: *mut Page,
}

// SAFETY: the pages that the pool points to are used under its mutex only.
unsafe impl Send for Pool {}

/// The start of a page; slots follow.
#[repr(C)]
struct Page {
    previous: *mut Page,
    next: *mut Page,
    free: *mut FreeSlot,
    used: usize,
}

struct FreeSlot {
    next: *mut FreeSlot,
}

/// A slot of [`SLOT_BYTES`], aligned to as many.
pub(super) fn take() -> NonNull<u8> {
    POOL.lock().take()
}

/// # Safety
/// `slot` came from [`take`] and is not used any more.
pub(super) unsafe fn give_back(slot: NonNull<u8>) {
    // SAFETY: as the caller promises.
    unsafe { POOL.lock().give_back(slot) }
}

impl Pool {
    fn take(&mut self) -> NonNull<u8> {
        // SAFETY: a page in the list has a free slot; all pointers in pages are to
        // pages of the pool, which the mutex makes ours.
        unsafe {
            if self.first.is_null() {
                let page = Page::create();
                self.link(page);
            }
            let page = self.first;
            let slot = (*page).free;
            (*page).free = (*slot).next;
            (*page).used += 1;
            if (*page).free.is_null() {
                self.unlink(page);
            }
            NonNull::new_unchecked(slot.cast::<u8>())
        }
    }

    /// # Safety
    /// As [`give_back`].
    unsafe fn give_back(&mut self, slot: NonNull<u8>) {
        let address = slot.as_ptr().addr();
        let page: *mut Page = ptr::with_exposed_provenance_mut(address & !(PAGE_BYTES - 1));
        let slot = page.with_addr(address).cast::<FreeSlot>();
        // SAFETY: the slot is from a page, which is aligned to its size and was exposed;
        // the mutex makes the page ours.
        unsafe {
            if (*page).free.is_null() {
                self.link(page);
            }
            slot.write(FreeSlot { next: (*page).free });
            (*page).free = slot;
            (*page).used -= 1;
            if (*page).used == 0 && !((*page).next.is_null() && (*page).previous.is_null()) {
                self.unlink(page);
                dealloc(page.cast::<u8>(), PAGE);
            }
        }
    }

    /// # Safety
    /// `page` is a page of the pool that is not in the list.
    unsafe fn link(&mut self, page: *mut Page) {
        // SAFETY: as the caller promises; the first page is one.
        unsafe {
            (*page).previous = ptr::null_mut();
            (*page).next = self.first;
            if let Some(first) = self.first.as_mut() {
                first.previous = page;
            }
        }
        self.first = page;
    }

    /// # Safety
    /// `page` is in the list.
    unsafe fn unlink(&mut self, page: *mut Page) {
        // SAFETY: as the caller promises; its neighbours are in the list too.
        unsafe {
            let (previous, next) = ((*page).previous, (*page).next);
            match previous.as_mut() {
                Some(previous) => previous.next = next,
                None => self.first = next,
            }
            if let Some(next) = next.as_mut() {
                next.previous = previous;
            }
        }
    }
}

impl Page {
    /// A page all of whose slots are free, in ascending order.
    fn create() -> *mut Self {
        const { assert!(size_of::<Self>().is_multiple_of(SLOT_BYTES)) }
        // SAFETY: not of size zero.
        let page = unsafe { alloc(PAGE) }.cast::<Self>();
        if page.is_null() {
            handle_alloc_error(PAGE);
        }
        let _ = page.expose_provenance();
        let mut free = ptr::null_mut();
        for offset in (size_of::<Self>()..PAGE_BYTES).step_by(SLOT_BYTES).rev() {
            // SAFETY: the slot is within the page and aligned.
            unsafe {
                let slot = page.byte_add(offset).cast::<FreeSlot>();
                slot.write(FreeSlot { next: free });
                free = slot;
            }
        }
        let start = Self {
            previous: ptr::null_mut(),
            next: ptr::null_mut(),
            free,
            used: 0,
        };
        // SAFETY: fresh memory, large enough.
        unsafe { page.write(start) };
        page
    }
}
