//! Operations of a datastore that look and write in one, or look at many items.

use crossbeam_epoch as epoch;

use super::Datastore;
use crate::{
    error::{Error, ErrorKind, Result},
    limits::MERGE_ATTEMPTS_MAX,
    location::Word,
    log::{Fetch, Purpose, Ready, Spot, append_value},
    read::{Item, Look, Position, Shown, Wanted, Which},
    version::{Eyes, chain::Seen},
    write::Expect,
};

/// Keys of a `multi_get` that are looked up together.
const GET_TOGETHER: usize = 64;

impl Datastore {
    /// Whether there is an item under `key`, as last committed. Its value is not read.
    pub fn contains_key(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.contains_with(None, key.as_ref())
    }

    pub(crate) fn contains_with(&self, eyes: Eyes<'_>, key: &[u8]) -> Result<bool> {
        self.looking(eyes, Purpose::Point, |look| {
            Ok(look.see(look.word(Which::Key(key)))?.is_present())
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
        self.shared.access.check_open()?;
        let mut values = Vec::with_capacity(keys.len());
        self.with_tree_of(eyes, |tree| {
            for keys in keys.chunks(GET_TOGETHER) {
                let guard = epoch::pin();
                let look = self.look_at(tree, eyes, Purpose::Point, &guard);
                get_together(look, keys, &mut values)?;
            }
            Ok(values)
        })
    }

    /// Deletes `key` and returns its value, in one: of several that remove the same item one gets
    /// it. Buffered, as for [`Datastore::put`]. [`Datastore::delete`] reads no value.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let mut removed = None;
        self.update_fetch(key, |old| {
            removed = old.map(<[u8]>::to_vec);
            None
        })?;
        Ok(removed)
    }

    /// Removes the item with the smallest key and returns it: the first of those that are there when it looks, and then still. Of several
    /// that take from the same datastore each gets another item. Buffered, as for [`Datastore::put`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let volume = heliumdb::Volume::open_or_create(dir.path().join("volume"))?;
    /// let jobs = volume.create_datastore("jobs")?;
    /// jobs.put("1", "wash")?;
    /// assert_eq!(jobs.pop_first()?, Some((b"1".to_vec(), b"wash".to_vec())));
    /// assert_eq!(jobs.pop_first()?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_first(&self) -> Result<Option<Item>> {
        self.pop(Position::First)
    }

    /// Removes the item with the largest key and returns it: see [`Datastore::pop_first`].
    pub fn pop_last(&self) -> Result<Option<Item>> {
        self.pop(Position::Last)
    }

    fn pop(&self, end: Position<'_>) -> Result<Option<Item>> {
        self.check_handle()?;
        let (mut key, mut nothing) = (Vec::new(), Vec::new());
        while self.seek_for(None, (end, Wanted::Keys), &mut key, &mut nothing)? {
            // Unless somebody else has taken it meanwhile.
            if let Some(value) = self.remove(&key)? {
                return Ok(Some((key, value)));
            }
        }
        Ok(None)
    }

    /// The value of `key`, if it is there; otherwise sets it to `value`, and returns `None`. In one: of several that
    /// put the same item one does. Buffered, as for [`Datastore::put`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let volume = heliumdb::Volume::open_or_create(dir.path().join("volume"))?;
    /// let owners = volume.create_datastore("owners")?;
    /// assert_eq!(owners.get_or_put("lock", "ada")?, None);
    /// assert_eq!(owners.get_or_put("lock", "bob")?, Some(b"ada".to_vec()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_or_put(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<Option<Vec<u8>>> {
        let (key, value) = (key.as_ref(), value.as_ref());
        loop {
            if let Some(there) = self.get(key)? {
                return Ok(Some(there));
            }
            match self.try_insert(key, value) {
                // Somebody else was faster, and may have deleted it since.
                Err(why) if why.kind() == ErrorKind::ItemExists => {}
                done => return done.map(|()| None),
            }
        }
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
    /// let counters = volume.create_datastore(b"counters")?;
    /// for _ in 0..3 {
    ///     counters.update_fetch(b"visits", |old| {
    ///         let old = old.map_or(0, |old| u64::from_le_bytes(old.try_into().unwrap()));
    ///         Some((old + 1).to_le_bytes().to_vec())
    ///     })?;
    /// }
    /// assert_eq!(counters.remove(b"visits")?, Some(3u64.to_le_bytes().to_vec()));
    /// assert!(!counters.contains_key(b"visits")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update_fetch(
        &self,
        key: impl AsRef<[u8]>,
        mut change: impl FnMut(Option<&[u8]>) -> Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>> {
        self.try_update_fetch(key, |old| Ok(change(old)))
    }

    /// As [`Datastore::update_fetch`], but where `change` fails nothing is written, and this fails with
    /// what it says.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let url = format!("he://{}", dir.path().join("volume").display());
    /// # let volume = heliumdb::Volume::open(&url, &Default::default())?;
    /// use heliumdb::{Error, ErrorKind};
    /// let accounts = volume.create_datastore(b"accounts")?;
    /// accounts.put(b"alice", b"5")?;
    /// let withdrawn = accounts.try_update_fetch(b"alice", |old| match old {
    ///     Some(b"5") => Err(Error::new(ErrorKind::InvalidArgument, "not enough")),
    ///     old => Ok(old.map(<[u8]>::to_vec)),
    /// });
    /// assert_eq!(withdrawn.unwrap_err().kind(), ErrorKind::InvalidArgument);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_update_fetch<E: From<Error>>(
        &self,
        key: impl AsRef<[u8]>,
        mut change: impl FnMut(Option<&[u8]>) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Option<Vec<u8>>, E> {
        let key = key.as_ref();
        self.check_handle()?;
        self.shared.access.check_writable()?;
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
        self.looking(None, Purpose::Point, |look| {
            value.clear();
            let which = Which::Key(key);
            let seen = look.see(look.word(which))?;
            let at = look.read(which, (seen, Ready::No), value, |shown, built| {
                append_value(shown.value, built);
                shown.at
            })?;
            // Nothing committed is elsewhere than in the log.
            let at = at.flatten();
            Ok(at.and_then(|at| look.tree.log().spot(at, look.guard)))
        })
    }
}

/// Looks up all of `keys`, then fetches their items together, then copies their values.
fn get_together<K: AsRef<[u8]>>(
    look: Look<'_>,
    keys: &[K],
    values: &mut Vec<Option<Vec<u8>>>,
) -> Result<()> {
    let mut words = Vec::with_capacity(keys.len());
    let each = keys.iter().map(AsRef::as_ref);
    look.tree
        .get_many(each, look.guard, |word| words.push(Word(word)));
    let seen = words.iter().map(|&word| look.see(word));
    let seen: Vec<Seen<'_>> = seen.collect::<Result<_>>()?;
    let places = seen.iter().map(|seen| match seen {
        Seen::At(at) => Some(*at),
        _ => None,
    });
    let mut fetch = Fetch::new();
    let log = look.tree.log();
    log.fetch(look.purpose, places, &mut fetch, look.guard);
    for (i, (key, seen)) in keys.iter().zip(seen).enumerate() {
        let mut value = Vec::new();
        let append = |shown: Shown<'_>, built: &mut Vec<u8>| append_value(shown.value, built);
        let (which, known) = (Which::Key(key.as_ref()), (seen, fetch.ready(i)));
        let found = look.read(which, known, &mut value, append)?;
        values.push(found.map(|()| value));
    }
    Ok(())
}
