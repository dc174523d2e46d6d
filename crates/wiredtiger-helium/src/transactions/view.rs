//! Through whose eyes an operation looks: the session's, as WiredTiger sees it.

use super::Transactions;
use crate::host::Host;
use heliumdb::{
    Isolation,
    host::{TxnId, View},
};

/// The view of a session for the length of one operation.
pub struct SessionView<'a, H: Host> {
    host: &'a H,
    transactions: &'a Transactions<H>,
    session: H::Session,
    own: TxnId,
}

impl<'a, H: Host> SessionView<'a, H> {
    /// The view of `session`, whose transaction writes as `own`, or zero.
    pub fn new(
        host: &'a H,
        transactions: &'a Transactions<H>,
        session: H::Session,
        own: TxnId,
    ) -> Self {
        Self {
            host,
            transactions,
            session,
            own,
        }
    }
}

impl<H: Host> View for SessionView<'_, H> {
    fn own(&self) -> TxnId {
        self.own
    }

    fn isolation(&self) -> Isolation {
        self.host.isolation(self.session)
    }

    fn sees(&self, id: TxnId) -> bool {
        self.host.is_visible(self.session, id)
    }

    fn sees_all_below(&self, id: TxnId) -> bool {
        id == 0 || self.host.sees_all_below(self.session, id)
    }

    fn is_prepared(&self, id: TxnId) -> bool {
        self.transactions.is_prepared(id)
    }

    fn ignores_prepared(&self) -> bool {
        self.host.ignores_prepared(self.session)
    }
}
