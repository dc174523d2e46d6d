//! Checkpoints: the index on the log, so that recovery need not read all of the log.
//!
//! A checkpoint is taken while everyone goes on ([`mod@write`]). Its start *S* is the log's end; once
//! the [`gate`](super::gate) has let out whoever was in then, everything below *S* is in the index.
//! What the index then says is written as [`page`]s, those that changed since the checkpoint
//! before, and those that [`keep room`](remains); a [`manifest`] says where they are and what else of the log is needed; the superblock
//! names it. [`mod@load`] brings it back, and the log is replayed on top of it from *S* on. Pages may
//! hold what is behind *S* already: applying it again changes nothing.
//!
//! Invariant: what a checkpoint that the superblock names refers to is alive. Pages and manifests
//! die only when a superblock that names another one is durable.

mod bytes;
mod directory;
mod due;
mod load;
mod manifest;
mod page;
mod remains;
mod write;

pub(super) use load::{Fault, Loaded, load};
pub(super) use manifest::Tentative;

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use parking_lot::Mutex;

use super::Shared;
use crate::{
    error::{ErrorKind, Result},
    location::Location,
    version::{Horizon, TxnId},
};
use directory::Directory;

/// What a volume knows of its newest checkpoint.
#[derive(Default)]
pub(crate) struct Checkpoints {
    /// Held while one is taken.
    newest: Mutex<Newest>,
    /// Bytes of the newest one.
    bytes: AtomicU64,
    /// Bytes of its largest page.
    largest: AtomicU64,
    /// Bytes of index memory when it was taken.
    index_bytes: AtomicU64,
    asked: AtomicBool,
    /// Segments that are to be rid of the newest one's pages.
    emptied: Mutex<HashSet<u64>>,
    /// How much room there was when there was too little for one; 0 if there was enough.
    refused_at: AtomicU64,
    /// What users had taken of the log when it was taken, and what cleaning had gained.
    users_at: AtomicU64,
    gained_at: AtomicU64,
}

#[derive(Default)]
pub(super) struct Newest {
    number: u64,
    /// Keys of the store's own items, never given twice.
    next_id: u64,
    trees: HashMap<u32, Directory>,
    /// The root and the pieces of the manifest.
    manifest: Vec<Location>,
}

impl Checkpoints {
    pub(super) fn new(newest: Newest) -> Self {
        let (bytes, largest) = newest.bytes();
        Self {
            newest: Mutex::new(newest),
            bytes: AtomicU64::new(bytes),
            largest: AtomicU64::new(largest),
            ..Self::default()
        }
    }
}

impl Newest {
    /// The next key of an item of the store's own.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Bytes of all of it, and of the largest page.
    fn bytes(&self) -> (u64, u64) {
        let bytes = |at: Location| at.class_bytes() as u64;
        let pages = self.trees.values().flat_map(Directory::locations);
        let largest = pages.map(bytes).max().unwrap_or(0);
        (self.locations().map(bytes).sum(), largest)
    }

    /// Everything that the checkpoint is made of.
    pub(super) fn locations(&self) -> impl Iterator<Item = Location> + '_ {
        let pages = self.trees.values().flat_map(Directory::locations);
        pages.chain(self.manifest.iter().copied())
    }
}

impl Shared {
    /// Takes a checkpoint now. Waits for nothing but syncs of commits that are under way.
    pub(crate) fn checkpoint(&self, horizon: &dyn Horizon) -> Result<()> {
        self.access.check_writable()?;
        self.take_checkpoint(horizon.final_below().min(horizon.oldest()))
    }

    /// Takes a checkpoint now, going by what was last said of who can still be cancelled.
    pub(crate) fn checkpoint_now(&self) -> Result<()> {
        self.access.check_writable()?;
        self.take_checkpoint(0)?;
        self.cleaner.renew_resorts();
        Ok(())
    }

    /// Waits until everybody has left the gate who is in now. No checkpoint begins meanwhile.
    pub(super) fn drain_gate(&self, give_up: impl Fn() -> bool) -> bool {
        let _one_at_a_time = self.checkpoints.newest.lock();
        self.writing.gate.drain(give_up)
    }

