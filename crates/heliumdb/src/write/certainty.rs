//! What of the log may still be taken back, and what was written above something unresolved.
//!
//! Invariants:
//! - A horizon that nobody can be cancelled below rises only up to who is being cancelled, and who
//!   is below it is not cancelled any more: both are seen to under one lock.
//! - Of every committed transaction that may still be cancelled it is known which batch it was
//!   logged as, from before its versions count as committed until nobody holds it any more, or
//!   the horizon has passed it. So a committed version whose owner is not known stays.
//! - Of those it is known whether somebody who has written here since was shown them: by then nobody
//!   takes them back, though whoever committed them may hold on to them for as long as he likes.
//! - Of every decision it is known in which batch it was logged, from before the index has it until
//!   after the index has it no more. It counts as long as that batch does: so a checkpoint says it
//!   with the batch, and until its transaction cannot be cancelled any more no cleaner moves it.
//! - Every committed version that was linked above an unresolved one is remembered until nothing
//!   of a lower sequence can be appended any more; while a checkpoint has taken its start and not
//!   yet looked, for longer.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::atomic::{AtomicUsize, Ordering},
};

use crossbeam_utils::CachePadded;
use parking_lot::{Mutex, MutexGuard};

use crate::{
    format::name::GlobalTxn,
    version::{Isolation, TxnId, View},
};

/// What a transaction was logged as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LoggedAs {
    pub(crate) batch: u64,
    /// The transaction over several volumes that the batch was prepared for.
    pub(crate) prepared: Option<GlobalTxn>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Certainty {
    commits: Mutex<Commits>,
    /// How many of them nobody has been shown, for a look without the lock.
    unshown: CachePadded<AtomicUsize>,
    decisions: Mutex<Decided>,
    overtakers: Mutex<Overtakers>,
}

#[derive(Default)]
struct Commits {
    known: BTreeMap<TxnId, LoggedAs>,
    /// Those of them that nobody who has written here was shown.
    unshown: BTreeSet<TxnId>,
    forgotten_below: TxnId,
    /// Who is being cancelled now.
    cancelling: BTreeSet<TxnId>,
}

impl Commits {
    /// Nobody below `id` can be cancelled any more, but for who is being cancelled now, and who
    /// came after them; returns how far that goes.
    fn pass(&mut self, id: TxnId) -> TxnId {
        let id = self.cancelling.first().map_or(id, |first| id.min(*first));
        self.forgotten_below = self.forgotten_below.max(id);
        self.forgotten_below
    }
}

/// By number: who decided, in which batch.
pub(crate) type Decided = HashMap<u64, (TxnId, u64)>;

/// Tree and key.
type Place = (u32, Vec<u8>);

#[derive(Default)]
struct Overtakers {
    /// Sequence and owner of each.
    versions: HashMap<Place, Vec<(u64, TxnId)>>,
    held: bool,
}

/// Which transactions are certain, as of one moment.
pub(crate) struct Certain {
    /// Whoever owns less has committed for good, or not at all.
    below: TxnId,
    /// Who could be cancelled at that moment.
    known: BTreeMap<TxnId, LoggedAs>,
    /// Keys with the highest sequence that is certain and overtook others.
    pub(crate) overtakers: Vec<(u32, Vec<u8>, u64)>,
}

impl Certainty {
    /// A transaction has committed as `batch`: said before any of its versions says so, and before
    /// the gate lets a checkpoint go on.
    pub(crate) fn committed(&self, owner: TxnId, batch: u64, prepared: Option<GlobalTxn>) {
        let logged = LoggedAs { batch, prepared };
        let mut commits = self.commits.lock();
        commits.known.insert(owner, logged);
        commits.unshown.insert(owner);
        self.count_unshown(&commits);
    }

    /// Nobody holds the transaction any more who could cancel it.
    pub(crate) fn forget(&self, owner: TxnId) {
        let mut commits = self.commits.lock();
        commits.known.remove(&owner);
        commits.unshown.remove(&owner);
        self.count_unshown(&commits);
    }

    /// Somebody is about to write through `view`, and may build on all that it sees. Its keeper has shown him that,
    /// unless he looks at what is not committed, too.
    pub(crate) fn show(&self, view: &dyn View) {
        if self.unshown.load(Ordering::Acquire) == 0
            || view.isolation() == Isolation::ReadUncommitted
        {
            return;
        }
        let unshown: Vec<TxnId> = self.commits.lock().unshown.iter().copied().collect();
        // The keeper is asked while nothing is held: it may have locks of its own.
        let shown: Vec<TxnId> = unshown.into_iter().filter(|id| view.sees(*id)).collect();
        if shown.is_empty() {
            return;
        }
        let mut commits = self.commits.lock();
        commits.unshown.retain(|owner| !shown.contains(owner));
        self.count_unshown(&commits);
    }

    fn count_unshown(&self, commits: &Commits) {
        self.unshown.store(commits.unshown.len(), Ordering::Release);
    }

    /// `owner` is being cancelled, until [`Certainty::end_cancel`]; or, if that is too late, the id below which nobody is.
    pub(super) fn begin_cancel(&self, owner: TxnId) -> Result<(), TxnId> {
        let mut commits = self.commits.lock();
        if owner < commits.forgotten_below {
            return Err(commits.forgotten_below);
        }
        commits.cancelling.insert(owner);
        Ok(())
    }

