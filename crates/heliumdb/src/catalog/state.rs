//! What all handles of a datastore share: the tree of its items, and those before it that somebody
//! still sees.
//!
//! Invariant: a tree that a change of the catalog replaced stays here until every snapshot in use sees
//! that change. Who looks takes the tree of now first, and asks for one before it afterwards.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::{ArcSwapOption, Guard};
use parking_lot::RwLock;

use crate::{
    id::DatastoreId,
    tree::Tree,
    version::{Eyes, Isolation, TxnId},
};

pub(crate) struct State {
    pub(crate) id: DatastoreId,
    /// `None` once the datastore was removed.
    tree: ArcSwapOption<Tree>,
    /// Whether there is anything in `past`.
    has_past: AtomicBool,
    /// The trees that were replaced, each with the id of the change that did it, in their order.
    past: RwLock<Vec<(TxnId, Arc<Tree>)>>,
}

impl State {
    pub(crate) fn new(id: DatastoreId, tree: Arc<Tree>) -> Arc<Self> {
        Arc::new(Self {
            id,
            tree: ArcSwapOption::new(Some(tree)),
            has_past: AtomicBool::new(false),
            past: RwLock::default(),
        })
    }

    /// The tree of now, for a short look.
    pub(crate) fn now(&self) -> Guard<Option<Arc<Tree>>> {
        self.tree.load()
    }

    /// The tree of now.
    pub(crate) fn tree(&self) -> Option<Arc<Tree>> {
        self.tree.load_full()
    }

    /// The tree that `eyes` see, if it is not the one of now any more. At read-uncommitted all see
    /// what there is.
    #[inline]
    pub(crate) fn before(&self, eyes: Eyes<'_>) -> Option<Arc<Tree>> {
        // Nearly always: it costs a load where it is asked.
        if !self.has_past.load(Ordering::Acquire) {
            return None;
        }
        self.past_of(eyes)
    }

    #[cold]
    fn past_of(&self, eyes: Eyes<'_>) -> Option<Arc<Tree>> {
        let view = eyes.filter(|view| view.isolation() != Isolation::ReadUncommitted)?;
        let past = self.past.read();
        let seen = past.iter().find(|(change, _)| !view.sees(*change));
        seen.map(|(_, tree)| tree.clone())
    }

    /// The tree that `eyes` see.
    pub(crate) fn seen_by(&self, eyes: Eyes<'_>) -> Option<Arc<Tree>> {
        let now = self.tree();
        self.before(eyes).or(now)
    }

    /// From now on `tree` has the items, for all who see `change`.
    pub(crate) fn replace(&self, tree: Option<Arc<Tree>>, change: TxnId) {
        // In this order: who finds the new tree finds the old one too.
        let old = self.tree();
        self.past.write().extend(old.map(|old| (change, old)));
        self.has_past.store(true, Ordering::Release);
        self.tree.store(tree);
    }

    /// Everybody sees `change`: lets go of what it replaced.
    pub(crate) fn forget(&self, change: TxnId) -> Option<Arc<Tree>> {
        let mut past = self.past.write();
        let known = past.iter().position(|(id, _)| *id == change)?;
        let (_, tree) = past.remove(known);
        self.has_past.store(!past.is_empty(), Ordering::Release);
        Some(tree)
    }
}
