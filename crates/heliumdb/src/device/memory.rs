//! A device whose bytes live in the process and go with it.
//!
//! Invariant: memory is taken piece by piece, when something is first written there, and that it cannot be had is an
//! error of the write. What was not written, or was discarded, reads as zeros and takes none.

use super::Device;
use crate::{Error, ErrorKind, Result};
use parking_lot::RwLock;
use std::io;

/// Memory that is taken at once.
const PIECE_BYTES: usize = 2 << 20;

/// A stretch of memory of a fixed size.
pub(crate) struct MemoryDevice {
    name: String,
    pieces: RwLock<Vec<Option<Vec<u8>>>>,
    len: u64,
}

impl MemoryDevice {
    pub(crate) fn new(name: impl Into<String>, len: usize) -> Result<Self> {
        let (name, count) = (name.into(), len.div_ceil(PIECE_BYTES));
        let mut pieces = Vec::new();
        pieces.try_reserve_exact(count).map_err(|why| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("{name}: no memory for so large a device: {why}"),
            )
        })?;
        pieces.resize_with(count, || None);
        Ok(Self {
            name,
            pieces: RwLock::new(pieces),
            len: len as u64,
        })
    }

    /// The parts of pieces that the range is made of: each with its piece's number, its start there, and its length.
    fn parts(
        &self,
        offset: u64,
        len: usize,
    ) -> io::Result<impl Iterator<Item = (usize, usize, usize)> + use<>> {
        let end = offset
            .checked_add(len as u64)
            .filter(|end| *end <= self.len);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)? as usize;
        let mut at = offset as usize;
        Ok(std::iter::from_fn(move || {
            let (piece, start) = (at / PIECE_BYTES, at % PIECE_BYTES);
            let len = (PIECE_BYTES - start).min(end - at);
            at += len;
            (len > 0).then_some((piece, start, len))
        }))
    }
}

impl Device for MemoryDevice {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let parts = self.parts(offset, buffer.len())?;
        let pieces = self.pieces.read();
        let mut rest = buffer;
        for (piece, start, len) in parts {
            let (part, behind) = rest.split_at_mut(len);
            match &pieces[piece] {
                Some(bytes) => part.copy_from_slice(&bytes[start..start + len]),
                None => part.fill(0),
            }
            rest = behind;
        }
        Ok(())
    }

    fn read_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        self.read_at(buffer, offset).map(|()| true)
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        let parts = self.parts(offset, buffer.len())?;
        let mut pieces = self.pieces.write();
        let mut rest = buffer;
        for (piece, start, len) in parts {
            let (part, behind) = rest.split_at(len);
            let bytes = match &mut pieces[piece] {
                Some(bytes) => bytes,
                empty => empty.insert(zeros()?),
            };
            bytes[start..start + len].copy_from_slice(part);
            rest = behind;
        }
        Ok(())
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        let parts = self.parts(offset, len as usize)?;
        let mut pieces = self.pieces.write();
        for (piece, start, len) in parts {
            match &mut pieces[piece] {
                whole if len == PIECE_BYTES => *whole = None,
                Some(bytes) => bytes[start..start + len].fill(0),
                None => {}
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn grow(&self, bytes: u64) -> io::Result<()> {
        if bytes <= self.len {
            Ok(())
        } else {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    fn can_grow(&self) -> bool {
        false
    }

    fn name(&self) -> &str {
        &self.name
    }
}

fn zeros() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(PIECE_BYTES)
        .map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.resize(PIECE_BYTES, 0);
    Ok(bytes)
}
