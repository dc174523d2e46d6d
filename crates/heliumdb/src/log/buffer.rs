//! A segment being filled, readable while it is.
//!
//! Invariant: bytes below `published` never change again; only the one [`BufferWriter`]
//! touches those above. So readers and the flusher need no lock.
#![expect(
    unsafe_code,
    reason = "one writer and many readers share an allocation, split at a published length"
)]

use super::pool::Pool;
use crate::memory::Memory;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// What everybody may see of a segment's bytes.
pub(super) struct SegmentBuffer {
    /// There until it goes back to the pool.
    memory: Option<Memory>,
    pool: Arc<Pool>,
    bytes: *mut u8,
    len: usize,
    /// Bytes below are on the device only.
    from: usize,
    published: AtomicUsize,
    sealed: AtomicBool,
    written: AtomicBool,
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
        unsafe { std::slice::from_raw_parts(self.bytes, len) }
    }

    /// Whether the byte at `at` is here, once it is published.
    pub(super) fn holds(&self, at: usize) -> bool {
        at >= self.from
    }

    /// Whether nothing will be published any more.
    pub(super) fn sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// Whether all that will ever be published is on the device too.
    pub(super) fn is_written(&self) -> bool {
        self.written.load(Ordering::Acquire)
    }

    pub(super) fn set_written(&self) {
        self.written.store(true, Ordering::Release);
    }
}

impl Drop for SegmentBuffer {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.pool.give(memory);
        }
    }
}

/// The one hand that fills a buffer.
pub(super) struct BufferWriter {
    buffer: Arc<SegmentBuffer>,
    /// Bytes below hold what this segment's log says; those above, what was there before.
    written: usize,
}

impl BufferWriter {
    /// A buffer for a segment that is filled from byte `from` on.
    pub(super) fn new(pool: &Arc<Pool>, len: usize, from: usize) -> Self {
        assert!(from <= len, "a segment filled from behind its end");
        let memory = pool.take(len);
        Self {
            buffer: Arc::new(SegmentBuffer {
                bytes: memory.as_ptr(),
                len: memory.len(),
                memory: Some(memory),
                pool: Arc::clone(pool),
                from,
                published: AtomicUsize::new(from),
                sealed: AtomicBool::new(false),
                written: AtomicBool::new(false),
            }),
            written: from,
        }
    }

    pub(super) fn share(&self) -> Arc<SegmentBuffer> {
        Arc::clone(&self.buffer)
    }

    /// The `len` bytes at `at`, not yet published.
    pub(super) fn at(&mut self, at: usize, len: usize) -> &mut [u8] {
        let published = self.buffer.published.load(Ordering::Relaxed);
        assert!(
            at >= published && len <= self.buffer.len && at <= self.buffer.len - len,
            "a write outside the open part"
        );
        self.fill(at);
        self.written = self.written.max(at + len);
        // SAFETY: in bounds, above what readers see, and `&mut self` is the only writer.
        unsafe { std::slice::from_raw_parts_mut(self.buffer.bytes.add(at), len) }
    }

    /// Zeros what was not written below `end`.
    fn fill(&mut self, end: usize) {
        if end > self.written {
            // SAFETY: in bounds as the callers have checked, above what readers see, and
            // `&mut self` is the only writer.
            unsafe {
                self.buffer
                    .bytes
                    .add(self.written)
                    .write_bytes(0, end - self.written);
            }
            self.written = end;
        }
    }

    /// Lets everybody see the bytes below `end`; where nothing was written, they are zero.
    pub(super) fn publish(&mut self, end: usize) {
        assert!(
            end <= self.buffer.len && end >= self.buffer.published.load(Ordering::Relaxed),
            "published bytes only grow"
        );
        self.fill(end);
        self.buffer.published.store(end, Ordering::Release);
    }

    /// Nothing more comes.
    pub(super) fn seal(&mut self) {
        self.buffer.sealed.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_buffer_held_before_is_never_published() {
        let pool = Arc::new(Pool::default());
        let mut first = BufferWriter::new(&pool, 1 << 20, 0);
        first.at(0, 1 << 20).fill(7);
        first.publish(1 << 20);
        drop(first);
        let mut second = BufferWriter::new(&pool, 1 << 20, 0);
        second.at(100, 50).fill(1);
        second.publish(4096);
        let shared = second.share();
        let bytes = shared.published();
        assert_eq!(bytes.len(), 4096);
        assert!(bytes[..100].iter().all(|&byte| byte == 0));
        assert!(bytes[100..150].iter().all(|&byte| byte == 1));
        assert!(bytes[150..].iter().all(|&byte| byte == 0));
    }
}
