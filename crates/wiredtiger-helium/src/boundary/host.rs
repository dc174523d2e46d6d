//! [`Host`] over WiredTiger's extension interface.
#![expect(unsafe_code, reason = "calls WiredTiger")]

use super::{entry::has_turtle, inside::Inside, notify::Notify, walk::Walk};
use crate::{
    config::Lookup,
    error::{Code, Error, Result},
    host::Host,
};
use heliumdb::{Isolation, host::TxnId};
use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    ptr::{self, NonNull},
    sync::Arc,
};
use wiredtiger_abi::v3_2::{
    ExtensionApi, Session, TxnNotify, WT_NOTFOUND, WT_TXN_ISO_READ_UNCOMMITTED, WT_TXN_ISO_SNAPSHOT,
};

/// A session of WiredTiger's, by name: it is only handed back to WiredTiger.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SessionHandle(NonNull<Session>);

// SAFETY: the pointer is never followed here, only compared and handed to WiredTiger by the
// thread that WiredTiger called in this session.
unsafe impl Send for SessionHandle {}
// SAFETY: as above.
unsafe impl Sync for SessionHandle {}

impl SessionHandle {
    /// The session that WiredTiger passed.
    pub fn new(session: *mut Session) -> Option<Self> {
        NonNull::new(session).map(Self)
    }

    /// The same, or the error for a null one.
    pub fn required(session: *mut Session) -> Result<Self> {
        Self::new(session).ok_or_else(|| Error::invalid("WiredTiger passed a null session"))
    }

    pub fn as_ptr(self) -> *mut Session {
        self.0.as_ptr()
    }
}

/// Declares the functions of the interface that are used, none of which may be missing.
macro_rules! calls {
    ($($name:ident: fn($($argument:ty),*) $(-> $answer:ty)?;)*) => {
        #[derive(Clone, Copy)]
        struct Calls {
            $($name: unsafe extern "C" fn($($argument),*) $(-> $answer)?,)*
        }

        impl Calls {
            fn of(api: &ExtensionApi) -> Option<Self> {
                Some(Self { $($name: api.$name?,)* })
            }
        }
    };
}

/// No file has this name.
const NOTHING: &CStr = c"file:helium_nothing.wt";
/// A table of WiredTiger's own that is there for a moment.
const PROBE: &CStr = c"file:helium_probe.wt";
const IF_ANY: &CStr = c"force=true,checkpoint_wait=false";
const IF_THERE: &CStr = c"force=true,remove_files=false,checkpoint_wait=false";

type Api = *mut ExtensionApi;

calls! {
    metadata_insert: fn(Api, *mut Session, *const c_char, *const c_char) -> c_int;
    metadata_remove: fn(Api, *mut Session, *const c_char) -> c_int;
    metadata_search: fn(Api, *mut Session, *const c_char, *mut *mut c_char) -> c_int;
    transaction_id: fn(Api, *mut Session) -> u64;
    transaction_isolation_level: fn(Api, *mut Session) -> c_int;
    transaction_notify: fn(Api, *mut Session, *mut TxnNotify) -> c_int;
    transaction_oldest: fn(Api) -> u64;
    transaction_visible: fn(Api, *mut Session, u64) -> c_int;
    strerror: fn(Api, *mut Session, c_int) -> *const c_char;
}

/// The running WiredTiger.
pub struct Wired {
    api: NonNull<ExtensionApi>,
    calls: Calls,
    notify: Arc<Notify>,
}

// SAFETY: WiredTiger's extension interface may be used from any thread.
unsafe impl Send for Wired {}
// SAFETY: as above.
unsafe impl Sync for Wired {}

unsafe extern "C" {
    fn free(memory: *mut c_void);
}

impl Wired {
    /// The WiredTiger whose interface `api` is.
    ///
    /// # Safety
    ///
    /// `api` is a connection's extension interface of release 3.2.1, and stays valid while
    /// the value is used.
    pub unsafe fn new(api: NonNull<ExtensionApi>, notify: Arc<Notify>) -> Option<Self> {
        // SAFETY: the caller vouches for it.
        let calls = Calls::of(unsafe { api.as_ref() })?;
        Some(Self { api, calls, notify })
    }

    /// The extension interface.
    pub fn api(&self) -> NonNull<ExtensionApi> {
        self.api
    }

