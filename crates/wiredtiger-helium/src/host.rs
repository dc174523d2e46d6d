//! What the data source needs of the WiredTiger that runs it.
//!
//! Invariant: nothing behind this trait knows WiredTiger's types. The boundary
//! implements it over the extension interface; tests implement it in memory.

use crate::error::Result;
use heliumdb::{Isolation, host::TxnId};
use std::hash::Hash;

/// A WiredTiger connection as the data source sees it.
pub trait Host: Send + Sync + 'static {
    /// Names a session. Two sessions that live at the same time have different names.
    type Session: Copy + Eq + Hash + Send + Sync + 'static;

    /// Id of the session's running transaction; gives it one if it has none yet.
    /// Only write operations may ask.
    fn transaction_id(&self, session: Self::Session) -> TxnId;

    /// Has [`crate::transactions::Transactions::resolve`] called when the session's
    /// transaction ends.
    fn request_notification(&self, session: Self::Session) -> Result<()>;

    /// Isolation of the session's transaction.
    fn isolation(&self, session: Self::Session) -> Isolation;

    /// Whether the session's transaction sees updates of transaction `id`. May be true of
    /// prepared and of rolled back ones.
    fn is_visible(&self, session: Self::Session, id: TxnId) -> bool;

    /// Whether it sees those of all lower ids. False if that is not known.
    fn sees_all_below(&self, _session: Self::Session, _id: TxnId) -> bool {
        false
    }

    /// Whether the session's transaction passes over what prepared ones wrote.
    fn ignores_prepared(&self, session: Self::Session) -> bool;

    /// Refuses to write in the session's transaction, if that is for reading only.
    fn check_writable(&self, _session: Self::Session) -> Result<()> {
        Ok(())
    }

    /// Every update with a smaller id, if committed, is visible to everyone.
    fn oldest(&self) -> TxnId;

    /// The metadata entry of `uri`.
    fn metadata(&self, session: Self::Session, uri: &str) -> Result<Option<String>>;

    /// Whether the metadata knows an index that has its entries in the object `uri`.
    fn has_index_in(&self, session: Self::Session, uri: &str) -> Result<bool>;

    /// Whether WiredTiger would make a table of its own with `config`, which is gone again afterwards.
    fn check_storage(&self, _session: Self::Session, _config: &str) -> Result<()> {
        Ok(())
    }

    /// Makes or replaces the metadata entry of `uri`.
    fn insert_metadata(&self, session: Self::Session, uri: &str, entry: &str) -> Result<()>;

    /// Removes the metadata entry of `uri`.
    fn remove_metadata(&self, session: Self::Session, uri: &str) -> Result<()>;

    /// Waits until every schema operation that has begun is over, its changes of the metadata on
    /// the medium or taken back, except for one that this session is in; false if that cannot be
    /// had. No lock of ours may be held.
    fn await_schema(&self, session: Self::Session) -> bool;

    /// Whether the database takes checkpoints, in which what is half done is settled: one that is in memory does not.
    fn takes_checkpoints(&self, _session: Self::Session) -> bool {
        true
    }

    /// Tells the application something.
    fn message(&self, session: Option<Self::Session>, text: &str);

    /// Tells the application what went wrong.
    fn error(&self, session: Option<Self::Session>, text: &str);
}
