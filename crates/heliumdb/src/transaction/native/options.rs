//! How a transaction of the volume's own is run.

use crate::{
    limits::TRANSACTION_MEMORY_BYTES, options::setters, transaction::Durability, version::Isolation,
};

/// Options of [`crate::Volume::begin_with`].
///
/// ```
/// use heliumdb::{Durability, TransactionOptions};
/// let options = TransactionOptions::new().durability(Durability::Buffered);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionOptions {
    /// What its reads are protected from (default [`Isolation::Snapshot`]).
    pub isolation: Isolation,
    /// When [`crate::Transaction::commit`] counts as done (default [`Durability::Synced`]).
    pub durability: Durability,
    /// Memory for values; what exceeds it goes to the log before the commit (default 64 MiB).
    pub memory_budget_bytes: usize,
}

impl TransactionOptions {
    /// At snapshot isolation, durable at its commit.
    pub const fn new() -> Self {
        Self {
            isolation: Isolation::Snapshot,
            durability: Durability::Synced,
            memory_budget_bytes: TRANSACTION_MEMORY_BYTES,
        }
    }
}

setters!(TransactionOptions {
    isolation: Isolation,
    durability: Durability,
    memory_budget_bytes: usize,
});

impl Default for TransactionOptions {
    fn default() -> Self {
        Self::new()
    }
}
