//! `WT_SESSION`.
#![expect(
    missing_docs,
    reason = "the fields are WiredTiger's methods, documented there"
)]

use std::ffi::{c_char, c_int, c_void};
use std::mem::{offset_of, size_of};

use super::{Connection, Cursor};

/// A method that takes a URI and a configuration.
type OnUri = method!(fn(*mut Session, *const c_char, *const c_char) -> c_int);
/// A method that takes a configuration alone.
type OnSession = method!(fn(*mut Session, *const c_char) -> c_int);

/// `WT_SESSION`: one thread's view of a connection.
#[repr(C)]
#[derive(Debug)]
pub struct Session {
    pub connection: *mut Connection,
    pub app_private: *mut c_void,
    pub close: OnSession,
    pub reconfigure: OnSession,
    pub strerror: method!(fn(*mut Session, c_int) -> *const c_char),
    /// URI, cursor to duplicate, configuration, answer.
    pub open_cursor: method!(
        fn(*mut Session, *const c_char, *mut Cursor, *const c_char, *mut *mut Cursor) -> c_int
    ),
    pub alter: OnUri,
    pub create: OnUri,
    pub import: OnUri,
    pub compact: OnUri,
    pub drop: OnUri,
    pub join: method!(fn(*mut Session, *mut Cursor, *mut Cursor, *const c_char) -> c_int),
    pub log_flush: OnSession,
    pub log_printf: method!(fn(*mut Session, *const c_char, ...) -> c_int),
    pub rebalance: OnUri,
    /// URI, new URI, configuration.
    pub rename: method!(fn(*mut Session, *const c_char, *const c_char, *const c_char) -> c_int),
    pub reset: method!(fn(*mut Session) -> c_int),
    pub salvage: OnUri,
    /// URI or null, start or null, stop or null, configuration.
    pub truncate:
        method!(fn(*mut Session, *const c_char, *mut Cursor, *mut Cursor, *const c_char) -> c_int),
    pub upgrade: OnUri,
    pub verify: OnUri,
    pub begin_transaction: OnSession,
    pub commit_transaction: OnSession,
    pub prepare_transaction: OnSession,
    pub rollback_transaction: OnSession,
    pub timestamp_transaction: OnSession,
    pub query_timestamp: method!(fn(*mut Session, *mut c_char, *const c_char) -> c_int),
    pub checkpoint: OnSession,
    pub snapshot: OnSession,
    pub transaction_pinned_range: method!(fn(*mut Session, *mut u64) -> c_int),
    pub transaction_sync: OnSession,
    pub breakpoint: method!(fn(*mut Session) -> c_int),
}

const _: () = {
    assert!(size_of::<Session>() == 256);
    assert!(offset_of!(Session, open_cursor) == 40);
    assert!(offset_of!(Session, begin_transaction) == 168);
    assert!(offset_of!(Session, commit_transaction) == 176);
    assert!(offset_of!(Session, rollback_transaction) == 192);
};
