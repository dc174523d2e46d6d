//! Datastores: reading through a view, and plain reads outside any transaction.

use std::ops::RangeBounds;

use crossbeam_epoch::{self as epoch, Guard};

use super::{
    Datastore,
    ends::{of_prefix, owned},
    range::Range,
};
use crate::{
    error::Result,
    location::Word,
    log::{Purpose, Ready, Value, append_value},
    read::{
        Batch, Item, Look, Position, ReadAhead, Seeing, Shown, Wanted, When, Which, purpose, start,
    },
    tree::Tree,
    version::{Eyes, View, chain::Seen},
};

/// Items that a visit looks up together: so many first, and twice as many each time.
const VISIT_ITEMS: usize = 16;
const VISIT_ITEMS_MAX: usize = 64;

impl Datastore {
    /// Lets `work` look at the items that `eyes` see.
    #[inline]
    pub(crate) fn looking<R>(
        &self,
        eyes: Eyes<'_>,
        purpose: Purpose,
        work: impl FnOnce(Look<'_>) -> Result<R>,
    ) -> Result<R> {
        self.shared.access.check_open()?;
        self.with_tree_of(eyes, |tree| {
            let guard = epoch::pin();
            work(self.look_at(tree, eyes, purpose, &guard))
        })
    }

    /// Somebody's look at a tree of the volume.
    #[inline]
    pub(super) fn look_at<'a>(
        &'a self,
        tree: &'a Tree,
        eyes: Eyes<'a>,
        purpose: Purpose,
        guard: &'a Guard,
    ) -> Look<'a> {
        Look {
            tree,
            eyes,
            purpose,
            guard,
            passed: self.shared.passed(),
        }
    }

    /// As [`Datastore::looking`], along items in order.
    fn walking<R>(
        &self,
        eyes: Eyes<'_>,
        purpose: Purpose,
        work: impl FnOnce(Look<'_>) -> Result<R>,
    ) -> Result<R> {
        self.looking(eyes, purpose, |look| {
            look.tree.check_ordered()?;
            work(look)
        })
    }

    pub(crate) fn read_with(
        &self,
        eyes: Eyes<'_>,
        key: &[u8],
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        value.clear();
        self.looking(eyes, Purpose::Point, |look| {
            let which = Which::Key(key);
            let word = Word(look.tree.get(key, look.guard));
            let known = (look.see(word)?, Ready::No);
            let append = |shown: Shown<'_>, built: &mut Vec<u8>| append_value(shown.value, built);
            Ok(look.read(which, known, value, append)?.is_some())
        })
    }

    /// Shows `show` the value that `eyes` see.
    pub(crate) fn show_with<R>(
        &self,
        eyes: Eyes<'_>,
        key: &[u8],
        mut show: impl FnMut(&[u8]) -> R,
    ) -> Result<Option<R>> {
        self.looking(eyes, Purpose::Point, |look| {
            let which = Which::Key(key);
            let known = (look.see(look.word(which))?, Ready::No);
            look.read(which, known, &mut Vec::new(), |shown, built| {
                show(match shown.value {
                    Value::Here(value) => value,
                    Value::Built => built,
                })
            })
        })
    }

    /// How long the newest committed value of `key` is.
    pub(crate) fn newest_length(&self, key: &[u8]) -> Result<Option<u64>> {
        self.looking(None, Purpose::Point, |look| {
            let which = Which::Key(key);
            let known = (look.see(look.word(which))?, Ready::No);
            look.read_len(which, known, |_, len| len)
        })
    }

    pub(crate) fn seek_with(
        &self,
        eyes: Eyes<'_>,
        position: Position<'_>,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.seek_for(eyes, (position, Wanted::Items), key, value)
    }

    pub(crate) fn seek_for(
        &self,
        eyes: Eyes<'_>,
        (position, wanted): (Position<'_>, Wanted),
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.walking(eyes, purpose(position), |look| {
            let mut slots = Seeing::new(look, start(position));
            let found = slots.take_next(wanted, value)?.is_some();
            if found {
                key.clear();
                key.extend_from_slice(slots.slot());
            }
            Ok(found)
        })
    }

    /// See [`crate::host::DatastoreExt::seek_ahead`].
    pub(crate) fn seek_ahead_with(
        &self,
        view: &dyn View,
        (position, wanted): (Position<'_>, Wanted),
        ahead: &mut ReadAhead,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.shared.access.check_open()?;
        self.with_tree_of(Some(view), |tree| {
            tree.check_ordered()?;
            let now = When::now(tree, view, wanted, || self.shared.writing.sequence());
            if ahead.take(now, view, position, key, value) {
                return Ok(true);
            }
            let guard = epoch::pin();
            let look = self.look_at(tree, Some(view), purpose(position), &guard);
            ahead.look(look, view, now, position, key, value)
        })
    }

    /// The newest committed value of `key`.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let mut value = Vec::new();
        let found = self.read_with(None, key.as_ref(), &mut value)?;
        Ok(found.then_some(value))
    }

    /// Reads the newest committed value of `key` into `value`, which is cleared first; false
    /// if there is no item.
    pub fn get_into(&self, key: impl AsRef<[u8]>, value: &mut Vec<u8>) -> Result<bool> {
        self.read_with(None, key.as_ref(), value)
    }

    /// As [`Datastore::get_into`], as far as that asks no device: `None` if the value is not in memory in one piece, and
    /// so for [`Datastore::get_into`] to read. For programs of which one thread has many things to do.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let volume = heliumdb::Volume::open_or_create(dir.path().join("volume"))?;
    /// let pages = volume.create_datastore("pages")?;
    /// pages.put("home", "hello")?;
    /// let mut value = Vec::new();
    /// let found = match pages.get_at_hand("home", &mut value)? {
    ///     Some(found) => found,
    ///     None => pages.get_into("home", &mut value)?, // in a thread that may wait
    /// };
    /// assert!(found && value == b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_at_hand(&self, key: impl AsRef<[u8]>, value: &mut Vec<u8>) -> Result<Option<bool>> {
        value.clear();
        let which = Which::Key(key.as_ref());
        self.looking(None, Purpose::Point, |look| {
            let at = match look.see(look.word(which))? {
                Seen::Absent => return Ok(Some(false)),
                Seen::Bytes(bytes) => {
                    value.extend_from_slice(bytes);
                    return Ok(Some(true));
                }
                Seen::At(at) => at,
            };
            let ready = look.tree.log().here(Purpose::Point, at, look.guard);
            if !ready.is_at_hand() {
                return Ok(None);
            }
            let append = |shown: Shown<'_>, built: &mut Vec<u8>| append_value(shown.value, built);
            // Where another item is there now, it is looked up again by who may wait.
            let read = look.read_at(which, (at, ready), value, append)?;
            Ok(read.map(|()| true))
        })
    }

    /// Shows `look` the newest committed value of `key` and returns what that makes of it: no copy, where the value
    /// is in memory in one piece. `None` if there is no item. As for [`Datastore::visit`], `look` must not block.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let volume = heliumdb::Volume::open_or_create(dir.path().join("volume"))?;
    /// let pages = volume.create_datastore("pages")?;
    /// pages.put("home", "hello")?;
    /// assert_eq!(pages.get_with("home", |value| value.len())?, Some(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_with<R>(
        &self,
        key: impl AsRef<[u8]>,
        look: impl FnMut(&[u8]) -> R,
    ) -> Result<Option<R>> {
        self.show_with(None, key.as_ref(), look)
    }

    /// The newest committed item nearest to `position`.
    pub fn nearest(&self, position: Position<'_>) -> Result<Option<Item>> {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let found = self.nearest_into(position, &mut key, &mut value)?;
        Ok(found.then_some((key, value)))
    }

    /// Reads the newest committed item nearest to `position` into `key` and `value`, which are
    /// cleared first; false if there is none.
    pub fn nearest_into(
        &self,
        position: Position<'_>,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.seek_with(None, position, key, value)
    }

    /// Shows `visit` the newest committed items from `position` on, in order, until it returns
    /// false or there are no more. No copies: the fastest way to scan. Items are looked up a few
    /// dozens at a time, so the callback may not see what is written meanwhile, by itself or by
    /// others. It must not block: memory and log space that others free wait for it.
    pub fn visit(
        &self,
        position: Position<'_>,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<()> {
        self.walking(None, Purpose::Walk, |look| {
            let slots = Seeing::new(look, start(position));
            let mut batch = Batch::new(look, slots, Wanted::Items);
            let mut most = VISIT_ITEMS;
            loop {
                let goes_on = batch.look_up(most, |_| true);
                if !batch.show(visit)? || !goes_on {
                    return Ok(());
                }
                most = (2 * most).min(VISIT_ITEMS_MAX);
            }
        })
    }

    /// The item after `key`, which need not be there itself.
    pub fn next(&self, key: impl AsRef<[u8]>) -> Result<Option<Item>> {
        self.nearest(Position::After(key.as_ref()))
    }

    /// The item before `key`, which need not be there itself.
    pub fn previous(&self, key: impl AsRef<[u8]>) -> Result<Option<Item>> {
        self.nearest(Position::Before(key.as_ref()))
    }

    /// The item with the smallest key.
    pub fn first(&self) -> Result<Option<Item>> {
        self.nearest(Position::First)
    }

    /// The item with the largest key.
    pub fn last(&self) -> Result<Option<Item>> {
        self.nearest(Position::Last)
    }

    /// The newest committed items whose keys are in `bounds`, in order; `rev()` goes the other
    /// way, and both ends can be mixed. Each item is looked up when the iterator gets there, among
    /// those of the datastore as it is now: that it is emptied or removed meanwhile does not show.
    pub fn range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Range {
        Range::new(self, owned(bounds))
    }

    /// The items whose keys begin with `prefix`, in order: see [`Datastore::range`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let volume = heliumdb::Volume::open_or_create(dir.path().join("volume"))?;
    /// let users = volume.create_datastore("users")?;
    /// for name in ["ada/age", "ada/town", "bob/age"] {
    ///     users.put(name, "")?;
    /// }
    /// assert_eq!(users.prefix("ada/").count(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Range {
        Range::new(self, of_prefix(prefix.as_ref()))
    }

    /// All items, in order: see [`Datastore::range`].
    pub fn iter(&self) -> Range {
        self.range::<&[u8]>(..)
    }
}
