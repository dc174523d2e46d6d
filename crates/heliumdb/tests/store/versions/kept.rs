//! Volumes as files that are kept beside the tests: what their disks hold, and what is in them.
//!
//! All numbers are little-endian and have eight bytes. A file is an LZ4 block behind its length, of an LZ4 block behind its length:
//! the number of disks, and for each its length, its number of pages that are not zero, and of each
//! page the offset and the bytes; then the number of volumes, and for each the number of its disks,
//! that of its datastores, and of each the name, the number of its items, and their keys and values.

use std::collections::BTreeMap;

use helium_sim::Image;
use lz4_flex::block::{compress_prepend_size, decompress_size_prepended};

/// The datastores of a volume by their names, with their items.
pub(super) type Contents = BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>>;

const PAGE_BYTES: usize = 4096;

/// Disks, and the volumes on them: the first one's disks come first.
pub(super) struct Kept {
    pub(super) images: Vec<Image>,
    /// Number of disks, and what is in it.
    pub(super) volumes: Vec<(usize, Contents)>,
}

impl Kept {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = Vec::new();
        put_number(&mut to, self.images.len());
        for image in &self.images {
            let pages = image.pages();
            put_number(&mut to, image.len() as usize);
            put_number(&mut to, pages.len());
            for page in pages {
                let mut bytes = [0; PAGE_BYTES];
                image.read(&mut bytes, page);
                put_number(&mut to, page as usize);
                to.extend_from_slice(&bytes);
            }
        }
        put_number(&mut to, self.volumes.len());
        for (disks, contents) in &self.volumes {
            put_number(&mut to, *disks);
            put_number(&mut to, contents.len());
            for (name, items) in contents {
                put_bytes(&mut to, name);
                put_number(&mut to, items.len());
                for (key, value) in items {
                    put_bytes(&mut to, key);
                    put_bytes(&mut to, value);
                }
            }
        }
        // Twice: long runs are many times the same few bytes.
        compress_prepend_size(&compress_prepend_size(&to))
    }

    pub(super) fn decode(file: &[u8]) -> Self {
        let once = decompress_size_prepended(file).unwrap();
        let bytes = decompress_size_prepended(&once).unwrap();
        let mut from = Reader(&bytes);
        let images = (0..from.number()).map(|_| {
            let mut image = Image::new(from.number() as u64);
            for _ in 0..from.number() {
                let offset = from.number() as u64;
                image.write(from.take(PAGE_BYTES), offset);
            }
            image
        });
        let images = images.collect();
        let volumes = (0..from.number()).map(|_| {
            let disks = from.number();
            let stores = (0..from.number()).map(|_| {
                let name = from.bytes();
                let items = (0..from.number()).map(|_| (from.bytes(), from.bytes()));
                (name, items.collect())
            });
            (disks, stores.collect())
        });
        let volumes = volumes.collect();
        Self { images, volumes }
    }
}

fn put_number(to: &mut Vec<u8>, number: usize) {
    to.extend_from_slice(&(number as u64).to_le_bytes());
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put_number(to, bytes.len());
    to.extend_from_slice(bytes);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn number(&mut self) -> usize {
        u64::from_le_bytes(self.take(8).try_into().unwrap()) as usize
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = self.number();
        self.take(len).to_vec()
    }
}
