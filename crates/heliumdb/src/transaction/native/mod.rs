//! Transactions that a volume keeps itself: the interface for Rust programs.
//!
//! Ids and snapshots come from [`crate::write`]; a [`transaction`] writes through the same versions as any
//! other transaction, and [`read`] is what it has in common with a [`snapshot`]. A [`batch`]
//! writes without looking.
//!
//! Isolation: snapshots are of one moment, and stay as they are whoever writes meanwhile, outside
//! transactions too. At snapshot isolation the first of two updaters of an item wins, and the
//! other one gets `Conflict` at once, instead of waiting. What that does not catch is *write
//! skew*: two transactions that each read what the other one writes, and write different items.
//! A transaction that must rely on an item that it only reads takes it with `reserve`.

mod batch;
mod eyes;
mod options;
mod range;
mod read;
mod retry;
mod snapshot;
mod take;
mod transaction;

pub use batch::WriteBatch;
pub use options::TransactionOptions;
pub use range::{SeekDirection, SnapshotRange};
pub use read::Readable;
pub(crate) use retry::transact;
pub use snapshot::Snapshot;
pub use take::ExtractIf;
pub use transaction::Transaction;
