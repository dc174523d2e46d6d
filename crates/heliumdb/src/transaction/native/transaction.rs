//! Transactions of a volume's own.
//!
//! Invariant: the id is taken before the first version is linked, and given back after the last
//! one is stamped or gone.

use std::{
    fmt,
    ops::RangeBounds,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    eyes::Eyes,
    options::TransactionOptions,
    read::{Readable, check_volume, sealed::Look},
    take::Taking,
};
use crate::{
    datastore::Datastore,
    error::{Error, Result},
    shared::{Lease, Shared},
    transaction::{Durability, Savepoint, WriteSet, part::Manners, room::Ahead},
    version::{Change, Isolation, Mode, TxnId},
    write::{Hold, Keeper, check::is_done},
};

/// A transaction over any datastores of one volume: see [`crate::Volume::begin`].
///
/// Reads see the volume as it was at the beginning, and the transaction's own writes: they are in
/// [`Readable`]. A write of an item that another transaction has written since fails with
/// [`crate::ErrorKind::Conflict`] at once: [`Error::is_retryable`] says that a new transaction may
/// succeed, and [`crate::Volume::transact`] runs one. Errors other than `ItemNotFound` and
/// `ItemExists` mark the transaction: it can go back to a savepoint, or be rolled back.
///
/// Dropping a transaction rolls it back.
///
/// Two transactions that each read what the other one writes may both commit (*write skew*), as
/// everywhere with snapshot isolation; [`Transaction::reserve`] makes a conflict of a mere read.
///
/// ```
/// use heliumdb::Readable;
/// # let dir = tempfile::tempdir()?;
/// # let url = format!("he://{}", dir.path().join("volume").display());
/// # let volume = heliumdb::Volume::open(&url, &Default::default())?;
/// let accounts = volume.create_datastore(b"accounts")?;
/// let mut txn = volume.begin()?;
/// txn.put(&accounts, b"alice", b"10")?;
/// let savepoint = txn.savepoint()?;
/// txn.put(&accounts, b"bob", b"20")?;
/// txn.rollback_to(savepoint)?;
/// assert_eq!(txn.get(&accounts, b"alice")?, Some(b"10".to_vec()));
/// assert_eq!(accounts.get(b"alice")?, None);
/// txn.commit()?;
/// assert_eq!(accounts.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Transaction {
    volume: Arc<Lease>,
    options: TransactionOptions,
    /// What it sees, at snapshot isolation.
    hold: Option<Hold>,
    writes: WriteSet,
    /// Tells its savepoints from those of others; zero while it has none.
    serial: u64,
    pub(super) taking: Taking,
}

impl Transaction {
    pub(crate) fn begin(volume: &Arc<Lease>, options: TransactionOptions) -> Result<Self> {
        volume.access.check_open()?;
        volume.writing.claim(Keeper::Native)?;
        let hold = (options.isolation == Isolation::Snapshot).then(|| volume.writing.native.take());
        Ok(Self {
            volume: volume.clone(),
            options,
            hold,
            writes: WriteSet::native(Manners::Native, memory_bytes(volume, &options)),
            serial: 0,
            taking: Taking::default(),
        })
    }

    /// A transaction that writes without looking, for a batch.
    pub(super) fn blind(volume: &Arc<Lease>) -> Result<Self> {
        let options = TransactionOptions {
            isolation: Isolation::ReadCommitted,
            ..TransactionOptions::default()
        };
        let mut txn = Self::begin(volume, options)?;
        txn.writes = WriteSet::native(Manners::Blind, memory_bytes(volume, &options));
        Ok(txn)
    }

    /// Takes over room that was reserved for what will be written to the volume of `datastore`.
    pub(super) fn take_ahead(&mut self, datastore: &Datastore, ahead: Ahead) -> Result<()> {
        self.writes.take_ahead(datastore, ahead)
    }

    pub(super) fn write(
        &mut self,
        datastore: &Datastore,
        key: &[u8],
        change: Change<'_>,
        mode: Mode,
    ) -> Result<()> {
        let isolation = self.options.isolation;
        self.taking.noticed(datastore, key);
        self.write_through(datastore, isolation, |writes, eyes| {
            writes.write(datastore, eyes, key, change, mode)
        })
    }

    /// Removes the item of `key`, which `eyes` of its own see, of a datastore that was [checked](Self::check_writes).
    pub(super) fn write_seen(
        &mut self,
        datastore: &Datastore,
        eyes: &Eyes<'_>,
        key: &[u8],
    ) -> Result<()> {
        self.writes
            .write_as(datastore, eyes, key, Change::Remove, Mode::Any, true)
    }

