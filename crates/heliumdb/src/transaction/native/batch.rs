//! Batches: several writes as one, without looking.
//!
//! Invariant: no two batches of a volume mix; of two that write the same items, one is wholly on
//! top of the other.

use std::{fmt, sync::Arc};

use super::{read::check_volume, transaction::Transaction};
use crate::{
    datastore::Datastore,
    enough,
    error::Result,
    shared::Lease,
    transaction::{Durability, room::Ahead},
    version::{Change, Mode},
};

/// Writes to any datastores of a volume that happen together: see [`crate::Volume::batch`].
///
/// It reads nothing and conflicts with nothing: it is ordered after whatever was written before,
/// and a transaction that has written one of its items without having committed fails.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let url = format!("he://{}", dir.path().join("volume").display());
/// # let volume = heliumdb::Volume::open(&url, &Default::default())?;
/// use heliumdb::Durability;
/// let names = volume.create_datastore(b"names")?;
/// let ages = volume.create_datastore(b"ages")?;
/// let mut batch = volume.batch();
/// batch.put(&names, b"1", b"Ada")?.put(&ages, b"1", b"36")?.delete(&ages, b"2")?;
/// batch.commit(Durability::Buffered)?;
/// assert_eq!((names.len(), ages.len()), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WriteBatch {
    volume: Arc<Lease>,
    datastores: Vec<Datastore>,
    writes: Vec<Write>,
    /// Keys and values, end to end.
    bytes: Vec<u8>,
}

/// Writes whose places in the index are looked for together.
const PREPARED_TOGETHER: usize = 64;

struct Write {
    datastore: usize,
    key_bytes: usize,
    /// `None` removes the item.
    value_bytes: Option<usize>,
}

impl Write {
    /// Bytes of key and value, unless it removes the item.
    fn put_bytes(&self) -> Option<(usize, usize)> {
        Some((self.key_bytes, self.value_bytes?))
    }
}

impl WriteBatch {
    pub(crate) fn new(volume: &Arc<Lease>) -> Self {
        Self {
            volume: volume.clone(),
            datastores: Vec::new(),
            writes: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Will set the value of `key`.
    pub fn put(
        &mut self,
        datastore: &Datastore,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<&mut Self> {
        self.push(datastore, key.as_ref(), Some(value.as_ref()))
    }

    /// Will delete `key`, if it is there.
    pub fn delete(&mut self, datastore: &Datastore, key: impl AsRef<[u8]>) -> Result<&mut Self> {
        self.push(datastore, key.as_ref(), None)
    }

    fn push(
        &mut self,
        datastore: &Datastore,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<&mut Self> {
        check_volume(&self.volume, datastore)?;
        datastore.check_handle()?;
        let known = self.datastores.iter().rposition(|d| d.is_same(datastore));
        let index = known.unwrap_or_else(|| {
            self.datastores.push(datastore.clone());
            self.datastores.len() - 1
        });
        let bytes = key.len() + value.map_or(0, <[u8]>::len);
        enough::for_item(size_of::<Write>() + bytes)?;
        enough::in_buffer(self.bytes.try_reserve(bytes))?;
        enough::in_buffer(self.writes.try_reserve(1))?;
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.writes.push(Write {
            datastore: index,
            key_bytes: key.len(),
            value_bytes: value.map(<[u8]>::len),
        });
        Ok(self)
    }

    /// How many writes it has.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether it has no writes.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Forgets its writes.
    pub fn clear(&mut self) {
        self.writes.clear();
        self.bytes.clear();
        self.datastores.clear();
    }

    /// Does all of its writes, or on error none (but see [`crate::ErrorKind::OutcomeUnknown`]),
    /// and leaves it empty.
    pub fn commit(&mut self, durability: Durability) -> Result<()> {
        let done = self.apply(durability);
        self.clear();
        done
    }

    /// Datastores that are being emptied or removed are waited for, as each write by itself waits: with nothing of the
    /// batch in any of them.
    fn apply(&self, durability: Durability) -> Result<()> {
        self.volume.catalog.when_let_in(|| self.attempt(durability))
    }

    fn attempt(&self, durability: Durability) -> Result<()> {
        // Before any of it can be seen, and before other batches have to wait: what makes room may be one.
        let puts = self.writes.iter().filter_map(Write::put_bytes);
        let room = Ahead::reserve(&self.volume, puts)?;
        let mut txn = Transaction::blind(&self.volume)?;
        if let (Some(room), Some(datastore)) = (room, self.datastores.first()) {
            txn.take_ahead(datastore, room)?;
        }
        let batching = self.volume.writing.batching.lock();
        let mut ahead = self.each();
        for (i, (write, key, value)) in self.each().enumerate() {
            if i % PREPARED_TOGETHER == 0 {
                self.prepare(&mut ahead)?;
            }
            let change = match write.value_bytes {
                Some(_) => Change::Put(value),
                None => Change::Remove,
            };
            txn.write(&self.datastores[write.datastore], key, change, Mode::Any)?;
        }
        drop(batching);
        txn.commit_with(durability)
    }

    /// Each write with its key and value.
    fn each(&self) -> impl Iterator<Item = (&Write, &[u8], &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.writes.iter().map(move |write| {
            let (key, behind) = rest.split_at(write.key_bytes);
            let (value, behind) = behind.split_at(write.value_bytes.unwrap_or_default());
            rest = behind;
            (write, key, value)
        })
    }

    /// Has the next writes' places in the index brought near, side by side: one after the other
    /// each would wait for memory.
    fn prepare<'a>(
        &self,
        ahead: &mut impl Iterator<Item = (&'a Write, &'a [u8], &'a [u8])>,
    ) -> Result<()> {
        let mut keys = Vec::with_capacity(PREPARED_TOGETHER);
        let mut datastore = None;
        for (write, key, _) in ahead.take(PREPARED_TOGETHER) {
            if datastore.is_none_or(|known| known == write.datastore) {
                keys.push(key);
            }
            datastore = datastore.or(Some(write.datastore));
        }
        let Some(datastore) = datastore.and_then(|index| self.datastores.get(index)) else {
            return Ok(());
        };
        datastore.with_tree(|tree| {
            let guard = crossbeam_epoch::pin();
            tree.prepare_many(&keys, &guard);
            Ok(())
        })
    }
}

impl fmt::Debug for WriteBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "WriteBatch({} writes, to {})",
            self.len(),
            self.volume.id()
        )
    }
}
