//! `WT_CURSOR`, its private part included: a data source makes these itself.
#![expect(
    missing_docs,
    reason = "the fields are WiredTiger's methods, documented there"
)]

use std::ffi::{c_char, c_int, c_void};
use std::mem::{offset_of, size_of};

use super::{Item, Modify, Session};

/// A method that takes the cursor alone.
type OnCursor = method!(fn(*mut Cursor) -> c_int);

/// `WT_CURSOR`: a position in a table, and what can be done there.
#[repr(C)]
#[derive(Debug)]
pub struct Cursor {
    pub session: *mut Session,
    pub uri: *const c_char,
    pub key_format: *const c_char,
    pub value_format: *const c_char,

    pub get_key: method!(fn(*mut Cursor, ...) -> c_int),
    pub get_value: method!(fn(*mut Cursor, ...) -> c_int),
    pub set_key: method!(fn(*mut Cursor, ...)),
    pub set_value: method!(fn(*mut Cursor, ...)),
    pub compare: method!(fn(*mut Cursor, *mut Cursor, *mut c_int) -> c_int),
    pub equals: method!(fn(*mut Cursor, *mut Cursor, *mut c_int) -> c_int),
    pub next: OnCursor,
    pub prev: OnCursor,
    pub reset: OnCursor,
    pub search: OnCursor,
    pub search_near: method!(fn(*mut Cursor, *mut c_int) -> c_int),
    pub insert: OnCursor,
    pub modify: method!(fn(*mut Cursor, *mut Modify, c_int) -> c_int),
    pub update: OnCursor,
    pub remove: OnCursor,
    pub reserve: OnCursor,
    pub close: OnCursor,
    pub reconfigure: method!(fn(*mut Cursor, *const c_char) -> c_int),

    // From here on private to WiredTiger, except that a data source reads and
    // writes `recno`, `key` and `value`.
    pub cache: OnCursor,
    pub reopen: method!(fn(*mut Cursor, bool) -> c_int),
    pub uri_hash: u64,
    pub q: CursorQueue,
    pub recno: u64,
    pub raw_recno_buf: [u8; 9],
    pub json_private: *mut c_void,
    pub lang_private: *mut c_void,
    pub key: Item,
    pub value: Item,
    pub saved_err: c_int,
    pub internal_uri: *const c_char,
    /// The `WT_CURSTD_` flags.
    pub flags: u32,
}

/// The links of a cursor in its session's list.
#[repr(C)]
#[derive(Debug)]
pub struct CursorQueue {
    pub tqe_next: *mut Cursor,
    pub tqe_prev: *mut *mut Cursor,
}

const _: () = {
    assert!(size_of::<Cursor>() == 360);
    assert!(offset_of!(Cursor, key_format) == 16);
    assert!(offset_of!(Cursor, next) == 80);
    assert!(offset_of!(Cursor, search) == 104);
    assert!(offset_of!(Cursor, insert) == 120);
    assert!(offset_of!(Cursor, reserve) == 152);
    assert!(offset_of!(Cursor, close) == 160);
    assert!(offset_of!(Cursor, recno) == 216);
    assert!(offset_of!(Cursor, key) == 256);
    assert!(offset_of!(Cursor, value) == 296);
    assert!(offset_of!(Cursor, flags) == 352);
};
