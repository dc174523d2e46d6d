//! Checkpoints: the index on the log, so that recovery need not read all of the log.
//!
//! A checkpoint is taken while everyone goes on ([`mod@write`]). Its start *S* is the log's end; once
//! the [gate](crate::write) has let out whoever was in then, everything below *S* is in the index.
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
mod newest;
mod page;
mod remains;
mod write;

pub(crate) use load::{Fault, Loaded, load};
pub(crate) use manifest::Tentative;
pub(crate) use newest::Newest;

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use parking_lot::Mutex;

use crate::{
    error::{ErrorKind, Result},
    ground::Ground,
    version::{Horizon, TxnId},
};

/// The checkpoints of a volume, and what it knows of the newest one.
pub(crate) struct Checkpoints {
    on: Ground,
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

impl Checkpoints {
    /// Those of a volume whose recovery came from `newest`.
    pub(crate) fn new(on: Ground, newest: Newest) -> Self {
        let (bytes, largest) = newest.bytes();
        Self {
            on,
            newest: Mutex::new(newest),
            bytes: AtomicU64::new(bytes),
            largest: AtomicU64::new(largest),
            index_bytes: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            emptied: Mutex::default(),
            refused_at: AtomicU64::new(0),
            users_at: AtomicU64::new(0),
            gained_at: AtomicU64::new(0),
        }
    }

    /// Takes a checkpoint now. Waits for nothing but syncs of commits that are under way.
    pub(crate) fn take(&self, horizon: &dyn Horizon) -> Result<()> {
        self.on.access.check_writable()?;
        self.take_below(horizon.final_below().min(horizon.oldest()))
    }

    /// Takes a checkpoint now, going by what was last said of who can still be cancelled.
    pub(crate) fn take_now(&self) -> Result<()> {
        self.on.access.check_writable()?;
        self.take_below(0)
    }

    /// Waits until everybody has left the gate who is in now. No checkpoint begins meanwhile.
    pub(crate) fn drain_gate(&self, give_up: impl Fn() -> bool) -> bool {
        let _one_at_a_time = self.newest.lock();
        self.on.writing.gate.drain(give_up)
    }

    /// Takes a checkpoint, given that no transaction below `below` can be cancelled.
    fn take_below(&self, below: TxnId) -> Result<()> {
        let mut newest = self.newest.lock();
        let emptied = std::mem::take(&mut *self.emptied.lock());
        // What the volume's own transactions committed is never taken back.
        let below = if self.on.writing.is_native() {
            TxnId::MAX
        } else {
            below
        };
        self.asked.store(false, Ordering::Release);
        let taken = write::checkpoint(&self.on, &mut newest, &emptied, below);
        self.on.writing.certainty.release();
        if taken.is_ok() {
            self.on.log.note_pages(newest.locations());
            let (bytes, largest) = newest.bytes();
            self.bytes.store(bytes, Ordering::Release);
            self.largest.store(largest, Ordering::Release);
            let index_bytes = self.on.catalog.index_bytes();
            self.index_bytes.store(index_bytes, Ordering::Release);
            self.refused_at.store(0, Ordering::Release);
            let (users, gained) = (
                self.on.log.written().user_log_bytes(),
                self.on.pace.gained_bytes(),
            );
            self.users_at.store(users, Ordering::Release);
            self.gained_at.store(gained, Ordering::Release);
            self.keep_room();
        }
        self.on.log.end_checkpoint();
        taken
    }

    /// Sets room aside for a checkpoint of all of the index as it is now, so that neither writers nor
    /// the cleaner, who waits for one, take what it needs; and for what it will have more than the one
    /// before, whose room is the next one's: so deletes still find what is set aside for them after it.
    pub(crate) fn keep_room(&self) {
        let bytes = self.bytes.load(Ordering::Acquire);
        let largest = self.largest.load(Ordering::Acquire);
        // In this order: what was appended by then is counted as between, or is in the index by now.
        let appended = self.on.log.written().user_items();
        let between = self.on.writing.gate.items_between();
        let (keys, now) = self.on.catalog.index_sizes();
        self.on.log.keep_for_items(keys + between, appended);
        self.on.log.keep_for_live();
        // The first time after an open, it is that of the checkpoint.
        let first = self
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
        self.on.log.keep_for_checkpoint(needed + growth, largest);
    }

    /// Asks for a checkpoint soon, in the background.
    pub(crate) fn request(&self) {
        if self.is_refused() {
            return;
        }
        self.asked.store(true, Ordering::Release);
        self.on.bell.ring();
    }

    /// Whether the last one found too little room, and there is no more of it now. Trying it again
    /// would only write what is dead at once.
    pub(crate) fn is_refused(&self) -> bool {
        self.on.log.checkpoint_room() <= self.refused_at.load(Ordering::Acquire)
    }

    /// At a close, when nobody writes or cancels any more.
    pub(crate) fn take_at_close(&self) -> Result<()> {
        if self.on.access.options().checkpoint_log_bytes == Some(u64::MAX)
            || self.log_to_replay() == 0
        {
            return Ok(());
        }
        // What is still in doubt between volumes is decided elsewhere, and may be taken back there.
        let below = match self.on.log.prepared().is_empty() {
            true => TxnId::MAX,
            false => 0,
        };
        let taken = self.take_below(below);
        taken.or_else(|why| match why.kind() {
            // It is there without one, too.
            ErrorKind::VolumeFull => {
                tracing::warn!(url = self.on.access.url(), %why, "no checkpoint was taken at the close");
                Ok(())
            }
            _ => Err(why),
        })
    }

    /// Bytes of the newest checkpoint.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Sees to it that the next checkpoint writes its pages in these segments anew, so that nothing of
    /// a checkpoint is left there.
    pub(crate) fn rewrite_pages(&self, segments: impl Iterator<Item = u64>) {
        self.emptied.lock().extend(segments);
    }

    /// Whether one was asked for and is going to be taken.
    pub(crate) fn is_wanted(&self) -> bool {
        self.asked.load(Ordering::Acquire) && !self.is_refused()
    }

    /// Whether there is less room than a checkpoint may take, and more of it as soon as what is dead was freed.
    fn is_room_coming(&self) -> bool {
        self.on.log.lacks_checkpoint_room() && (self.on.log.has_dead() || self.on.log.leaving() > 0)
    }

    /// Whether a checkpoint is being taken, or was asked for.
    pub(crate) fn is_coming(&self) -> bool {
        self.asked.load(Ordering::Acquire) || self.newest.is_locked()
    }
}
