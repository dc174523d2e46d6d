//! Which of the store's transactions belongs to which session, and how it ends.
//!
//! Invariant: a transaction's id is known and its notification requested before its
//! first write starts; from then on exactly the notification ends it. A transaction of
//! which a write failed does not commit.

mod session;
mod view;

pub use session::SessionState;
pub use view::SessionView;

use crate::{
    error::{Error, Result},
    host::Host,
    source::Object,
};
use heliumdb::{
    Durability,
    host::{TxnId, WriteSet},
};
use parking_lot::Mutex;
use session::{Finished, Running};
use std::{
    collections::{HashMap, HashSet, hash_map::RandomState},
    hash::BuildHasher,
    sync::Arc,
};

const SHARDS: usize = 16;

/// The transactions of a connection.
pub struct Transactions<H: Host> {
    durability: Durability,
    hasher: RandomState,
    shards: [Mutex<HashMap<H::Session, Attached>>; SHARDS],
    /// Ids of those that are prepared, for readers at read-uncommitted.
    prepared: Mutex<HashSet<TxnId>>,
}

/// A session with cursors, or with a transaction of ours.
#[derive(Default)]
struct Attached {
    cursors: usize,
    state: Arc<SessionState>,
}

impl Attached {
    fn is_idle(&self) -> bool {
        self.cursors == 0 && self.state.is_idle()
    }
}

/// What came of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The transaction is committed; it made so many writes.
    Committed {
        /// Its id.
        id: TxnId,
        /// Writes in it.
        writes: u64,
    },
    /// It left nothing behind.
    RolledBack,
}

impl<H: Host> Transactions<H> {
    /// No transactions yet.
    pub fn new(durability: Durability) -> Self {
        Self {
            durability,
            hasher: RandomState::new(),
            shards: Default::default(),
            prepared: Mutex::default(),
        }
    }

    /// How durable commits are when they return.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Names a cursor's session; the state stays valid until [`Self::detach`].
    pub fn attach(&self, session: H::Session) -> Arc<SessionState> {
        let mut shard = self.shard(session).lock();
        let attached = shard.entry(session).or_default();
        attached.cursors += 1;
        Arc::clone(&attached.state)
    }

    /// Ends what [`Self::attach`] began.
    pub fn detach(&self, session: H::Session) {
        let mut shard = self.shard(session).lock();
        if let Some(attached) = shard.get_mut(&session) {
            attached.cursors = attached.cursors.saturating_sub(1);
            if attached.is_idle() {
                shard.remove(&session);
            }
        }
    }

    /// Runs one write of a session's transaction, which starts here if it has not yet.
    /// An error other than NOTFOUND and DUPLICATE_KEY keeps it from committing.
    pub fn write<T>(
        &self,
        host: &H,
        session: H::Session,
        state: &SessionState,
        object: &Arc<Object>,
        write: impl FnOnce(&mut WriteSet, &SessionView<'_, H>) -> Result<T>,
    ) -> Result<T> {
        host.check_writable(session)?;
        let mut inner = state.lock();
        let id = host.transaction_id(session);
        if inner
            .running
            .as_ref()
            .is_none_or(|running| running.id != id)
        {
            host.request_notification(session)?;
            state.begin(&mut inner, id);
        }
        let Some(running) = inner.running.as_mut() else {
            return Err(Error::new(
                crate::error::Code::Panic,
                "a transaction vanished while it was begun",
            ));
        };
        running.touch(object);
        let view = SessionView::new(host, self, session, id);
        let result = write(&mut running.transaction, &view);
        running.has_changes |= result.is_ok();
        if let Err(error) = &result
            && !error.spares_transaction()
        {
            running.transaction.fail(error.to_store());
        }
        result
    }

    /// WiredTiger's word that the session's transaction `id` ends. An error refuses the
    /// commit; WiredTiger then calls again with `committed` false.
    pub fn resolve(&self, session: H::Session, id: TxnId, committed: bool) -> Result<Outcome> {
        let Some(state) = self.state(session) else {
            return unknown(id, committed);
        };
        let mut inner = state.lock();
        if let Some(mut running) = inner.running.take_if(|running| running.id == id) {
            // What changed nothing has nothing to commit, whatever failed in it.
            if !committed || !running.has_changes {
                running.roll_back();
                self.end(&state, &running);
                return Ok(Outcome::RolledBack);
            }
            if let Err(error) = running.transaction.commit(self.durability) {
                inner.running = Some(running);
                return Err(error.into());
            }
            self.end(&state, &running);
            let writes = running.writes;
            inner.finished = Some(Finished::from(running));
            return Ok(Outcome::Committed { id, writes });
        }
        match inner.finished.take_if(|finished| finished.id == id) {
            Some(mut finished) if !committed => {
                finished.cancel()?;
                Ok(Outcome::RolledBack)
            }
            _ => unknown(id, committed),
        }
    }

    /// The session's transaction is prepared.
    pub fn prepare(&self, session: H::Session) {
        if let Some(state) = self.state(session)
            && let Some(running) = state.lock().running.as_mut()
        {
            running.is_prepared = true;
            self.prepared.lock().insert(running.id);
        }
    }

    /// Whether the transaction `id` is prepared, and not over.
    pub fn is_prepared(&self, id: TxnId) -> bool {
        self.prepared.lock().contains(&id)
    }

    /// The transaction is over.
    fn end(&self, state: &SessionState, running: &Running) {
        state.end(running);
        if running.is_prepared {
            self.prepared.lock().remove(&running.id);
        }
    }

    /// Whether the session's transaction has changed anything here.
    pub fn has_changes(&self, session: H::Session) -> bool {
        let Some(state) = self.state(session) else {
            return false;
        };
        let inner = state.lock();
        inner
            .running
            .as_ref()
            .is_some_and(|running| running.has_changes)
    }

    /// Lets go of committed transactions that everyone can see, and so can no longer be
    /// taken back.
    pub fn forget_older(&self, oldest: TxnId) {
        for shard in &self.shards {
            shard.lock().retain(|_, attached| {
                attached.state.forget_older(oldest);
                !attached.is_idle()
            });
        }
    }

    fn state(&self, session: H::Session) -> Option<Arc<SessionState>> {
        let shard = self.shard(session).lock();
        shard
            .get(&session)
            .map(|attached| Arc::clone(&attached.state))
    }

    fn shard(&self, session: H::Session) -> &Mutex<HashMap<H::Session, Attached>> {
        &self.shards[self.hasher.hash_one(session) as usize % SHARDS]
    }
}

/// A notification for a transaction that is not known here. Rolling back what never
/// started is done already; committing it would be a false success.
fn unknown(id: TxnId, committed: bool) -> Result<Outcome> {
    if committed {
        Err(Error::new(
            crate::error::Code::Panic,
            format!("WiredTiger commits transaction {id}, which never wrote here"),
        ))
    } else {
        Ok(Outcome::RolledBack)
    }
}
