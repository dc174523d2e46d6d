//! A keeper of transactions that behaves as WiredTiger's does.
//!
//! Ids start at 1 and are given at the first write. A snapshot is the ids that were running when
//! it was taken. An id leaves the running table when its transaction ends, *and when it is
//! prepared*: prepared transactions look visible. The oldest id is the smallest that is running
//! or that a snapshot holds on to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use heliumdb::{
    Isolation,
    host::{Horizon, TxnId, View},
};
use parking_lot::Mutex;

/// The running transactions.
#[derive(Default)]
pub struct Keeper {
    state: Mutex<State>,
}

struct State {
    next: TxnId,
    running: BTreeSet<TxnId>,
    /// How many snapshots hold on to each oldest id.
    pinned: BTreeMap<TxnId, usize>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            next: 1,
            running: BTreeSet::new(),
            pinned: BTreeMap::new(),
        }
    }
}

impl State {
    fn snapshot(&mut self) -> Snapshot {
        let low = self.running.first().copied().unwrap_or(self.next);
        *self.pinned.entry(low).or_default() += 1;
        Snapshot {
            low,
            high: self.next,
            running: self.running.iter().copied().collect(),
        }
    }

    fn release(&mut self, snapshot: &Snapshot) {
        if let Some(count) = self.pinned.get_mut(&snapshot.low) {
            *count -= 1;
            if *count == 0 {
                self.pinned.remove(&snapshot.low);
            }
        }
    }

    fn oldest(&self) -> TxnId {
        let running = self.running.first().copied().unwrap_or(self.next);
        let pinned = self.pinned.keys().next().copied().unwrap_or(self.next);
        running.min(pinned)
    }
}

#[derive(Clone)]
struct Snapshot {
    low: TxnId,
    high: TxnId,
    running: Vec<TxnId>,
}

impl Snapshot {
    fn sees(&self, id: TxnId) -> bool {
        id < self.low || (id < self.high && self.running.binary_search(&id).is_err())
    }
}

impl Keeper {
    /// A keeper that has seen no transaction.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Begins a transaction; at [`Isolation::Snapshot`] its snapshot is of now.
    pub fn begin(self: &Arc<Self>, isolation: Isolation) -> KeptView {
        let mut txn = KeptView {
            keeper: self.clone(),
            isolation,
            id: 0,
            running: false,
            snapshot: None,
        };
        if isolation == Isolation::Snapshot {
            txn.take_snapshot();
        }
        txn
    }
}

impl Horizon for Keeper {
    fn oldest(&self) -> TxnId {
        self.state.lock().oldest()
    }
}

/// A transaction of a [`Keeper`], and its [`View`]. Dropping it ends it.
pub struct KeptView {
    keeper: Arc<Keeper>,
    isolation: Isolation,
    id: TxnId,
    running: bool,
    snapshot: Option<Snapshot>,
}

impl KeptView {
    /// Its id, given now if it has none yet.
    pub fn allocate(&mut self) -> TxnId {
        if self.id == 0 {
            let mut state = self.keeper.state.lock();
            self.id = state.next;
            state.next += 1;
            state.running.insert(self.id);
            self.running = true;
        }
        self.id
    }

    /// An operation begins: a read-committed transaction takes a new snapshot.
    pub fn operation(&mut self) {
        if self.isolation == Isolation::ReadCommitted {
            self.take_snapshot();
        }
    }

    fn take_snapshot(&mut self) {
        let mut state = self.keeper.state.lock();
        if let Some(old) = self.snapshot.take() {
            state.release(&old);
        }
        self.snapshot = Some(state.snapshot());
    }

    /// The transaction is prepared: from now on its id looks visible, though it is not resolved.
    pub fn prepare(&mut self) {
        self.leave();
    }

    /// The transaction ended, committed or not: others may see its id from now on.
    pub fn end(mut self) {
        self.leave();
    }

    fn leave(&mut self) {
        let mut state = self.keeper.state.lock();
        if let Some(old) = self.snapshot.take() {
            state.release(&old);
        }
        if self.running {
            state.running.remove(&self.id);
            self.running = false;
        }
    }
}

impl View for KeptView {
    fn own(&self) -> TxnId {
        self.id
    }

    fn isolation(&self) -> Isolation {
        self.isolation
    }

    fn sees(&self, id: TxnId) -> bool {
        if id == self.id || self.isolation == Isolation::ReadUncommitted {
            return true;
        }
        match &self.snapshot {
            Some(snapshot) => snapshot.sees(id),
            None => id < self.keeper.oldest(),
        }
    }
}

impl Drop for KeptView {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_hold_the_oldest_id_and_prepared_ids_look_visible() {
        let keeper = Keeper::new();
        let mut writer = keeper.begin(Isolation::Snapshot);
        assert_eq!(writer.allocate(), 1);
        let early = keeper.begin(Isolation::Snapshot);
        assert!(!early.sees(1) && !early.sees(2));
        writer.prepare();
        let late = keeper.begin(Isolation::Snapshot);
        assert!(late.sees(1) && !early.sees(1));
        assert_eq!(keeper.oldest(), 1);
        drop(early);
        assert_eq!(keeper.oldest(), 2);
    }
}