    pub(super) fn end_cancel(&self, owner: TxnId) {
        self.commits.lock().cancelling.remove(&owner);
    }

    /// Whether `owner`, who has committed, cannot be taken back any more.
    pub(crate) fn is_certain(&self, owner: TxnId) -> bool {
        !self.commits.lock().known.contains_key(&owner)
    }

    /// The batches that can still be taken back, and on which nobody has built.
    pub(crate) fn open_batches(&self) -> HashSet<u64> {
        let commits = self.commits.lock();
        let unshown = commits.unshown.iter();
        let logged = unshown.filter_map(|owner| commits.known.get(owner));
        logged.map(|logged| logged.batch).collect()
    }

    /// Nobody below `id` can be cancelled any more. Returns up to where that holds: not beyond who
    /// is being cancelled now.
    pub(crate) fn forget_below(&self, id: TxnId) -> TxnId {
        let mut commits = self.commits.lock();
        let below = commits.pass(id);
        commits.known = commits.known.split_off(&below);
        commits.unshown = commits.unshown.split_off(&below);
        self.count_unshown(&commits);
        below
    }

    /// Decision `number` is in a batch of `owner`: said before the index has it.
    pub(crate) fn decided(&self, number: u64, owner: TxnId, batch: u64) {
        self.decisions.lock().insert(number, (owner, batch));
    }

    /// The index has the decision no more.
    pub(crate) fn forget_decision(&self, number: u64) {
        self.decisions.lock().remove(&number);
    }

    /// Whether decision `number` stays one whatever becomes of the batch that it was logged in.
    pub(crate) fn is_final(&self, number: u64) -> bool {
        let Some(&(owner, _)) = self.decisions.lock().get(&number) else {
            // Of an earlier session.
            return true;
        };
        owner < self.commits.lock().forgotten_below
    }

    /// The decisions whose batches are known. While they are looked at none comes or goes.
    pub(crate) fn decisions(&self) -> MutexGuard<'_, Decided> {
        self.decisions.lock()
    }

    /// A committed version was linked above an unresolved one.
    pub(crate) fn overtakes(&self, tree: u32, key: &[u8], sequence: u64, owner: TxnId) {
        let mut overtakers = self.overtakers.lock();
        let versions = overtakers.versions.entry((tree, key.to_vec())).or_default();
        if owner == 0 {
            // Whatever is below it does not matter any more.
            versions.retain(|(other, _)| *other > sequence);
        }
        versions.push((sequence, owner));
    }

    /// It was taken out again.
    pub(crate) fn forget_overtaker(&self, tree: u32, key: &[u8], sequence: u64) {
        let mut overtakers = self.overtakers.lock();
        if let Some(versions) = overtakers.versions.get_mut(&(tree, key.to_vec())) {
            versions.retain(|(other, _)| *other != sequence);
        }
    }

    /// Nothing with a sequence below `next` will be appended any more.
    pub(crate) fn forget_overtakers(&self, next: u64) {
        let mut overtakers = self.overtakers.lock();
        if overtakers.held || overtakers.versions.is_empty() {
            return;
        }
        overtakers.versions.retain(|_, versions| {
            versions.retain(|(sequence, _)| *sequence >= next);
            !versions.is_empty()
        });
    }

    /// Forgets no overtaker until [`Certainty::look`] or [`Certainty::release`].
    pub(crate) fn hold(&self) {
        self.overtakers.lock().held = true;
    }

    pub(crate) fn release(&self) {
        self.overtakers.lock().held = false;
    }

    /// What is certain now, given that nobody below `below` can be cancelled.
    pub(crate) fn look(&self, below: TxnId) -> Certain {
        // In this order: whoever has overtaken by now is among those who have committed by then,
        // or can not be cancelled any more.
        let mut overtakers = self.overtakers.lock();
        let mut commits = self.commits.lock();
        let below = commits.pass(below);
        let known = commits.known.range(below..).map(|(o, l)| (*o, *l));
        let mut certain = Certain {
            below,
            known: known.collect(),
            overtakers: Vec::new(),
        };
        drop(commits);
        overtakers.held = false;
        for ((tree, key), versions) in &overtakers.versions {
            let stay = versions.iter().filter(|(_, owner)| {
                *owner == 0 || *owner < below || !certain.known.contains_key(owner)
            });
            if let Some(highest) = stay.map(|(sequence, _)| *sequence).max() {
                certain.overtakers.push((*tree, key.clone(), highest));
            }
        }
        certain.overtakers.sort_unstable();
        certain
    }

    /// What `owner`, who has committed, was logged as, if it can be cancelled now, or could when
    /// `certain` was looked at: whoever was let go since counts with those of then all the same.
    pub(crate) fn cancellable(&self, certain: &Certain, owner: TxnId) -> Option<LoggedAs> {
        if owner == 0 || owner < certain.below {
            return None;
        }
        let known = certain.known.get(&owner).copied();
        known.or_else(|| self.commits.lock().known.get(&owner).copied())
    }
}
