//! What the work on an open volume goes on: its parts, each with an owner of its own.
//!
//! Invariant: whoever is given this can ask the parts, and be asked by none of them: they know nothing of who works on them.

use std::{collections::HashMap, sync::Arc};

use crate::{
    access::Access,
    bell::Bell,
    catalog::Catalog,
    log::Log,
    tree::Tree,
    write::{Decisions, OwnRecords, Pace, Writing},
};

/// See the module.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) access: Arc<Access>,
    pub(crate) log: Arc<Log>,
    pub(crate) writing: Arc<Writing>,
    pub(crate) pace: Arc<Pace>,
    pub(crate) records: Arc<OwnRecords>,
    pub(crate) decisions: Arc<Decisions>,
    pub(crate) catalog: Arc<Catalog>,
    /// Calls whoever does background work.
    pub(crate) bell: Arc<Bell>,
}

impl Ground {
    /// All trees that items of the log may belong to, but for checkpoints.
    pub(crate) fn trees(&self) -> HashMap<u32, Arc<Tree>> {
        let mut trees = self.catalog.trees();
        trees.push(self.decisions.tree().clone());
        trees.into_iter().map(|tree| (tree.id, tree)).collect()
    }
}
