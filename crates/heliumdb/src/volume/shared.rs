//! An open volume: what all handles share.

use std::{
    collections::HashSet,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Instant,
};

use crossbeam_utils::CachePadded;
use parking_lot::{Mutex, ReentrantMutex};

use super::{
    damage::Damages,
    maintenance::{Maintenance, background_step},
    owing::settle_with,
    registry::Registration,
    scrub::Scrub,
};
use crate::{
    access::Access,
    catalog::{Catalog, Contents},
    checkpoint::{Checkpoints, Newest},
    cleaner::Cleaner,
    error::{ErrorKind, Result},
    format::name::GlobalTxn,
    ground::Ground,
    id::VolumeId,
    log::{Log, OpenLog},
    options::VolumeOptions,
    transaction::owed::Owed,
    tree::Tree,
    version::{Horizon, Readers, TxnId},
    write::{Decisions, Pace, Records, Writing},
};

pub(crate) struct Shared {
    pub(crate) access: Arc<Access>,
    pub(crate) log: Arc<Log>,
    pub(crate) writing: Arc<Writing>,
    pub(crate) records: Arc<Records>,
    pub(crate) decisions: Arc<Decisions>,
    pub(crate) catalog: Arc<Catalog>,
    /// Held while a batch links its versions, so that no two of them mix.
    pub(crate) batching: Mutex<()>,
    /// How many transactions over several volumes this one was to decide since it was opened.
    pub(super) names_given: AtomicU64,
    /// Those that this volume is deciding.
    pub(super) deciding: Mutex<HashSet<GlobalTxn>>,
    pub(super) owed: Mutex<Vec<Owed>>,
    /// The volumes that owe this one.
    pub(super) deciders: Mutex<Vec<Weak<Shared>>>,
    pub(crate) cleaner: Cleaner,
    /// When nothing was buffered, last.
    pub(super) clean_at: Mutex<Instant>,
    pub(super) auto_commits: AtomicU64,
    pub(super) scrub: Scrub,
    pub(super) damages: Damages,
    pub(crate) maintenance: Maintenance,
    pub(crate) checkpoints: Arc<Checkpoints>,
    /// Since it was opened it was made for a copy, or got one, of the volume that its id is of.
    pub(super) is_new_copy: AtomicBool,
    /// A copy is being put into it.
    pub(super) is_filled: AtomicBool,
    /// One that was is not whole, and never will be.
    pub(super) has_failed_copy: AtomicBool,
    /// Held while it is being closed: whoever closes it too returns when it is closed.
    closing: ReentrantMutex<()>,
    pub(super) recovered_items: u64,
    /// Slots without an item that walks have looked at.
    passed: CachePadded<AtomicU64>,
    pub(super) registration: Mutex<Option<Registration>>,
    /// Goes last: the log is closed with it.
    open_log: OpenLog,
}

/// What [`super::recover`] found out about a volume.
pub(super) struct Recovered {
    pub(super) catalog: Contents,
    pub(super) decisions: Arc<Tree>,
    pub(super) next_sequence: u64,
    pub(super) items: u64,
    pub(super) checkpoint: Newest,
}

