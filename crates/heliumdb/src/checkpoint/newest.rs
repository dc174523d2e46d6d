//! The newest checkpoint: what it is made of.

use std::collections::HashMap;

use super::directory::Directory;
use crate::location::Location;

/// See the module.
#[derive(Default)]
pub(crate) struct Newest {
    pub(super) number: u64,
    /// Keys of the store's own items, never given twice.
    pub(super) next_id: u64,
    pub(super) trees: HashMap<u32, Directory>,
    /// The root and the pieces of the manifest.
    pub(super) manifest: Vec<Location>,
}

impl Newest {
    /// The next key of an item of the store's own.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Bytes of all of it, and of the largest page.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let bytes = |at: Location| at.class_bytes() as u64;
        let pages = self.trees.values().flat_map(Directory::locations);
        let largest = pages.map(bytes).max().unwrap_or(0);
        (self.locations().map(bytes).sum(), largest)
    }

    /// Everything that the checkpoint is made of.
    pub(crate) fn locations(&self) -> impl Iterator<Item = Location> + '_ {
        let pages = self.trees.values().flat_map(Directory::locations);
        pages.chain(self.manifest.iter().copied())
    }
}
