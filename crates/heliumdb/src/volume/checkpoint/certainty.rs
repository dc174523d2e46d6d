//! What of the log may still be taken back, and what was written above something unresolved.
//!
//! Invariants:
//! - Of every committed transaction that may still be cancelled it is known which batch it was
//!   logged as; whoever is forgotten is below [`Certain::below`] for ever after.
//! - Every committed version that was linked above an unresolved one is remembered until nothing
//!   of a lower sequence can be appended any more; while a checkpoint has taken its start and not
//!   yet looked, for longer.

use std::collections::{HashMap, VecDeque};

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
    /// In the order of their commits, roughly that of their ids.
    queue: VecDeque<(TxnId, LoggedAs)>,
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
    pub(super) below: TxnId,
    pub(super) commits: HashMap<TxnId, LoggedAs>,
    /// Keys with the highest sequence that is certain and overtook others.
    pub(super) overtakers: Vec<(u32, Vec<u8>, u64)>,
}

impl Certainty {
    /// A transaction has committed as `batch`: said before the gate lets a checkpoint go on.
    pub(crate) fn committed(&self, owner: TxnId, batch: u64, prepared: Option<GlobalTxn>) {
        let logged = LoggedAs { batch, prepared };
        self.commits.lock().queue.push_back((owner, logged));
    }

    /// Nobody below `id` can be cancelled any more.
    pub(crate) fn forget_below(&self, id: TxnId) {
        let mut commits = self.commits.lock();
        commits.forgotten_below = commits.forgotten_below.max(id);
        let below = commits.forgotten_below;
        while commits
            .queue
            .front()
            .is_some_and(|(owner, _)| *owner < below)
        {
            commits.queue.pop_front();
        }
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
        let mut commits = self.commits.lock();
        commits.forgotten_below = commits.forgotten_below.max(below);
        let below = commits.forgotten_below;
        let known = commits.queue.iter().filter(|(owner, _)| *owner >= below);
        let known = known.copied().collect();
        drop(commits);
        let mut overtakers = self.overtakers.lock();
        overtakers.held = false;
        let highest = overtakers
            .versions
            .iter()
            .filter_map(|((tree, key), versions)| {
                let is_certain = |owner| owner == 0 || owner < below;
                let certain = versions.iter().filter(|(_, owner)| is_certain(*owner));
                Some((*tree, key.clone(), certain.map(|(s, _)| *s).max()?))
            });
        Certain {
            below,
            commits: known,
            overtakers: highest.collect(),
        }
    }
}
