//! Taking items out of what a transaction sees: from an end, or those that somebody picks.
//!
//! Invariant: what a walk has read ahead is what the transaction sees, because nobody changes that meanwhile but the transaction itself:
//! it takes what is shown, and whatever else it writes ends the walks that may have read it ahead ([`Taking::noticed`]).
//!
//! A walk that is kept from call to call is why taking from an end costs the same each time: whoever looked from the end again would pass
//! all that was taken before.

use std::ops::RangeBounds;

use super::{range::SnapshotRange, transaction::Transaction};
use crate::{
    DatastoreId,
    datastore::{Datastore, owned},
    error::Result,
    index::Direction,
    read::Item,
};

/// What a transaction takes from the ends of datastores.
#[derive(Default)]
pub(super) struct Taking(Vec<(DatastoreId, SnapshotRange<'static>)>);

impl Taking {
    fn of(&mut self, datastore: &Datastore) -> Option<SnapshotRange<'static>> {
        let at = self.0.iter().position(|(id, _)| *id == datastore.id())?;
        Some(self.0.swap_remove(at).1)
    }

    /// The transaction writes this item.
    #[inline]
    pub(super) fn noticed(&mut self, datastore: &Datastore, key: &[u8]) {
        if !self.0.is_empty() {
            self.0
                .retain_mut(|(id, walk)| *id != datastore.id() || walk.comes_to(key));
        }
    }

    /// It writes anything, or takes back what it has written.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Transaction {
    /// Removes the item with the smallest key, and returns it.
    ///
    /// Taking from an end again and again costs the same each time, however much was taken before, also where the transaction puts items
    /// in between: a queue.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let volume = heliumdb::Volume::open_or_create(dir.path().join("volume"))?;
    /// let jobs = volume.create_datastore("jobs")?;
    /// for (key, job) in [("1", "wash"), ("2", "dry"), ("3", "fold")] {
    ///     jobs.put(key, job)?;
    /// }
    /// let mut txn = volume.begin()?;
    /// assert_eq!(txn.pop_first(&jobs)?, Some((b"1".to_vec(), b"wash".to_vec())));
    /// assert_eq!(txn.pop_last(&jobs)?, Some((b"3".to_vec(), b"fold".to_vec())));
    /// txn.commit()?;
    /// assert_eq!(jobs.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_first(&mut self, datastore: &Datastore) -> Result<Option<Item>> {
        self.pop(datastore, Direction::Forward)
    }

    /// Removes the item with the largest key, and returns it: see [`Transaction::pop_first`].
    pub fn pop_last(&mut self, datastore: &Datastore) -> Result<Option<Item>> {
        self.pop(datastore, Direction::Backward)
    }

    fn pop(&mut self, datastore: &Datastore, direction: Direction) -> Result<Option<Item>> {
        self.check_writes(datastore)?;
        let kept = self.taking.of(datastore);
        let mut walk = match kept {
            Some(walk) => walk,
            None => self.walk::<&[u8]>(datastore, ..)?,
        };
        let Some(item) = walk.step(direction).transpose()? else {
            return Ok(None);
        };
        self.take_out(datastore, &walk, &item.0)?;
        // At other levels the next call sees what others have committed by then.
        if self.is_snapshot() {
            self.taking.0.push((datastore.id(), walk));
        }
        Ok(Some(item))
    }

    /// Removes the items of which `keep` says no; how many that were.
    ///
    /// As with [`Transaction::delete_range`], a key and a version of each are in memory until the transaction ends.
    pub fn retain(
        &mut self,
        datastore: &Datastore,
        keep: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<u64> {
        self.retain_in::<&[u8]>(datastore, .., keep)
    }

    /// As [`Transaction::retain`], of the items in `bounds`; others stay.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let volume = heliumdb::Volume::open_or_create(dir.path().join("volume"))?;
    /// let sessions = volume.create_datastore("sessions")?;
    /// for (user, state) in [("ada", "open"), ("bob", "closed"), ("eve", "closed")] {
    ///     sessions.put(user, state)?;
    /// }
    /// let mut txn = volume.begin()?;
    /// let gone = txn.retain_in(&sessions, "b".."c", |_user, state| state == b"open")?;
    /// txn.commit()?;
    /// assert_eq!((gone, sessions.len()), (1, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retain_in<K: AsRef<[u8]>>(
        &mut self,
        datastore: &Datastore,
        bounds: impl RangeBounds<K>,
        mut keep: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<u64> {
        let mut gone = 0;
        for item in self.extract_if(datastore, bounds, |key, value| !keep(key, value)) {
            item?;
            gone += 1;
        }
        Ok(gone)
    }

    /// Removes those items in `bounds` of which `pick` says yes, one with each step of the iterator, and gives them out: what it is not
    /// asked for any more stays. See [`Transaction::retain`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let volume = heliumdb::Volume::open_or_create(dir.path().join("volume"))?;
    /// # let inbox = volume.create_datastore("inbox")?;
    /// # for (key, text) in [("1", "spam"), ("2", "ham"), ("3", "spam")] {
    /// #     inbox.put(key, text)?;
    /// # }
    /// let mut txn = volume.begin()?;
    /// for item in txn.extract_if::<&str>(&inbox, .., |_key, text| text == b"spam") {
    ///     println!("{:?}", item?);
    /// }
    /// txn.commit()?;
    /// assert_eq!(inbox.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn extract_if<'t, K: AsRef<[u8]>>(
        &'t mut self,
        datastore: &Datastore,
        bounds: impl RangeBounds<K>,
        pick: impl FnMut(&[u8], &[u8]) -> bool + 't,
    ) -> ExtractIf<'t> {
        let walk = self.walk(datastore, bounds);
        ExtractIf {
            transaction: self,
            datastore: datastore.clone(),
            walk: Some(walk),
            pick: Box::new(pick),
        }
    }

    /// A walk of what the transaction sees now, in which it is going to take something.
    fn walk<K: AsRef<[u8]>>(
        &mut self,
        datastore: &Datastore,
        bounds: impl RangeBounds<K>,
    ) -> Result<SnapshotRange<'static>> {
        self.check_writes(datastore)?;
        let eyes = self.own_eyes();
        Ok(SnapshotRange::new(datastore, Ok(eyes), owned(bounds)))
    }

    /// Removes an item that a walk has come to.
    fn take_out(
        &mut self,
        datastore: &Datastore,
        walk: &SnapshotRange<'_>,
        key: &[u8],
    ) -> Result<()> {
        self.taking.noticed(datastore, key);
        self.write_seen(datastore, walk.eyes()?, key)
    }
}

/// Says of which items.
type Pick<'t> = Box<dyn FnMut(&[u8], &[u8]) -> bool + 't>;

/// Iterator over the items that it removes: see [`Transaction::extract_if`].
pub struct ExtractIf<'t> {
    transaction: &'t mut Transaction,
    datastore: Datastore,
    /// Until it has come to its end, or failed.
    walk: Option<Result<SnapshotRange<'static>>>,
    pick: Pick<'t>,
}

impl ExtractIf<'_> {
    fn next_picked(&mut self, walk: &mut SnapshotRange<'static>) -> Result<Option<Item>> {
        while let Some(item) = walk.step(Direction::Forward).transpose()? {
            if (self.pick)(&item.0, &item.1) {
                self.transaction.take_out(&self.datastore, walk, &item.0)?;
                return Ok(Some(item));
            }
        }
        Ok(None)
    }
}

impl Iterator for ExtractIf<'_> {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.walk.take()?.and_then(|mut walk| {
            let found = self.next_picked(&mut walk)?;
            if found.is_some() {
                self.walk = Some(Ok(walk));
            }
            Ok(found)
        });
        found.transpose()
    }
}
