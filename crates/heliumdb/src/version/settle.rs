//! Settling: turning chains back into plain slots once everyone sees their newest version.
//!
//! A chain is queued once, by the transaction that founded it, when that transaction is
//! resolved; it stays queued until it is a plain slot again. So the queue is as long as
//! there are chains, however many versions they have; and it is kept in [`Chunk`]s, so that a
//! committed write costs no allocation of its own that another thread has to free.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use crossbeam_epoch::{self as epoch, Guard};
use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::{
    TxnId,
    chain::{self, Swept, VERSION_BYTES},
};
use crate::{
    error::{Error, ErrorKind, Result},
    location::Word,
    log::Log,
    volume::tree::Tree,
};

/// Chains taken from the queue under one hold of its lock, and one epoch guard, at most.
const CHAINS_PER_CHUNK: usize = 256;
/// A chunk whose keys have so many bytes is full.
const CHUNK_KEY_BYTES: usize = 64 << 10;
/// Memory that a queued chain takes beyond its key.
const QUEUED_BYTES: i64 = size_of::<Queued>() as i64 + 8;

/// The unsettled versions of a volume: their memory, and the queue of chains.
pub(crate) struct Unsettled {
    queue: CachePadded<Mutex<Queue>>,
    /// Bytes of versions, values not logged yet, and the queue. May dip below zero for a
    /// moment, when a version is freed before its linking was counted.
    bytes: CachePadded<AtomicI64>,
    budget_bytes: u64,
    /// The oldest id that someone may still need, as last heard.
    oldest: AtomicU64,
}

/// Chains in the order in which they were queued, roughly that of their owners.
#[derive(Default)]
struct Queue {
    chunks: VecDeque<Chunk>,
    /// One that was emptied, to be filled again.
    spare: Option<Chunk>,
}

/// Some chains, their keys end to end.
#[derive(Default)]
struct Chunk {
    trees: Vec<Arc<Tree>>,
    chains: Vec<Queued>,
    keys: Vec<u8>,
}

struct Queued {
    /// When the horizon has passed this id there is something to settle.
    due: TxnId,
    tree: u32,
    key_end: u32,
}

impl Queue {
    fn push(&mut self, due: TxnId, tree: &Arc<Tree>, key: &[u8]) {
        if self.chunks.back().is_none_or(Chunk::is_full) {
            let empty = self.spare.take().unwrap_or_default();
            self.chunks.push_back(empty);
        }
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.push(due, tree, key);
        }
    }

    /// The chunk that was queued first, if its first chain is due.
    fn pop(&mut self, oldest: TxnId) -> Option<Chunk> {
        let first = self.chunks.front()?.chains.first()?;
        (first.due < oldest).then(|| self.chunks.pop_front())?
    }

    fn recycle(&mut self, mut chunk: Chunk) {
        if chunk.keys.capacity() <= 2 * CHUNK_KEY_BYTES {
            chunk.trees.clear();
            chunk.chains.clear();
            chunk.keys.clear();
            self.spare = Some(chunk);
        }
    }
}

impl Chunk {
    fn is_full(&self) -> bool {
        self.chains.len() >= CHAINS_PER_CHUNK || self.keys.len() >= CHUNK_KEY_BYTES
    }

    fn push(&mut self, due: TxnId, tree: &Arc<Tree>, key: &[u8]) {
        // From the back: a transaction's writes to one tree mostly follow one another.
        let known = self.trees.iter().rposition(|t| Arc::ptr_eq(t, tree));
        let index = known.unwrap_or_else(|| {
            self.trees.push(tree.clone());
            self.trees.len() - 1
        });
        self.keys.extend_from_slice(key);
        self.chains.push(Queued {
            due,
            tree: index as u32,
            key_end: self.keys.len() as u32,
        });
    }

    /// Each chain with its tree and key.
    fn iter(&self) -> impl Iterator<Item = (&Queued, &Arc<Tree>, &[u8])> {
        let mut start = 0;
        self.chains.iter().map(move |chain| {
            let end = chain.key_end as usize;
            let key = &self.keys[start..end];
            start = end;
            (chain, &self.trees[chain.tree as usize], key)
        })
    }
}

