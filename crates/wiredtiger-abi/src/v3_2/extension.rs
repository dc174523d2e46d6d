//! `WT_EXTENSION_API`: what WiredTiger provides to an extension; and `WT_TXN_NOTIFY`.
#![expect(
    missing_docs,
    reason = "the fields are WiredTiger's methods, documented there"
)]

use std::ffi::{c_char, c_int, c_void};
use std::mem::{offset_of, size_of};

use super::{ConfigArg, ConfigItem, ConfigParser, Connection, Item, Session};

/// A message in the manner of `printf`.
type Printf = method!(fn(*mut ExtensionApi, *mut Session, *const c_char, ...) -> c_int);
/// A key and a value of the metadata.
type OnMetadata =
    method!(fn(*mut ExtensionApi, *mut Session, *const c_char, *const c_char) -> c_int);

/// `WT_EXTENSION_API`.
#[repr(C)]
#[derive(Debug)]
pub struct ExtensionApi {
    pub conn: *mut Connection,
    pub err_printf: Printf,
    pub msg_printf: Printf,
    pub strerror: method!(fn(*mut ExtensionApi, *mut Session, c_int) -> *const c_char),
    pub map_windows_error: method!(fn(*mut ExtensionApi, *mut Session, u32) -> c_int),
    pub scr_alloc: method!(fn(*mut ExtensionApi, *mut Session, usize) -> *mut c_void),
    pub scr_free: method!(fn(*mut ExtensionApi, *mut Session, *mut c_void)),
    pub collator_config: method!(
        fn(
            *mut ExtensionApi,
            *mut Session,
            *const c_char,
            *mut ConfigArg,
            *mut *mut c_void,
            *mut c_int,
        ) -> c_int
    ),
    pub collate: method!(
        fn(*mut ExtensionApi, *mut Session, *mut c_void, *mut Item, *mut Item, *mut c_int) -> c_int
    ),
    pub config_get: method!(
        fn(
            *mut ExtensionApi,
            *mut Session,
            *mut ConfigArg,
            *const c_char,
            *mut ConfigItem,
        ) -> c_int
    ),
    pub config_get_string: method!(
        fn(*mut ExtensionApi, *mut Session, *const c_char, *const c_char, *mut ConfigItem) -> c_int
    ),
    pub config_parser_open: method!(
        fn(*mut ExtensionApi, *mut Session, *const c_char, usize, *mut *mut ConfigParser) -> c_int
    ),
    pub config_parser_open_arg: method!(
        fn(*mut ExtensionApi, *mut Session, *mut ConfigArg, *mut *mut ConfigParser) -> c_int
    ),
    pub metadata_insert: OnMetadata,
    pub metadata_remove: method!(fn(*mut ExtensionApi, *mut Session, *const c_char) -> c_int),
    /// The answer is allocated with the C library's `malloc` and is the caller's to free.
    pub metadata_search:
        method!(fn(*mut ExtensionApi, *mut Session, *const c_char, *mut *mut c_char) -> c_int),
    pub metadata_update: OnMetadata,
    pub struct_pack: method!(
        fn(*mut ExtensionApi, *mut Session, *mut c_void, usize, *const c_char, ...) -> c_int
    ),
    pub struct_size:
        method!(fn(*mut ExtensionApi, *mut Session, *mut usize, *const c_char, ...) -> c_int),
    pub struct_unpack: method!(
        fn(*mut ExtensionApi, *mut Session, *const c_void, usize, *const c_char, ...) -> c_int
    ),
    pub pack_start: method!(
        fn(
            *mut ExtensionApi,
            *mut Session,
            *const c_char,
            *mut c_void,
            usize,
            *mut *mut c_void,
        ) -> c_int
    ),
    pub unpack_start: method!(
        fn(
            *mut ExtensionApi,
            *mut Session,
            *const c_char,
            *const c_void,
            usize,
            *mut *mut c_void,
        ) -> c_int
    ),
    pub pack_close: method!(fn(*mut ExtensionApi, *mut c_void, *mut usize) -> c_int),
    pub pack_item: method!(fn(*mut ExtensionApi, *mut c_void, *mut Item) -> c_int),
    pub pack_int: method!(fn(*mut ExtensionApi, *mut c_void, i64) -> c_int),
    pub pack_str: method!(fn(*mut ExtensionApi, *mut c_void, *const c_char) -> c_int),
    pub pack_uint: method!(fn(*mut ExtensionApi, *mut c_void, u64) -> c_int),
    pub unpack_item: method!(fn(*mut ExtensionApi, *mut c_void, *mut Item) -> c_int),
    pub unpack_int: method!(fn(*mut ExtensionApi, *mut c_void, *mut i64) -> c_int),
    pub unpack_str: method!(fn(*mut ExtensionApi, *mut c_void, *mut *const c_char) -> c_int),
    pub unpack_uint: method!(fn(*mut ExtensionApi, *mut c_void, *mut u64) -> c_int),
    pub transaction_id: method!(fn(*mut ExtensionApi, *mut Session) -> u64),
    pub transaction_isolation_level: method!(fn(*mut ExtensionApi, *mut Session) -> c_int),
    pub transaction_notify: method!(fn(*mut ExtensionApi, *mut Session, *mut TxnNotify) -> c_int),
    pub transaction_oldest: method!(fn(*mut ExtensionApi) -> u64),
    pub transaction_visible: method!(fn(*mut ExtensionApi, *mut Session, u64) -> c_int),
    pub version: method!(fn(*mut c_int, *mut c_int, *mut c_int) -> *const c_char),
}

/// `WT_TXN_NOTIFY`: told about the end of a transaction. Put it first in a structure of your
/// own to find your way back from the pointer.
#[repr(C)]
#[derive(Debug)]
pub struct TxnNotify {
    /// Transaction id; 1 for committed, 0 for rolled back.
    pub notify: method!(fn(*mut TxnNotify, *mut Session, u64, c_int) -> c_int),
}

const _: () = {
    assert!(size_of::<ExtensionApi>() == 296);
    assert!(offset_of!(ExtensionApi, config_get) == 72);
    assert!(offset_of!(ExtensionApi, config_parser_open_arg) == 96);
    assert!(offset_of!(ExtensionApi, metadata_insert) == 104);
    assert!(offset_of!(ExtensionApi, struct_pack) == 136);
    assert!(offset_of!(ExtensionApi, transaction_id) == 248);
    assert!(offset_of!(ExtensionApi, transaction_notify) == 264);
    assert!(offset_of!(ExtensionApi, transaction_visible) == 280);
    assert!(offset_of!(ExtensionApi, version) == 288);
    assert!(size_of::<TxnNotify>() == 8);
};
