//! How a transaction of the volume's own is run.

use crate::{limits::TRANSACTION_MEMORY_BYTES, transaction::Durability, version::Isolation};

/// Options of [`crate::Volume::begin_with`].
///
/// ```
/// use heliumdb::{Durability, TxnOptions};
/// let options = TxnOptions {
///     durability: Durability::Buffered,
///     ..TxnOptions::default()
/// };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnOptions {
    /// What its reads are protected from (default [`Isolation::Snapshot`]).
    pub isolation: Isolation,
    /// When [`crate::Txn::commit`] counts as done (default [`Durability::Synced`]).
    pub durability: Durability,
    /// Memory for values; what exceeds it goes to the log before the commit (default 64 MiB).
    pub memory_budget_bytes: usize,
}

impl Default for TxnOptions {
    fn default() -> Self {
        Self {
            isolation: Isolation::Snapshot,
            durability: Durability::Synced,
            memory_budget_bytes: TRANSACTION_MEMORY_BYTES,
        }
    }
}
