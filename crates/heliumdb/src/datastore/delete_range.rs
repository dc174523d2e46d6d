//! Deleting the items of a range.
//!
//! Invariant: no value is read, and no device asked; there are never more keys in memory than a batch of a walk has. A key
//! that it has found is deleted only if its item is still there when its turn comes.

use std::ops::RangeBounds;

use super::{Datastore, ends::owned};
use crate::{
    error::Result,
    index::Direction,
    log::Purpose,
    read::{Cursor, Wanted},
    version::{Eyes, Mode},
    write::{Expect, check::is_done},
};

impl Datastore {
    /// Deletes the items whose keys are in `bounds`; how many that were. Each goes as by [`Datastore::delete`], the
    /// smallest key first: atomic is the deletion of one item, not that of the range. What is inserted meanwhile
    /// behind the key that it has come to is deleted, what is inserted before that stays. Keys are in memory, and values
    /// are not read. A full volume has room for it, as for other deletes.
    ///
    /// To have all of them go or none, delete the range in a transaction: [`crate::Transaction::delete_range`]. To empty the whole
    /// datastore in one step, whatever it has: [`crate::Volume::truncate_datastore`]. Unordered datastores have no ranges
    /// ([`crate::ErrorKind::Unsupported`]). Buffered, as for [`Datastore::put`].
    ///
    /// On error those that came before are gone; the error says how many.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let url = format!("he://{}", dir.path().join("volume").display());
    /// # let volume = heliumdb::Volume::open(&url, &Default::default())?;
    /// let store = volume.create_datastore(b"store")?;
    /// for key in ["a", "b/1", "b/2", "c"] {
    ///     store.put(key.as_bytes(), b"")?;
    /// }
    /// assert_eq!(store.delete_range("b/".."b0")?, 2);
    /// assert_eq!(store.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn delete_range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Result<u64> {
        self.check_handle()?;
        self.shared.access.check_writable()?;
        let mut deleted = 0;
        let done = self.each_key(None, bounds, &mut |key| {
            let expect = Expect::Mode(Mode::Present);
            deleted += u64::from(is_done(self.write_when_resolved(key, None, expect))?);
            Ok(())
        });
        match done {
            Ok(()) => Ok(deleted),
            Err(why) if deleted > 0 => {
                Err(why.context(format!("{deleted} items of the range were deleted before")))
            }
            Err(why) => Err(why),
        }
    }

    /// Does `each` with the keys in `bounds` of the items that `eyes` see, in order, some of them at a time: nothing of
    /// the store is held meanwhile.
    pub(crate) fn each_key<K: AsRef<[u8]>>(
        &self,
        eyes: Eyes<'_>,
        bounds: impl RangeBounds<K>,
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let (low, high) = owned(bounds);
        let mut cursor = Cursor::new(low, Direction::Forward).all_the_way();
        loop {
            let is_more = self.looking(eyes, Purpose::Walk, |look| {
                look.tree.check_ordered()?;
                cursor.fill(look, &high, Wanted::Keys)
            })?;
            while let Some((key, _)) = cursor.next() {
                each(key)?;
            }
            if !is_more {
                return Ok(());
            }
        }
    }
}
