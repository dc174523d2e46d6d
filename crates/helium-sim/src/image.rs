//! What a disk holds: sparse pages that copies share.
//!
//! Invariant: a page that is not there reads as zeros; a copy costs one reference per 256 KiB.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path, sync::Arc};

const PAGE_BYTES: usize = 4096;
const CHUNK_PAGES: usize = 64;
const CHUNK_BYTES: usize = PAGE_BYTES * CHUNK_PAGES;

type Page = [u8; PAGE_BYTES];

/// The bytes of a disk at one moment; cheap to copy.
#[derive(Clone)]
pub struct Image {
    chunks: Vec<Option<Arc<Chunk>>>,
    len: u64,
}

#[derive(Clone)]
struct Chunk([Option<Arc<Page>>; CHUNK_PAGES]);

impl Image {
    /// `len` zero bytes.
    pub fn new(len: u64) -> Self {
        let mut image = Self {
            chunks: Vec::new(),
            len: 0,
        };
        image.set_len(len);
        image
    }

    /// Size in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes it longer (with zeros) or shorter.
    pub fn set_len(&mut self, len: u64) {
        if len < self.len {
            let tail = (len as usize)
                .next_multiple_of(CHUNK_BYTES)
                .min(self.len as usize);
            self.zero(len as usize, tail);
        }
        self.chunks
            .resize((len as usize).div_ceil(CHUNK_BYTES), None);
        self.len = len;
    }

    /// Fills `buffer` from `offset`; the range is inside.
    pub fn read(&self, buffer: &mut [u8], offset: u64) {
        let mut at = offset as usize;
        let mut left = buffer;
        while !left.is_empty() {
            let within = at % PAGE_BYTES;
            let (now, rest) = left.split_at_mut(left.len().min(PAGE_BYTES - within));
            match self.page(at / PAGE_BYTES) {
                Some(page) => now.copy_from_slice(&page[within..within + now.len()]),
                None => now.fill(0),
            }
            at += now.len();
            left = rest;
        }
    }

    /// Writes all of `bytes` at `offset`; the range is inside.
    pub fn write(&mut self, bytes: &[u8], offset: u64) {
        let mut at = offset as usize;
        let mut left = bytes;
        while !left.is_empty() {
            let within = at % PAGE_BYTES;
            let (now, rest) = left.split_at(left.len().min(PAGE_BYTES - within));
            self.write_in_page(at / PAGE_BYTES, within, now);
            at += now.len();
            left = rest;
        }
    }

    fn zero(&mut self, from: usize, to: usize) {
        let zeros = [0; PAGE_BYTES];
        let mut at = from;
        while at < to {
            let bytes = (to - at).min(PAGE_BYTES - at % PAGE_BYTES);
            self.write_in_page(at / PAGE_BYTES, at % PAGE_BYTES, &zeros[..bytes]);
            at += bytes;
        }
    }

    fn page(&self, page: usize) -> Option<&Page> {
        self.chunks[page / CHUNK_PAGES].as_ref()?.0[page % CHUNK_PAGES].as_deref()
    }

    fn write_in_page(&mut self, page: usize, within: usize, bytes: &[u8]) {
        let zero = is_zero(bytes);
        if zero && self.page(page).is_none() {
            return;
        }
        let chunk = self.chunks[page / CHUNK_PAGES]
            .get_or_insert_with(|| Arc::new(Chunk([const { None }; CHUNK_PAGES])));
        let slot = &mut Arc::make_mut(chunk).0[page % CHUNK_PAGES];
        if zero && bytes.len() == PAGE_BYTES {
            *slot = None;
            return;
        }
        let page = slot.get_or_insert_with(|| Arc::new([0; PAGE_BYTES]));
        Arc::make_mut(page)[within..within + bytes.len()].copy_from_slice(bytes);
    }

    /// The offsets of all pages that were ever written to anything but zeros.
    pub fn pages(&self) -> Vec<u64> {
        let pages = 0..self.chunks.len() * CHUNK_PAGES;
        pages
            .filter(|&page| self.page(page).is_some())
            .map(|page| (page * PAGE_BYTES) as u64)
            .collect()
    }

    /// Makes a sparse file of it.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let file = File::create(path)?;
        file.set_len(self.len)?;
        for at in self.pages() {
            let mut page = [0; PAGE_BYTES];
            let inside = (self.len - at).min(PAGE_BYTES as u64) as usize;
            self.read(&mut page[..inside], at);
            file.write_all_at(&page[..inside], at)?;
        }
        Ok(())
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    let mut eights = bytes.chunks_exact(64);
    eights.all(|eight| eight.iter().fold(0, |all, byte| all | byte) == 0)
        && eights.remainder().iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_copies_do_not_change() {
        let mut image = Image::new(1 << 20);
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i % 251) as u8 + 1).collect();
        image.write(&bytes, 4000);
        let copy = image.clone();
        image.write(&[9; 300], 4100);
        let mut read = vec![0; 10_000];
        copy.read(&mut read, 4000);
        assert_eq!(read, bytes);
        image.read(&mut read, 4000);
        assert_eq!(read[100..400], [9; 300]);
        assert_eq!(image.pages().len(), 4);
    }

    #[test]
    fn what_is_cut_off_reads_as_zeros_when_it_grows_back() {
        let mut image = Image::new(1 << 20);
        image.write(&[7; 4096], 5000);
        image.set_len(6000);
        image.set_len(1 << 20);
        let mut read = [1; 4096];
        image.read(&mut read, 5000);
        assert_eq!(read[..1000], [7; 1000]);
        assert_eq!(read[1000..], [0; 3096]);
    }
}
