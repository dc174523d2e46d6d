//! A device whose bytes live in the process and go with it.

use super::Device;
use parking_lot::RwLock;
use std::io;

/// A stretch of memory of a fixed size.
pub(crate) struct MemoryDevice {
    name: String,
    bytes: RwLock<Vec<u8>>,
    len: u64,
}

impl MemoryDevice {
    pub(crate) fn new(name: impl Into<String>, len: usize) -> Self {
        Self {
            name: name.into(),
            // Zeroed pages are only made real when they are touched.
            bytes: RwLock::new(vec![0; len]),
            len: len as u64,
        }
    }

    fn range(&self, offset: u64, len: usize) -> io::Result<std::ops::Range<usize>> {
        match offset.checked_add(len as u64) {
            Some(end) if end <= self.len => Ok(offset as usize..end as usize),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Device for MemoryDevice {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let range = self.range(offset, buffer.len())?;
        buffer.copy_from_slice(&self.bytes.read()[range]);
        Ok(())
    }

    fn read_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        self.read_at(buffer, offset).map(|()| true)
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        let range = self.range(offset, buffer.len())?;
        self.bytes.write()[range].copy_from_slice(buffer);
        Ok(())
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        let range = self.range(offset, len as usize)?;
        self.bytes.write()[range].fill(0);
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
