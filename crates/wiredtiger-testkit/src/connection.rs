//! An open database.
//!
//! Invariant: the C connection is live from `open` to `close`, and its handler
//! longer than that.
#![expect(unsafe_code, reason = "calls WiredTiger's methods")]

use std::ffi::CString;
use std::path::Path;
use std::ptr::{self, NonNull};

use wiredtiger_abi::v3_2 as wt;

use crate::error::check;
use crate::events::{Event, EventKind, HandlerBox};
use crate::{Code, Error, Library, Result, Session};

/// An open database, for any number of threads.
pub struct Connection {
    raw: NonNull<wt::Connection>,
    handler: HandlerBox,
}

// SAFETY: WiredTiger documents connection handles as shareable by threads; the handler is too.
unsafe impl Send for Connection {}
// SAFETY: as above.
unsafe impl Sync for Connection {}

impl Connection {
    /// Opens the database in a folder. The error carries what was said about it.
    pub fn open(home: &Path, config: &str) -> Result<Self> {
        let call = || format!("wiredtiger_open {} {config}", home.display());
        let library = Library::load().map_err(|why| Error {
            code: Code::ENOENT,
            call: call(),
            messages: vec![why],
        })?;
        let home = c_string(home.as_os_str().to_string_lossy().as_ref())?;
        let config_c = c_string(config)?;
        let handler = HandlerBox::new();
        let mut raw = ptr::null_mut();
        // SAFETY: all strings are alive, and the handler until after the connection is closed.
        let answer =
            unsafe { (library.open)(home.as_ptr(), handler.as_ptr(), config_c.as_ptr(), &mut raw) };
        match (Code(answer), NonNull::new(raw)) {
            (Code::OK, Some(raw)) => Ok(Self { raw, handler }),
            (code, _) => Err(Error {
                code,
                call: call(),
                messages: handler.take().into_iter().map(|event| event.text).collect(),
            }),
        }
    }

    /// A session with the default isolation.
    pub fn session(&self) -> Result<Session<'_>> {
        self.session_with("")
    }

    /// A session with a configuration, such as `isolation=snapshot`.
    pub fn session_with(&self, config: &str) -> Result<Session<'_>> {
        let config_c = c_string(config)?;
        let mut session = ptr::null_mut();
        // SAFETY: the connection is live, the string too.
        let answer = unsafe {
            method(self.methods().open_session)?(
                self.raw.as_ptr(),
                ptr::null_mut(),
                config_c.as_ptr(),
                &mut session,
            )
        };
        check(answer, || format!("open_session {config}"))?;
        // SAFETY: WiredTiger made this session and gives it to us alone.
        unsafe { Session::from_raw(session) }
    }

    /// Loads an extension into the open database.
    pub fn load_extension(&self, path: &Path, config: &str) -> Result<()> {
        let path_c = c_string(path.to_string_lossy().as_ref())?;
        let config_c = c_string(config)?;
        // SAFETY: the connection is live, the strings too.
        let answer = unsafe {
            method(self.methods().load_extension)?(
                self.raw.as_ptr(),
                path_c.as_ptr(),
                config_c.as_ptr(),
            )
        };
        check(answer, || {
            format!("load_extension {} {config}", path.display())
        })
    }

    /// Sets the stable and oldest timestamps, such as `oldest_timestamp=5`.
    pub fn set_timestamp(&self, config: &str) -> Result<()> {
        self.with_config(self.methods().set_timestamp, "set_timestamp", config)
    }

    /// Changes the configuration of the open database.
    pub fn reconfigure(&self, config: &str) -> Result<()> {
        self.with_config(self.methods().reconfigure, "reconfigure", config)
    }

    /// Everything said so far and not taken.
    pub fn events(&self) -> Vec<Event> {
        self.handler.events()
    }

    /// Everything said since the last time, and forgets it.
    pub fn take_events(&self) -> Vec<Event> {
        self.handler.take()
    }

    /// The texts of the errors among the events so far.
    pub fn errors(&self) -> Vec<String> {
        let events = self.handler.events().into_iter();
        events
            .filter(|event| event.kind != EventKind::Message)
            .map(|event| event.text)
            .collect()
    }

    /// Closes the database. Sessions that were forgotten are closed by WiredTiger.
    pub fn close(self) -> Result<()> {
        self.close_with("")
    }

    /// Closes the database with a configuration, such as `leak_memory`.
    pub fn close_with(self, config: &str) -> Result<()> {
        let answer = self.with_config(self.methods().close, "close", config);
        let mut this = std::mem::ManuallyDrop::new(self);
        // SAFETY: the handler is dropped once: `this` is never dropped.
        unsafe { ptr::drop_in_place(&mut this.handler) };
        answer
    }

    fn with_config(
        &self,
        call: Option<unsafe extern "C" fn(*mut wt::Connection, *const std::ffi::c_char) -> i32>,
        name: &str,
        config: &str,
    ) -> Result<()> {
        let config_c = c_string(config)?;
        // SAFETY: the connection is live, the string too.
        let answer = unsafe { method(call)?(self.raw.as_ptr(), config_c.as_ptr()) };
        check(answer, || format!("{name} {config}"))
    }

    fn methods(&self) -> &wt::Connection {
        // SAFETY: live until close. An extension may replace methods, but not while others call.
        unsafe { self.raw.as_ref() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Err(error) = self.with_config(self.methods().close, "close", "") {
            eprintln!("{error}");
        }
    }
}

/// A method of a C table, or the error that there is none.
pub(crate) fn method<F>(slot: Option<F>) -> Result<F> {
    slot.ok_or_else(|| Error::new(Code::ENOTSUP, "WiredTiger's table has no such method"))
}

/// A C string, or the error that the text has a zero inside.
pub(crate) fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::new(Code::EINVAL, "a string with a zero inside"))
}