    /// The names and texts of all metadata entries whose names begin with `kind`.
    pub fn metadata_of(
        &self,
        session: SessionHandle,
        kind: &CStr,
    ) -> Result<Vec<(String, String)>> {
        let failed = |number| self.failed(session, "a walk of the metadata", number);
        // SAFETY: the session is one that WiredTiger is calling us in.
        let mut walk = unsafe { Walk::of_metadata(session.as_ptr(), kind) }.map_err(failed)?;
        let mut entries = Vec::new();
        while let Some(entry) = walk.next().map_err(failed)? {
            if !entry.0.as_bytes().starts_with(kind.to_bytes()) {
                break;
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// A failed call's number as an error that says which call it was.
    fn failed(&self, session: SessionHandle, what: &str, number: c_int) -> Error {
        // SAFETY: the answer is a C string that lives until the session's next such call.
        let text = unsafe {
            let text = (self.calls.strerror)(self.api.as_ptr(), session.as_ptr(), number);
            (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy())
        };
        let text = text.as_deref().unwrap_or("no reason given");
        Error::new(Code::Host(number), format!("{what}: {text}"))
    }
}

impl Host for Wired {
    type Session = SessionHandle;

    fn transaction_id(&self, session: SessionHandle) -> TxnId {
        // SAFETY: the session is one that WiredTiger is calling us in.
        unsafe { (self.calls.transaction_id)(self.api.as_ptr(), session.as_ptr()) }
    }

    fn request_notification(&self, session: SessionHandle) -> Result<()> {
        let notify = Arc::as_ptr(&self.notify).cast_mut().cast();
        // SAFETY: as above; the handler lives until the connection is closed.
        let number =
            unsafe { (self.calls.transaction_notify)(self.api.as_ptr(), session.as_ptr(), notify) };
        match number {
            0 => Ok(()),
            number => Err(self.failed(
                session,
                "the transaction belongs to another data source already",
                number,
            )),
        }
    }

    fn isolation(&self, session: SessionHandle) -> Isolation {
        // SAFETY: as above.
        let level = unsafe {
            (self.calls.transaction_isolation_level)(self.api.as_ptr(), session.as_ptr())
        };
        match level {
            WT_TXN_ISO_READ_UNCOMMITTED => Isolation::ReadUncommitted,
            WT_TXN_ISO_SNAPSHOT => Isolation::Snapshot,
            _ => Isolation::ReadCommitted,
        }
    }

    fn is_visible(&self, session: SessionHandle, id: TxnId) -> bool {
        // SAFETY: as above.
        unsafe { (self.calls.transaction_visible)(self.api.as_ptr(), session.as_ptr(), id) != 0 }
    }

    fn sees_all_below(&self, session: SessionHandle, id: TxnId) -> bool {
        // SAFETY: as above.
        let inside = unsafe { Inside::of(session.as_ptr()) };
        let lowest = inside.and_then(Inside::sees_all_below);
        lowest.is_some_and(|lowest| id <= lowest)
    }

    fn ignores_prepared(&self, session: SessionHandle) -> bool {
        // SAFETY: as above.
        unsafe { Inside::of(session.as_ptr()) }.is_some_and(Inside::ignores_prepared)
    }

    fn check_writable(&self, session: SessionHandle) -> Result<()> {
        // SAFETY: as above.
        match unsafe { Inside::of(session.as_ptr()) } {
            Some(inside) if inside.is_read_only() && inside.ignores_prepared() => Err(Error::new(
                Code::Unsupported,
                "transactions with ignore_prepare=true cannot perform updates",
            )),
            Some(inside) if inside.is_read_only() => Err(Error::new(
                Code::Rollback,
                "attempt to update in a read-only transaction",
            )),
            _ => Ok(()),
        }
    }

    fn oldest(&self) -> TxnId {
        // SAFETY: the interface is valid.
        unsafe { (self.calls.transaction_oldest)(self.api.as_ptr()) }
    }

    fn metadata(&self, session: SessionHandle, uri: &str) -> Result<Option<String>> {
        let key = c_string(uri)?;
        let mut value = ptr::null_mut();
        // SAFETY: as above; on success the value is a C string that we have to free.
        let number = unsafe {
            (self.calls.metadata_search)(
                self.api.as_ptr(),
                session.as_ptr(),
                key.as_ptr(),
                &mut value,
            )
        };
        match number {
            0 if !value.is_null() => {
                // SAFETY: as above.
                let text = unsafe {
                    let text = CStr::from_ptr(value).to_string_lossy().into_owned();
                    free(value.cast());
                    text
                };
                Ok(Some(text))
            }
            0 | WT_NOTFOUND => Ok(None),
            number => Err(self.failed(session, &format!("{uri}: metadata search"), number)),
        }
    }

    fn has_index_in(&self, session: SessionHandle, uri: &str) -> Result<bool> {
        for (_, entry) in self.metadata_of(session, c"index:")? {
            let source = entry.value("source")?;
            if source.is_some_and(|source| source.text == uri) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn check_storage(&self, session: SessionHandle, config: &str) -> Result<()> {
        let config = c_string(config)?;
        let session = session.as_ptr();
        // SAFETY: as above, and it may be used meanwhile.
        let number = unsafe {
            let (create, drop) = ((*session).create, (*session).drop);
            create.zip(drop).map_or(95, |(create, drop)| {
                match create(session, PROBE.as_ptr(), config.as_ptr()) {
                    0 => drop(session, PROBE.as_ptr(), IF_ANY.as_ptr()),
                    refused => refused,
                }
            })
        };
        match number {
            0 => Ok(()),
            // WiredTiger has said why.
            number => Err(Code::Host(number).into()),
        }
    }

    fn insert_metadata(&self, session: SessionHandle, uri: &str, entry: &str) -> Result<()> {
        let (key, value) = (c_string(uri)?, c_string(entry)?);
        // SAFETY: as above.
        let number = unsafe {
            (self.calls.metadata_insert)(
                self.api.as_ptr(),
                session.as_ptr(),
                key.as_ptr(),
                value.as_ptr(),
            )
        };
        match number {
            0 => Ok(()),
            number => Err(self.failed(session, &format!("{uri}: metadata insert"), number)),
        }
    }

    fn remove_metadata(&self, session: SessionHandle, uri: &str) -> Result<()> {
        let key = c_string(uri)?;
        // SAFETY: as above.
        let number = unsafe {
            (self.calls.metadata_remove)(self.api.as_ptr(), session.as_ptr(), key.as_ptr())
        };
        match number {
            0 => Ok(()),
            number => Err(self.failed(session, &format!("{uri}: metadata remove"), number)),
        }
    }

    fn await_schema(&self, session: SessionHandle) -> bool {
        let session = session.as_ptr();
        // SAFETY: the session is one that WiredTiger is calling us in, and may be used meanwhile.
        // Dropping what is not there does nothing, under the lock that schema operations hold.
        unsafe {
            let drop = (*session).drop;
            drop.is_some_and(|drop| drop(session, NOTHING.as_ptr(), IF_THERE.as_ptr()) == 0)
        }
    }

    fn takes_checkpoints(&self, session: SessionHandle) -> bool {
        // SAFETY: a session that WiredTiger is calling us in has a connection.
        let connection = unsafe { NonNull::new((*session.as_ptr()).connection) };
        // SAFETY: as above.
        connection.is_none_or(|connection| unsafe { has_turtle(connection) })
    }

    fn message(&self, session: Option<SessionHandle>, text: &str) {
        // SAFETY: the interface is valid.
        let print = unsafe { self.api.as_ref() }.msg_printf;
        self.print(print, session, text);
    }

    fn error(&self, session: Option<SessionHandle>, text: &str) {
        // SAFETY: the interface is valid.
        let print = unsafe { self.api.as_ref() }.err_printf;
        self.print(print, session, text);
    }
}

type Printf = unsafe extern "C" fn(Api, *mut Session, *const c_char, ...) -> c_int;

impl Wired {
    fn print(&self, print: Option<Printf>, session: Option<SessionHandle>, text: &str) {
        let Some(print) = print else { return };
        // A text with a zero in it cannot be one of ours; what is before it is still told.
        let line: Vec<u8> = text.bytes().take_while(|&byte| byte != 0).collect();
        let line = CString::new(line).unwrap_or_default();
        let session = session.map_or(ptr::null_mut(), SessionHandle::as_ptr);
        // SAFETY: the format takes exactly one C string.
        unsafe {
            print(
                self.api.as_ptr(),
                session,
                c"helium: %s".as_ptr(),
                line.as_ptr(),
            )
        };
    }
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::invalid("a text for WiredTiger has a zero byte in it"))
}
