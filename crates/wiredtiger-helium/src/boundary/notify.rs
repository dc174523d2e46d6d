//! WiredTiger's word that a transaction ends: one handler per connection, for all volumes.
#![expect(unsafe_code, reason = "called by WiredTiger")]

use super::{
    guard::{EINVAL, answer},
    host::{SessionHandle, Wired},
};
use crate::source::Source;
use std::{
    ffi::c_int,
    sync::{OnceLock, Weak},
};
use wiredtiger_abi::v3_2::{Session, TxnNotify};

/// The handler that every transaction is given; WiredTiger compares its address.
#[repr(C)]
pub struct Notify {
    head: TxnNotify,
    source: OnceLock<Weak<Source<Wired>>>,
}

impl Notify {
    /// A handler that does not yet know its data source.
    pub fn new() -> Self {
        Self {
            head: TxnNotify {
                notify: Some(resolve),
            },
            source: OnceLock::new(),
        }
    }

    /// Says whose transactions they are.
    pub fn set_source(&self, source: Weak<Source<Wired>>) {
        // It is set once, when the connection is opened.
        let _ = self.source.set(source);
    }
}

unsafe extern "C" fn resolve(
    notify: *mut TxnNotify,
    session: *mut Session,
    id: u64,
    committed: c_int,
) -> c_int {
    // SAFETY: WiredTiger hands back the handler it was given, which lives until terminate.
    let Some(notify) = (unsafe { notify.cast::<Notify>().as_ref() }) else {
        return EINVAL;
    };
    let Some(source) = notify.source.get().and_then(Weak::upgrade) else {
        return EINVAL;
    };
    answer(&source, SessionHandle::new(session), || {
        source.resolve(SessionHandle::required(session)?, id, committed != 0)
    })
}
