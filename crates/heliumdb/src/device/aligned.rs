//! A byte buffer that starts on a block boundary, as direct I/O wants it.

use crate::limits::BLOCK_BYTES;

/// A zeroed, block-aligned buffer of a fixed size.
pub(crate) struct AlignedBuffer {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuffer {
    pub(crate) fn new(len: usize) -> Self {
        let bytes = vec![0; len + BLOCK_BYTES];
        // `align_offset` may give up (usize::MAX): then the buffer works, unaligned.
        let offset = bytes.as_ptr().align_offset(BLOCK_BYTES);
        let start = if offset < BLOCK_BYTES { offset } else { 0 };
        Self { bytes, start, len }
    }
}

impl std::ops::Deref for AlignedBuffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }
}

impl std::ops::DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

/// Whether direct I/O may use `buffer` as it is.
pub(crate) fn is_aligned(buffer: &[u8]) -> bool {
    (buffer.as_ptr() as usize).is_multiple_of(BLOCK_BYTES)
        && buffer.len().is_multiple_of(BLOCK_BYTES)
}
