//! Transactions of a connection, at snapshot isolation: what is read is one moment's state and the transaction's own
//! writes, and whoever writes an item second fails with CONFLICT.

use super::Call;
use crate::{
    refusal::{Outcome, Refusal, said},
    session::Running,
};

const NONE: Refusal = said("ERR no transaction: HE.BEGIN begins one");

/// HE.BEGIN
pub fn begin(call: &mut Call<'_>) -> Outcome {
    if call.session.running.is_some() {
        return Err(said(
            "ERR a transaction is open already: HE.COMMIT or HE.ROLLBACK first",
        ));
    }
    let served = call.session.place.served.clone();
    call.session.running = Some(Running::begin(served)?);
    call.ok()
}

/// HE.COMMIT
pub fn commit(call: &mut Call<'_>) -> Outcome {
    if std::mem::take(&mut call.session.expired) {
        return Err(said(
            "ABORTED the transaction was rolled back, since it had been open for too long",
        ));
    }
    let running = call.session.running.take().ok_or(NONE)?;
    let served = running.served.clone();
    let gate = served.enter();
    let wrote = running.commit()?;
    drop(gate);
    if wrote {
        call.session.note_write();
    }
    call.ok()
}

/// HE.ROLLBACK
pub fn rollback(call: &mut Call<'_>) -> Outcome {
    let was_rolled_back = std::mem::take(&mut call.session.expired);
    match call.session.running.take().is_some() || was_rolled_back {
        true => call.ok(),
        false => Err(NONE),
    }
}

/// HE.SYNC
pub fn sync(call: &mut Call<'_>) -> Outcome {
    call.session.note_write();
    call.session.must_sync = true;
    call.ok()
}
