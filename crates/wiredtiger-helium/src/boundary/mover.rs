//! Moving WiredTiger's oldest id: updates of one row in a small native table, in a session
//! of the settling thread's own.
#![expect(unsafe_code, reason = "calls WiredTiger")]

use crate::nudge;
use std::{
    ffi::{CStr, c_int},
    ptr::{self, NonNull},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use wiredtiger_abi::v3_2::{Connection, Cursor, Session};

const TABLE: &CStr = c"file:helium_nudge.wt";
const TABLE_CONFIG: &CStr = c"key_format=q,value_format=q,log=(enabled=false)";

/// See the module. Made, used and dropped by one thread.
pub struct Mover {
    connection: NonNull<Connection>,
    sessions_gone: Arc<AtomicBool>,
    session: *mut Session,
    cursor: *mut Cursor,
    count: i64,
}

// SAFETY: it is handed to the settling thread before it has opened anything.
unsafe impl Send for Mover {}

impl Mover {
    /// A mover that opens nothing before its first step.
    ///
    /// # Safety
    ///
    /// `connection` is a connection of release 3.2.1 that stays open while the value is
    /// used, or `sessions_gone` is set before the value is dropped.
    pub unsafe fn new(connection: NonNull<Connection>, sessions_gone: Arc<AtomicBool>) -> Self {
        Self {
            connection,
            sessions_gone,
            session: ptr::null_mut(),
            cursor: ptr::null_mut(),
            count: 0,
        }
    }

    fn open(&mut self) -> Option<c_int> {
        // SAFETY: see `new`; each call's answer is looked at before it is used.
        unsafe {
            let open_session = self.connection.as_ref().open_session?;
            let opened = open_session(
                self.connection.as_ptr(),
                ptr::null_mut(),
                ptr::null(),
                &mut self.session,
            );
            if opened != 0 {
                self.session = ptr::null_mut();
                return Some(opened);
            }
            let create = (*self.session).create?;
            let created = create(self.session, TABLE.as_ptr(), TABLE_CONFIG.as_ptr());
            if created != 0 {
                return Some(created);
            }
            let open_cursor = (*self.session).open_cursor?;
            let opened = open_cursor(
                self.session,
                TABLE.as_ptr(),
                ptr::null_mut(),
                ptr::null(),
                &mut self.cursor,
            );
            if opened != 0 {
                self.cursor = ptr::null_mut();
            }
            Some(opened)
        }
    }

    fn update(&mut self) -> Option<c_int> {
        self.count += 1;
        // SAFETY: the cursor is open, and key and value are of the formats that it takes.
        unsafe {
            ((*self.cursor).set_key?)(self.cursor, 1i64);
            ((*self.cursor).set_value?)(self.cursor, self.count);
            Some(((*self.cursor).insert?)(self.cursor))
        }
    }
}

impl nudge::Mover for Mover {
    fn step(&mut self) -> Result<(), String> {
        let answer = if self.cursor.is_null() {
            self.open()
        } else {
            self.update()
        };
        match answer {
            Some(0 | wiredtiger_abi::v3_2::WT_ROLLBACK) => Ok(()),
            Some(number) => Err(format!(
                "{} cannot be written (error {number})",
                TABLE.to_string_lossy()
            )),
            None => Err("WiredTiger lacks a method".into()),
        }
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        if self.session.is_null() || self.sessions_gone.load(Ordering::Acquire) {
            return;
        }
        // SAFETY: the session is open, and its cursor goes with it.
        unsafe {
            if let Some(close) = (*self.session).close {
                close(self.session, ptr::null());
            }
        }
    }
}
