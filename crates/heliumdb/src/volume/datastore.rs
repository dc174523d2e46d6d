//! Datastores: reading through a view, and plain reads and writes outside any transaction.

use std::{collections::VecDeque, fmt, ops::RangeBounds, sync::Arc, time::Instant};

use crossbeam_epoch::{self as epoch, Guard};

use super::{
    DatastoreInfo, Lease, Range, Shared, Volume, Wanted, direct::Expect, seeing::Seeing,
    state::State, step::Step, tree::Tree,
};
use crate::{
    cleaner::Compaction,
    error::{Error, ErrorKind, Result},
    id::DatastoreId,
    index::{self, Direction},
    location::Word,
    log::{Expected, Purpose},
    version::{
        Isolation, Mode, View,
        chain::{self, Seen},
    },
};

/// Attempts to read an item whose place is reused meanwhile, before that counts as damage.
pub(super) const READ_ATTEMPTS: usize = 64;

/// Items that a visit looks up together: so many first, and twice as many each time.
const VISIT_STEP_ITEMS: usize = 16;
const VISIT_STEP_ITEMS_MAX: usize = 64;

/// A key and its value.
pub type Item = (Vec<u8>, Vec<u8>);

/// Through whose eyes a slot is looked at; `None` sees the newest committed state.
pub(crate) type Eyes<'a> = Option<&'a dyn View>;

pub(super) fn look<'g>(eyes: Eyes<'_>, word: Word, guard: &'g Guard) -> Result<Seen<'g>> {
    match eyes {
        Some(view) => chain::read(word, view, guard),
        None => Ok(chain::read_committed(word, guard)),
    }
}

/// A named set of items, in order of their keys unless made [unordered](super::DatastoreOptions::unordered); clones share it.
#[derive(Clone)]
pub struct Datastore {
    pub(super) shared: Arc<Lease>,
    pub(super) state: Arc<State>,
    /// Writes through this handle are refused.
    read_only: bool,
}

