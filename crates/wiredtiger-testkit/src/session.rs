//! One thread's view of a database.
//!
//! Invariant: the C session is live until dropped; it may move to another thread
//! but is never used by two at once (`Send`, not `Sync`).
#![expect(unsafe_code, reason = "calls WiredTiger's methods")]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use wiredtiger_abi::v3_2 as wt;

use crate::connection::{c_string, method};
use crate::error::check;
use crate::{Code, Connection, Cursor, Error, Result};

type OnUri = Option<unsafe extern "C" fn(*mut wt::Session, *const c_char, *const c_char) -> c_int>;
type OnSession = Option<unsafe extern "C" fn(*mut wt::Session, *const c_char) -> c_int>;

/// One thread's view of a database.
pub struct Session<'connection> {
    raw: NonNull<wt::Session>,
    connection: PhantomData<(&'connection Connection, Cell<()>)>,
}

// SAFETY: WiredTiger allows a session in any one thread at a time; its cursors borrow it, so
// that none stays behind when it moves.
unsafe impl Send for Session<'_> {}

impl<'connection> Session<'connection> {
    /// # Safety
    ///
    /// `raw` is null or a fresh session of a connection that outlives `'connection`.
    pub(crate) unsafe fn from_raw(raw: *mut wt::Session) -> Result<Session<'connection>> {
        let raw = NonNull::new(raw).ok_or_else(|| Error::new(Code::ERROR, "a null session"))?;
        Ok(Session {
            raw,
            connection: PhantomData,
        })
    }

    /// Makes a table or another object.
    pub fn create(&self, uri: &str, config: &str) -> Result<()> {
        self.on_uri(self.methods().create, "create", uri, config)
    }

    /// Removes an object.
    pub fn drop(&self, uri: &str, config: &str) -> Result<()> {
        self.on_uri(self.methods().drop, "drop", uri, config)
    }

    /// Gives an object another name.
    pub fn rename(&self, uri: &str, new_uri: &str) -> Result<()> {
        let (from, to) = (c_string(uri)?, c_string(new_uri)?);
        // SAFETY: the session is live, the strings too.
        let answer = unsafe {
            method(self.methods().rename)?(
                self.raw.as_ptr(),
                from.as_ptr(),
                to.as_ptr(),
                ptr::null(),
            )
        };
        check(answer, || format!("rename {uri} {new_uri}"))
    }

    /// Changes an object's configuration.
    pub fn alter(&self, uri: &str, config: &str) -> Result<()> {
        self.on_uri(self.methods().alter, "alter", uri, config)
    }

    /// Gives space back.
    pub fn compact(&self, uri: &str) -> Result<()> {
        self.compact_with(uri, "")
    }

    /// Gives space back, configured.
    pub fn compact_with(&self, uri: &str, config: &str) -> Result<()> {
        self.on_uri(self.methods().compact, "compact", uri, config)
    }

    /// Rescues what can be read.
    pub fn salvage(&self, uri: &str) -> Result<()> {
        self.on_uri(self.methods().salvage, "salvage", uri, "")
    }

    /// Brings an object to the newest format.
    pub fn upgrade(&self, uri: &str) -> Result<()> {
        self.on_uri(self.methods().upgrade, "upgrade", uri, "")
    }

    /// Checks an object.
    pub fn verify(&self, uri: &str) -> Result<()> {
        self.on_uri(self.methods().verify, "verify", uri, "")
    }

    /// Empties an object.
    pub fn truncate(&self, uri: &str) -> Result<()> {
        let uri_c = c_string(uri)?;
        // SAFETY: the session is live, the string too; null cursors mean the whole object.
        let answer = unsafe {
            method(self.methods().truncate)?(
                self.raw.as_ptr(),
                uri_c.as_ptr(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null(),
            )
        };
        check(answer, || format!("truncate {uri}"))
    }

    /// Removes what lies from one cursor to another, both included; at least one is given.
    pub fn truncate_range(&self, start: Option<&Cursor>, stop: Option<&Cursor>) -> Result<()> {
        let raw = |cursor: Option<&Cursor>| cursor.map_or(ptr::null_mut(), Cursor::as_ptr);
        let foreign = |cursor: &Cursor| !cursor.belongs_to(self.raw);
        if start.is_some_and(foreign) || stop.is_some_and(foreign) {
            return Err(Error::new(
                Code::EINVAL,
                "truncate with a cursor of another session",
            ));
        }
        // SAFETY: the session is live and the cursors are its own.
        let answer = unsafe {
            method(self.methods().truncate)?(
                self.raw.as_ptr(),
                ptr::null(),
                raw(start),
                raw(stop),
                ptr::null(),
            )
        };
        check(answer, || "truncate a range".to_owned())
    }

    /// Opens a cursor.
    pub fn cursor(&self, uri: &str, config: &str) -> Result<Cursor<'_>> {
        let uri_c = c_string(uri)?;
        self.open_cursor(Some(&uri_c), None, config, || {
            format!("open_cursor {uri} {config}")
        })
    }

    /// Opens a second cursor at the place of a first.
    pub fn duplicate(&self, cursor: &Cursor<'_>, config: &str) -> Result<Cursor<'_>> {
        self.open_cursor(None, Some(cursor), config, || {
            format!("duplicate a cursor {config}")
        })
    }

    /// Adds a cursor on a table or index, where it stands, to a join, such as with `compare=ge`. Both have to
    /// stay open as long as the join is used.
    pub fn join(&self, join: &Cursor<'_>, with: &Cursor<'_>, config: &str) -> Result<()> {
        if !join.belongs_to(self.raw) || !with.belongs_to(self.raw) {
            return Err(Error::new(
                Code::EINVAL,
                "join with a cursor of another session",
            ));
        }
        let config_c = c_string(config)?;
        // SAFETY: the session is live, the string too, and the cursors are its own.
        let answer = unsafe {
            method(self.methods().join)?(
                self.raw.as_ptr(),
                join.as_ptr(),
                with.as_ptr(),
                config_c.as_ptr(),
            )
        };
        check(answer, || format!("join {config}"))
    }

    /// Starts a transaction.
    pub fn begin(&self, config: &str) -> Result<()> {
        self.on_session(
            self.methods().begin_transaction,
            "begin_transaction",
            config,
        )
    }

    /// Commits the transaction.
    pub fn commit(&self) -> Result<()> {
        self.commit_with("")
    }

    /// Commits the transaction with a configuration, such as `commit_timestamp=a`.
    pub fn commit_with(&self, config: &str) -> Result<()> {
        self.on_session(
            self.methods().commit_transaction,
            "commit_transaction",
            config,
        )
    }

    /// Rolls the transaction back.
    pub fn rollback(&self) -> Result<()> {
        self.on_session(
            self.methods().rollback_transaction,
            "rollback_transaction",
            "",
        )
    }

    /// Prepares the transaction: `prepare_timestamp=` is needed.
    pub fn prepare(&self, config: &str) -> Result<()> {
        self.on_session(
            self.methods().prepare_transaction,
            "prepare_transaction",
            config,
        )
    }

    /// Sets a timestamp of the transaction.
    pub fn timestamp(&self, config: &str) -> Result<()> {
        self.on_session(
            self.methods().timestamp_transaction,
            "timestamp_transaction",
            config,
        )
    }

    /// Writes a checkpoint.
    pub fn checkpoint(&self, config: &str) -> Result<()> {
        self.on_session(self.methods().checkpoint, "checkpoint", config)
    }

    /// Changes the session's configuration, such as `isolation=snapshot`.
    pub fn reconfigure(&self, config: &str) -> Result<()> {
        self.on_session(self.methods().reconfigure, "reconfigure", config)
    }

    /// Resets every cursor of the session.
    pub fn reset(&self) -> Result<()> {
        // SAFETY: the session is live.
        let answer = unsafe { method(self.methods().reset)?(self.raw.as_ptr()) };
        check(answer, || "session reset".to_owned())
    }

    /// Closes the session. Cursors that were forgotten are closed by WiredTiger.
    pub fn close(self) -> Result<()> {
        let this = std::mem::ManuallyDrop::new(self);
        this.on_session(this.methods().close, "session close", "")
    }

    /// What an error code means, in WiredTiger's words.
    pub fn explain(&self, code: Code) -> String {
        let Some(strerror) = self.methods().strerror else {
            return code.to_string();
        };
        // SAFETY: the session is live; the answer is a C string good until the next call.
        unsafe { CStr::from_ptr(strerror(self.raw.as_ptr(), code.0)) }
            .to_string_lossy()
            .into_owned()
    }

    fn open_cursor(
        &self,
        uri: Option<&CStr>,
        duplicate: Option<&Cursor<'_>>,
        config: &str,
        call: impl FnOnce() -> String,
    ) -> Result<Cursor<'_>> {
        let config_c = c_string(config)?;
        let mut cursor = ptr::null_mut();
        // SAFETY: the session is live, the strings and the cursor too.
        let answer = unsafe {
            method(self.methods().open_cursor)?(
                self.raw.as_ptr(),
                uri.map_or(ptr::null(), CStr::as_ptr),
                duplicate.map_or(ptr::null_mut(), Cursor::as_ptr),
                config_c.as_ptr(),
                &mut cursor,
            )
        };
        check(answer, call)?;
        // SAFETY: WiredTiger made this cursor and gives it to us alone.
        unsafe { Cursor::from_raw(cursor) }
    }

    fn on_uri(&self, call: OnUri, name: &str, uri: &str, config: &str) -> Result<()> {
        let (uri_c, config_c) = (c_string(uri)?, c_string(config)?);
        // SAFETY: the session is live, the strings too.
        let answer = unsafe { method(call)?(self.raw.as_ptr(), uri_c.as_ptr(), config_c.as_ptr()) };
        check(answer, || format!("{name} {uri} {config}"))
    }

    fn on_session(&self, call: OnSession, name: &str, config: &str) -> Result<()> {
        let config_c = c_string(config)?;
        // SAFETY: the session is live, the string too.
        let answer = unsafe { method(call)?(self.raw.as_ptr(), config_c.as_ptr()) };
        check(answer, || format!("{name} {config}"))
    }

    fn methods(&self) -> &wt::Session {
        // SAFETY: live until drop.
        unsafe { self.raw.as_ref() }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.on_session(self.methods().close, "session close", "") {
            eprintln!("{error}");
        }
    }
}
