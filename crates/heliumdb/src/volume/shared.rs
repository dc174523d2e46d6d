//! An open volume: what all handles share.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Instant,
};

use crossbeam_utils::CachePadded;
use parking_lot::{Mutex, ReentrantMutex};

use super::{
    catalog::Catalog,
    checkpoint::{Certainty, Checkpoints},
    damage::Damages,
    gate::Gate,
    maintenance::Maintenance,
    owing::settle_with,
    pending::{Open, Writers},
    registry::Registration,
    scrub::Scrub,
};
use crate::{
    cleaner::Cleaner,
    error::{Error, ErrorKind, Result},
    format::name::GlobalTxn,
    id::VolumeId,
    log::{Log, OpenLog},
    options::VolumeOptions,
    process::Owner,
    transaction::{native::Manager, owed::Owed, settle::Unsettled},
    tree::Tree,
    version::{Attempt, Horizon, Readers, TxnId, Waiting},
};

/// Who gives the ids of the transactions that write to a volume, and knows their snapshots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Keeper {
    /// The store itself.
    Native = 1,
    /// Somebody else, through [`crate::host::WriteSet`].
    External = 2,
}

pub(crate) struct Shared {
    pub(super) url: String,
    pub(crate) log: Arc<Log>,
    pub(crate) options: VolumeOptions,
    pub(super) catalog: Catalog,
    pub(crate) decisions: Arc<Tree>,
    pub(crate) unsettled: Unsettled,
    /// Operations outside transactions that wait for commits.
    pub(crate) waiting: Waiting,
    /// The volume's own transactions, unless somebody else keeps them.
    pub(crate) native: Arc<Manager>,
    /// A [`Keeper`], or zero while nobody has asked.
    keeper: AtomicU8,
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
    /// Held while items of the store's own trees get their numbers, until the index has them.
    pub(crate) internal: Mutex<()>,
    /// Written by every write: not on a line that readers look at.
    next_sequence: CachePadded<AtomicU64>,
    /// What it was when the volume was opened.
    first_sequence: u64,
    /// Transactions that may have versions here which are not resolved.
    writers: Writers,
    pub(crate) gate: Gate,
    /// When nothing was buffered, last.
    pub(super) clean_at: Mutex<Instant>,
    pub(super) auto_commits: AtomicU64,
    pub(super) scrub: Scrub,
    pub(super) damages: Damages,
    pub(crate) maintenance: Maintenance,
    pub(crate) certainty: Certainty,
    pub(super) checkpoints: Checkpoints,
    /// Since it was opened it was made for a copy, or got one, of the volume that its id is of.
    pub(super) is_new_copy: AtomicBool,
    /// A copy is being put into it.
    pub(super) is_filled: AtomicBool,
    /// One that was is not whole, and never will be.
    pub(super) has_failed_copy: AtomicBool,
    closed: AtomicBool,
    /// Held while it is being closed: whoever closes it too returns when it is closed.
    closing: ReentrantMutex<()>,
    /// Who opened it: a fork of that process leaves it alone.
    pub(crate) owner: Owner,
    pub(super) recovered_items: u64,
    /// Slots without an item that walks have looked at.
    passed: CachePadded<AtomicU64>,
    pub(super) registration: Mutex<Option<Registration>>,
    /// Goes last: the log is closed with it.
    open_log: OpenLog,
}

