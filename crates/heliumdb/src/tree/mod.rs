//! One generation of a datastore's items: an index and who is using it.
//!
//! Truncating a datastore gives it a new tree with a new id. Invariant: a tree that the catalog has
//! forgotten is retired: it has no unresolved versions, none can come, and nothing of it is appended
//! to the log any more. Its items are alive as long as somebody has it, and die with it. The index has for
//! keys what [`Tree::index_key`] makes of them; who has a key goes through [`Tree::get`] and
//! [`Tree::update`], who walks sees what is in the index.

mod count;
mod stretches;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
};

use crossbeam_epoch::{self as epoch, Guard};
use crossbeam_utils::CachePadded;

use count::LiveCount;
pub(crate) use stretches::{Passed, SLOTS_MAX, Stretches, UNNOTED};

use crate::{
    error::{Error, ErrorKind, Result},
    format::trees::is_unordered,
    index::{IndexKey, Secret, Tree as Index},
    location::Word,
    log::Log,
    version::chain,
};

/// Bits of [`Tree::writers`] that count transactions.
const WRITERS_BITS: u32 = 24;
const ONE_CHANGE: u64 = 1 << WRITERS_BITS;

/// What may be written to a tree: anything.
const OPEN: u8 = 0;
/// No transaction may begin to write: the datastore is being renamed, truncated or removed.
const CLOSING: u8 = 1;
/// Nothing of it may be appended to the log: it is about to be retired, or not.
const RETIRING: u8 = 2;
/// The catalog has durably forgotten it.
const RETIRED: u8 = 3;

/// The items that the log keeps under one tree id.
pub(crate) struct Tree {
    pub(crate) id: u32,
    pub(crate) index: Index,
    /// Its items, as the newest committed state has them.
    pub(crate) live: LiveCount,
    log: Arc<Log>,
    secret: Secret,
    /// Where there are no items.
    pub(crate) stretches: Stretches,
    /// Transactions that have unresolved versions here, and above [`WRITERS_BITS`] how often
    /// something was resolved: one word, so that a transaction that leaves counts as both.
    writers: CachePadded<AtomicU64>,
    /// What may be written to it.
    stage: AtomicU8,
    /// Values are compressed.
    compress: AtomicBool,
}

impl Tree {
    pub(crate) fn new(id: u32, log: Arc<Log>) -> Arc<Self> {
        Self::with_index(id, Index::new(), log)
    }