    /// Takes a checkpoint, given that no transaction below `below` can be cancelled.
    fn take_checkpoint(&self, below: TxnId) -> Result<()> {
        let mut newest = self.checkpoints.newest.lock();
        let emptied = std::mem::take(&mut *self.checkpoints.emptied.lock());
        // What the volume's own transactions committed is never taken back.
        let below = if self.writing.is_native() {
            TxnId::MAX
        } else {
            below
        };
        self.checkpoints.asked.store(false, Ordering::Release);
        let taken = write::checkpoint(self, &mut newest, &emptied, below);
        self.writing.certainty.release();
        if taken.is_ok() {
            self.log.note_pages(newest.locations());
            let state = &self.checkpoints;
            let (bytes, largest) = newest.bytes();
            state.bytes.store(bytes, Ordering::Release);
            state.largest.store(largest, Ordering::Release);
            let index_bytes = self.catalog.index_bytes();
            state.index_bytes.store(index_bytes, Ordering::Release);
            state.refused_at.store(0, Ordering::Release);
            let (users, gained) = (
                self.log.written().user_log_bytes(),
                self.pace.gained_bytes(),
            );
            state.users_at.store(users, Ordering::Release);
            state.gained_at.store(gained, Ordering::Release);
            self.keep_room_for_checkpoint();
        }
        self.log.end_checkpoint();
        taken
    }

    /// Sets room aside for a checkpoint of all of the index as it is now, so that neither writers nor
    /// the cleaner, who waits for one, take what it needs; and for what it will have more than the one
    /// before, whose room is the next one's: so deletes still find what is set aside for them after it.
    pub(crate) fn keep_room_for_checkpoint(&self) {
        let state = &self.checkpoints;
        let bytes = state.bytes.load(Ordering::Acquire);
        let largest = state.largest.load(Ordering::Acquire);
        // In this order: what was appended by then is counted as between, or is in the index by now.
        let appended = self.log.written().user_items();
        let between = self.writing.gate.items_between();
        let (keys, now) = self.catalog.index_sizes();
        self.log.keep_for_items(keys + between, appended);
        self.log.keep_for_live();
        // The first time after an open, it is that of the checkpoint.
        let first = state
            .index_bytes
            .compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire);
        let then = first.err().unwrap_or(now).max(1);
        let needed = match bytes {
            // There is none; pages have less in them than the index.
            0 => now,
            bytes => (u128::from(bytes) * u128::from(now) / u128::from(then)) as u64,
        };
        // Little of the index may have been in pages then, as most was not committed, or was gone; and what has
        // come since may have other keys. That counts in full.
        let in_pages = then.min(bytes / 2 * 3);
        let needed = needed.max(bytes + now.saturating_sub(in_pages));
        let growth = needed.saturating_sub(bytes);
        self.log.keep_for_checkpoint(needed + growth, largest);
    }

    /// Asks for a checkpoint soon, in the background.
    pub(crate) fn request_checkpoint(&self) {
        if self.is_checkpoint_refused() {
            return;
        }
        self.checkpoints.asked.store(true, Ordering::Release);
        self.maintenance.wake();
    }

    /// Whether the last one found too little room, and there is no more of it now. Trying it again
    /// would only write what is dead at once.
    pub(crate) fn is_checkpoint_refused(&self) -> bool {
        self.log.checkpoint_room() <= self.checkpoints.refused_at.load(Ordering::Acquire)
    }

    /// At a close, when nobody writes or cancels any more.
    pub(super) fn checkpoint_at_close(&self) -> Result<()> {
        if self.access.options().checkpoint_log_bytes == Some(u64::MAX) || self.log_to_replay() == 0
        {
            return Ok(());
        }
        // What is still in doubt between volumes is decided elsewhere, and may be taken back there.
        let below = match self.log.prepared().is_empty() {
            true => TxnId::MAX,
            false => 0,
        };
        let taken = self.take_checkpoint(below);
        taken.or_else(|why| match why.kind() {
            // It is there without one, too.
            ErrorKind::VolumeFull => {
                tracing::warn!(url = self.access.url(), %why, "no checkpoint was taken at the close");
                Ok(())
            }
            _ => Err(why),
        })
    }

    /// Bytes of the newest checkpoint.
    pub(crate) fn checkpoint_bytes(&self) -> u64 {
        self.checkpoints.bytes.load(Ordering::Acquire)
    }

    /// Sees to it that the next checkpoint writes its pages in these segments anew, so that nothing of
    /// a checkpoint is left there.
    pub(crate) fn rewrite_checkpoint_pages(&self, segments: impl Iterator<Item = u64>) {
        self.checkpoints.emptied.lock().extend(segments);
    }

    /// Whether one was asked for and is going to be taken.
    pub(crate) fn is_checkpoint_wanted(&self) -> bool {
        self.checkpoints.asked.load(Ordering::Acquire) && !self.is_checkpoint_refused()
    }

    /// Whether there is less room than a checkpoint may take, and more of it as soon as what is dead was freed.
    fn is_room_coming(&self) -> bool {
        self.log.lacks_checkpoint_room() && (self.log.has_dead() || self.log.leaving() > 0)
    }

    /// Whether a checkpoint is being taken, or was asked for.
    pub(crate) fn is_checkpoint_coming(&self) -> bool {
        self.checkpoints.asked.load(Ordering::Acquire) || self.checkpoints.newest.is_locked()
    }
}
