//! The transaction of one session.
//!
//! Invariant: WiredTiger lets one thread at a time use a session, so the lock in here is
//! never waited for on a hot path; readers look at one atomic word only.

use crate::{error::Result, source::Object};
use heliumdb::host::{TxnId, WriteSet};
use parking_lot::{Mutex, MutexGuard};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What is kept of a session.
#[derive(Default)]
pub struct SessionState {
    /// Id of the running transaction, zero if it has not written here.
    own: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub(super) struct Inner {
    pub running: Option<Running>,
    /// The last one that committed: WiredTiger may still take it back.
    pub finished: Option<Finished>,
}

/// A transaction that has written.
pub(super) struct Running {
    pub id: TxnId,
    pub transaction: WriteSet,
    pub writes: u64,
    /// Whether a write has succeeded.
    pub has_changes: bool,
    pub is_prepared: bool,
    touched: Vec<Arc<Object>>,
}

/// A transaction that has committed.
pub(super) struct Finished {
    pub id: TxnId,
    transaction: WriteSet,
    touched: Vec<Arc<Object>>,
}

impl SessionState {
    /// Id under which the session's transaction writes; zero if it has not yet.
    pub fn own(&self) -> TxnId {
        self.own.load(Ordering::Relaxed)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Starts the transaction `id`. One before it that never ended is rolled back.
    pub(super) fn begin(&self, inner: &mut Inner, id: TxnId) {
        if let Some(mut stale) = inner.running.take() {
            stale.roll_back();
            self.end(&stale);
        }
        // The memory of the one before is used again.
        let (transaction, touched) = match inner.finished.take() {
            Some(mut finished) => {
                finished.transaction.restart(id);
                finished.touched.clear();
                (finished.transaction, finished.touched)
            }
            None => (WriteSet::new(id), Vec::new()),
        };
        inner.running = Some(Running {
            id,
            transaction,
            writes: 0,
            has_changes: false,
            is_prepared: false,
            touched,
        });
        self.own.store(id, Ordering::Relaxed);
    }

    /// The transaction is no longer the session's.
    pub(super) fn end(&self, running: &Running) {
        self.own.store(0, Ordering::Relaxed);
        for object in &running.touched {
            object.end_writer();
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        // Who holds the lock is at work.
        self.inner
            .try_lock()
            .is_some_and(|inner| inner.running.is_none() && inner.finished.is_none())
    }

    pub(super) fn forget_older(&self, oldest: TxnId) {
        // A session that is at work now is asked again the next time.
        if let Some(mut inner) = self.inner.try_lock() {
            inner.finished.take_if(|finished| finished.id < oldest);
        }
    }
}

impl Running {
    /// Notes a write to `object`.
    pub fn touch(&mut self, object: &Arc<Object>) {
        self.writes += 1;
        if !self.touched.iter().any(|known| Arc::ptr_eq(known, object)) {
            object.begin_writer();
            self.touched.push(Arc::clone(object));
        }
    }

    /// Undoes everything.
    pub fn roll_back(&mut self) {
        self.transaction.abort();
    }
}

impl Finished {
    /// Undoes everything, durably.
    pub fn cancel(&mut self) -> Result<()> {
        Ok(self.transaction.cancel()?)
    }
}

impl From<Running> for Finished {
    fn from(running: Running) -> Self {
        Self {
            id: running.id,
            transaction: running.transaction,
            touched: running.touched,
        }
    }
}