    /// A tree that recovery has filled.
    pub(crate) fn with_index(id: u32, index: Index, log: Arc<Log>) -> Arc<Self> {
        Arc::new(Self {
            id,
            live: LiveCount::of(index.len()),
            index,
            secret: log.medium().secret(),
            stretches: Stretches::default(),
            log,
            writers: CachePadded::default(),
            stage: AtomicU8::new(OPEN),
            compress: AtomicBool::new(false),
        })
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Refuses what needs an order, if there is none.
    pub(crate) fn check_ordered(&self) -> Result<()> {
        if !self.is_unordered() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            "an unordered datastore knows no neighbours of a key: walk through its items, or make it ordered",
        ))
    }

    /// What the index has for `key`.
    #[inline]
    pub(crate) fn index_key<'a>(&self, key: &'a [u8]) -> IndexKey<'a> {
        self.secret.index_key(self.id, key)
    }

    /// Whether the index knows hashes only, and no order of the keys.
    pub(crate) fn is_unordered(&self) -> bool {
        is_unordered(self.id)
    }

    /// As [`Index::get`].
    #[inline]
    pub(crate) fn get(&self, key: &[u8], guard: &Guard) -> u64 {
        self.index.get(&self.index_key(key), guard)
    }

    /// As [`Index::get_many`].
    pub(crate) fn get_many<'k>(
        &self,
        keys: impl Iterator<Item = &'k [u8]>,
        guard: &Guard,
        found: impl FnMut(u64),
    ) {
        let keys: Vec<IndexKey<'_>> = keys.map(|key| self.index_key(key)).collect();
        self.index
            .get_many(keys.iter().map(|key| &**key), guard, found);
    }

    /// As [`Index::prepare_many`].
    pub(crate) fn prepare_many(&self, keys: &[&[u8]], guard: &Guard) {
        let keys: Vec<IndexKey<'_>> = keys.iter().map(|key| self.index_key(key)).collect();
        self.index
            .prepare_many(keys.iter().map(|key| &**key), guard);
    }

    /// As [`Index::update`].
    #[inline]
    pub(crate) fn update<R>(
        &self,
        key: &[u8],
        guard: &Guard,
        f: impl FnOnce(u64) -> (u64, R),
    ) -> R {
        let key = &*self.index_key(key);
        self.index.update(key, guard, |word| {
            self.stretches.changing(key);
            f(word)
        })
    }

    /// As [`Tree::update`], for what makes no item seen that was not.
    #[inline]
    pub(crate) fn update_unseen<R>(
        &self,
        key: &[u8],
        guard: &Guard,
        f: impl FnOnce(u64) -> (u64, R),
    ) -> R {
        self.index.update(&self.index_key(key), guard, f)
    }

    /// Lets a transaction in; [`Tree::leave`] ends that.
    pub(crate) fn enter(&self) -> Result<()> {
        // Entering and closing each announce themselves before they look for the other.
        self.writers.fetch_add(1, Ordering::SeqCst);
        if self.stage.load(Ordering::SeqCst) != OPEN {
            self.leave();
            return Err(changing());
        }
        Ok(())
    }

    /// `Busy` if nothing of the tree may be appended to the log. Whoever appends asks this in the
    /// gate, and stays there until the index shows what was appended: retiring waits for that.
    #[inline]
    pub(crate) fn check_accepts(&self) -> Result<()> {
        match self.stage.load(Ordering::SeqCst) {
            OPEN | CLOSING => Ok(()),
            _ => Err(changing()),
        }
    }

    /// Whether the tree is being retired, or was.
    pub(crate) fn is_leaving(&self) -> bool {
        self.stage.load(Ordering::SeqCst) >= RETIRING
    }

    /// Whether the catalog has durably forgotten the tree.
    pub(crate) fn is_retired(&self) -> bool {
        self.stage.load(Ordering::SeqCst) == RETIRED
    }

    pub(crate) fn leave(&self) {
        self.writers.fetch_add(ONE_CHANGE - 1, Ordering::SeqCst);
    }

    /// Says that what readers see has changed without a transaction leaving.
    pub(crate) fn note_change(&self) {
        self.writers.fetch_add(ONE_CHANGE, Ordering::SeqCst);
    }

    /// A number that is another one whenever a transaction's writes may have become visible
    /// since, or one outside any transaction. What the number was read before may be newer.
    pub(crate) fn changes(&self) -> u64 {
        self.writers.load(Ordering::SeqCst) >> WRITERS_BITS
    }

    /// Keeps transactions out, if none is in. One at a time.
    pub(crate) fn close(&self) -> Result<Closing<'_>> {
        self.stage.store(CLOSING, Ordering::SeqCst);
        let closing = Closing(self);
        if !self
            .writers
            .load(Ordering::SeqCst)
            .is_multiple_of(ONE_CHANGE)
        {
            return Err(Error::new(
                ErrorKind::Busy,
                "a transaction that is not resolved yet has written to the datastore",
            ));
        }
        Ok(closing)
    }

    /// Set before the tree is in use.
    pub(crate) fn set_compress(&self, compress: bool) {
        self.compress.store(compress, Ordering::Release);
    }

    pub(crate) fn compresses(&self) -> bool {
        self.compress.load(Ordering::Acquire)
    }
}

fn changing() -> Error {
    Error::new(
        ErrorKind::Busy,
        "the datastore is being truncated, renamed or removed; retry",
    )
}

/// Transactions are kept out of a tree; dropping it lets them in again.
pub(crate) struct Closing<'a>(&'a Tree);

impl Closing<'_> {
    /// Keeps out everybody else who appends something of the tree; those who are in the gate may
    /// not know of it yet.
    pub(crate) fn to_all(&self) {
        self.0.stage.store(RETIRING, Ordering::SeqCst);
    }

    /// The catalog has durably forgotten the tree.
    pub(crate) fn retire(self) {
        self.0.stage.store(RETIRED, Ordering::SeqCst);
        std::mem::forget(self);
    }
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.stage.store(OPEN, Ordering::SeqCst);
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if self.log.health().is_elsewhere() {
            return;
        }
        let retired = *self.stage.get_mut() == RETIRED;
        let guard = epoch::pin();
        let log = &self.log;
        self.index.drain_words(|word| {
            if retired {
                chain::locations(Word(word), &guard, |location| log.mark_dead(location));
            }
            chain::free_later(Word(word), &guard);
        });
    }
}