impl Shared {
    pub(super) fn new(
        url: String,
        open_log: OpenLog,
        options: VolumeOptions,
        recovered: Recovered,
    ) -> Self {
        let now = options.clock.now();
        let log = Arc::clone(open_log.log());
        let access = Access::new(url, options, log.clone());
        let writing = Writing::new(&access, recovered.next_sequence);
        let records = Records::new(&access, &writing);
        let maintenance = Maintenance::default();
        let on = Ground {
            pace: Pace::new(&access),
            decisions: Decisions::new(recovered.decisions, &records, &writing),
            catalog: Catalog::new(&access, &writing, &records, recovered.catalog),
            bell: maintenance.bell().clone(),
            access,
            log,
            writing,
            records,
        };
        let checkpoints = Arc::new(Checkpoints::new(on.clone(), recovered.checkpoint));
        Self {
            is_new_copy: AtomicBool::new(on.log.is_unfinished_copy()),
            cleaner: Cleaner::new(on.clone(), checkpoints.clone()),
            checkpoints,
            access: on.access,
            log: on.log,
            writing: on.writing,
            records: on.records,
            decisions: on.decisions,
            catalog: on.catalog,
            batching: Mutex::new(()),
            names_given: AtomicU64::new(0),
            deciding: Mutex::default(),
            owed: Mutex::new(Vec::new()),
            deciders: Mutex::default(),
            maintenance,
            clean_at: Mutex::new(now),
            auto_commits: AtomicU64::new(0),
            scrub: Scrub::default(),
            damages: Damages::default(),
            is_filled: AtomicBool::new(false),
            has_failed_copy: AtomicBool::new(false),
            closing: ReentrantMutex::new(()),
            recovered_items: recovered.items,
            passed: CachePadded::default(),
            registration: Mutex::new(None),
            open_log,
        }
    }

    pub(crate) fn id(&self) -> VolumeId {
        self.access.id()
    }

    pub(crate) fn settle(&self, horizon: &dyn Horizon) -> usize {
        self.settle_for(&self.writing.readers(horizon), usize::MAX)
    }

    /// Settles what the volume's own transactions left; true if something was done. For
    /// background work.
    pub(crate) fn settle_native(&self) -> bool {
        let readers = self.writing.own_readers();
        readers.is_some_and(|readers| self.settle_for(&readers, usize::MAX) > 0)
    }

    /// Counts the slots without an item that walks have looked at.
    pub(super) fn passed(&self) -> &AtomicU64 {
        &self.passed
    }

    /// Does `write`, and tries again when it found the volume full and room is being made.
    #[inline]
    pub(crate) fn when_room<T>(self: &Arc<Self>, write: impl FnMut() -> Result<T>) -> Result<T> {
        self.cleaner.when_room(&|| background_step(self), write)
    }

    /// Does `attempt`, once more if versions had used their whole budget, and nobody needed some of them any more.
    #[inline]
    pub(super) fn when_in_budget<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        match attempt() {
            Err(why) if why.kind() == ErrorKind::VersionBudget && self.settle_native() => attempt(),
            done => done,
        }
    }

    /// Settles a little, after a commit that left chains behind; later ones then leave none.
    pub(crate) fn settle_some(&self, oldest: TxnId) {
        if self.writing.unsettled.is_due(oldest) {
            self.settle_for(&self.writing.native.readers(), 1);
        }
    }

    fn settle_for(&self, readers: &Readers, most: usize) -> usize {
        self.step_owed(readers.oldest);
        self.writing.settle(readers, most)
    }

    /// Makes everything written durable, then resolves and forgets what was decided here.
    pub(super) fn flush(&self) -> Result<()> {
        self.access.check_open()?;
        // Even if nothing is left to be synced: nothing is acknowledged after a failure.
        if let Some(why) = self.log.health().poisoned() {
            return Err(why);
        }
        self.log.sync_to(self.log.reach().end())
    }

    /// Closes the log, whatever handles there are; later calls fail with `Closed`.
    pub(super) fn close(&self) -> Result<()> {
        self.access.owner().check()?;
        let _closing = self.closing.lock();
        if !self.access.close() {
            return Ok(());
        }
        self.maintenance.stop();
        let deciders = std::mem::take(&mut *self.deciders.lock());
        if !self.access.options().read_only && self.log.health().poisoned().is_none() {
            self.close_owed();
            settle_with(&deciders);
        }
        let checkpointed =
            if self.access.options().read_only || self.log.health().poisoned().is_some() {
                Ok(())
            } else {
                self.checkpoints.take_at_close()
            };
        let closed = self.open_log.close();
        // What it was owed is durable now.
        settle_with(&deciders);
        self.owed.lock().clear();
        self.registration.lock().take();
        checkpointed.and(closed)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.access.is_elsewhere() {
            self.maintenance.forget();
        }
    }
}
