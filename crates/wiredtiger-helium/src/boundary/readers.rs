//! What readers in other processes see: each has a session of its own, in a transaction at snapshot isolation.
//!
//! Invariants: no session is opened before the application has used one, so that the connection is open; and all of
//! them are closed, and their threads gone, before the connection's close begins.
#![expect(unsafe_code, reason = "calls WiredTiger")]

use super::host::{SessionHandle, Wired};
use crate::{host::Host, source::Source};
use heliumdb::{
    Error, ErrorKind, Isolation, Result,
    host::{TxnId, View},
};
use std::{
    ffi::c_int,
    ptr::{self, NonNull},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};
use wiredtiger_abi::v3_2::{Connection, Session};

/// Makes views of what is committed now.
pub struct Readers {
    connection: NonNull<Connection>,
    source: Weak<Source<Wired>>,
    sessions_gone: Arc<AtomicBool>,
}

// SAFETY: WiredTiger's connections open sessions in any thread.
unsafe impl Send for Readers {}
// SAFETY: as above.
unsafe impl Sync for Readers {}

impl Readers {
    /// Views of the connection that `source` belongs to.
    ///
    /// # Safety
    ///
    /// `connection` is a connection of release 3.2.1 that stays open while the value, and the views that it makes, are
    /// used, or `sessions_gone` is set before.
    pub unsafe fn new(
        connection: NonNull<Connection>,
        source: &Arc<Source<Wired>>,
        sessions_gone: Arc<AtomicBool>,
    ) -> Self {
        Self {
            connection,
            source: Arc::downgrade(source),
            sessions_gone,
        }
    }
}

impl helium_activity::Views for Readers {
    fn begin(&self) -> Result<Box<dyn View>> {
        let closing = || Error::new(ErrorKind::Closed, "the connection is being closed");
        let source = self.source.upgrade().ok_or_else(closing)?;
        let mut session = ptr::null_mut();
        // SAFETY: see `new`.
        let opened = unsafe {
            let open_session = self.connection.as_ref().open_session;
            open_session.map(|open| {
                let connection = self.connection.as_ptr();
                let config = c"isolation=snapshot".as_ptr();
                open(connection, ptr::null_mut(), config, &mut session)
            })
        };
        check(opened)?;
        let session = SessionHandle::new(session).ok_or_else(closing)?;
        let reader = Reader {
            source,
            session,
            sessions_gone: Arc::clone(&self.sessions_gone),
        };
        // SAFETY: the session is open, and this thread's.
        let begun = unsafe {
            let raw = session.as_ptr();
            ((*raw).begin_transaction).map(|begin| begin(raw, ptr::null()))
        };
        check(begun)?;
        Ok(Box::new(reader))
    }
}

fn check(answer: Option<c_int>) -> Result<()> {
    match answer {
        Some(0) => Ok(()),
        Some(number) => Err(Error::new(
            ErrorKind::Busy,
            format!("WiredTiger has no session for a reader (error {number})"),
        )),
        None => Err(Error::new(
            ErrorKind::Unsupported,
            "WiredTiger lacks a method",
        )),
    }
}

/// One reader's view.
struct Reader {
    source: Arc<Source<Wired>>,
    session: SessionHandle,
    sessions_gone: Arc<AtomicBool>,
}

impl View for Reader {
    fn own(&self) -> TxnId {
        0
    }

    fn isolation(&self) -> Isolation {
        Isolation::Snapshot
    }

    fn sees(&self, id: TxnId) -> bool {
        self.source.host().is_visible(self.session, id)
    }

    fn is_prepared(&self, id: TxnId) -> bool {
        self.source.transactions().is_prepared(id)
    }

    /// Nothing that is not committed is seen.
    fn ignores_prepared(&self) -> bool {
        true
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.sessions_gone.load(Ordering::Acquire) {
            return;
        }
        let session: *mut Session = self.session.as_ptr();
        // SAFETY: the session is open; its transaction goes with it.
        unsafe {
            if let Some(close) = (*session).close {
                close(session, ptr::null());
            }
        }
    }
}
