//! Memory for segments being filled, used again and again.
//!
//! Fresh memory costs a page fault for every 4 KiB that is written to it, which is more than
//! all else that an append does. Invariant: memory that comes out of a pool holds whatever
//! it held before; who publishes bytes of it has written them.
#![expect(
    unsafe_code,
    reason = "block-aligned allocations, which the standard collections do not make"
)]

use crate::limits::BLOCK_BYTES;
use parking_lot::Mutex;
use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    ptr::NonNull,
    sync::Arc,
};

/// Pieces of memory that are kept for the next segments.
const KEPT: usize = 4;

/// Memory of one segment.
pub(super) struct Memory {
    bytes: NonNull<u8>,
    len: usize,
}

// SAFETY: the allocation is owned and belongs to no thread.
unsafe impl Send for Memory {}

impl Memory {
    fn zeroed(len: usize) -> Self {
        let layout = Self::layout(len);
        // SAFETY: the layout's size is not zero.
        let bytes = unsafe { alloc_zeroed(layout) };
        let Some(bytes) = NonNull::new(bytes) else {
            handle_alloc_error(layout)
        };
        Self { bytes, len }
    }

    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.bytes.as_ptr()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn layout(len: usize) -> Layout {
        match Layout::from_size_align(len, BLOCK_BYTES) {
            Ok(layout) if len > 0 => layout,
            _ => unreachable!("a segment is 1 or 8 MiB"),
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this layout, and nobody borrows it any more.
        unsafe { dealloc(self.bytes.as_ptr(), Self::layout(self.len)) }
    }
}

/// A volume's spare memory.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Memory>>);

impl Pool {
    /// Memory of `len` bytes: spare, or fresh and zeroed.
    pub(super) fn take(self: &Arc<Self>, len: usize) -> Memory {
        let spare = self.0.lock().pop();
        spare
            .filter(|memory| memory.len == len)
            .unwrap_or_else(|| Memory::zeroed(len))
    }

    /// Keeps memory for the next segment, or frees it.
    pub(super) fn give(&self, memory: Memory) {
        let mut spare = self.0.lock();
        if spare.len() < KEPT {
            spare.push(memory);
        }
    }
}
