//! `WT_CONNECTION`, `WT_EVENT_HANDLER` and the function that opens a connection.
#![expect(
    missing_docs,
    reason = "the fields are WiredTiger's methods, documented there"
)]

use std::ffi::{c_char, c_int, c_void};
use std::mem::{offset_of, size_of};

use super::{Cursor, DataSource, ExtensionApi, Session};

/// `WT_CONNECTION`: an open database.
#[repr(C)]
#[derive(Debug)]
pub struct Connection {
    pub async_flush: method!(fn(*mut Connection) -> c_int),
    pub async_new_op: method!(
        fn(*mut Connection, *const c_char, *const c_char, *mut c_void, *mut *mut c_void) -> c_int
    ),
    pub close: method!(fn(*mut Connection, *const c_char) -> c_int),
    pub debug_info: method!(fn(*mut Connection, *const c_char) -> c_int),
    pub reconfigure: method!(fn(*mut Connection, *const c_char) -> c_int),
    pub get_home: method!(fn(*mut Connection) -> *const c_char),
    /// Adds a key to a method's configuration: method, URI prefix, key=default, type, check.
    pub configure_method: method!(
        fn(
            *mut Connection,
            *const c_char,
            *const c_char,
            *const c_char,
            *const c_char,
            *const c_char,
        ) -> c_int
    ),
    pub is_new: method!(fn(*mut Connection) -> c_int),
    pub open_session:
        method!(fn(*mut Connection, *mut EventHandler, *const c_char, *mut *mut Session) -> c_int),
    pub query_timestamp: method!(fn(*mut Connection, *mut c_char, *const c_char) -> c_int),
    pub set_timestamp: method!(fn(*mut Connection, *const c_char) -> c_int),
    pub rollback_to_stable: method!(fn(*mut Connection, *const c_char) -> c_int),
    pub load_extension: method!(fn(*mut Connection, *const c_char, *const c_char) -> c_int),
    pub add_data_source:
        method!(fn(*mut Connection, *const c_char, *mut DataSource, *const c_char) -> c_int),
    pub add_collator:
        method!(fn(*mut Connection, *const c_char, *mut c_void, *const c_char) -> c_int),
    pub add_compressor:
        method!(fn(*mut Connection, *const c_char, *mut c_void, *const c_char) -> c_int),
    pub add_encryptor:
        method!(fn(*mut Connection, *const c_char, *mut c_void, *const c_char) -> c_int),
    pub add_extractor:
        method!(fn(*mut Connection, *const c_char, *mut c_void, *const c_char) -> c_int),
    pub set_file_system: method!(fn(*mut Connection, *mut c_void, *const c_char) -> c_int),
    pub get_extension_api: method!(fn(*mut Connection) -> *mut ExtensionApi),
}

/// `WT_EVENT_HANDLER`: where messages and errors go. A null method means WiredTiger's own.
#[repr(C)]
#[derive(Debug)]
pub struct EventHandler {
    pub handle_error: method!(fn(*mut EventHandler, *mut Session, c_int, *const c_char) -> c_int),
    pub handle_message: method!(fn(*mut EventHandler, *mut Session, *const c_char) -> c_int),
    pub handle_progress: method!(fn(*mut EventHandler, *mut Session, *const c_char, u64) -> c_int),
    pub handle_close: method!(fn(*mut EventHandler, *mut Session, *mut Cursor) -> c_int),
}

/// The type of the library's function `wiredtiger_open`: home, handler, configuration, answer.
pub type WiredtigerOpen = unsafe extern "C" fn(
    *const c_char,
    *mut EventHandler,
    *const c_char,
    *mut *mut Connection,
) -> c_int;

const _: () = {
    assert!(size_of::<Connection>() == 160);
    assert!(offset_of!(Connection, configure_method) == 48);
    assert!(offset_of!(Connection, open_session) == 64);
    assert!(offset_of!(Connection, add_data_source) == 104);
    assert!(offset_of!(Connection, get_extension_api) == 152);
    assert!(size_of::<EventHandler>() == 32);
};
