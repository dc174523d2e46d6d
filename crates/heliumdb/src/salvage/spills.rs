//! What transactions have sent to the log before they committed.
//!
//! Invariant: nothing here counts; whoever meets the commit that names an id takes what there
//! is of it. What no commit names was rolled back, or was never finished.

use std::collections::HashMap;

use super::batches::Item;

/// What was spilled under one id.
#[derive(Default)]
pub(super) struct Spilled {
    pub(super) items: Vec<Item>,
    /// Some of it is known to be missing.
    pub(super) is_broken: bool,
}

#[derive(Default)]
pub(super) struct Spills(HashMap<u64, Spilled>);

impl Spills {
    pub(super) fn add(&mut self, id: u64, items: Vec<Item>) {
        self.0.entry(id).or_default().items.extend(items);
    }

    pub(super) fn break_up(&mut self, id: u64) {
        self.0.entry(id).or_default().is_broken = true;
    }

    pub(super) fn take(&mut self, id: u64) -> Spilled {
        self.0.remove(&id).unwrap_or_default()
    }
}
