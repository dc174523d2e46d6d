//! Blocks of the file system that a disk is a file on.
//!
//! Invariant: once something else has filled the file system, a block that is not there can be had no more, and one
//! that is given back is gone.

use std::{io, ops::Range};

const BLOCK_BYTES: u64 = 4096;

/// Which blocks of the file there are.
#[derive(Clone)]
pub(crate) struct Blocks {
    there: Vec<bool>,
    /// How many more the file system has.
    left: u64,
    /// Something else takes whatever comes free.
    is_filled: bool,
}

impl Blocks {
    /// On a file system of so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        Self {
            there: Vec::new(),
            left: bytes / BLOCK_BYTES,
            is_filled: false,
        }
    }

    /// Something else takes all that is left.
    pub(crate) fn fill(&mut self) {
        self.left = 0;
        self.is_filled = true;
    }

    /// Makes them be there that the range touches; an error, and nothing is done, if one cannot be had.
    pub(crate) fn take(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let range = (offset / BLOCK_BYTES) as usize..(offset + len).div_ceil(BLOCK_BYTES) as usize;
        let wanted = range.len() as u64 - self.count(range.clone());
        if wanted > self.left {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.left -= wanted;
        self.set(range, true);
        Ok(())
    }

    /// Gives those back that are wholly in the range.
    pub(crate) fn give_back(&mut self, offset: u64, len: u64) {
        let range = offset.div_ceil(BLOCK_BYTES) as usize..((offset + len) / BLOCK_BYTES) as usize;
        if !self.is_filled {
            self.left += self.count(range.clone());
        }
        self.set(range, false);
    }

    /// Bytes that they take.
    pub(crate) fn bytes(&self) -> u64 {
        self.count(0..self.there.len()) * BLOCK_BYTES
    }

    fn count(&self, range: Range<usize>) -> u64 {
        let there = self.there.iter().take(range.end).skip(range.start);
        there.filter(|there| **there).count() as u64
    }

    fn set(&mut self, range: Range<usize>, there: bool) {
        if self.there.len() < range.end {
            self.there.resize(range.end, false);
        }
        self.there[range].fill(there);
    }
}
