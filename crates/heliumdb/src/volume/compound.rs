//! Operations of a datastore that look and write in one, or look at many items.

use crossbeam_epoch::{self as epoch, Guard};

use super::{
    Datastore,
    datastore::{Eyes, look},
    direct::Expect,
    tree::Tree,
};
use crate::{
    error::{Error, ErrorKind, Result},
    limits::MERGE_ATTEMPTS_MAX,
    location::Word,
    log::{Expected, Fetch, Purpose, Spot, append_value},
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
        self.with_tree_of(eyes, |tree| {
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
        self.with_tree_of(eyes, |tree| {
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
        self.merge(key, |old| {
            taken = old.map(<[u8]>::to_vec);
            None
        })?;
        Ok(taken)
    }

    /// Sets `key` to what `change` makes of its value (`None`: no item), in one, and returns what
    /// that is. `change` is called again if the item is written meanwhile, by itself included:
    /// [`limits::MERGE_ATTEMPTS_MAX`](MERGE_ATTEMPTS_MAX) times at most, then this fails with [`ErrorKind::Conflict`].
    /// Buffered, as for [`Datastore::put`].
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
        mut change: impl FnMut(Option<&[u8]>) -> Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>> {
        self.try_merge(key, |old| Ok(change(old)))
    }

    /// As [`Datastore::merge`], but where `change` fails nothing is written, and this fails with
    /// what it says.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let url = format!("he://{}", dir.path().join("volume").display());
    /// # let volume = heliumdb::Volume::open(&url, &Default::default())?;
    /// use heliumdb::{Error, ErrorKind};
    /// let accounts = volume.create_datastore(b"accounts", b"")?;
    /// accounts.put(b"alice", b"5")?;
    /// let withdrawn = accounts.try_merge(b"alice", |old| match old {
    ///     Some(b"5") => Err(Error::new(ErrorKind::InvalidArgument, "not enough")),
    ///     old => Ok(old.map(<[u8]>::to_vec)),
    /// });
    /// assert_eq!(withdrawn.unwrap_err().kind(), ErrorKind::InvalidArgument);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_merge<E: From<Error>>(
        &self,
        key: &[u8],
        mut change: impl FnMut(Option<&[u8]>) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Option<Vec<u8>>, E> {
        self.check_handle()?;
        self.shared.check_writable()?;
        let mut old = Vec::new();
        for _ in 0..MERGE_ATTEMPTS_MAX {
            let spot = self.read_spot(key, &mut old)?;
            // Nothing of the store is held: the function may take its time, and use the store.
            let new = change(spot.map(|_| old.as_slice()))?;
            if spot.is_none() && new.is_none() {
                return Ok(None);
            }
            let expect = Expect::Same(spot);
            // Whoever was faster has changed the item; so somebody always gets on.
            if self.write_when_resolved(key, new.as_deref(), expect)? {
                return Ok(new);
            }
        }
        let why = format!(
            "the item was written by others, or by the function that changes it, in each of {MERGE_ATTEMPTS_MAX} attempts \
             to change it; try again"
        );
        Err(Error::new(ErrorKind::Conflict, why).into())
    }

    /// Reads the newest committed value of `key`, and says what tells it from all others.
    fn read_spot(&self, key: &[u8], value: &mut Vec<u8>) -> Result<Option<Spot>> {
        self.with_tree(|tree| {
            loop {
                let guard = epoch::pin();
                let word = Word(tree.get(key, &guard));
                let location = match look(None, word, &guard)? {
                    Seen::Absent => return Ok(None),
                    Seen::At(location) => location,
                    // Nothing committed says bytes.
                    Seen::Bytes(_) => continue,
                };
                value.clear();
                if self.shared.log.read(location, tree.id, key, value)? {
                    return Ok(self.shared.log.spot(location, &guard));
                }
                if word.0 == tree.get(key, &guard) {
                    return Err(self.misplaced(key));
                }
            }
        })
    }
}
