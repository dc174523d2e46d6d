//! Datastores: what their handles are, and plain writes outside any transaction.

mod compound;
mod damaged;
mod delete_range;
mod ends;
mod items;
mod range;
mod reading;
mod verify;

pub(crate) use ends::{Bounds, Ends, Eyed, of_prefix, owned};
pub use items::{Items, Lengths, NewestItems};
pub use range::{Keys, Range};

use std::{fmt, sync::Arc, time::Instant};

use crate::{
    catalog::{DatastoreInfo, State},
    cleaner::Compaction,
    error::{Error, ErrorKind, Result},
    id::DatastoreId,
    shared::Lease,
    tree::Tree,
    version::{Eyes, Isolation, Mode, View},
    write::{Expect, check::is_done},
};

/// A named set of items, in order of their keys unless made [unordered](crate::DatastoreOptions::unordered); clones share it.
#[derive(Clone)]
pub struct Datastore {
    shared: Arc<Lease>,
    state: Arc<State>,
    /// Writes through this handle are refused.
    read_only: bool,
}

impl Datastore {
    pub(crate) fn new(shared: Arc<Lease>, state: Arc<State>) -> Self {
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
        self.shared.writing.when_resolved(|| {
            self.with_tree_to_write(|tree| {
                // Who waits for room holds no guard.
                self.shared.when_room(|| {
                    self.shared
                        .when_in_budget(|| self.shared.writing.write_if(tree, key, value, expect))
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
        self.shared.catalog.when_let_in(|| self.with_tree(&mut f))
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
                self.state.id.0,
                self.shared.access.url()
            ),
        )
    }

    /// Its id.
    pub fn id(&self) -> DatastoreId {
        self.state.id
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
    /// let store = volume.create_datastore("store")?;
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

    /// Sets the value of `key`, whether it is there or not. Buffered: durable after [`crate::Volume::flush`].
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.write(key.as_ref(), Some(value.as_ref()), Mode::Any)
    }

    /// Sets the value of `key`, which must not be there ([`ErrorKind::ItemExists`]). Buffered, as for
    /// [`Datastore::put`].
    pub fn try_insert(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.write(key.as_ref(), Some(value.as_ref()), Mode::Absent)
    }

    /// Sets the value of `key`, which must be there ([`ErrorKind::ItemNotFound`]). Buffered, as for
    /// [`Datastore::put`].
    pub fn replace(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.write(key.as_ref(), Some(value.as_ref()), Mode::Present)
    }

    /// Deletes `key`; whether it was there. Buffered, as for [`Datastore::put`]. No value is read:
    /// [`Datastore::remove`] returns it.
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        is_done(self.write(key.as_ref(), None, Mode::Present))
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
        let step = || self.shared.background_step();
        self.shared.cleaner.compact(&tree, deadline, &step)
    }
}

impl fmt::Debug for Datastore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Datastore({} of {})",
            self.state.id.0,
            self.shared.access.url()
        )
    }
}
