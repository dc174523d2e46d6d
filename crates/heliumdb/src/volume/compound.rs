//! Operations of a datastore that look and write in one, or look at many items.

use std::sync::Arc;

use crossbeam_epoch as epoch;

use super::{
    Datastore,
    datastore::{Eyes, look},
    direct::Expect,
    tree::Tree,
};
use crate::{
    error::Result,
    location::{Location, Word},
    log::Purpose,
    version::chain::Seen,
};

impl Datastore {
    /// Whether there is an item under `key`, as last committed. Its value is not read.
    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        self.contains_with(None, key)
    }

    pub(crate) fn contains_with(&self, eyes: Eyes<'_>, key: &[u8]) -> Result<bool> {
        self.shared.check_open()?;
        self.with_tree(|tree| {
            let guard = epoch::pin();
            let word = Word(tree.get(key, &guard));
            Ok(look(eyes, word, &guard)?.is_present())
        })
    }

    /// The newest committed values of several keys, in the order of the keys. They are looked up
    /// in key order, so that this costs less than one call for each.
    pub fn multi_get<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Vec<u8>>>> {
        self.multi_get_with(None, keys)
    }

    pub(crate) fn multi_get_with<K: AsRef<[u8]>>(
        &self,
        eyes: Eyes<'_>,
        keys: &[K],
    ) -> Result<Vec<Option<Vec<u8>>>> {
        self.shared.check_open()?;
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_unstable_by_key(|&i| keys[i].as_ref());
        let mut values = vec![None; keys.len()];
        self.with_tree(|tree| {
            let guard = epoch::pin();
            // Places first, so that their memory is asked for before the first value is copied.
            let words: Vec<Word> = order
                .iter()
                .map(|&i| Word(tree.get(keys[i].as_ref(), &guard)))
                .collect();
            for (&i, &word) in order.iter().zip(&words) {
                let mut value = Vec::new();
                let slot = (keys[i].as_ref(), word);
                if self.read_slot(tree, slot, &mut value, &guard, eyes, Purpose::Point)? {
                    values[i] = Some(value);
                }
            }
            Ok(values)
        })
    }

    /// Removes `key` and returns its value, in one: of several that take the same item one gets
    /// it. Buffered, as for [`Datastore::put`].
    pub fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut taken = None;
        self.change(key, |old| {
            taken = old.map(<[u8]>::to_vec);
            None
        })?;
        Ok(taken)
    }

    /// Sets `key` to what `change` makes of its value (`None`: no item), in one, and returns what
    /// that is. `change` is called again if the item is written meanwhile. Buffered, as for
    /// [`Datastore::put`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let url = format!("he://{}", dir.path().join("volume").display());
    /// # let volume = heliumdb::Volume::open(&url, &Default::default())?;
    /// let counters = volume.create_datastore(b"counters", b"")?;
    /// for _ in 0..3 {
    ///     counters.merge(b"visits", |old| {
    ///         let old = old.map_or(0, |old| u64::from_le_bytes(old.try_into().unwrap()));
    ///         Some((old + 1).to_le_bytes().to_vec())
    ///     })?;
    /// }
    /// assert_eq!(counters.take(b"visits")?, Some(3u64.to_le_bytes().to_vec()));
    /// assert!(!counters.contains(b"visits")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn merge(
        &self,
        key: &[u8],
        change: impl FnMut(Option<&[u8]>) -> Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>> {
        self.change(key, change)
    }

    fn change(
        &self,
        key: &[u8],
        mut change: impl FnMut(Option<&[u8]>) -> Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>> {
        self.shared.check_writable()?;
        // Who waits for room holds no guard.
        self.shared.when_room(|| self.try_change(key, &mut change))
    }

    fn try_change(
        &self,
        key: &[u8],
        change: &mut impl FnMut(Option<&[u8]>) -> Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>> {
        self.with_tree(|tree| {
            let mut old = Vec::new();
            loop {
                // Held until the write: while it is, no place is given to another item.
                let _guard = epoch::pin();
                let place = self.read_place(tree, key, &mut old)?;
                let new = change(place.map(|_| old.as_slice()));
                if place.is_none() && new.is_none() {
                    return Ok(None);
                }
                let expect = Expect::Same(place);
                // Whoever was faster has changed the item; so somebody always gets on.
                if self.shared.write_if(tree, key, new.as_deref(), expect)? {
                    return Ok(new);
                }
            }
        })
    }

    /// Reads the newest committed value of `key`, and says where it is.
    fn read_place(
        &self,
        tree: &Arc<Tree>,
        key: &[u8],
        value: &mut Vec<u8>,
    ) -> Result<Option<Location>> {
        loop {
            let guard = epoch::pin();
            let word = Word(tree.get(key, &guard));
            let Seen::At(location) = look(None, word, &guard)? else {
                return Ok(None);
            };
            value.clear();
            if self.shared.log.read(location, tree.id, key, value)? {
                return Ok(Some(location));
            }
            if word.0 == tree.get(key, &guard) {
                return Err(self.misplaced(key));
            }
        }
    }
}
