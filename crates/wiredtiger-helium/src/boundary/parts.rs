//! Makes a table's parts ready to be renamed with it ([`crate::source::renamable`]).
//!
//! The metadata is changed under the lock that WiredTiger's schema operations hold. It is held while a data source's
//! create is called, so one is asked for that makes nothing. Invariant: such a create is told by its session, which
//! nobody else has.
#![expect(unsafe_code, reason = "calls WiredTiger")]

use super::{
    guard::EINVAL,
    host::{SessionHandle, Wired},
};
use crate::{error::Result, host::Host, source::renamable};
use parking_lot::Mutex;
use std::{
    ffi::{CStr, c_int},
    ptr,
};
use wiredtiger_abi::v3_2::Session;

/// What is created: nothing.
const NOTHING: &CStr = c"helium:";
/// Sessions in which a create is for a rename, by address, and the table that is renamed.
static ASKED: Mutex<Vec<(usize, String)>> = Mutex::new(Vec::new());

/// Makes the parts of the table `uri` ready.
///
/// # Safety
///
/// `session` is a live session of release 3.2.1, and the calling thread's.
pub unsafe fn make_ready(session: *mut Session, uri: &CStr) -> c_int {
    let Ok(Some(table)) = uri.to_str().map(|uri| uri.strip_prefix("table:")) else {
        return 0;
    };
    // SAFETY: the caller vouches for the session; the other one is closed again.
    unsafe {
        let connection = (*session).connection;
        let Some(open) = connection.as_ref().and_then(|table| table.open_session) else {
            return EINVAL;
        };
        let mut other: *mut Session = ptr::null_mut();
        match open(connection, ptr::null_mut(), ptr::null(), &mut other) {
            0 => {}
            refused => return refused,
        }
        ASKED.lock().push((other.addr(), table.to_owned()));
        let create = (*other).create;
        let answer = create.map_or(EINVAL, |create| {
            create(other, NOTHING.as_ptr(), ptr::null())
        });
        ASKED.lock().retain(|(session, _)| *session != other.addr());
        if let Some(close) = (*other).close {
            close(other, ptr::null());
        }
        answer
    }
}

/// The table for whose rename a create in `session` is, if it is for one.
pub fn asked_for(session: *mut Session) -> Option<String> {
    let asked = ASKED.lock();
    let asked = asked.iter().find(|(other, _)| *other == session.addr());
    asked.map(|(_, table)| table.clone())
}

/// What such a create does.
pub fn prepare(host: &Wired, session: SessionHandle, table: &str) -> Result<()> {
    for kind in [c"colgroup:", c"index:"] {
        for (name, entry) in host.metadata_of(session, kind)? {
            if let Some(entry) = renamable(table, &name, &entry)? {
                host.insert_metadata(session, &name, &entry)?;
            }
        }
    }
    Ok(())
}
