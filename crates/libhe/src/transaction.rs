//! Transactions: queues of changes that are made together at the end.
//!
//! Invariant: nothing of a queue is visible outside it before the commit, and what is read
//! through its handles is what is in the queue and nothing else. A key has one entry, which
//! says what must hold of the item before the commit and what it will be after; so failures
//! show at the commit, and a queue is as large as what it changes, however often.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use crate::{
    code::{Code, Result},
    datastore::{Direction, check_value, while_writing},
    handle::{self, Number},
    limits::{MERGE_ATTEMPTS_MAX, TRANSACTION_BYTES_MAX},
    store::{self, Item, Merge, Mode, Queued},
    volumes::OpenVolume,
};

/// What a key in a queue costs beyond its bytes, as far as the limit is concerned.
const ENTRY_BYTES: usize = 128;

/// What a handle of a transaction stands for: the transaction, seen from one datastore.
pub struct TransactionHandle {
    pub shared: Arc<Shared>,
    pub store: store::Datastore,
    /// The handle of the datastore that it belongs to.
    pub parent: Number,
    pub read_only: bool,
}

/// What all handles of a transaction share.
pub struct Shared {
    pub volume: Arc<OpenVolume>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// Committed or discarded.
    is_over: bool,
    datastores: BTreeMap<u32, Content>,
    bytes: usize,
    handles: Vec<Number>,
    /// The first change that cannot be, whatever is in the datastore.
    impossible: Option<Code>,
}

struct Content {
    store: store::Datastore,
    entries: BTreeMap<Vec<u8>, Entry>,
}

struct Entry {
    before: Mode,
    value: Option<Vec<u8>>,
}

impl Shared {
    pub fn new(volume: Arc<OpenVolume>) -> Arc<Self> {
        Arc::new(Self {
            volume,
            queue: Mutex::default(),
        })
    }

    /// Adds a handle, which ends with the transaction.
    pub fn add_handle(&self, handle: Number) -> Result<()> {
        let mut queue = self.queue.lock();
        if queue.is_over {
            return Err(Code::ARGUMENTS);
        }
        queue.handles.push(handle);
        Ok(())
    }

    /// Makes all changes, or none; the transaction is over either way.
    pub fn commit(&self) -> Result<()> {
        let queue = self.end()?;
        match queue.impossible {
            Some(code) => return Err(code),
            None if queue.datastores.is_empty() => return Ok(()),
            None => {}
        }
        let changes: Vec<Queued<'_>> = queue.datastores.values().flat_map(changes).collect();
        self.volume.store.write(&changes).map_err(while_writing)
    }

    /// Forgets all changes.
    pub fn discard(&self) -> Result<()> {
        self.end().map(drop)
    }

    /// The transaction is over; only who gets the queue has ended it.
    fn end(&self) -> Result<Queue> {
        let mut queue = self.queue.lock();
        if queue.is_over {
            return Err(Code::ARGUMENTS);
        }
        let over = Queue {
            is_over: true,
            ..Queue::default()
        };
        let ended = std::mem::replace(&mut *queue, over);
        drop(queue);
        for &handle in &ended.handles {
            disown(handle);
            handle::end(handle);
        }
        Ok(ended)
    }
}

fn changes(content: &Content) -> impl Iterator<Item = Queued<'_>> {
    content.entries.iter().map(|(key, entry)| Queued {
        datastore: &content.store,
        key,
        value: entry.value.as_deref(),
        mode: entry.before,
    })
}

/// The handle ends by itself: the datastore's handle need not end it any more.
fn disown(handle: Number) {
    let Ok(found) = handle::find(handle) else {
        return;
    };
    if let Ok(transaction) = found.transaction()
        && let Ok(parent) = handle::find(transaction.parent)
        && let Ok(parent) = parent.datastore()
    {
        parent.disown(handle);
    }
}

impl TransactionHandle {
    pub fn put(&self, key: &[u8], value: &[u8], mode: Mode) -> Result<()> {
        check_value(value)?;
        self.check_writable()?;
        self.queue(key, Some(value), mode)
    }

    pub fn delete(&self, key: &[u8]) -> Result<()> {
        self.check_writable()?;
        self.queue(key, None, Mode::Present)
    }

    pub fn exists(&self, key: &[u8]) -> Result<()> {
        self.lookup(key, |_| {})
    }

    pub fn lookup(&self, key: &[u8], show: impl FnOnce(&[u8])) -> Result<()> {
        self.look(|entries| {
            let entry = entries.get(key);
            let value = entry.and_then(|entry| entry.value.as_deref());
            value.map(show).ok_or(Code::ITEM_NOT_FOUND)
        })
    }

    /// Takes an item out of the transaction's own content.
    pub fn delete_lookup(&self, key: &[u8], show: impl FnOnce(&[u8])) -> Result<()> {
        self.check_writable()?;
        self.lookup(key, show)?;
        self.queue(key, None, Mode::Present)
    }

