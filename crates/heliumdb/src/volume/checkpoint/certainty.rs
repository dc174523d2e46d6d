//! What of the log may still be taken back, and what was written above something unresolved.
//!
//! Invariants:
//! - Of every committed transaction that may still be cancelled it is known which batch it was
//!   logged as, from before its versions count as committed until nobody holds it any more, or
//!   the horizon has passed it. So a committed version whose owner is not known stays.
//! - Every committed version that was linked above an unresolved one is remembered until nothing
//!   of a lower sequence can be appended any more; while a checkpoint has taken its start and not
//!   yet looked, for longer.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;

use crate::{log::GlobalTxn, version::TxnId};

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
    overtakers: Mutex<Overtakers>,
}

#[derive(Default)]
struct Commits {
    known: BTreeMap<TxnId, LoggedAs>,
    forgotten_below: TxnId,
}

/// Tree and key.
type Place = (u32, Vec<u8>);

#[derive(Default)]
struct Overtakers {
    /// Sequence and owner of each.
    versions: HashMap<Place, Vec<(u64, TxnId)>>,
    held: bool,
}

/// Which transactions are certain, as of one moment.
pub(super) struct Certain {
    /// Whoever owns less has committed for good, or not at all.
    below: TxnId,
    /// Who could be cancelled at that moment.
    known: BTreeMap<TxnId, LoggedAs>,
    /// Keys with the highest sequence that is certain and overtook others.
    pub(super) overtakers: Vec<(u32, Vec<u8>, u64)>,
}

impl Certainty {
    /// A transaction has committed as `batch`: said before any of its versions says so, and before
    /// the gate lets a checkpoint go on.
    pub(crate) fn committed(&self, owner: TxnId, batch: u64, prepared: Option<GlobalTxn>) {
        let logged = LoggedAs { batch, prepared };
        self.commits.lock().known.insert(owner, logged);
    }

    /// Nobody holds the transaction any more who could cancel it.
    pub(crate) fn forget(&self, owner: TxnId) {
        self.commits.lock().known.remove(&owner);
    }

    /// Nobody below `id` can be cancelled any more.
    pub(crate) fn forget_below(&self, id: TxnId) {
        let mut commits = self.commits.lock();
        commits.forgotten_below = commits.forgotten_below.max(id);
        let below = commits.forgotten_below;
        commits.known = commits.known.split_off(&below);
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
    pub(super) fn hold(&self) {
        self.overtakers.lock().held = true;
    }

    pub(super) fn release(&self) {
        self.overtakers.lock().held = false;
    }

    /// What is certain now, given that nobody below `below` can be cancelled.
    pub(super) fn look(&self, below: TxnId) -> Certain {
        // In this order: whoever has overtaken by now is among those who have committed by then,
        // or can not be cancelled any more.
        let mut overtakers = self.overtakers.lock();
        let mut commits = self.commits.lock();
        commits.forgotten_below = commits.forgotten_below.max(below);
        let below = commits.forgotten_below;
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
        certain
    }

    /// What `owner`, who has committed, was logged as, if it can be cancelled now, or could when
    /// `certain` was looked at: whoever was let go since counts with those of then all the same.
    pub(super) fn cancellable(&self, certain: &Certain, owner: TxnId) -> Option<LoggedAs> {
        if owner == 0 || owner < certain.below {
            return None;
        }
        let known = certain.known.get(&owner).copied();
        known.or_else(|| self.commits.lock().known.get(&owner).copied())
    }
}
