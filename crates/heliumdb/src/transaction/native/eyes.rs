//! Through whose eyes a transaction or a snapshot looks.
//!
//! Invariant: while one of these is alive, what it sees stays.

use crate::{
    version::{Isolation, TxnId, View},
    write::Hold,
};

/// The eyes of one operation.
pub struct Eyes<'a> {
    own: TxnId,
    isolation: Isolation,
    hold: Held<'a>,
}

enum Held<'a> {
    /// The transaction's, or the snapshot's.
    Theirs(&'a Hold),
    /// Of this operation alone.
    Ours(Hold),
}

impl<'a> Eyes<'a> {
    pub(super) fn of(own: TxnId, isolation: Isolation, hold: &'a Hold) -> Self {
        Self {
            own,
            isolation,
            hold: Held::Theirs(hold),
        }
    }

    pub(super) fn new(own: TxnId, isolation: Isolation, hold: Hold) -> Self {
        Self {
            own,
            isolation,
            hold: Held::Ours(hold),
        }
    }
}

impl View for Eyes<'_> {
    fn own(&self) -> TxnId {
        self.own
    }

    fn isolation(&self) -> Isolation {
        self.isolation
    }

    fn sees_all_below(&self, id: TxnId) -> bool {
        match &self.hold {
            Held::Theirs(hold) => hold.sees_all_below(id),
            Held::Ours(hold) => hold.sees_all_below(id),
        }
    }

    fn moment(&self) -> u64 {
        match &self.hold {
            // Those of one operation are not there any more when the next one looks.
            Held::Theirs(hold) if self.own == 0 => hold.moment(),
            _ => 0,
        }
    }

    fn sees(&self, id: TxnId) -> bool {
        match &self.hold {
            Held::Theirs(hold) => hold.sees(id),
            Held::Ours(hold) => hold.sees(id),
        }
    }
}