    /// Makes a new value of the one in the transaction's own content.
    pub fn merge(&self, key: &[u8], change: &mut Merge<'_>) -> Result<bool> {
        self.check_writable()?;
        for _ in 0..MERGE_ATTEMPTS_MAX {
            let old = self.content(key)?;
            // Nothing is locked: the function may use the transaction.
            let Some(new) = change(old.as_deref()) else {
                return Ok(false);
            };
            check_value(&new)?;
            if self.queue_if(key, Some(&new), Mode::Any, |now| now == old.as_deref())? {
                return Ok(true);
            }
        }
        Err(Code::DATASTORE_IN_USE)
    }

    /// The item of `key` in the transaction's own content.
    fn content(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.look(|entries| Ok(entries.get(key).and_then(|entry| entry.value.clone())))
    }

    pub fn neighbour(
        &self,
        from: &[u8],
        direction: Direction,
        show: impl FnOnce(&[u8], Option<&[u8]>),
    ) -> Result<()> {
        self.look(|entries| {
            use std::ops::Bound::{Excluded, Unbounded};
            let is_there = |(_, entry): &(&Vec<u8>, &Entry)| entry.value.is_some();
            let nearest = match direction {
                Direction::Forward => entries
                    .range::<[u8], _>((Excluded(from), Unbounded))
                    .find(is_there),
                Direction::Backward if from.is_empty() => entries.iter().rev().find(is_there),
                Direction::Backward => entries
                    .range::<[u8], _>((Unbounded, Excluded(from)))
                    .rev()
                    .find(is_there),
            };
            let (key, entry) = nearest.ok_or(Code::ITEM_NOT_FOUND)?;
            show(key, entry.value.as_deref());
            Ok(())
        })
    }

    /// The transaction's own items of this moment, in order.
    pub fn items(&self) -> Result<Vec<Item>> {
        self.look(|entries| {
            let items = entries.iter();
            let there = items.filter_map(|(key, entry)| Some((key.clone(), entry.value.clone()?)));
            Ok(there.collect())
        })
    }

    fn check_writable(&self) -> Result<()> {
        if self.read_only {
            Err(Code::READ_ONLY_DATASTORE)
        } else {
            Ok(())
        }
    }

    fn look<R>(&self, look: impl FnOnce(&BTreeMap<Vec<u8>, Entry>) -> Result<R>) -> Result<R> {
        static NOTHING: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
        let queue = self.shared.queue.lock();
        if queue.is_over {
            return Err(Code::ARGUMENTS);
        }
        let content = queue.datastores.get(&self.store.id());
        look(content.map_or(&NOTHING, |content| &content.entries))
    }

    /// Adds a change, which asks `mode` of what is there before it.
    fn queue(&self, key: &[u8], value: Option<&[u8]>, mode: Mode) -> Result<()> {
        self.queue_if(key, value, mode, |_| true).map(drop)
    }

    /// Adds a change if what the content has under `key` is still as it was; false if not.
    fn queue_if(
        &self,
        key: &[u8],
        value: Option<&[u8]>,
        mode: Mode,
        is_same: impl FnOnce(Option<&[u8]>) -> bool,
    ) -> Result<bool> {
        let queue = &mut *self.shared.queue.lock();
        if queue.is_over {
            return Err(Code::ARGUMENTS);
        }
        let content = queue.datastores.get(&self.store.id());
        let entry = content.and_then(|content| content.entries.get(key));
        if !is_same(entry.and_then(|entry| entry.value.as_deref())) {
            return Ok(false);
        }
        let content = queue
            .datastores
            .entry(self.store.id())
            .or_insert_with(|| Content {
                store: self.store.clone(),
                entries: BTreeMap::new(),
            });
        let bytes = value.map_or(0, <[u8]>::len);
        let Some(entry) = content.entries.get_mut(key) else {
            queue.bytes = grown(queue.bytes, 0, key.len() + bytes + ENTRY_BYTES)?;
            let value = value.map(<[u8]>::to_vec);
            let entry = Entry {
                before: mode,
                value,
            };
            content.entries.insert(key.to_vec(), entry);
            return Ok(true);
        };
        match (mode, &entry.value) {
            (Mode::Absent, Some(_)) => drop(queue.impossible.get_or_insert(Code::ITEM_EXISTS)),
            (Mode::Present, None) => drop(queue.impossible.get_or_insert(Code::ITEM_NOT_FOUND)),
            (_, old) => {
                let old = old.as_ref().map_or(0, Vec::len);
                queue.bytes = grown(queue.bytes, old, bytes)?;
                entry.value = value.map(<[u8]>::to_vec);
            }
        }
        Ok(true)
    }
}

/// How large a queue of `all` bytes is when `old` of them become `new`, if it may be.
fn grown(all: usize, old: usize, new: usize) -> Result<usize> {
    let bytes = all - old + new;
    if bytes <= TRANSACTION_BYTES_MAX {
        Ok(bytes)
    } else {
        Err(Code::MEMORY)
    }
}

impl Drop for TransactionHandle {
    /// A handle that ended with its datastore takes the transaction along.
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.shared.discard();
    }
}
