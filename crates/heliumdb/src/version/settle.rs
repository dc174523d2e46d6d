//! Settling: turning chains back into plain slots once everyone sees their newest version.
//!
//! A chain is queued once, by the transaction that founded it, when that transaction is
//! resolved; it stays queued until it is a plain slot again. So the queue is as long as
//! there are chains, however many versions they have.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use crossbeam_epoch::{self as epoch, Guard};
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

/// Chains taken from the queue under one hold of its lock, and one epoch guard.
const CHAINS_PER_STEP: usize = 256;
/// Memory that a queued chain takes beyond its key.
const QUEUED_BYTES: i64 = size_of::<Queued>() as i64 + 16;

/// The unsettled versions of a volume: their memory, and the queue of chains.
pub(crate) struct Unsettled {
    queue: Mutex<VecDeque<Queued>>,
    /// Bytes of versions, values not logged yet, and the queue. May dip below zero for a
    /// moment, when a version is freed before its linking was counted.
    bytes: AtomicI64,
    budget_bytes: u64,
    /// The oldest id that someone may still need, as last heard.
    oldest: AtomicU64,
}

struct Queued {
    /// When the horizon has passed this id there is something to settle.
    due: TxnId,
    tree: Arc<Tree>,
    key: Box<[u8]>,
}

impl Unsettled {
    pub(crate) fn new(budget_bytes: u64) -> Self {
        Self {
            queue: Mutex::new(VecDeque::new()),
            bytes: AtomicI64::new(0),
            budget_bytes,
            oldest: AtomicU64::new(0),
        }
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
    pub(crate) fn push(&self, due: TxnId, chains: impl Iterator<Item = (Arc<Tree>, Box<[u8]>)>) {
        let mut bytes = 0;
        let mut queue = self.queue.lock();
        for (tree, key) in chains {
            bytes += QUEUED_BYTES + key.len() as i64;
            queue.push_back(Queued { due, tree, key });
        }
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
        let mut left = self.queue.lock().len();
        let mut settled = 0;
        while left > 0 {
            let due = self.take(oldest, left.min(CHAINS_PER_STEP));
            if due.is_empty() {
                break;
            }
            left -= due.len();
            settled += self.settle_some(due, oldest, log);
        }
        settled
    }

    fn take(&self, oldest: TxnId, most: usize) -> Vec<Queued> {
        let mut queue = self.queue.lock();
        let due = queue
            .iter()
            .take(most)
            .take_while(|q| q.due < oldest)
            .count();
        queue.drain(..due).collect()
    }

    fn settle_some(&self, chains: Vec<Queued>, oldest: TxnId, log: &Log) -> usize {
        let guard = epoch::pin();
        let mut again = Vec::new();
        let mut settled = 0;
        for queued in chains {
            let mut swept = Swept::default();
            queued.tree.index.update(&queued.key, &guard, |word| {
                (chain::settle(Word(word), oldest, &guard, &mut swept).0, ())
            });
            self.sweep(&swept, log);
            match swept.newest_left {
                Some(due) => again.push(Queued { due, ..queued }),
                None => {
                    settled += 1;
                    self.bytes
                        .fetch_sub(QUEUED_BYTES + queued.key.len() as i64, Ordering::Relaxed);
                }
            }
        }
        if !again.is_empty() {
            self.queue.lock().extend(again);
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