/// What [`super::recover`] found out about a volume.
pub(super) struct Recovered {
    pub(super) catalog: Catalog,
    pub(super) decisions: Arc<Tree>,
    pub(super) next_sequence: u64,
    pub(super) items: u64,
    pub(super) checkpoints: Checkpoints,
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
        Self {
            url,
            owner: log.health().owner(),
            native: Manager::new(log.health().owner()),
            is_new_copy: AtomicBool::new(log.is_unfinished_copy()),
            log,
            unsettled: Unsettled::new(options.version_budget_bytes),
            waiting: Waiting::default(),
            options,
            catalog: recovered.catalog,
            decisions: recovered.decisions,
            keeper: AtomicU8::new(0),
            batching: Mutex::new(()),
            names_given: AtomicU64::new(0),
            deciding: Mutex::default(),
            owed: Mutex::new(Vec::new()),
            deciders: Mutex::default(),
            cleaner: Cleaner::default(),
            internal: Mutex::default(),
            next_sequence: AtomicU64::new(recovered.next_sequence).into(),
            first_sequence: recovered.next_sequence,
            writers: Writers::default(),
            gate: Gate::default(),
            maintenance: Maintenance::default(),
            certainty: Certainty::default(),
            checkpoints: recovered.checkpoints,
            clean_at: Mutex::new(now),
            auto_commits: AtomicU64::new(0),
            scrub: Scrub::default(),
            damages: Damages::default(),
            is_filled: AtomicBool::new(false),
            has_failed_copy: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            closing: ReentrantMutex::new(()),
            recovered_items: recovered.items,
            passed: CachePadded::default(),
            registration: Mutex::new(None),
            open_log,
        }
    }

    pub(crate) fn id(&self) -> VolumeId {
        self.log.medium().volume_id()
    }

    /// A sequence number above all given before.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next_sequence.fetch_add(1, Ordering::SeqCst)
    }

    /// How many numbers were given since the volume was opened.
    pub(super) fn writes(&self) -> u64 {
        self.sequence() - self.first_sequence
    }

    /// The sequence number that is given next.
    pub(crate) fn sequence(&self) -> u64 {
        self.next_sequence.load(Ordering::SeqCst)
    }

    /// All trees that items of the log may belong to, but for checkpoints.
    pub(crate) fn trees(&self) -> HashMap<u32, Arc<Tree>> {
        let mut trees = self.catalog.trees();
        trees.push(self.decisions.clone());
        trees.into_iter().map(|tree| (tree.id, tree)).collect()
    }

    /// Whether it is closed, or being closed.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn check_open(&self) -> Result<()> {
        self.owner.check()?;
        if self.closed.load(Ordering::Acquire) {
            return Err(self.was_closed());
        }
        Ok(())
    }

    #[cold]
    fn was_closed(&self) -> Error {
        Error::new(
            ErrorKind::Closed,
            format!("the volume {} was closed", self.url),
        )
    }

    #[inline]
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.check_open()?;
        if self.options.read_only || self.log.health().is_poisoned() {
            return Err(self.takes_no_writes());
        }
        Ok(())
    }

    #[cold]
    fn takes_no_writes(&self) -> Error {
        match self
            .log
            .health()
            .poisoned()
            .filter(|_| !self.options.read_only)
        {
            Some(why) => why
                .context(format!(
                    "the volume {} is read-only since a write failed; close it and open it again",
                    self.url
                ))
                .with_kind(ErrorKind::Poisoned),
            None => Error::new(
                ErrorKind::ReadOnly,
                format!("the volume {} was opened read-only", self.url),
            ),
        }
    }

    /// Does `attempt`, again after each commit that it depends on: by then who waits must hold
    /// nothing, not even the tree that it looked at.
    #[inline]
    pub(super) fn when_resolved<T>(
        &self,
        attempt: impl FnMut() -> Result<Attempt<T>>,
    ) -> Result<T> {
        self.waiting.attempt(|| self.check_writable(), attempt)
    }

    /// Claims the volume for one keeper of transactions: ids of two would be taken for each other's.
    pub(crate) fn claim(&self, keeper: Keeper) -> Result<()> {
        let (free, mine) = (0, keeper as u8);
        let claimed = self
            .keeper
            .compare_exchange(free, mine, Ordering::AcqRel, Ordering::Acquire);
        match claimed {
            Ok(_) if keeper == Keeper::Native => self.unsettled.set_keeper(&self.native),
            Err(holder) if holder != mine => {
                let (holder, other) = match keeper {
                    Keeper::Native => ("the program that embeds it", "the volume itself"),
                    Keeper::External => ("the volume itself", "the program that embeds it"),
                };
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!(
                        "transactions of the volume {} are kept by {holder} since it was opened; they cannot be kept by \
                         {other} at the same time",
                        self.url
                    ),
                ));
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn is_native(&self) -> bool {
        self.keeper.load(Ordering::Acquire) == Keeper::Native as u8
    }

    pub(crate) fn settle(&self, horizon: &dyn Horizon) -> usize {
        // Of its own transactions the volume knows better than anybody.
        let readers = if self.is_native() {
            self.native.readers()
        } else {
            // What may be taken back is needed as long as what somebody may look at.
            let said = horizon.oldest().min(horizon.final_below());
            // Before anything is said of them in the log. Whoever is being cancelled now stays, too.
            let oldest = self.certainty.forget_below(said).min(said);
            Readers {
                oldest,
                final_below: oldest,
                snapshots: horizon.snapshots(),
                wrote: 0,
            }
        };
        self.settle_for(&readers, usize::MAX)
    }

    /// Settles what the volume's own transactions left; true if something was done. For
    /// background work.
    pub(crate) fn settle_native(&self) -> bool {
        if !self.is_native() {
            return false;
        }
        self.settle_for(&self.native.readers(), usize::MAX) > 0
    }

    /// Counts the slots without an item that walks have looked at.
    pub(super) fn passed(&self) -> &AtomicU64 {
        &self.passed
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
        if self.unsettled.is_due(oldest) {
            self.settle_for(&self.native.readers(), 1);
        }
    }

    fn settle_for(&self, readers: &Readers, most: usize) -> usize {
        self.step_owed(readers.oldest);
        self.unsettled.settle(readers, most, &self.log)
    }

    /// A transaction is about to write here; [`Shared::leave`] ends that.
    pub(crate) fn enter(&self) -> Open {
        self.writers.open(self.sequence())
    }

    /// Nothing more of it is logged.
    pub(crate) fn leave(&self, open: Open) {
        self.writers.close(open);
    }

    /// How many transactions that wrote here have come to their end.
    pub(crate) fn writers_ended(&self) -> u64 {
        self.writers.ended()
    }

    /// Tells the log that no item with a lower sequence number than this will come any more: than the
    /// lowest that an open transaction may still log, or than the next one that is given. What depends on
    /// that, which segments can go and what checkpoints say of overtakers, is background work: so is this.
    pub(crate) fn report_pending(&self) {
        let next = self.sequence();
        let lowest = self.writers.lowest(next);
        self.log.set_oldest_pending(lowest);
        self.certainty.forget_overtakers(lowest);
    }

    /// Who owns less than this has committed for good, or not at all.
    pub(crate) fn final_below(&self) -> TxnId {
        match self.is_native() {
            // What the volume's own transactions committed is never taken back.
            true => TxnId::MAX,
            false => self.unsettled.oldest(),
        }
    }

    /// Makes everything written durable, then resolves and forgets what was decided here.
    pub(super) fn flush(&self) -> Result<()> {
        self.check_open()?;
        // Even if nothing is left to be synced: nothing is acknowledged after a failure.
        if let Some(why) = self.log.health().poisoned() {
            return Err(why);
        }
        self.log.sync_to(self.log.reach().end())
    }

    /// Closes the log, whatever handles there are; later calls fail with `Closed`.
    pub(super) fn close(&self) -> Result<()> {
        self.owner.check()?;
        let _closing = self.closing.lock();
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.maintenance.stop();
        let deciders = std::mem::take(&mut *self.deciders.lock());
        if !self.options.read_only && self.log.health().poisoned().is_none() {
            self.close_owed();
            settle_with(&deciders);
        }
        let checkpointed = if self.options.read_only || self.log.health().poisoned().is_some() {
            Ok(())
        } else {
            self.checkpoint_at_close()
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
        if self.owner.is_elsewhere() {
            self.maintenance.forget();
        }
    }
}
