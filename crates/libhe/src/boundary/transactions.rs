//! Commits, and transactions.
#![expect(unsafe_code, reason = "functions that C calls")]

use std::ffi::c_int;

use super::{
    guard::{answer, answer_handle, find, number},
    layouts::HeT,
};
use crate::{
    code::{Code, Result},
    datastore::while_writing,
    handle::{self, Number, Object},
    open,
    transaction::{self, TransactionHandle},
};

/// Begins a transaction on a datastore.
#[unsafe(no_mangle)]
pub extern "C" fn he_transaction(he: HeT) -> HeT {
    answer_handle(|| {
        let found = find(he)?;
        let volume = found.datastore()?.seat.volume.clone();
        begin(transaction::Shared::new(volume), number(he))
    })
}

/// [`he_transaction`] for programs of versions from 3.8 on. No flags are known.
#[unsafe(no_mangle)]
pub extern "C" fn he_transaction_v3_8(he: HeT, flags: u16) -> HeT {
    if flags == 0 {
        he_transaction(he)
    } else {
        answer_handle(|| Err(Code::ARGUMENTS))
    }
}

/// A handle through which a transaction changes another datastore of the same volume.
#[unsafe(no_mangle)]
pub extern "C" fn he_transaction_datastore(transaction: HeT, he: HeT) -> HeT {
    answer_handle(|| {
        let found = find(transaction)?;
        let shared = found.transaction()?.shared.clone();
        let datastore = find(he)?;
        if !std::ptr::eq(&*shared.volume, &*datastore.datastore()?.seat.volume) {
            return Err(Code::ARGUMENTS);
        }
        begin(shared, number(he))
    })
}

/// Makes a handle of a transaction that ends with the handle of its datastore.
fn begin(shared: std::sync::Arc<transaction::Shared>, parent: Number) -> Result<Number> {
    let found = handle::find(parent)?;
    let datastore = found.datastore()?;
    let transaction = TransactionHandle {
        shared: shared.clone(),
        store: datastore.store.clone(),
        parent,
        read_only: datastore.read_only,
    };
    let number = handle::insert(Object::Transaction(transaction))?;
    let kept = shared
        .add_handle(number)
        .and_then(|()| datastore.adopt(number));
    if kept.is_err() {
        handle::end(number);
    }
    kept.map(|()| number)
}

/// Makes a transaction's changes, all or none, and ends it; or, for a datastore, makes all
/// that was written to the volume durable.
#[unsafe(no_mangle)]
pub extern "C" fn he_commit(he: HeT) -> c_int {
    answer(|| {
        let found = find(he)?;
        match found.transaction() {
            Ok(transaction) => transaction.shared.commit(),
            Err(_) => {
                let volume = &found.datastore()?.seat.volume;
                volume.store.flush().map_err(while_writing)
            }
        }
    })
}

/// Forgets a transaction's changes and ends it; or, for a datastore, removes all its items.
#[unsafe(no_mangle)]
pub extern "C" fn he_discard(he: HeT) -> c_int {
    answer(|| {
        let found = find(he)?;
        match found.transaction() {
            Ok(transaction) => transaction.shared.discard(),
            Err(_) => open::truncate(found.datastore()?),
        }
    })
}
