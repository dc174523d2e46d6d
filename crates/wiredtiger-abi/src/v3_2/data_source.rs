//! `WT_DATA_SOURCE`: what an extension provides.
#![expect(
    missing_docs,
    reason = "the fields are WiredTiger's methods, documented there"
)]

use std::ffi::{c_char, c_int};
use std::mem::{offset_of, size_of};

use super::{ConfigArg, Cursor, Session};

/// A method that takes a URI and a configuration.
type OnUri = method!(fn(*mut DataSource, *mut Session, *const c_char, *mut ConfigArg) -> c_int);

/// `WT_DATA_SOURCE`: the methods of a data source. A null method means "not supported".
#[repr(C)]
#[derive(Debug)]
pub struct DataSource {
    /// Never called by this release.
    pub alter: OnUri,
    pub create: OnUri,
    pub compact: OnUri,
    pub drop: OnUri,
    pub open_cursor: method!(
        fn(*mut DataSource, *mut Session, *const c_char, *mut ConfigArg, *mut *mut Cursor) -> c_int
    ),
    /// URI, new URI, configuration.
    pub rename: method!(
        fn(*mut DataSource, *mut Session, *const c_char, *const c_char, *mut ConfigArg) -> c_int
    ),
    pub salvage: OnUri,
    /// Only for LSM trees. The answer is an `off_t`.
    pub size: method!(fn(*mut DataSource, *mut Session, *const c_char, *mut i64) -> c_int),
    /// Best left null: WiredTiger then removes row by row inside a transaction.
    pub truncate: OnUri,
    /// Best left null, as `truncate`.
    pub range_truncate:
        method!(fn(*mut DataSource, *mut Session, *mut Cursor, *mut Cursor) -> c_int),
    pub verify: OnUri,
    pub checkpoint: method!(fn(*mut DataSource, *mut Session, *mut ConfigArg) -> c_int),
    pub terminate: method!(fn(*mut DataSource, *mut Session) -> c_int),
    /// Only for LSM trees.
    pub lsm_pre_merge: method!(fn(*mut DataSource, *mut Cursor, *mut Cursor) -> c_int),
}

const _: () = {
    assert!(size_of::<DataSource>() == 112);
    assert!(offset_of!(DataSource, create) == 8);
    assert!(offset_of!(DataSource, open_cursor) == 32);
    assert!(offset_of!(DataSource, checkpoint) == 88);
    assert!(offset_of!(DataSource, terminate) == 96);
};
