//! What can be read through a transaction or a snapshot, in one place for both.

use std::ops::RangeBounds;

use super::{eyes::Eyes, range::SnapshotRange};
use crate::{
    datastore::{Datastore, of_prefix, owned},
    error::{Error, ErrorKind, Result},
    read::{Item, Position},
    shared::Shared,
};

/// Reading through a [`crate::Transaction`] or a [`crate::Snapshot`]: every operation sees the volume as
/// it was when that was begun, and a transaction sees its own writes too. At the weaker isolation
/// levels each operation sees what was committed when it began ([`crate::Isolation::ReadCommitted`]), or
/// what there is when it looks ([`crate::Isolation::ReadUncommitted`]). A datastore that was emptied or
/// removed since is seen as it was, as well.
///
/// ```
/// use heliumdb::Readable;
/// # let dir = tempfile::tempdir()?;
/// # let url = format!("he://{}", dir.path().join("volume").display());
/// # let volume = heliumdb::Volume::open(&url, &Default::default())?;
/// # let fruit = volume.create_datastore(b"fruit")?;
/// for name in ["apple", "banana", "cherry"] {
///     fruit.put(name, "1")?;
/// }
/// let snapshot = volume.snapshot()?;
/// fruit.delete(b"banana")?;
/// let names: Vec<_> = snapshot.iter(&fruit).rev().map(|item| item.unwrap().0).collect();
/// assert_eq!(names, [b"cherry".as_slice(), b"banana", b"apple"]);
/// assert_eq!(snapshot.next(&fruit, b"apple")?.unwrap().0, b"banana");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Readable: sealed::Look {
    /// The value of `key`.
    fn get(&self, datastore: &Datastore, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let mut value = Vec::new();
        let found = self.get_into(datastore, key, &mut value)?;
        Ok(found.then_some(value))
    }

    /// Reads the value of `key` into `value`, which is cleared first; false if there is no item.
    fn get_into(
        &self,
        datastore: &Datastore,
        key: impl AsRef<[u8]>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.check(datastore)?;
        datastore.read_with(Some(&self.look()?), key.as_ref(), value)
    }

    /// Shows `look` the value of `key` and returns what that makes of it, as [`Datastore::get_with`] does.
    fn get_with<R>(
        &self,
        datastore: &Datastore,
        key: impl AsRef<[u8]>,
        look: impl FnMut(&[u8]) -> R,
    ) -> Result<Option<R>> {
        self.check(datastore)?;
        datastore.show_with(Some(&self.look()?), key.as_ref(), look)
    }

    /// Whether there is an item under `key`. Its value is not read.
    fn contains_key(&self, datastore: &Datastore, key: impl AsRef<[u8]>) -> Result<bool> {
        self.check(datastore)?;
        datastore.contains_with(Some(&self.look()?), key.as_ref())
    }

    /// The values of several keys, in the order of the keys. They are looked up side by side, and
    /// what has to be read from devices is asked for together, so that this costs less than one
    /// call for each.
    fn multi_get<K: AsRef<[u8]>>(
        &self,
        datastore: &Datastore,
        keys: &[K],
    ) -> Result<Vec<Option<Vec<u8>>>> {
        self.check(datastore)?;
        datastore.multi_get_with(Some(&self.look()?), keys)
    }

    /// The item nearest to `position`.
    fn nearest(&self, datastore: &Datastore, position: Position<'_>) -> Result<Option<Item>> {
        self.check(datastore)?;
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let eyes = self.look()?;
        let found = datastore.seek_with(Some(&eyes), position, &mut key, &mut value)?;
        Ok(found.then_some((key, value)))
    }

    /// The item after `key`, which need not be there itself.
    fn next(&self, datastore: &Datastore, key: impl AsRef<[u8]>) -> Result<Option<Item>> {
        self.nearest(datastore, Position::After(key.as_ref()))
    }

    /// The item before `key`, which need not be there itself.
    fn previous(&self, datastore: &Datastore, key: impl AsRef<[u8]>) -> Result<Option<Item>> {
        self.nearest(datastore, Position::Before(key.as_ref()))
    }

    /// The item with the smallest key.
    fn first(&self, datastore: &Datastore) -> Result<Option<Item>> {
        self.nearest(datastore, Position::First)
    }

    /// The item with the largest key.
    fn last(&self, datastore: &Datastore) -> Result<Option<Item>> {
        self.nearest(datastore, Position::Last)
    }

    /// The items whose keys are in `bounds`, in order, from both ends if you like: one moment's
    /// state, that of the beginning of the transaction or snapshot, or of this call. At
    /// read-uncommitted it is not: each item is what there is when the iterator gets there,
    /// committed or not, and two of them may never have been there at once.
    fn range<K: AsRef<[u8]>>(
        &self,
        datastore: &Datastore,
        bounds: impl RangeBounds<K>,
    ) -> SnapshotRange<'_> {
        let eyes = self.check(datastore).and_then(|()| self.look());
        SnapshotRange::new(datastore, eyes, owned(bounds))
    }

    /// The items whose keys begin with `prefix`, in order: see [`Readable::range`].
    fn prefix(&self, datastore: &Datastore, prefix: impl AsRef<[u8]>) -> SnapshotRange<'_> {
        let eyes = self.check(datastore).and_then(|()| self.look());
        SnapshotRange::new(datastore, eyes, of_prefix(prefix.as_ref()))
    }

    /// All items, in order: see [`Readable::range`].
    fn iter(&self, datastore: &Datastore) -> SnapshotRange<'_> {
        self.range::<&[u8]>(datastore, ..)
    }
}

pub(super) mod sealed {
    use super::{Datastore, Eyes, Result};

    /// What only this crate's types are.
    pub trait Look {
        /// The eyes of one operation that begins now.
        fn look(&self) -> Result<Eyes<'_>>;
        /// Fails if the datastore is in another volume.
        fn check(&self, datastore: &Datastore) -> Result<()>;
    }
}

pub(super) fn check_volume(volume: &Shared, datastore: &Datastore) -> Result<()> {
    let its: &Shared = datastore.shared();
    if std::ptr::eq(volume, its) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidArgument,
        format!(
            "the datastore {} is in another volume than the transaction or snapshot",
            datastore.id().0
        ),
    ))
}
