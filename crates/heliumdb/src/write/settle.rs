//! Settling: turning chains back into plain slots once everyone sees their newest version.
//!
//! A chain is queued once, by the transaction that founded it, when that transaction is
//! resolved; it stays queued until it is a plain slot again. So the queue is as long as
//! there are chains, however many versions they have; and it is kept in [`Chunk`]s, so that a
//! committed write costs no allocation of its own that another thread has to free.

use std::{
    collections::VecDeque,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use crossbeam_epoch::{self as epoch, Guard};
use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::{Manager, thin::Passes};
use crate::{
    error::{Error, ErrorKind, Result},
    location::Word,
    log::Log,
    tree::Tree,
    version::{
        Readers, Swept, TxnId,
        chain::{self, VERSION_BYTES},
        prune,
    },
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
    /// Who knows better, if the store keeps the volume's transactions itself.
    keeper: OnceLock<Arc<Manager>>,
    /// When the first chain of the queue is due, for a look without the lock.
    due: AtomicU64,
    pub(super) passes: Passes,
}

/// Chains in the order in which they were queued, roughly that of their owners.
#[derive(Default)]
struct Queue {
    chunks: VecDeque<Chunk>,
    /// One that was emptied, to be filled again.
    spare: Option<Chunk>,
    /// How many were taken out, and are being looked through: what stays comes back.
    in_hand: usize,
    /// How many chains have come back to its end from those who settle.
    came_back: u64,
}

/// Some chains, their keys end to end.
#[derive(Default)]
struct Chunk {
    trees: Vec<Arc<Tree>>,
    chains: Vec<Queued>,
    keys: Vec<u8>,
}

struct Queued {
    /// When everyone sees what this one has committed there is something to settle.
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

    /// The chunk that was queued first, if its first chain is due. Those behind it were queued later,
    /// and whoever does not see what it waits for sees even less of theirs.
    fn pop(&mut self, readers: &Readers) -> Option<Chunk> {
        let first = self.chunks.front()?.chains.first()?;
        let is_due = readers.all_see(first.due);
        is_due.then(|| self.take())?
    }

    fn take(&mut self) -> Option<Chunk> {
        let chunk = self.chunks.pop_front()?;
        self.in_hand += 1;
        Some(chunk)
    }

    /// Chunks there are, those in hand included.
    fn len(&self) -> usize {
        self.chunks.len() + self.in_hand
    }

    /// When the first chain is due.
    fn due(&self) -> TxnId {
        let first = self.chunks.front().and_then(|chunk| chunk.chains.first());
        first.map_or(TxnId::MAX, |chain| chain.due)
    }

    /// What stays of it has come back.
    fn recycle(&mut self, mut chunk: Chunk) {
        self.in_hand -= 1;
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
            keeper: OnceLock::new(),
            due: AtomicU64::new(TxnId::MAX),
            passes: Passes::default(),
        }
    }

    /// From now on `keeper` says who may still look.
    pub(crate) fn set_keeper(&self, keeper: &Arc<Manager>) {
        self.keeper.get_or_init(|| keeper.clone());
    }

    /// The oldest id that someone may still need, as last heard.
    pub(crate) fn oldest(&self) -> TxnId {
        self.oldest.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed).max(0) as u64
    }

    pub(crate) fn budget_bytes(&self) -> u64 {
        self.budget_bytes
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
        self.due.store(queue.due(), Ordering::Relaxed);
        drop(queue);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Trims a chain that a writer is about to make longer, if that is due; the writer holds the
    /// leaf's latch. With how many versions are left, if it was.
    pub(crate) fn trim(&self, word: Word, log: &Log, guard: &Guard) -> (Word, Option<u32>) {
        if !chain::is_trim_due(word, guard) {
            return (word, None);
        }
        let readers = match self.keeper.get() {
            Some(keeper) => keeper.readers(),
            None => Readers::below(self.oldest.load(Ordering::Relaxed)),
        };
        let mut swept = Swept::default();
        let trimmed = prune::settle(word, &readers, guard, &mut swept);
        self.sweep(&swept, log);
        (trimmed, Some(swept.left))
    }

    /// Settles what no one of `readers` needs, of up to `most` chunks of chains; returns how many
    /// chains became plain slots.
    pub(crate) fn settle(&self, readers: &Readers, most: usize, log: &Log) -> usize {
        self.oldest.fetch_max(readers.oldest, Ordering::Relaxed);
        // What is queued again meanwhile waits for the next call.
        let mut left = self.queue.lock().chunks.len().min(most);
        let mut settled = 0;
        while left > 0 {
            let Some(due) = self.queue.lock().pop(readers) else {
                break;
            };
            left -= 1;
            settled += self.settle_chunk(due, readers, log);
        }
        settled
    }

    /// Of one that was taken out.
    fn settle_chunk(&self, chunk: Chunk, readers: &Readers, log: &Log) -> usize {
        let is_due = |due| readers.all_see(due);
        let settled = self.settle_some(&chunk, readers, log, is_due);
        let mut queue = self.queue.lock();
        queue.came_back += (chunk.chains.len() - settled) as u64;
        queue.recycle(chunk);
        self.due.store(queue.due(), Ordering::Relaxed);
        settled
    }

    /// Chunks of chains.
    pub(super) fn chunks(&self) -> usize {
        self.queue.lock().len()
    }

    /// How many chains have come back to the end of the queue from those who settle, and knew less of who is gone than
    /// others may.
    pub(super) fn came_back(&self) -> u64 {
        self.queue.lock().came_back
    }

    /// Whether some of them have since there were so many, or are yet to.
    pub(super) fn has_come_back_since(&self, came_back: u64) -> bool {
        let queue = self.queue.lock();
        queue.in_hand > 0 || queue.came_back != came_back
    }

    /// Takes out of the chains of so many chunks what nobody needs, due or not. They go to the end of the queue, so
    /// that the next ones are in front. Returns how many are seen to: those that others have in hand come later.
    pub(super) fn thin_chunks(&self, chunks: usize, readers: &Readers, log: &Log) -> usize {
        for done in 0..chunks {
            let mut queue = self.queue.lock();
            let Some(chunk) = queue.take() else {
                return match queue.in_hand {
                    0 => chunks,
                    _ => done,
                };
            };
            drop(queue);
            self.settle_some(&chunk, readers, log, |_| true);
            let mut queue = self.queue.lock();
            queue.recycle(chunk);
            self.due.store(queue.due(), Ordering::Relaxed);
        }
        chunks
    }

    /// Whether the first chain that waits can be settled, as far as a look without a lock shows.
    pub(crate) fn is_due(&self, oldest: TxnId) -> bool {
        self.due.load(Ordering::Relaxed) < oldest
    }

    /// Whether any chain waits.
    pub(crate) fn has_any(&self) -> bool {
        self.chunks() > 0
    }

    /// Settles the chain of one key now; if that leaves it a chain, says when it is due again.
    pub(crate) fn settle_one(
        &self,
        tree: &Tree,
        key: &[u8],
        readers: &Readers,
        log: &Log,
        guard: &Guard,
    ) -> Option<TxnId> {
        self.prune_one(tree, key, readers, log, guard).newest_left
    }

    #[inline]
    fn prune_one(
        &self,
        tree: &Tree,
        key: &[u8],
        readers: &Readers,
        log: &Log,
        guard: &Guard,
    ) -> Swept {
        let mut swept = Swept::default();
        tree.update_unseen(key, guard, |word| {
            (prune::settle(Word(word), readers, guard, &mut swept).0, ())
        });
        self.sweep(&swept, log);
        swept
    }

    /// Returns how many of the chains are plain slots now.
    fn settle_some(
        &self,
        chunk: &Chunk,
        readers: &Readers,
        log: &Log,
        is_due: impl Fn(TxnId) -> bool,
    ) -> usize {
        let guard = epoch::pin();
        let mut again = Vec::new();
        let mut settled = 0;
        let mut bytes = 0;
        for (chain, tree, key) in chunk.iter() {
            if !is_due(chain.due) {
                again.push((chain.due, tree, key));
                continue;
            }
            let swept = self.prune_one(tree, key, readers, log, &guard);
            match swept.newest_left {
                // What it waits for may be yet to come.
                Some(due) if readers.all_see(chain.due) => again.push((due, tree, key)),
                Some(_) => again.push((chain.due, tree, key)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Volume, VolumeOptions, write::Haste};

    /// A settler that has looked at what everybody sees before something was written takes a chunk, and brings it back
    /// behind what a pass has looked through by then: nobody is refused for what it keeps.
    #[test]
    fn a_pass_that_a_settler_has_passed_by_is_not_the_last() {
        for is_back_within in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("he://{}", folder.path().join("volume").display());
            let mut options = VolumeOptions::new();
            options.background_thread = false;
            let volume = Volume::open(&url, &options).unwrap();
            let store = volume.create_datastore("store").unwrap();
            let _oldest = volume.snapshot().unwrap();
            let shared = volume.shared();
            let (unsettled, log) = (&shared.writing.unsettled, &shared.log);
            // A pass takes two steps.
            let put_all = || {
                for number in 0..40 * CHAINS_PER_CHUNK as u32 {
                    store.put(number.to_be_bytes(), b"value").unwrap();
                }
            };
            put_all();
            let stale = shared.writing.native.readers();
            put_all();
            put_all();
            let readers = shared.writing.native.readers();
            let clock = &shared.access.options().clock;
            let step = || unsettled.thin(&readers, Haste::All, clock, log);
            let chunk = unsettled.queue.lock().take().unwrap();
            assert!(step());
            let come_back = || assert_eq!(unsettled.settle_chunk(chunk, &stale, log), 0);
            if is_back_within {
                come_back();
                while step() {}
            } else {
                while step() {}
                come_back();
            }
            let before = unsettled.bytes();
            assert!(unsettled.want_pass(&readers));
            while step() {}
            assert!(unsettled.bytes() < before);
            assert!(!unsettled.want_pass(&readers));
        }
    }
}
