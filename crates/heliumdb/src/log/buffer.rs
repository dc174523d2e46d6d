//! A segment being filled, readable while it is.
//!
//! Invariant: bytes below `published` never change again; only the one [`BufferWriter`]
//! touches those above. So readers and the flusher need no lock.
#![expect(
    unsafe_code,
    reason = "one writer and many readers share an allocation, split at a published length"
)]

use crate::limits::BLOCK_BYTES;
use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// What everybody may see of a segment's bytes.
pub(super) struct SegmentBuffer {
    bytes: NonNull<u8>,
    len: usize,
    /// Bytes below are on the device only.
    from: usize,
    published: AtomicUsize,
    sealed: AtomicBool,
}

// SAFETY: the allocation is owned, and access to it is split as the module says.
unsafe impl Send for SegmentBuffer {}
// SAFETY: as above: shared reads stay below `published`, which only grows.
unsafe impl Sync for SegmentBuffer {}

impl SegmentBuffer {
    /// The bytes that will not change any more.
    pub(super) fn published(&self) -> &[u8] {
        let len = self.published.load(Ordering::Acquire);
        // SAFETY: `len` is at most the allocation's length, and the writer is done with these bytes.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr(), len) }
    }

    /// Whether the byte at `at` is here, once it is published.
    pub(super) fn holds(&self, at: usize) -> bool {
        at >= self.from
    }

    /// Whether nothing will be published any more.
    pub(super) fn sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    fn layout(len: usize) -> Layout {
        match Layout::from_size_align(len, BLOCK_BYTES) {
            Ok(layout) => layout,
            Err(_) => unreachable!("a segment is 1 or 8 MiB"),
        }
    }
}

impl Drop for SegmentBuffer {
    fn drop(&mut self) {
        // SAFETY: allocated in `BufferWriter::new` with this layout, and nobody borrows it any more.
        unsafe { dealloc(self.bytes.as_ptr(), Self::layout(self.len)) }
    }
}

/// The one hand that fills a buffer.
pub(super) struct BufferWriter(Arc<SegmentBuffer>);

impl BufferWriter {
    /// A zeroed buffer for a segment that is filled from byte `from` on.
    pub(super) fn new(len: usize, from: usize) -> Self {
        assert!(from <= len, "a segment filled from behind its end");
        let layout = SegmentBuffer::layout(len);
        // SAFETY: the layout's size is not zero.
        let bytes = unsafe { alloc_zeroed(layout) };
        let Some(bytes) = NonNull::new(bytes) else {
            handle_alloc_error(layout)
        };
        Self(Arc::new(SegmentBuffer {
            bytes,
            len,
            from,
            published: AtomicUsize::new(from),
            sealed: AtomicBool::new(false),
        }))
    }

    pub(super) fn share(&self) -> Arc<SegmentBuffer> {
        Arc::clone(&self.0)
    }

    /// The `len` bytes at `at`, not yet published.
    pub(super) fn at(&mut self, at: usize, len: usize) -> &mut [u8] {
        let published = self.0.published.load(Ordering::Relaxed);
        assert!(
            at >= published && len <= self.0.len && at <= self.0.len - len,
            "a write outside the open part"
        );
        // SAFETY: in bounds, above what readers see, and `&mut self` is the only writer.
        unsafe { std::slice::from_raw_parts_mut(self.0.bytes.as_ptr().add(at), len) }
    }

    /// Lets everybody see the bytes below `end`.
    pub(super) fn publish(&mut self, end: usize) {
        assert!(
            end <= self.0.len && end >= self.0.published.load(Ordering::Relaxed),
            "published bytes only grow"
        );
        self.0.published.store(end, Ordering::Release);
    }

    /// Nothing more comes.
    pub(super) fn seal(&mut self) {
        self.0.sealed.store(true, Ordering::Release);
    }
}
