//! What an index has for keys: the keys themselves, or in an unordered tree their hashes.
//!
//! The bit [`UNORDERED`](crate::format::trees::UNORDERED) of a tree's id says which, so that the log alone tells it. Invariant:
//! two keys of a tree never have the same hash, for all that anybody will ever see. The hash
//! has 96 bits and is keyed by the volume's secret, so that nobody who chooses keys can look for two
//! that meet; by chance two of a thousand million keys meet once in 10^11 volumes. Should it happen, the
//! item that was overwritten is called damaged, as reading compares whole keys: no other item's value
//! is ever handed out for it.

use std::{fmt, ops::Deref};

use crate::format::trees::is_unordered;
use siphasher::sip128::SipHasher24;

/// Bytes of a hash that the index keeps.
pub(crate) const HASH_BYTES: usize = 12;

/// What the hashes of a volume are keyed by.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) [u8; 16]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What the index of a tree has for a key: the bytes that this stands for.
#[derive(Clone, Copy)]
pub(crate) enum IndexKey<'a> {
    Itself(&'a [u8]),
    Hash([u8; HASH_BYTES]),
}

impl Deref for IndexKey<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Itself(key) => key,
            Self::Hash(hash) => hash,
        }
    }
}

impl Secret {
    /// What the index of `tree` has for `key`.
    #[inline]
    pub(crate) fn index_key<'a>(&self, tree: u32, key: &'a [u8]) -> IndexKey<'a> {
        if is_unordered(tree) {
            IndexKey::Hash(self.hash(key))
        } else {
            IndexKey::Itself(key)
        }
    }

    fn hash(&self, key: &[u8]) -> [u8; HASH_BYTES] {
        let whole = SipHasher24::new_with_key(&self.0).hash(key).as_bytes();
        let mut kept = [0; HASH_BYTES];
        kept.copy_from_slice(&whole[..HASH_BYTES]);
        kept
    }
}
