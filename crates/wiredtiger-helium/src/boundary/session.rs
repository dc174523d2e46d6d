//! Methods of a session that are replaced: begin, commit, prepare, truncate, rename; and to open a cursor
//! ([`super::cursor::opening`]).
//!
//! WiredTiger refuses to commit or prepare a transaction in which a call failed only if it counted
//! changes of its own; ours it does not count. It begins a transaction with the snapshot that the session has if nobody
//! has changed anything of its own since. It starts the transaction of a range truncation
//! when the range's ends have been found, so that what it finds and what it removes may be of two
//! snapshots. It cannot rename a table whose parts have sources of their own ([`super::parts`]). All of it is put right around its own methods. Invariant: everything else is done by
//! WiredTiger's method, and a session whose method is somebody else's already is left alone.
#![expect(unsafe_code, reason = "replaces methods of WiredTiger's")]

use super::{
    cursor::{
        late, opening,
        range::{Extent, Truncating},
    },
    guard::EINVAL,
    inside::Inside,
    notify::Notify,
    objects, parts,
};
use crate::config::Lookup;
use std::{
    ffi::{CStr, c_char, c_int},
    ptr::{self, NonNull},
    sync::OnceLock,
};
use wiredtiger_abi::v3_2::{Connection, Cursor, EventHandler, Session};

type OnSession = unsafe extern "C" fn(*mut Session, *const c_char) -> c_int;
type Truncate = unsafe extern "C" fn(
    *mut Session,
    *const c_char,
    *mut Cursor,
    *mut Cursor,
    *const c_char,
) -> c_int;
type Rename =
    unsafe extern "C" fn(*mut Session, *const c_char, *const c_char, *const c_char) -> c_int;
type OpenSession = unsafe extern "C" fn(
    *mut Connection,
    *mut EventHandler,
    *const c_char,
    *mut *mut Session,
) -> c_int;

// WiredTiger's own methods: one for all of its sessions.
static BEGIN: OnceLock<OnSession> = OnceLock::new();
static COMMIT: OnceLock<OnSession> = OnceLock::new();
static PREPARE: OnceLock<OnSession> = OnceLock::new();
static TRUNCATE: OnceLock<Truncate> = OnceLock::new();
static RENAME: OnceLock<Rename> = OnceLock::new();

/// A connection's own method: one for all of them.
static OPEN_SESSION: OnceLock<OpenSession> = OnceLock::new();

/// Has every session that the connection opens from now on wrapped.
///
/// # Safety
///
/// `connection` is a live connection of release 3.2.1 that nobody else uses now.
pub unsafe fn wrap_all(connection: NonNull<Connection>) {
    // SAFETY: the caller vouches for it.
    let slot = unsafe { &mut (*connection.as_ptr()).open_session };
    if let Some(theirs) = *slot
        && *OPEN_SESSION.get_or_init(|| theirs) as usize == theirs as usize
    {
        *slot = Some(open_session);
    }
}

unsafe extern "C" fn open_session(
    connection: *mut Connection,
    handler: *mut EventHandler,
    config: *const c_char,
    session: *mut *mut Session,
) -> c_int {
    let Some(method) = OPEN_SESSION.get() else {
        return EINVAL;
    };
    // SAFETY: the application's pointers, handed on as they came; on success there is a session.
    unsafe {
        let answer = method(connection, handler, config, session);
        if answer == 0 && !(*session).is_null() {
            wrap(*session);
            late::forget(*session);
        }
        answer
    }
}

/// Puts our methods in front of WiredTiger's, if they are not there yet.
///
/// # Safety
///
/// `session` is a live session of release 3.2.1, and the calling thread's.
pub unsafe fn wrap(session: *mut Session) {
    /// Ours instead of theirs, if theirs is the one that all sessions have.
    macro_rules! replace {
        ($method:ident, $ours:ident as $type:ty, $original:ident) => {
            // SAFETY: the caller vouches for the session, which only this thread uses.
            let slot = unsafe { &mut (*session).$method };
            if let Some(theirs) = *slot
                && theirs as usize != $ours as $type as usize
                && *$original.get_or_init(|| theirs) as usize == theirs as usize
            {
                *slot = Some($ours);
            }
        };
    }
    replace!(begin_transaction, begin as OnSession, BEGIN);
    replace!(commit_transaction, commit as OnSession, COMMIT);
    replace!(prepare_transaction, prepare as OnSession, PREPARE);
    replace!(truncate, truncate as Truncate, TRUNCATE);
    replace!(rename, rename as Rename, RENAME);
    // SAFETY: as above.
    unsafe {
        opening::watch(session);
        objects::watch(session);
    }
}

unsafe extern "C" fn rename(
    session: *mut Session,
    uri: *const c_char,
    new_uri: *const c_char,
    config: *const c_char,
) -> c_int {
    let Some(method) = RENAME.get() else {
        return EINVAL;
    };
    // SAFETY: the application's pointers, handed on as they came.
    unsafe {
        late::bring_all(session);
        let ready = match uri.is_null() {
            true => 0,
            false => parts::make_ready(session, CStr::from_ptr(uri)),
        };
        match ready {
            0 => method(session, uri, new_uri, config),
            failed => failed,
        }
    }
}

