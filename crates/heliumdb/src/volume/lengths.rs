//! Walks that are after the lengths of values only.
//!
//! Invariant: of each item they read what the index leads to, and of a long value that is the list of its pieces: no
//! piece is read, and nothing is decompressed.

use crossbeam_epoch::Guard;

use super::{
    Datastore,
    items::{Anybody, Taken, Walk, with_slot_at},
    tree::Tree,
};
use crate::{
    error::Result,
    location::Location,
    log::{Purpose, Ready},
};

/// Iterator over keys and the lengths of their values: see [`Datastore::lengths`].
pub struct Lengths(Walk<Anybody, u64>);

impl Datastore {
    /// The keys of all newest committed items, each once and in the order of [`Datastore::items`], with how many bytes
    /// their values have: much less is read for values that are long.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let url = format!("he://{}", dir.path().join("volume").display());
    /// # let volume = heliumdb::Volume::open(&url, &Default::default())?;
    /// let store = volume.create_datastore(b"pictures", b"")?;
    /// store.put(b"cat", &vec![0; 10 << 20])?;
    /// let largest = store.lengths().map(|found| found.unwrap().1).max();
    /// assert_eq!(largest, Some(10 << 20));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lengths(&self) -> Lengths {
        Lengths(Walk::new(self, Anybody))
    }
}

impl Iterator for Lengths {
    type Item = Result<(Vec<u8>, u64)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl Taken for u64 {
    fn take(
        tree: &Tree,
        slot: &[u8],
        at: Location,
        ready: Ready<'_>,
        guard: &Guard,
    ) -> Result<Option<(Vec<u8>, Self)>> {
        let how = (Purpose::Walk, ready);
        with_slot_at(tree, slot, at, how, guard, |expected, ready| {
            let log = tree.log();
            log.value_len(Purpose::Walk, at, expected, ready, guard)
        })
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}