/// Where a seek starts, and which way it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position<'a> {
    /// The first item.
    First,
    /// The last item.
    Last,
    /// The first item at or after the key.
    AtOrAfter(&'a [u8]),
    /// The first item after the key.
    After(&'a [u8]),
    /// The last item at or before the key.
    AtOrBefore(&'a [u8]),
    /// The last item before the key.
    Before(&'a [u8]),
}

impl Datastore {
    pub(super) fn new(shared: Arc<Lease>, state: Arc<State>) -> Self {
        Self {
            shared,
            state,
            read_only: false,
        }
    }

    /// The items that `tree` has, whatever becomes of the datastore `id`.
    pub(crate) fn of_tree(shared: &Arc<Lease>, id: DatastoreId, tree: Arc<Tree>) -> Self {
        Self {
            shared: shared.clone(),
            state: State::new(id, tree),
            read_only: true,
        }
    }

    /// The items that `eyes` see now, for a walk: it goes on through them whatever becomes of the
    /// datastore meanwhile.
    pub(crate) fn pinned(&self, eyes: Eyes<'_>) -> Result<Self> {
        let tree = self.state.seen_by(eyes).ok_or_else(|| self.removed())?;
        Ok(Self::of_tree(&self.shared, self.state.id, tree))
    }

    /// The same datastore, through a handle that writes nothing.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Whether writes through this handle are refused.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    pub(crate) fn check_handle(&self) -> Result<()> {
        if self.read_only {
            return Err(self.takes_no_writes());
        }
        Ok(())
    }

    #[cold]
    fn takes_no_writes(&self) -> Error {
        Error::new(
            ErrorKind::ReadOnly,
            format!("datastore {} was opened read-only", self.state.id.0),
        )
    }

    fn write(&self, key: &[u8], value: Option<&[u8]>, mode: Mode) -> Result<()> {
        self.check_handle()?;
        self.write_when_resolved(key, value, Expect::Mode(mode))
            .map(drop)
    }

    /// Writes as soon as no commit is under way on which that depends; false if the item is
    /// another one than was expected.
    pub(super) fn write_when_resolved(
        &self,
        key: &[u8],
        value: Option<&[u8]>,
        expect: Expect,
    ) -> Result<bool> {
        self.shared.when_resolved(|| {
            self.with_tree_to_write(|tree| {
                // Who waits for room holds no guard.
                self.shared.when_room(|| {
                    self.shared
                        .when_in_budget(|| self.shared.write_if(tree, key, value, expect))
                })
            })
        })
    }

    /// Whether both are handles of one datastore.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    pub(crate) fn shared(&self) -> &Arc<Lease> {
        &self.shared
    }

    /// Its items of now.
    pub(crate) fn tree(&self) -> Result<Arc<Tree>> {
        self.state.tree().ok_or_else(|| self.removed())
    }

    /// Runs `f` on its items of now.
    pub(crate) fn with_tree<R>(&self, f: impl FnOnce(&Arc<Tree>) -> Result<R>) -> Result<R> {
        let tree = self.state.now();
        f(tree.as_ref().ok_or_else(|| self.removed())?)
    }

    /// Runs `f` on the items that `eyes` see: those that it had when a snapshot was taken, if it
    /// was emptied or removed since.
    #[inline]
    pub(crate) fn with_tree_of<R>(
        &self,
        eyes: Eyes<'_>,
        f: impl FnOnce(&Arc<Tree>) -> Result<R>,
    ) -> Result<R> {
        // In this order: see [`State`].
        let now = self.state.now();
        let before = self.state.before(eyes);
        // In one place, so that it becomes part of what calls this.
        f(before
            .as_ref()
            .or(now.as_ref())
            .ok_or_else(|| self.removed())?)
    }

    /// Runs `f`, which writes outside transactions, on its items of now; again, if the datastore was
    /// being emptied or removed, once that is over.
    #[inline]
    pub(crate) fn with_tree_to_write<R>(
        &self,
        mut f: impl FnMut(&Arc<Tree>) -> Result<R>,
    ) -> Result<R> {
        loop {
            let tree = self.state.now();
            let tree = tree.as_ref().ok_or_else(|| self.removed())?;
            match f(tree) {
                Err(why) if why.kind() == ErrorKind::Busy && tree.is_leaving() => {}
                done => return done,
            }
            self.shared.await_change()?;
        }
    }

    /// Fails if `view` does not see the items of now, so that a write among them would be one that
    /// its transaction does not see itself.
    pub(crate) fn check_seen_by(&self, view: &dyn View) -> Result<()> {
        if view.isolation() == Isolation::Snapshot && self.state.before(Some(view)).is_some() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "datastore {} was emptied after the transaction began; roll back and retry",
                    self.state.id.0
                ),
            ));
        }
        Ok(())
    }

    #[cold]
    fn removed(&self) -> Error {
        Error::new(
            ErrorKind::DatastoreNotFound,
            format!(
                "datastore {} of the volume {} was removed",
                self.state.id.0, self.shared.url
            ),
        )
    }

    /// Its id.
    pub fn id(&self) -> DatastoreId {
        self.state.id
    }

    /// The volume it is in.
    pub fn volume(&self) -> Volume {
        Volume::from_shared(self.shared.clone())
    }

    /// What the catalog says of it now; `DatastoreNotFound` once it was removed.
    pub fn info(&self) -> Result<DatastoreInfo> {
        self.shared
            .catalog
            .info(self.state.id)
            .ok_or_else(|| self.removed())
    }

    /// Number of slots in the index: items, and keys that only have versions no one sees.
    pub fn approximate_len(&self) -> u64 {
        let tree = self.state.now();
        tree.as_ref().map_or(0, |tree| tree.index.len())
    }

    /// Number of items: keys whose newest committed state is an item. What transactions have not
    /// committed, removals and older versions do not count. A few loads; poll it as you like.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let url = format!("he://{}", dir.path().join("volume").display());
    /// # let volume = heliumdb::Volume::open(&url, &Default::default())?;
    /// let store = volume.create_datastore(b"store", b"")?;
    /// store.put(b"a", b"1")?;
    /// store.put(b"a", b"2")?;
    /// assert_eq!(store.len(), 1);
    /// store.delete(b"a")?;
    /// assert!(store.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> u64 {
        let tree = self.state.now();
        tree.as_ref().map_or(0, |tree| tree.live.get())
    }

    /// Whether there are no items: see [`Datastore::len`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads the value of `key` that `view` sees into `value`, which is cleared first; false if
    /// there is no item. `PrepareConflict` if a prepared transaction has written it.
    pub fn read(&self, view: &dyn View, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        self.read_with(Some(view), key, value)
    }

    pub(crate) fn read_with(
        &self,
        eyes: Eyes<'_>,
        key: &[u8],
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.shared.check_open()?;
        self.with_tree_of(eyes, |tree| {
            let guard = epoch::pin();
            let word = Word(tree.get(key, &guard));
            self.read_slot(tree, (key, word), value, &guard, eyes, Purpose::Point)
        })
    }

    /// Reads what `look` finds in the slot of `key`, whose word is `word`, into `value`, which is
    /// cleared first. Where the place in the log was reused meanwhile, the slot is read again.
    pub(super) fn read_slot(
        &self,
        tree: &Tree,
        (key, mut word): (&[u8], Word),
        value: &mut Vec<u8>,
        guard: &Guard,
        eyes: Eyes<'_>,
        purpose: Purpose,
    ) -> Result<bool> {
        value.clear();
        for _ in 0..READ_ATTEMPTS {
            match look(eyes, word, guard)? {
                Seen::Absent => return Ok(false),
                Seen::Bytes(bytes) => {
                    value.extend_from_slice(bytes);
                    return Ok(true);
                }
                Seen::At(location) => {
                    let expected = Expected { tree: tree.id, key };
                    let log = &self.shared.log;
                    if log.read_for(purpose, location, expected, value, guard)? {
                        return Ok(true);
                    }
                }
            }
            word = Word(tree.get(key, guard));
        }
        Err(self.misplaced(key))
    }

    pub(super) fn misplaced(&self, key: &[u8]) -> Error {
        misplaced(&self.shared, self.state.id.0, key)
    }

    /// Finds the nearest item that `view` sees from `position`, and reads its key and value
    /// (both cleared first); false if there is none. One atomic look at what `view` sees.
    pub fn seek(
        &self,
        view: &dyn View,
        position: Position<'_>,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.seek_with(Some(view), position, key, value)
    }

    pub(crate) fn seek_with(
        &self,
        eyes: Eyes<'_>,
        position: Position<'_>,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.shared.check_open()?;
        self.with_tree_of(eyes, |tree| {
            tree.check_ordered()?;
            let guard = epoch::pin();
            let mut items = Seeing::new(&self.shared, tree, eyes, start(position), &guard);
            while let Some(found) = items.next(|_| true)? {
                let slot = (items.key(), found.word);
                if self.read_slot(tree, slot, value, &guard, eyes, purpose(position))? {
                    key.clear();
                    key.extend_from_slice(items.key());
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// The newest committed value of `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = Vec::new();
        let found = self.get_into(key, &mut value)?;
        Ok(found.then_some(value))
    }

    /// Reads the newest committed value of `key` into `value`, which is cleared first; false
    /// if there is no item.
    pub fn get_into(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        self.read_with(None, key, value)
    }

    /// Sets the value of `key`. Buffered: durable after [`Volume::flush`].
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.write(key, Some(value), Mode::Any)
    }

    /// Sets the value of `key`, which must not be there. Buffered, as for [`Datastore::put`].
    pub fn insert(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.write(key, Some(value), Mode::Absent)
    }

    /// Sets the value of `key`, which must be there. Buffered, as for [`Datastore::put`].
    pub fn replace(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.write(key, Some(value), Mode::Present)
    }

    /// Removes `key`, which must be there. Buffered, as for [`Datastore::put`].
    pub fn delete(&self, key: &[u8]) -> Result<()> {
        self.write(key, None, Mode::Present)
    }

    /// Moves the items next to each other, in key order, where they are scattered: scans of what is
    /// not in memory get sequential. Returns how many were moved: none of an unordered datastore, which
    /// has no such scans. Readers and writers go on.
    pub fn compact(&self) -> Result<u64> {
        Ok(self.compact_until(None)?.moved)
    }

    /// As [`Datastore::compact`], but no longer than up to `deadline`, which is looked at between some thousand
    /// items. What was moved until then stays moved.
    pub fn compact_until(&self, deadline: Option<Instant>) -> Result<Compaction> {
        self.check_handle()?;
        let tree = self.tree()?;
        if tree.is_unordered() {
            return Ok(Compaction {
                moved: 0,
                is_done: true,
            });
        }
        self.shared.compact(&tree, deadline)
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

    /// Reads up to `most` items, or only their keys, that `eyes` see from a bound on, as long as their keys are
    /// `within`; false if there are no more.
    pub(crate) fn nearest_many(
        &self,
        eyes: Eyes<'_>,
        (bound, direction): (index::Bound<'_>, Direction),
        (most, wanted): (usize, Wanted),
        within: impl Fn(&[u8]) -> bool,
        items: &mut VecDeque<Item>,
    ) -> Result<bool> {
        self.shared.check_open()?;
        self.with_tree_of(eyes, |tree| {
            tree.check_ordered()?;
            let guard = epoch::pin();
            let mut slots = Seeing::new(&self.shared, tree, eyes, (bound, direction), &guard);
            let mut step = Step::new(self, tree, &guard, eyes, wanted);
            while items.len() < most {
                let goes_on = step.look_up(&mut slots, most - items.len(), &within);
                step.show(&mut |key, value| {
                    items.push_back((key.to_vec(), value.to_vec()));
                    true
                })?;
                if !goes_on {
                    return Ok(false);
                }
            }
            Ok(true)
        })
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
        self.shared.check_open()?;
        self.with_tree(|tree| {
            tree.check_ordered()?;
            let guard = epoch::pin();
            let mut slots = Seeing::new(&self.shared, tree, None, start(position), &guard);
            let mut step = Step::new(self, tree, &guard, None, Wanted::Items);
            let mut most = VISIT_STEP_ITEMS;
            while step.look_up(&mut slots, most, |_| true) {
                if !step.show(visit)? {
                    return Ok(());
                }
                most = (2 * most).min(VISIT_STEP_ITEMS_MAX);
            }
            step.show(visit).map(|_| ())
        })
    }

    /// The item after `key`, which need not be there itself.
    pub fn next(&self, key: &[u8]) -> Result<Option<Item>> {
        self.nearest(Position::After(key))
    }

    /// The item before `key`, which need not be there itself.
    pub fn previous(&self, key: &[u8]) -> Result<Option<Item>> {
        self.nearest(Position::Before(key))
    }

    /// The newest committed items whose keys are in `bounds`, in order; `rev()` goes the other
    /// way, and both ends can be mixed. Each item is looked up when the iterator gets there, among
    /// those of the datastore as it is now: that it is emptied or removed meanwhile does not show.
    pub fn range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Range {
        Range::new(
            self,
            bounds.start_bound().map(|key| key.as_ref().to_vec()),
            bounds.end_bound().map(|key| key.as_ref().to_vec()),
        )
    }

    /// All items, in order: see [`Datastore::range`].
    pub fn iter(&self) -> Range {
        self.range::<&[u8]>(..)
    }
}

impl fmt::Debug for Datastore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Datastore({} of {})", self.state.id.0, self.shared.url)
    }
}

pub(crate) fn start<'a>(position: Position<'a>) -> (index::Bound<'a>, Direction) {
    match position {
        Position::First => (index::Bound::Unbounded, Direction::Forward),
        Position::Last => (index::Bound::Unbounded, Direction::Backward),
        Position::AtOrAfter(key) => (index::Bound::Included(key), Direction::Forward),
        Position::After(key) => (index::Bound::Excluded(key), Direction::Forward),
        Position::AtOrBefore(key) => (index::Bound::Included(key), Direction::Backward),
        Position::Before(key) => (index::Bound::Excluded(key), Direction::Backward),
    }
}

/// Whether who looks from there wants that item, or is on a walk.
pub(super) fn purpose(position: Position<'_>) -> Purpose {
    match position {
        Position::After(_) | Position::Before(_) => Purpose::Walk,
        _ => Purpose::Point,
    }
}

pub(super) fn misplaced(shared: &Shared, datastore: u32, key: &[u8]) -> Error {
    let shown = &key[..key.len().min(64)];
    Error::new(
        ErrorKind::Damaged,
        format!(
            "volume {}: the place in the log of an item of datastore {datastore} holds another item (key starts with {:?})",
            shared.url,
            shown.escape_ascii().to_string()
        ),
    )
}
