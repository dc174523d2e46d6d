//! An open volume: what all handles share.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::{
    VolumeId, VolumeOptions, catalog::Catalog, damage::Damages, gate::Gate,
    maintenance::Maintenance, registry::Registration, scrub::Scrub, tree::Tree,
};
use crate::{
    cleaner::Cleaner,
    error::{Error, ErrorKind, Result},
    log::Log,
    transaction::several::Owed,
    version::{Horizon, TxnId, settle::Unsettled},
};

/// Tree ids below this are the store's own.
pub(crate) const USER_IDS_START: u32 = 16;
pub(crate) const INTERNAL_TREES_END: u32 = 16;
/// Tree of the catalog: datastore id (big-endian) -> descriptor.
pub(crate) const CATALOG_TREE: u32 = 0;
/// Tree of decisions about transactions over several volumes: number (big-endian) -> participants.
pub(crate) const DECISIONS_TREE: u32 = 1;

pub(crate) struct Shared {
    pub(super) url: String,
    pub(crate) log: Arc<Log>,
    pub(crate) options: VolumeOptions,
    pub(super) catalog: Catalog,
    pub(crate) decisions: Arc<Tree>,
    pub(crate) unsettled: Unsettled,
    pub(super) owed: Mutex<Vec<Owed>>,
    pub(crate) cleaner: Cleaner,
    /// Held while items of the store's own trees get their numbers, until the index has them.
    pub(crate) internal: Mutex<()>,
    /// Written by every write: not on a line that readers look at.
    next_sequence: CachePadded<AtomicU64>,
    /// Transactions that have versions here which are not resolved.
    writers: CachePadded<AtomicUsize>,
    pub(crate) gate: Gate,
    /// When nothing was buffered, last.
    pub(super) clean_at: Mutex<Instant>,
    pub(super) auto_commits: AtomicU64,
    pub(super) scrub: Mutex<Scrub>,
    pub(super) damages: Damages,
    pub(crate) maintenance: Maintenance,
    closed: AtomicBool,
    pub(super) recovered_items: u64,
    pub(super) registration: Mutex<Option<Registration>>,
}

/// What [`super::recover`] found out about a volume.
pub(super) struct Recovered {
    pub(super) catalog: Catalog,
    pub(super) decisions: Arc<Tree>,
    pub(super) next_sequence: u64,
    pub(super) items: u64,
}

impl Shared {
    pub(super) fn new(
        url: String,
        log: Arc<Log>,
        options: VolumeOptions,
        recovered: Recovered,
    ) -> Self {
        Self {
            url,
            log,
            unsettled: Unsettled::new(options.version_budget_bytes),
            options,
            catalog: recovered.catalog,
            decisions: recovered.decisions,
            owed: Mutex::new(Vec::new()),
            cleaner: Cleaner::default(),
            internal: Mutex::default(),
            next_sequence: AtomicU64::new(recovered.next_sequence).into(),
            writers: CachePadded::default(),
            gate: Gate::default(),
            maintenance: Maintenance::default(),
            clean_at: Mutex::new(Instant::now()),
            auto_commits: AtomicU64::new(0),
            scrub: Mutex::default(),
            damages: Damages::default(),
            closed: AtomicBool::new(false),
            recovered_items: recovered.items,
            registration: Mutex::new(None),
        }
    }

    pub(crate) fn id(&self) -> VolumeId {
        self.log.volume_id()
    }

    /// A sequence number above all given before.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next_sequence.fetch_add(1, Ordering::SeqCst)
    }

    /// The sequence number that is given next.
    pub(crate) fn sequence(&self) -> u64 {
        self.next_sequence.load(Ordering::SeqCst)
    }

    /// All trees that items of the log may belong to, but for checkpoints.
    pub(crate) fn trees(&self) -> HashMap<u32, Arc<Tree>> {
        let own = [self.catalog.tree(), &self.decisions];
        let mut trees: HashMap<_, _> = own.map(|tree| (tree.id, tree.clone())).into();
        trees.extend(self.catalog.trees().map(|tree| (tree.id, tree)));
        trees
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(
                ErrorKind::Closed,
                format!("the volume {} was closed", self.url),
            ));
        }
        Ok(())
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        self.check_open()?;
        if self.options.read_only {
            return Err(Error::new(
                ErrorKind::ReadOnly,
                format!("the volume {} was opened read-only", self.url),
            ));
        }
        match self.log.poisoned() {
            Some(why) => Err(why
                .context(format!(
                    "the volume {} is read-only since a write failed; close it and open it again",
                    self.url
                ))
                .with_kind(ErrorKind::Poisoned)),
            None => Ok(()),
        }
    }

    pub(super) fn settle(&self, horizon: &dyn Horizon) -> usize {
        let oldest = horizon.oldest();
        self.step_owed(oldest);
        let settled = self.unsettled.settle(oldest, &self.log);
        self.report_pending();
        settled
    }

    /// A transaction is about to write here; [`Shared::leave`] ends that.
    pub(crate) fn enter(&self) {
        self.writers.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn leave(&self) {
        self.writers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Tells the log, when no transaction is writing, that no item with a lower sequence number
    /// than now will come any more. Whoever enters after the look gets a higher one.
    fn report_pending(&self) {
        let next = self.next_sequence.load(Ordering::SeqCst);
        if self.writers.load(Ordering::SeqCst) == 0 {
            self.log.set_oldest_pending(next);
        }
    }

    /// Remembers a decision until its participants have durably resolved their parts.
    pub(crate) fn owe(&self, owed: Owed) {
        self.owed.lock().push(owed);
    }

    pub(crate) fn forget_owed(&self, owner: TxnId) -> Option<Owed> {
        let mut owed = self.owed.lock();
        let index = owed.iter().position(|o| o.owner() == owner)?;
        Some(owed.swap_remove(index))
    }

    fn step_owed(&self, oldest: TxnId) {
        self.owed.lock().retain_mut(|owed| !owed.step(oldest, self));
    }

    /// Makes everything written durable, then resolves and forgets what was decided here.
    pub(super) fn flush(&self) -> Result<()> {
        self.check_open()?;
        self.log.sync_to(self.log.end())
    }

    /// Closes the log, whatever handles there are; later calls fail with `Closed`.
    pub(super) fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.maintenance.stop();
        let resolved = if self.options.read_only || self.log.poisoned().is_some() {
            Ok(())
        } else {
            self.close_owed()
        };
        let closed = self.log.close();
        self.owed.lock().clear();
        self.registration.lock().take();
        resolved.and(closed)
    }

    /// No one can cancel any more: resolve what was decided, and forget it.
    fn close_owed(&self) -> Result<()> {
        self.step_owed(TxnId::MAX);
        for owed in self.owed.lock().iter() {
            // A participant that is closed already has its question answered at the next open.
            let _ = owed.flush();
        }
        self.step_owed(TxnId::MAX);
        Ok(())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Err(why) = self.close() {
            tracing::error!(url = self.url, %why, "closing a volume failed");
        }
    }
}
