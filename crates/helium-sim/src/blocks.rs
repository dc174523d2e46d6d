//! Blocks of the file system that a disk is a file on.
//!
//! Invariant: once something else has filled the file system, a block that is not there can be had no more, and one
//! that is given back is gone.

use std::{io, ops::Range};

const BLOCK_BYTES: u64 = 4096;

/// Which blocks of the file there are.
#[derive(Clone, Default)]
pub(crate) struct Blocks {
    there: Vec<bool>,
    is_full: bool,
}

impl Blocks {
    /// Something else takes all that is left.
    pub(crate) fn fill(&mut self) {
        self.is_full = true;
    }

    /// Makes them be there that the range touches; an error, and nothing is done, if one cannot be had.
    pub(crate) fn take(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let range = (offset / BLOCK_BYTES) as usize..(offset + len).div_ceil(BLOCK_BYTES) as usize;
        let is_there = |block: usize| self.there.get(block) == Some(&true);
        if self.is_full && !range.clone().all(is_there) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.set(range, true);
        Ok(())
    }

    /// Gives those back that are wholly in the range.
    pub(crate) fn give_back(&mut self, offset: u64, len: u64) {
        let range = offset.div_ceil(BLOCK_BYTES) as usize..((offset + len) / BLOCK_BYTES) as usize;
        self.set(range, false);
    }

    /// Bytes that they take.
    pub(crate) fn bytes(&self) -> u64 {
        self.there.iter().filter(|there| **there).count() as u64 * BLOCK_BYTES
    }

    fn set(&mut self, range: Range<usize>, there: bool) {
        if self.there.len() < range.end {
            self.there.resize(range.end, false);
        }
        self.there[range].fill(there);
    }
}
