//! The catalog as snapshots see it: a change leaves what it replaced, for as long as a snapshot in use
//! does not see it.
//!
//! Invariant: going back through what later changes replaced, the newest one first, gives the catalog
//! as it was before them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use parking_lot::RwLock;

use super::{
    Catalog, Descriptor,
    known::{Entry, Known},
    state::State,
};
use crate::{
    id::DatastoreId,
    tree::Tree,
    version::{TxnId, View},
};

/// What becomes of a datastore.
#[derive(Default)]
pub(super) struct Change {
    /// What the catalog says of it from now on; `None` if it is removed.
    pub(super) descriptor: Option<Descriptor>,
    pub(super) next_id: Option<u32>,
    /// What has its items from now on, if something else than before.
    pub(super) tree: Option<Arc<Tree>>,
    /// The tree that is over.
    pub(super) retired: Option<u32>,
}

/// What one change replaced.
pub(super) struct Replaced {
    change: TxnId,
    id: u32,
    /// `None` if the datastore was made.
    before: Option<Before>,
}

struct Before {
    entry: Entry,
    tree: Option<Arc<Tree>>,
}

/// A datastore as somebody sees it.
pub(crate) struct SeenDatastore {
    pub(crate) id: DatastoreId,
    pub(crate) descriptor: Descriptor,
    pub(crate) tree: Arc<Tree>,
}

/// Keeps what one change replaced, until it is dropped.
pub(super) struct Keeping {
    known: Weak<RwLock<Known>>,
    change: TxnId,
}

impl Keeping {
    pub(super) fn new(known: &Arc<RwLock<Known>>, change: TxnId) -> Self {
        Self {
            known: Arc::downgrade(known),
            change,
        }
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        let Some(known) = self.known.upgrade() else {
            return;
        };
        let mut locked = known.write();
        let forgotten = locked.forget(self.change);
        drop(locked);
        // A tree may go with it, which takes its time: not under the lock.
        drop(forgotten);
    }
}

impl Known {
    /// Takes a change in, and keeps what was before it; returns what the handles of the datastore
    /// share, if there still is one.
    pub(super) fn apply(&mut self, number: TxnId, id: u32, change: Change) -> Option<Arc<State>> {
        let old = self.by_id.remove(&id);
        if let Some(old) = &old {
            self.by_name.remove(&old.descriptor.name);
        }
        self.past.push(Replaced {
            change: number,
            id,
            before: old.as_ref().map(|entry| Before {
                entry: entry.clone(),
                tree: entry.state.tree(),
            }),
        });
        self.next_id = change.next_id.unwrap_or(self.next_id);
        match (change.descriptor, old, change.tree) {
            (Some(descriptor), Some(old), tree) => {
                if let Some(tree) = tree {
                    tree.set_compress(descriptor.compress);
                    old.state.replace(Some(tree), number);
                }
                self.enter(id, descriptor, old.state.clone());
                Some(old.state)
            }
            (Some(descriptor), None, Some(tree)) => Some(self.add(id, descriptor, tree)),
            (_, old, _) => {
                if let Some(old) = old {
                    old.state.replace(None, number);
                }
                None
            }
        }
    }

    /// Everybody sees the change: what it replaced, and the tree that its datastore kept for it.
    fn forget(&mut self, change: TxnId) -> Option<(Replaced, Option<Arc<Tree>>)> {
        let known = self.past.iter().position(|past| past.change == change)?;
        let past = self.past.remove(known);
        let before = past.before.as_ref();
        let tree = before.and_then(|before| before.entry.state.forget(change));
        Some((past, tree))
    }
}

impl Catalog {
    /// The datastores that `view` sees, each with its items and what it was called, by id.
    pub(crate) fn seen_by(&self, view: &dyn View) -> Vec<SeenDatastore> {
        let known = self.known.read();
        let now = known.by_id.iter();
        let now = now.map(|(id, entry)| (*id, (&entry.descriptor, entry.state.tree())));
        let mut seen: BTreeMap<_, _> = now.collect();
        for past in known.past.iter().rev() {
            if view.sees(past.change) {
                break;
            }
            match &past.before {
                Some(Before { entry, tree }) => {
                    seen.insert(past.id, (&entry.descriptor, tree.clone()));
                }
                None => {
                    seen.remove(&past.id);
                }
            }
        }
        let seen = seen.into_iter().filter_map(|(id, (descriptor, tree))| {
            Some(SeenDatastore {
                id: DatastoreId(id),
                descriptor: descriptor.clone(),
                tree: tree?,
            })
        });
        seen.collect()
    }
}
