//! Large pieces of zeroed memory, straight from the kernel.
//!
//! Nothing of a piece takes real memory before it is touched. Pieces of two megabytes and more
//! are aligned so that the kernel can back them by huge pages, and it is asked to: a random
//! access to much memory misses the page tables too, and fresh memory costs a fault per page.
#![expect(unsafe_code, reason = "mapped memory, which no collection hands out")]

use std::{alloc::Layout, ptr::NonNull};

const HUGE_PAGE_BYTES: usize = 2 << 20;
const PAGE_BYTES: usize = 4096;

/// A piece of memory. Who takes it apart among threads says how.
pub(crate) struct Memory {
    start: NonNull<u8>,
    len: usize,
    /// What was mapped: more than `len` where it had to be aligned. `None` of what the allocator gave.
    mapped: Option<(NonNull<u8>, usize)>,
}

// SAFETY: the mapping is owned and belongs to no thread.
unsafe impl Send for Memory {}
// SAFETY: shared, it only says where it is.
unsafe impl Sync for Memory {}

impl Memory {
    /// `len` bytes, which is not zero, all zero, aligned to a page. Without memory for them the program ends, as it
    /// does where any memory is missing.
    pub(crate) fn zeroed(len: usize) -> Self {
        Self::try_zeroed(len)
            .or_else(|| Self::allocated(len))
            .unwrap_or_else(|| std::alloc::handle_alloc_error(layout(len)))
    }

    /// From the program's allocator, which may have something left, or have more to say of it.
    #[cold]
    fn allocated(len: usize) -> Option<Self> {
        // SAFETY: not of size zero.
        let start = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout(len)) })?;
        Some(Self {
            start,
            len,
            mapped: None,
        })
    }

    /// As [`Memory::zeroed`]; `None` if there is no memory for them.
    pub(crate) fn try_zeroed(len: usize) -> Option<Self> {
        assert!(len > 0, "a piece of memory of no bytes");
        let is_huge = len >= HUGE_PAGE_BYTES;
        let mapped_len = if is_huge { len + HUGE_PAGE_BYTES } else { len };
        let mapped = map(mapped_len)?;
        let align = if is_huge { HUGE_PAGE_BYTES } else { PAGE_BYTES };
        let skip = mapped.addr().get().next_multiple_of(align) - mapped.addr().get();
        // SAFETY: so much more than `len` was mapped.
        let start = unsafe { mapped.add(skip) };
        if is_huge {
            ask_for_huge_pages(start, len);
        }
        Some(Self {
            start,
            len,
            mapped: Some((mapped, mapped_len)),
        })
    }

    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

fn layout(len: usize) -> Layout {
    Layout::from_size_align(len, PAGE_BYTES).unwrap_or(Layout::new::<u8>())
}

impl Drop for Memory {
    fn drop(&mut self) {
        match self.mapped {
            Some((start, len)) => unmap(start, len),
            // SAFETY: it was allocated with this layout.
            None => unsafe { std::alloc::dealloc(self.start.as_ptr(), layout(self.len)) },
        }
    }
}

#[cfg(not(miri))]
fn map(len: usize) -> Option<NonNull<u8>> {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
    // SAFETY: a private mapping at a place of the kernel's choice touches nothing of ours.
    let at = unsafe {
        mmap_anonymous(
            std::ptr::null_mut(),
            len,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    };
    NonNull::new(at.ok()?.cast())
}

#[cfg(not(miri))]
fn unmap(at: NonNull<u8>, len: usize) {
    // SAFETY: mapped by `map` with this length, and nobody borrows it any more. A failure
    // could only leave it mapped.
    let _ = unsafe { rustix::mm::munmap(at.as_ptr().cast(), len) };
}

#[cfg(miri)]
fn map(len: usize) -> Option<NonNull<u8>> {
    let layout = Layout::from_size_align(len, PAGE_BYTES).ok()?;
    // SAFETY: not of size zero.
    NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) })
}

#[cfg(miri)]
fn unmap(at: NonNull<u8>, len: usize) {
    if let Ok(layout) = Layout::from_size_align(len, PAGE_BYTES) {
        // SAFETY: allocated in `map` with this layout.
        unsafe { std::alloc::dealloc(at.as_ptr(), layout) }
    }
}

/// Without it all works too, only slower.
pub(crate) fn ask_for_huge_pages(at: NonNull<u8>, len: usize) {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        use rustix::mm::{Advice, madvise};
        // SAFETY: the memory is the caller's, and this advice changes none of its bytes.
        let _ = unsafe { madvise(at.as_ptr().cast(), len, Advice::LinuxHugepage) };
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _ = (at, len);
}

/// Asks the processor for the first lines of `bytes`, so that a look at them soon does not wait.
#[inline]
pub(crate) fn prefetch(bytes: &[u8], most: usize) {
    for line in bytes[..bytes.len().min(most)].chunks(64) {
        prefetch_line(line.as_ptr());
    }
}

/// Asks the processor for the line that `at` is in; any address will do.
#[inline]
pub(crate) fn prefetch_line(at: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing and may name any address.
        unsafe { _mm_prefetch(at.cast(), _MM_HINT_T0) }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_zero_and_aligned() {
        for len in [
            PAGE_BYTES,
            HUGE_PAGE_BYTES,
            3 * HUGE_PAGE_BYTES + PAGE_BYTES,
        ] {
            let memory = Memory::zeroed(len);
            assert_eq!(memory.len(), len);
            let align = if len >= HUGE_PAGE_BYTES {
                HUGE_PAGE_BYTES
            } else {
                PAGE_BYTES
            };
            assert!(memory.as_ptr().addr().is_multiple_of(align));
            // SAFETY: within the piece, which nobody else has.
            unsafe {
                assert_eq!(
                    (memory.as_ptr().read(), memory.as_ptr().add(len - 1).read()),
                    (0, 0)
                );
                memory.as_ptr().add(len - 1).write(7);
            }
        }
    }
}
