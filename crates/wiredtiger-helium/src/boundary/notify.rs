//! WiredTiger's word that a transaction ends: one handler per connection, for all volumes.
#![expect(unsafe_code, reason = "called by WiredTiger")]

use super::{
    guard::{EINVAL, answer},
    host::{SessionHandle, Wired},
    inside::Inside,
};
use crate::{host::Host, source::Source};
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

    /// The handler that a transaction was given, if it is one of ours.
    ///
    /// # Safety
    ///
    /// `notify` is null or a live handler.
    pub unsafe fn of<'a>(notify: *mut TxnNotify) -> Option<&'a Self> {
        let ours = resolve as unsafe extern "C" fn(_, _, _, _) -> _ as usize;
        // SAFETY: the caller vouches for it; what calls `resolve` is the head of one of ours.
        unsafe {
            let head = notify.as_ref()?;
            let is_ours = head.notify.is_some_and(|resolve| resolve as usize == ours);
            is_ours.then(|| &*notify.cast::<Self>())
        }
    }

    /// The session's transaction is prepared.
    pub fn tell_prepared(&self, session: *mut Session) {
        let source = self.source.get().and_then(Weak::upgrade);
        if let (Some(source), Some(handle)) = (source, SessionHandle::new(session)) {
            source.transactions().prepare(handle);
        }
    }

    /// Whether the session's transaction can only be rolled back because a call failed in it,
    /// whoever's call it was: what was changed here must not be kept. Tells the application so.
    pub fn refuses(&self, session: *mut Session) -> bool {
        let Some(source) = self.source.get().and_then(Weak::upgrade) else {
            return false;
        };
        let Some(handle) = SessionHandle::new(session) else {
            return false;
        };
        // SAFETY: WiredTiger's pointer, in one of its calls.
        let has_failed = unsafe { Inside::of(session) }.is_some_and(Inside::has_failed);
        let refuses = has_failed && source.transactions().has_changes(handle);
        if refuses {
            source.host().error(Some(handle), FAILED);
        }
        refuses
    }
}

/// As WiredTiger says it of its own tables.
const FAILED: &str = "failed transaction requires rollback";

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
    // The session's own commit has seen to this, unless somebody else has replaced it.
    if committed != 0 && notify.refuses(session) {
        return EINVAL;
    }
    answer(&source, SessionHandle::new(session), || {
        source.resolve(SessionHandle::required(session)?, id, committed != 0)
    })
}
