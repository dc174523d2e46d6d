//! The highest sequence number of keys, while a log is replayed in which order says too little.
//!
//! For nearly all keys what comes later wins. *Overtakers* are those where an older item may follow.
//!
//! The cleaner leaves items in the log twice, and behind later ones. With a checkpoint that does
//! not matter: a move counts if its item is where it was moved from. Without one, the items from
//! which it was moved may be gone, so all that is left are the numbers. Invariant: tombstones are
//! remembered like items. A key is known by 128 bits of its hash, seeded with its tree: a chance
//! meeting is less likely than a wrong bit that no checksum sees.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// See the module.
#[derive(Default)]
pub(super) struct Numbers(HashMap<u128, u64>);

impl Numbers {
    /// Whether an item of `key` counts, by its number, among those seen so far.
    pub(super) fn admits(&mut self, tree: u32, key: &[u8], sequence: u64) -> bool {
        let key = xxh3_128_with_seed(key, tree.into());
        let newest = self.0.entry(key).or_default();
        let counts = sequence >= *newest;
        if counts {
            *newest = sequence;
        }
        counts
    }
}

/// Keys of which older items may come later, each with the highest number so far.
#[derive(Default)]
pub(super) struct Overtakers(HashMap<(u32, Vec<u8>), u64>);

impl Overtakers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an item of `key` counts, by its number, if the key is one of these.
    pub(super) fn admit(&mut self, tree: u32, key: &[u8], sequence: u64) -> bool {
        if self.0.is_empty() {
            return true;
        }
        match self.0.get_mut(&(tree, key.to_vec())) {
            Some(highest) if *highest > sequence => false,
            Some(highest) => {
                *highest = sequence;
                true
            }
            None => true,
        }
    }

    /// An item with that number has overtaken others.
    pub(super) fn add(&mut self, tree: u32, key: &[u8], sequence: u64) {
        let highest = self.0.entry((tree, key.to_vec())).or_default();
        *highest = sequence.max(*highest);
    }
}