    /// Whether anything can be written through this handle.
    pub(super) fn check_writes(&self, datastore: &Datastore) -> Result<()> {
        check_volume(&self.volume, datastore)?;
        datastore.check_handle()?;
        self.writes.check_active()
    }

    /// Eyes that may look for longer than one operation, at what is committed now at the weaker isolation levels.
    pub(super) fn own_eyes(&mut self) -> Eyes<'static> {
        let own = self.own_id();
        let hold = self.hold.clone();
        let hold = hold.unwrap_or_else(|| self.volume.writing.native.take());
        Eyes::new(own, self.committed_isolation(), hold)
    }

    /// Whether it sees the same from its beginning to its end.
    pub(super) fn is_snapshot(&self) -> bool {
        self.hold.is_some()
    }

    /// The id of its writes, which it has from the first of them on.
    fn own_id(&mut self) -> TxnId {
        if self.writes.id() == 0 {
            self.writes.set_id(self.volume.writing.native.start());
        }
        self.writes.id()
    }

    /// Its isolation, for what depends on a committed value at any level.
    fn committed_isolation(&self) -> Isolation {
        match self.options.isolation {
            Isolation::ReadUncommitted => Isolation::ReadCommitted,
            isolation => isolation,
        }
    }

    /// Does the writes of one operation, all of them and what they look at through the same eyes.
    fn write_through<R>(
        &mut self,
        datastore: &Datastore,
        isolation: Isolation,
        work: impl FnOnce(&mut WriteSet, &Eyes<'_>) -> Result<R>,
    ) -> Result<R> {
        check_volume(&self.volume, datastore)?;
        let own = self.own_id();
        let Self {
            volume,
            hold,
            writes,
            ..
        } = self;
        let eyes = eyes(volume, isolation, hold.as_ref(), own);
        work(writes, &eyes)
    }

    /// As [`Transaction::write_through`], for what depends on the value of `key`, which `work` is given: on
    /// a committed one at any isolation level, and on the newest, or there is a conflict.
    fn look_and_write<R>(
        &mut self,
        datastore: &Datastore,
        key: &[u8],
        reserve: bool,
        work: impl FnOnce(&mut WriteSet, &Eyes<'_>, Option<Vec<u8>>) -> Result<R>,
    ) -> Result<R> {
        let isolation = self.committed_isolation();
        self.taking.noticed(datastore, key);
        self.write_through(datastore, isolation, |writes, eyes| {
            if reserve {
                writes.write_as(datastore, eyes, key, Change::Reserve, Mode::Any, true)?;
            }
            writes.check_active()?;
            let mut value = Vec::new();
            let found = datastore.read_with(Some(eyes), key, &mut value)?;
            work(writes, eyes, found.then_some(value))
        })
    }

    /// Sets the value of `key`, whether it is there or not.
    pub fn put(
        &mut self,
        datastore: &Datastore,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<()> {
        let change = Change::Put(value.as_ref());
        self.write(datastore, key.as_ref(), change, Mode::Any)
    }

    /// Sets the value of `key`, which must not be there ([`crate::ErrorKind::ItemExists`]).
    pub fn try_insert(
        &mut self,
        datastore: &Datastore,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<()> {
        let change = Change::Put(value.as_ref());
        self.write(datastore, key.as_ref(), change, Mode::Absent)
    }

    /// Sets the value of `key`, which must be there ([`crate::ErrorKind::ItemNotFound`]).
    pub fn replace(
        &mut self,
        datastore: &Datastore,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<()> {
        let change = Change::Put(value.as_ref());
        self.write(datastore, key.as_ref(), change, Mode::Present)
    }

    /// Deletes `key`; whether it was there. No value is read: [`Transaction::remove`] returns it.
    pub fn delete(&mut self, datastore: &Datastore, key: impl AsRef<[u8]>) -> Result<bool> {
        is_done(self.write(datastore, key.as_ref(), Change::Remove, Mode::Present))
    }

    /// Removes the items in `bounds` that the transaction sees; how many that were. All of them go when it commits, or
    /// none; a write of one of them by others since it began is a conflict. Values are not read.
    ///
    /// Until it ends the transaction has a key and a version of each in memory, within the budget for
    /// [versions](crate::VolumeOptions::version_budget_bytes); [`Datastore::delete_range`] needs neither.
    pub fn delete_range<K: AsRef<[u8]>>(
        &mut self,
        datastore: &Datastore,
        bounds: impl RangeBounds<K>,
    ) -> Result<u64> {
        datastore.check_handle()?;
        self.taking.clear();
        let isolation = self.options.isolation;
        self.write_through(datastore, isolation, |writes, eyes| {
            writes.delete_range(datastore, eyes, bounds)
        })
    }

    /// Deletes `key` and returns its value, if it was there.
    pub fn remove(
        &mut self,
        datastore: &Datastore,
        key: impl AsRef<[u8]>,
    ) -> Result<Option<Vec<u8>>> {
        let key = key.as_ref();
        datastore.check_handle()?;
        self.look_and_write(datastore, key, false, |writes, eyes, old| {
            if old.is_some() {
                writes.write_as(datastore, eyes, key, Change::Remove, Mode::Any, true)?;
            }
            Ok(old)
        })
    }

    /// Sets `key` to what `change` makes of its value (`None`: no item), and returns that.
    pub fn update_fetch(
        &mut self,
        datastore: &Datastore,
        key: impl AsRef<[u8]>,
        change: impl FnOnce(Option<&[u8]>) -> Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>> {
        let key = key.as_ref();
        // Reserved first, so that at any isolation level nobody writes in between.
        let old = self.look_and_write(datastore, key, true, |_, _, old| Ok(old))?;
        let new = change(old.as_deref());
        match &new {
            Some(value) => self.put(datastore, key, value)?,
            None if old.is_some() => self.write(datastore, key, Change::Remove, Mode::Any)?,
            None => {}
        }
        Ok(new)
    }

    /// Changes nothing, but conflicts like a write of `key` until the transaction ends: reading
    /// for update. The item need not be there.
    pub fn reserve(&mut self, datastore: &Datastore, key: impl AsRef<[u8]>) -> Result<()> {
        self.write(datastore, key.as_ref(), Change::Reserve, Mode::Any)
    }

    /// Marks this moment, for [`Transaction::rollback_to`].
    pub fn savepoint(&mut self) -> Result<Savepoint> {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        if self.serial == 0 {
            self.serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        }
        self.writes.savepoint(self.serial)
    }

    /// Undoes what was done since `savepoint`, a failure included. It stays valid; those that
    /// were made after it do not.
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        self.taking.clear();
        self.writes.rollback_to(self.serial, savepoint)
    }

    /// Why the transaction cannot commit any more, if so.
    pub fn failure(&self) -> Option<&Error> {
        self.writes.failure()
    }

    /// Commits, as durably as the transaction was begun with. On error nothing was committed and
    /// the transaction is rolled back, unless the kind is [`crate::ErrorKind::OutcomeUnknown`]: then the
    /// outcome shows when the volume is opened again.
    pub fn commit(self) -> Result<()> {
        let durability = self.options.durability;
        self.commit_with(durability)
    }

    /// As [`Transaction::commit`], with a durability of its own.
    pub fn commit_with(mut self, durability: Durability) -> Result<()> {
        let committed = self.writes.commit(durability);
        if !self.writes.is_committed() {
            return committed;
        }
        // What it saw is not needed any more, by itself least of all.
        self.hold = None;
        self.taking.clear();
        let id = self.writes.id();
        if id != 0 {
            let oldest = self.volume.writing.native.end(id);
            self.writes.settle(oldest);
            self.writes.set_id(0);
            self.volume.settle_some(oldest);
        }
        committed
    }

    /// Undoes everything, as dropping it does.
    pub fn rollback(self) {}
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.writes.abort();
        if self.volume.access.is_elsewhere() {
            return;
        }
        let id = self.writes.id();
        if id != 0 {
            self.volume.writing.native.end(id);
        }
    }
}

/// Values that are not in the log yet must not use up what all transactions share.
fn memory_bytes(volume: &Shared, options: &TransactionOptions) -> usize {
    let share = volume.writing.unsettled.budget_bytes() / 4;
    options
        .memory_budget_bytes
        .min(usize::try_from(share).unwrap_or(usize::MAX))
}

fn eyes<'a>(volume: &Shared, isolation: Isolation, hold: Option<&'a Hold>, own: u64) -> Eyes<'a> {
    match hold {
        Some(hold) => Eyes::of(own, isolation, hold),
        None => Eyes::new(own, isolation, volume.writing.native.take()),
    }
}

impl Look for Transaction {
    fn look(&self) -> Result<Eyes<'_>> {
        if let Some(why) = self.failure() {
            return Err(why
                .clone()
                .context("an operation of the transaction failed; roll it back"));
        }
        let (isolation, own) = (self.options.isolation, self.writes.id());
        Ok(eyes(&self.volume, isolation, self.hold.as_ref(), own))
    }

    fn check(&self, datastore: &Datastore) -> Result<()> {
        check_volume(&self.volume, datastore)
    }
}

impl Readable for Transaction {}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Transaction({:?} on {})",
            self.options.isolation,
            self.volume.id()
        )
    }
}

const _: () = {
    const fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Transaction>();
    is_send_and_sync::<super::Snapshot>();
};

#[cfg(test)]
mod tests;