unsafe extern "C" fn begin(session: *mut Session, config: *const c_char) -> c_int {
    // SAFETY: the application's pointers, handed on as they came.
    unsafe {
        late::bring_all(session);
        if let Some(inside) = Inside::of(session)
            && inside.has_snapshot()
            && !inside.is_running()
            && asks_for_snapshot(config).unwrap_or(inside.is_snapshot())
        {
            inside.forget_snapshot();
        }
        BEGIN.get().map_or(EINVAL, |method| method(session, config))
    }
}

/// Whether `config` asks for snapshot isolation, if it says anything about it.
///
/// # Safety
///
/// `config` is null or a C string.
unsafe fn asks_for_snapshot(config: *const c_char) -> Option<bool> {
    if config.is_null() {
        return None;
    }
    // SAFETY: the caller vouches for it.
    let config = unsafe { CStr::from_ptr(config) }.to_str().ok()?;
    let isolation = config.value("isolation").ok()??;
    Some(isolation.text == "snapshot")
}

unsafe extern "C" fn commit(session: *mut Session, config: *const c_char) -> c_int {
    // SAFETY: the application's pointers, handed on as they came.
    unsafe { unless_failed(session, config, &COMMIT) }
}

unsafe extern "C" fn prepare(session: *mut Session, config: *const c_char) -> c_int {
    // SAFETY: as above.
    unsafe {
        let answer = unless_failed(session, config, &PREPARE);
        let inside = Inside::of(session).filter(|_| answer == 0);
        if let Some(notify) = inside.and_then(|inside| Notify::of(inside.notify())) {
            notify.tell_prepared(session);
        }
        answer
    }
}

/// # Safety
///
/// As for the method.
unsafe fn unless_failed(
    session: *mut Session,
    config: *const c_char,
    method: &OnceLock<OnSession>,
) -> c_int {
    // SAFETY: the caller vouches for it.
    unsafe {
        late::bring_all(session);
        // One with changes of its own WiredTiger refuses itself.
        if let Some(inside) = Inside::of(session)
            && inside.has_failed()
            && !inside.has_own_changes()
            && Notify::of(inside.notify()).is_some_and(|notify| notify.refuses(session))
        {
            return EINVAL;
        }
        method
            .get()
            .map_or(EINVAL, |method| method(session, config))
    }
}

unsafe extern "C" fn truncate(
    session: *mut Session,
    uri: *const c_char,
    start: *mut Cursor,
    stop: *mut Cursor,
    config: *const c_char,
) -> c_int {
    let Some(method) = TRUNCATE.get() else {
        return EINVAL;
    };
    // SAFETY: the application's pointers, handed on as they came.
    unsafe {
        late::bring_all(session);
        if !uri.is_null() {
            let _truncating = Truncating::begin(session, Extent::Whole, [ptr::null_mut(); 2]);
            return method(session, uri, start, stop, config);
        }
        let ends = [start, stop];
        if ends
            .iter()
            .all(|&cursor| starts_with(cursor, &[b"file:", b"lsm:"]))
        {
            return method(session, uri, start, stop, config);
        }
        let extent = match ends
            .iter()
            .all(|&cursor| starts_with(cursor, &[b"helium:"]))
        {
            true => Extent::OfObject,
            false => Extent::OfTable,
        };
        let _truncating = Truncating::begin(session, extent, ends);
        in_one_snapshot(session, || method(session, uri, start, stop, config))
    }
}

/// Whether `cursor` is none, or one of an object whose name begins so.
///
/// # Safety
///
/// `cursor` is null or a live cursor.
unsafe fn starts_with(cursor: *mut Cursor, prefixes: &[&[u8]]) -> bool {
    // SAFETY: the caller vouches for it.
    unsafe {
        if cursor.is_null() || (*cursor).internal_uri.is_null() {
            return true;
        }
        let uri = CStr::from_ptr((*cursor).internal_uri).to_bytes();
        prefixes.iter().any(|prefix| uri.starts_with(prefix))
    }
}

/// Does `work` in the session's transaction, or, at snapshot isolation, in one that begins here.
///
/// # Safety
///
/// `session` is a live session of release 3.2.1.
unsafe fn in_one_snapshot(session: *mut Session, work: impl FnOnce() -> c_int) -> c_int {
    // SAFETY: the caller vouches for it.
    unsafe {
        let begins = Inside::of(session).is_some_and(|i| !i.is_running() && i.is_snapshot());
        let methods = (
            (*session).begin_transaction,
            (*session).commit_transaction,
            (*session).rollback_transaction,
        );
        let (true, (Some(begin), Some(commit), Some(roll_back))) = (begins, methods) else {
            return work();
        };
        match begin(session, ptr::null()) {
            0 => {}
            refused => return refused,
        }
        match work() {
            0 => commit(session, ptr::null()),
            failed => {
                roll_back(session, ptr::null());
                failed
            }
        }
    }
}
