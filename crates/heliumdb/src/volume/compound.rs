//! Operations of a datastore that look and write in one, or look at many items.

use std::sync::Arc;

use crossbeam_epoch::{self as epoch, Guard};

use super::{
    Datastore,
    datastore::{Eyes, look},
    direct::Expect,
    tree::Tree,
};
use crate::{
    error::Result,
    location::{Location, Word},
    log::{Expected, Fetch, Purpose, append_value},
    version::chain::Seen,
};

/// Keys of a `multi_get` that are looked up together.
const GET_TOGETHER: usize = 64;

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
    /// side by side, and what has to be read from devices is asked for together, so that this
    /// costs less than one call for each.
    pub fn multi_get<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Vec<u8>>>> {
        self.multi_get_with(None, keys)
    }

    pub(crate) fn multi_get_with<K: AsRef<[u8]>>(
        &self,
        eyes: Eyes<'_>,
        keys: &[K],
    ) -> Result<Vec<Option<Vec<u8>>>> {
        self.shared.check_open()?;
        let mut values = Vec::with_capacity(keys.len());
        self.with_tree(|tree| {
            let mut fetch = Fetch::take();
            for keys in keys.chunks(GET_TOGETHER) {
                self.get_together(tree, eyes, keys, &mut fetch, &mut values)?;
            }
            fetch.keep();
            Ok(values)
        })
    }

    /// Looks up all of `keys`, then fetches their items together, then copies their values.
    fn get_together<K: AsRef<[u8]>>(
        &self,
        tree: &Tree,
        eyes: Eyes<'_>,
        keys: &[K],
        fetch: &mut Fetch,
        values: &mut Vec<Option<Vec<u8>>>,
    ) -> Result<()> {
        let guard = epoch::pin();
        let log = &self.shared.log;
        let mut words = Vec::with_capacity(keys.len());
        let each = keys.iter().map(AsRef::as_ref);
        tree.get_many(each, &guard, |word| words.push(Word(word)));
        let seen = words.iter().map(|&word| look(eyes, word, &guard));
        let seen: Vec<Seen<'_>> = seen.collect::<Result<_>>()?;
        let places = seen.iter().map(|seen| match seen {
            Seen::At(location) => Some(*location),
            _ => None,
        });
        let mut here = Vec::with_capacity(keys.len());
        log.fetch(Purpose::Point, places, fetch, &mut here, &guard);
        for (i, (key, seen)) in keys.iter().zip(seen).enumerate() {
            let key = key.as_ref();
            let mut value = Vec::new();
            let is_there = match seen {
                Seen::Absent => false,
                Seen::Bytes(bytes) => {
                    value.extend_from_slice(bytes);
                    true
                }
                Seen::At(at) => {
                    let expected = Expected { tree: tree.id, key };
                    let (ready, built) = (fetch.ready(i, &here), &mut value);
                    let purpose = Purpose::Point;
                    let found =
                        log.with_value(purpose, at, expected, ready, built, &guard, append_value)?;
                    // Its place was reused since the slot was looked at.
                    found.is_some() || self.read_again(tree, eyes, key, &mut value, &guard)?
                }
            };
            values.push(is_there.then_some(value));
        }
        Ok(())
    }

    #[cold]
    fn read_again(
        &self,
        tree: &Tree,
        eyes: Eyes<'_>,
        key: &[u8],
        value: &mut Vec<u8>,
        guard: &Guard,
    ) -> Result<bool> {
        let slot = (key, Word(tree.get(key, guard)));
        self.read_slot(tree, slot, value, guard, eyes, Purpose::Point)
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
