//! The only road to the kernel: what a volume needs of the thing it is kept on.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "what others are not to do is done here"
)]

pub(crate) mod aligned;
mod allowed;
mod backing;
mod descriptor;
mod file;
mod identity;
mod lock;
pub(crate) mod machine;
mod memory;
mod path_text;
#[cfg(test)]
mod tests;
mod url;

pub use descriptor::above_standard;
pub(crate) use file::FileDevice;
pub use identity::Identity;
pub(crate) use memory::MemoryDevice;
pub use path_text::{split_list, text_of, url_text};
pub(crate) use url::open_url;
pub use url::paths;

use std::io;

/// What the kernel knows a file or block device by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// It is a regular file, and not a block device.
    pub is_file: bool,
    /// Number of the device that the file is on, or of the block device itself.
    pub device: u64,
    /// Number of the file's inode; of a block device 0.
    pub inode: u64,
}

/// A file, block device or stretch of memory that holds part of a volume.
///
/// Offsets and lengths are in bytes. Implementations do whole transfers: a short
/// read or write is an error. Everything is callable from several threads at once.
pub trait Device: Send + Sync {
    // Of a volume's devices the log's `disk` module makes one road to sync: it passes on all else.

    /// Fills `buffer` from `offset`.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Fills `buffer` from `offset` if that needs no waiting; false if it was not done.
    fn read_now(&self, _buffer: &mut [u8], _offset: u64) -> io::Result<bool> {
        Ok(false)
    }
    /// Says that the bytes will be read soon: the device may begin to fetch them. A hint.
    fn will_need(&self, _offset: u64, _len: usize) {}
    /// Fills `buffer` from `offset` with what is on the medium, not in a page cache
    /// that may lie after a failed sync. `offset` and the length are multiples of 4,096.
    fn read_at_uncached(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_at(buffer, offset)
    }
    /// Writes all of `buffer` at `offset`, which is below [`Device::len`].
    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()>;
    /// Says that nobody needs the range any more: from here on it may read as anything, at once or
    /// after a crash. An error of kind `Unsupported` if the device has no use for that.
    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        let _ = (offset, len);
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Whether parts of it may be without blocks, so that a write there can find no room: a regular file.
    fn may_be_hollow(&self) -> bool {
        false
    }
    /// Gives the range blocks where it has none, so that a write there needs no more room. An error of kind
    /// `Unsupported` where nothing but a write does that.
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        let _ = (offset, len);
        Ok(())
    }
    /// Returns when everything written before is durable.
    fn sync(&self) -> io::Result<()>;
    /// Current size in bytes.
    fn len(&self) -> u64;
    /// Bytes that it takes of what it is kept on: of a file, those of its blocks.
    fn taken(&self) -> u64 {
        self.len()
    }
    /// Whether the device has no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Makes the device at least `bytes` long, if it is of a kind that grows;
    /// an error of kind `StorageFull` if not. Durable only after [`Device::sync`]. The new part
    /// may have no blocks ([`Device::allocate`]).
    fn grow(&self, bytes: u64) -> io::Result<()>;
    /// Makes the device no longer than `bytes`, if it is of a kind that grows: what was behind is gone, at once or
    /// after a crash, and may be there again after one. An error of kind `Unsupported` if it cannot become shorter.
    fn shrink(&self, bytes: u64) -> io::Result<()> {
        let _ = bytes;
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Whether [`Device::grow`] can work.
    fn can_grow(&self) -> bool;
    /// What the kernel knows the device by; `None` if nobody else can have it open, by whatever name. Who opens a
    /// volume for writing that somebody else may have leaves a mark on it.
    fn place(&self) -> Option<Place> {
        None
    }
    /// Lets others open the device: nothing is written to it from here on.
    fn release(&self) {}
    /// The name by which messages call the device: its path.
    fn name(&self) -> &str;
}
