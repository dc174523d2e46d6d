//! Transactions over any datastores of any volumes.

use crate::{Change, Datastore, Mode, Result, TxnId, View};

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// When it is on the medium.
    #[default]
    Synced,
    /// When it is in the log's buffers: a crash may lose it, whole, with all that came later.
    Buffered,
}

/// A transaction's writes, not yet committed. Dropping it aborts it.
pub struct Transaction {
    _id: TxnId,
}

impl Transaction {
    /// A transaction that writes as `id`, which no other unfinished one on these volumes uses.
    pub fn new(id: TxnId) -> Self {
        Self { _id: id }
    }
    /// The id it writes as.
    pub fn id(&self) -> TxnId {
        todo!()
    }
    /// Applies `change` to the item of `key`, if `mode` holds of what `view` sees.
    /// Errors other than ItemNotFound and ItemExists mark the transaction as failed.
    pub fn write(
        &mut self,
        _datastore: &Datastore,
        _view: &dyn View,
        _key: &[u8],
        _change: Change<'_>,
        _mode: Mode,
    ) -> Result<()> {
        todo!()
    }
    /// Marks the transaction as failed, so that it cannot commit.
    pub fn fail(&mut self, _why: crate::Error) {
        todo!()
    }
    /// Makes all writes durable and resolves them as committed, over all volumes or none.
    /// On error nothing was committed, unless the kind is `OutcomeUnknown`; the
    /// transaction is then to be aborted.
    pub fn commit(&mut self, _durability: Durability) -> Result<()> {
        todo!()
    }
    /// Takes back a commit that no one has seen yet: durable when it returns.
    /// Legal until the horizon has passed the id.
    pub fn cancel(&mut self) -> Result<()> {
        todo!()
    }
    /// Undoes all writes (also what dropping does). No I/O; cannot fail.
    pub fn abort(&mut self) {
        todo!()
    }
}