impl Unsettled {
    pub(crate) fn new(budget_bytes: u64) -> Self {
        Self {
            queue: CachePadded::default(),
            bytes: CachePadded::default(),
            budget_bytes,
            oldest: AtomicU64::new(0),
        }
    }

    /// The oldest id that someone may still need, as last heard.
    pub(crate) fn oldest(&self) -> TxnId {
        self.oldest.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed).max(0) as u64
    }

    pub(crate) fn add_bytes(&self, bytes: isize) {
        self.bytes.fetch_add(bytes as i64, Ordering::Relaxed);
    }

    /// Refuses a write when versions use their whole budget.
    pub(crate) fn check_budget(&self, more: usize) -> Result<()> {
        let used = self.bytes();
        if used + more as u64 <= self.budget_bytes {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::VersionBudget,
            format!(
                "versions that an open transaction may still read, or that are not committed, use {used} of {} bytes; \
                 end long transactions, or raise the version budget, and retry",
                self.budget_bytes
            ),
        ))
    }

    /// Queues chains that a transaction founded.
    pub(crate) fn push<'a>(
        &self,
        due: TxnId,
        chains: impl Iterator<Item = (&'a Arc<Tree>, &'a [u8])>,
    ) {
        let mut bytes = 0;
        let mut queue = self.queue.lock();
        for (tree, key) in chains {
            bytes += QUEUED_BYTES + key.len() as i64;
            queue.push(due, tree, key);
        }
        drop(queue);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Trims a chain that a writer has just made longer; the writer holds the leaf's latch.
    pub(crate) fn trim(&self, word: Word, log: &Log, guard: &Guard) -> Word {
        if !chain::is_trim_due(word, guard) {
            return word;
        }
        let mut swept = Swept::default();
        let trimmed = chain::settle(word, self.oldest.load(Ordering::Relaxed), guard, &mut swept);
        self.sweep(&swept, log);
        trimmed
    }

    /// Settles what transactions below `oldest` left; returns how many chains became plain slots.
    pub(crate) fn settle(&self, oldest: TxnId, log: &Log) -> usize {
        self.oldest.fetch_max(oldest, Ordering::Relaxed);
        // What is queued again meanwhile waits for the next call.
        let mut left = self.queue.lock().chunks.len();
        let mut settled = 0;
        while left > 0 {
            let Some(due) = self.queue.lock().pop(oldest) else {
                break;
            };
            left -= 1;
            settled += self.settle_some(&due, oldest, log);
            self.queue.lock().recycle(due);
        }
        settled
    }

    fn settle_some(&self, chunk: &Chunk, oldest: TxnId, log: &Log) -> usize {
        let guard = epoch::pin();
        let mut again = Vec::new();
        let mut settled = 0;
        let mut bytes = 0;
        for (chain, tree, key) in chunk.iter() {
            if chain.due >= oldest {
                again.push((chain.due, tree, key));
                continue;
            }
            let mut swept = Swept::default();
            tree.index.update(key, &guard, |word| {
                (chain::settle(Word(word), oldest, &guard, &mut swept).0, ())
            });
            self.sweep(&swept, log);
            match swept.newest_left {
                Some(due) => again.push((due, tree, key)),
                None => {
                    settled += 1;
                    bytes += QUEUED_BYTES + key.len() as i64;
                }
            }
        }
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if !again.is_empty() {
            let mut queue = self.queue.lock();
            for (due, tree, key) in again {
                queue.push(due, tree, key);
            }
        }
        settled
    }

    /// Accounts for what a pass over a chain took away.
    pub(crate) fn sweep(&self, swept: &Swept, log: &Log) {
        for &location in &swept.dead {
            log.mark_dead(location);
        }
        self.add_bytes(-((swept.versions * VERSION_BYTES) as isize));
    }
}
