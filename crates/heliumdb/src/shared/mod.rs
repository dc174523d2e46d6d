//! An open volume: what all handles share.
//!
//! It owns the parts, and what works on them: checkpoints, the cleaner, what it owes other volumes, what checks it. Invariant: a close
//! returns when nobody works for it any more, and all that was written is in the files.

mod auto_commit;
mod copy_mark;
mod lease;
mod maintenance;
mod registry;

pub(crate) use lease::Lease;
pub(crate) use maintenance::Maintenance;
pub(crate) use registry::{Claim, Registration, all_with_id, claim};

use std::sync::{Arc, atomic::AtomicU64};

use crossbeam_utils::CachePadded;
use parking_lot::{Mutex, ReentrantMutex};

use crate::{
    access::Access,
    catalog::{Catalog, Recalled},
    checking::{Checking, Damages, Scrub},
    checkpoint::{Checkpoints, Newest},
    cleaner::Cleaner,
    error::{ErrorKind, Result},
    ground::Ground,
    id::VolumeId,
    log::{Log, OpenLog},
    options::VolumeOptions,
    owing::{Owing, settle_with},
    tree::Tree,
    version::{Horizon, Readers, TxnId},
    write::{Decisions, OwnRecords, Pace, Writing},
};
use auto_commit::AutoCommit;
use copy_mark::CopyMark;

/// See the module.
pub(crate) struct Shared {
    pub(crate) access: Arc<Access>,
    pub(crate) log: Arc<Log>,
    pub(crate) writing: Arc<Writing>,
    pub(crate) records: Arc<OwnRecords>,
    pub(crate) decisions: Arc<Decisions>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) checkpoints: Arc<Checkpoints>,
    pub(crate) cleaner: Cleaner,
    pub(crate) owing: Arc<Owing>,
    pub(crate) auto_commit: AutoCommit,
    pub(crate) scrub: Scrub,
    pub(crate) damages: Damages,
    pub(crate) copy_mark: CopyMark,
    maintenance: Maintenance,
    /// Held while it is being closed: whoever closes it too returns when it is closed.
    closing: ReentrantMutex<()>,
    pub(crate) recovered_items: u64,
    /// Slots without an item that walks have looked at.
    passed: CachePadded<AtomicU64>,
    registration: Mutex<Option<Registration>>,
    /// Goes last: the log is closed with it.
    open_log: OpenLog,
}

/// What recovery found out about a volume.
pub(crate) struct Recovered {
    pub(crate) catalog: Recalled,
    pub(crate) decisions: Arc<Tree>,
    pub(crate) next_sequence: u64,
    pub(crate) items: u64,
    pub(crate) checkpoint: Newest,
}

impl Shared {
    pub(crate) fn new(
        url: String,
        open_log: OpenLog,
        options: VolumeOptions,
        recovered: Recovered,
    ) -> Self {
        let log = Arc::clone(open_log.log());
        let access = Access::new(url, options, log.clone());
        let writing = Writing::new(&access, recovered.next_sequence);
        let records = OwnRecords::new(&access, &writing);
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
            cleaner: Cleaner::new(on.clone(), checkpoints.clone()),
            checkpoints,
            owing: Owing::new(on.clone(), all_with_id),
            auto_commit: AutoCommit::new(&on.access),
            access: on.access,
            log: on.log,
            writing: on.writing,
            records: on.records,
            decisions: on.decisions,
            catalog: on.catalog,
            scrub: Scrub::default(),
            damages: Damages::default(),
            copy_mark: CopyMark::default(),
            maintenance,
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

    /// What there is to check.
    pub(crate) fn checking(&self) -> Checking<'_> {
        Checking {
            access: &self.access,
            catalog: &self.catalog,
            decisions: &self.decisions,
            damages: &self.damages,
            passed: &self.passed,
        }
    }

    /// Starts the thread that works in the background, unless the volume is to have none.
    pub(crate) fn start(self: &Arc<Self>) -> Result<()> {
        let volume = Arc::clone(self);
        self.maintenance
            .start(&self.access, move || volume.maintain())
    }

    /// One step of everything that is due; true if something was done.
    fn maintain(&self) -> Result<bool> {
        self.access.check_writable()?;
        let settled = self.settle_native();
        self.writing.report_pending();
        let flushed = self.auto_commit.step(&self.access)?;
        let cleaned = self.cleaner.clean_if_due()?;
        let is_cleaning = || self.cleaner.is_cleaning();
        let checkpointed = self.checkpoints.take_if_due(is_cleaning)?;
        let scrubbed = self.scrub.step(self.checking())?;
        Ok(scrubbed | checkpointed | cleaned | flushed | settled)
    }

    /// One step of all background work, for a volume without threads.
    pub(crate) fn background_step(&self) -> Result<bool> {
        let logged = self.log.background_step()?;
        Ok(self.maintain()? | logged)
    }

    /// From now on the process knows it, until it is closed.
    fn register(&self, registration: Registration) {
        *self.registration.lock() = Some(registration);
    }

    /// Whether others of this process find it by its path.
    pub(crate) fn is_registered(&self) -> bool {
        self.registration.lock().is_some()
    }

    /// Counts the slots without an item that walks have looked at.
    pub(crate) fn passed(&self) -> &AtomicU64 {
        &self.passed
    }

    /// Does `write`, and tries again when it found the volume full and room is being made.
    #[inline]
    pub(crate) fn when_room<T>(&self, write: impl FnMut() -> Result<T>) -> Result<T> {
        self.cleaner.when_room(&|| self.background_step(), write)
    }

    /// Does `attempt`, once more if versions had used their whole budget, and nobody needed some of them any more.
    #[inline]
    pub(crate) fn when_in_budget<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
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
        self.owing.step(readers.oldest);
        self.writing.settle(readers, most)
    }

    /// Makes everything written durable, then resolves and forgets what was decided here.
    pub(crate) fn flush(&self) -> Result<()> {
        self.access.check_open()?;
        // Even if nothing is left to be synced: nothing is acknowledged after a failure.
        if let Some(why) = self.log.health().poisoned() {
            return Err(why);
        }
        self.log.sync_to(self.log.reach().end())
    }

    /// Closes the log, whatever handles there are; later calls fail with `Closed`.
    pub(crate) fn close(&self) -> Result<()> {
        self.access.owner().check()?;
        let _closing = self.closing.lock();
        if !self.access.close() {
            return Ok(());
        }
        self.maintenance.stop();
        let deciders = self.owing.take_deciders();
        let is_sound = !self.access.options().read_only && self.log.health().poisoned().is_none();
        if is_sound {
            self.owing.close();
            settle_with(&deciders);
        }
        // What was settled may have failed.
        let checkpointed = match is_sound && self.log.health().poisoned().is_none() {
            true => self.checkpoints.take_at_close(),
            false => Ok(()),
        };
        let closed = self.open_log.close();
        // What it was owed is durable now.
        settle_with(&deciders);
        self.owing.clear();
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
