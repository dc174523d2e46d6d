//! What comes of the application's call to open a cursor.
//!
//! WiredTiger opens cursors of ours for its own cursors on tables, indices and dumps too. Invariant: a cursor is known as
//! one that the application itself calls only if WiredTiger has handed out its wrapper, or a dump that has nothing else in between.
//!
//! WiredTiger 3.2.1 crashes at the session's end if opening a cursor with `dump=` fails in a data source. So a refused
//! one is opened, is closed when WiredTiger has handed it out, and the call answers what it was refused with.
//! The cursor on an index's entries that a dump needs is opened without that word.

use super::{Handle, late};
use crate::{boundary::guard::EINVAL, config::Lookup};
use parking_lot::Mutex;
use std::{
    ffi::{CStr, c_char, c_int},
    mem::size_of,
    ptr,
    sync::OnceLock,
};
use wiredtiger_abi::v3_2::{Cursor as WtCursor, Session, WT_CURSTD_DUMP_HEX, WT_CURSTD_DUMP_PRINT};

type Open = unsafe extern "C" fn(
    *mut Session,
    *const c_char,
    *mut WtCursor,
    *const c_char,
    *mut *mut WtCursor,
) -> c_int;

/// WiredTiger's own method: one for all of its sessions.
static OPEN: OnceLock<Open> = OnceLock::new();
/// The calls that are under way.
static CALLS: Mutex<Vec<Call>> = Mutex::new(Vec::new());

/// One call: the cursors of ours that were opened in it.
struct Call {
    session: usize,
    dumps: bool,
    refusal: Option<c_int>,
    /// The last one, if it was the only one.
    handle: usize,
    count: usize,
}

/// Puts ours in front of WiredTiger's method to open a cursor, if it is not there yet.
///
/// # Safety
///
/// `session` is a live session of release 3.2.1, and the calling thread's.
pub unsafe fn watch(session: *mut Session) {
    // SAFETY: the caller vouches for it.
    let slot = unsafe { &mut (*session).open_cursor };
    if let Some(theirs) = *slot
        && theirs as usize != open_cursor as Open as usize
    {
        // What it has opened before is not known.
        // SAFETY: as above.
        unsafe { late::mark_mixed(session) };
        if *OPEN.get_or_init(|| theirs) as usize == theirs as usize {
            *slot = Some(open_cursor);
        }
    }
}

/// Whether a cursor that is being opened in `session` is for a dump.
pub fn is_for_dump(session: *mut Session) -> bool {
    let calls = CALLS.lock();
    let call = calls
        .iter()
        .rev()
        .find(|call| call.session == session.addr());
    call.is_some_and(|call| call.dumps)
}

/// # Safety
///
/// `config` is null or a C string.
unsafe fn dumps(config: *const c_char) -> bool {
    if config.is_null() {
        return false;
    }
    // SAFETY: the caller vouches for it.
    let config = unsafe { CStr::from_ptr(config) }
        .to_str()
        .unwrap_or_default();
    let dump = config.value("dump").ok().flatten();
    dump.is_some_and(|format| !format.text.is_empty())
}

/// A cursor of ours is opened, or one that answers nothing but `refusal`.
pub(super) fn note(session: *mut Session, handle: *mut Handle, refusal: Option<c_int>) {
    let mut calls = CALLS.lock();
    let call = calls
        .iter_mut()
        .rev()
        .find(|call| call.session == session.addr());
    if let Some(call) = call {
        call.refusal = call.refusal.or(refusal);
        call.handle = handle.addr();
        call.count += 1;
    }
}

unsafe extern "C" fn open_cursor(
    session: *mut Session,
    uri: *const c_char,
    to_dup: *mut WtCursor,
    config: *const c_char,
    opened: *mut *mut WtCursor,
) -> c_int {
    let Some(theirs) = OPEN.get() else {
        return EINVAL;
    };
    CALLS.lock().push(Call {
        session: session.addr(),
        // SAFETY: the application's pointer.
        dumps: unsafe { dumps(config) },
        refusal: None,
        handle: 0,
        count: 0,
    });
    // SAFETY: the application's pointers, handed on as they came; what WiredTiger has opened is live.
    unsafe {
        let answer = theirs(session, uri, to_dup, config, opened);
        let call = {
            let mut calls = CALLS.lock();
            let last = calls
                .iter()
                .rposition(|call| call.session == session.addr());
            last.map(|last| calls.remove(last))
        };
        let Some(call) = call.filter(|call| call.count > 0) else {
            if answer == 0 && !opened.is_null() && writes(*opened) {
                late::mark_mixed(session);
            }
            return answer;
        };
        if answer != 0 || opened.is_null() {
            return call.refusal.unwrap_or(answer);
        }
        let cursor = *opened;
        if let Some(refusal) = call.refusal {
            *opened = ptr::null_mut();
            if let Some(close) = (*cursor).close {
                close(cursor);
            }
            return refusal;
        }
        let inner = innermost(cursor);
        if call.count == 1
            && let Some(this) = super::outer::handle_if_ours(inner)
            && this.addr() == call.handle
        {
            (*this).is_direct = true;
        } else {
            late::mark_mixed(session);
        }
        0
    }
}

/// Whether a cursor of WiredTiger's may write.
///
/// # Safety
///
/// `cursor` is live.
unsafe fn writes(cursor: *mut WtCursor) -> bool {
    // SAFETY: the caller vouches for it.
    unsafe {
        let uri = (*cursor).uri;
        let reads = |uri: &[u8]| uri.starts_with(b"metadata:") || uri.starts_with(b"statistics:");
        uri.is_null() || !reads(CStr::from_ptr(uri).to_bytes())
    }
}

/// The cursor that a dump of bytes reads from, or the cursor itself.
///
/// # Safety
///
/// `cursor` is live.
unsafe fn innermost(cursor: *mut WtCursor) -> *mut WtCursor {
    // SAFETY: the caller vouches for it. What has such a flag and was handed out is WiredTiger's cursor for dumps, with
    // the cursor that it reads from right behind its public part.
    unsafe {
        match (*cursor).flags & (WT_CURSTD_DUMP_HEX | WT_CURSTD_DUMP_PRINT) {
            0 => cursor,
            _ => *cursor.wrapping_byte_add(size_of::<WtCursor>()).cast(),
        }
    }
}
