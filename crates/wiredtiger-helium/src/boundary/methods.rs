//! The data source's table of methods, and what stands behind it for one connection.
#![expect(unsafe_code, reason = "called by WiredTiger")]

use super::{
    close,
    config::CallConfig,
    cursor::{self, opening},
    guard::{EINVAL, EIO, answer, memory, panic_text, report},
    host::{SessionHandle, Wired},
    mover::Mover,
    notify::Notify,
    parts,
    readers::Readers,
    session,
};
use crate::{
    config::Lookup,
    error::{Error, Result},
    host::Host,
    source::Source,
};
use std::{
    ffi::{CStr, c_char, c_int},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::{self, NonNull},
    sync::{Arc, atomic::AtomicBool},
};
use wiredtiger_abi::v3_2::{ConfigArg, Connection, Cursor, DataSource, Session};

/// Marks an adapter that was not terminated yet.
const ALIVE: u64 = u64::from_le_bytes(*b"He.adapt");

/// What WiredTiger knows as our data source: its table, and behind it ours.
#[repr(C)]
pub struct Adapter {
    table: DataSource,
    alive: u64,
    source: Arc<Source<Wired>>,
    /// The address at which WiredTiger finds it; it must live as long as the table.
    _notify: Arc<Notify>,
    settler: Arc<close::Settler>,
}

impl Adapter {
    /// The table for `source`, whose settling thread starts here.
    ///
    /// # Safety
    ///
    /// `connection` is a live connection of release 3.2.1, whose close has not begun.
    pub unsafe fn start(
        connection: NonNull<Connection>,
        source: Arc<Source<Wired>>,
        notify: Arc<Notify>,
    ) -> Result<Box<Self>> {
        let sessions_gone = Arc::new(AtomicBool::new(false));
        // SAFETY: the thread is joined before the connection is closed, or told that it was.
        let mover = unsafe { Mover::new(connection, Arc::clone(&sessions_gone)) };
        // SAFETY: readers' threads have ended before the connection is closed, or are told that it was.
        let readers = unsafe { Readers::new(connection, &source, Arc::clone(&sessions_gone)) };
        source.may_be_read(Arc::new(readers));
        let settler = close::Settler::start(Arc::clone(&source), mover, sessions_gone)?;
        // SAFETY: the caller vouches for the connection.
        unsafe {
            close::wrap(connection, Arc::clone(&settler));
            session::wrap_all(connection);
        }
        Ok(Box::new(Self {
            table: table(),
            alive: ALIVE,
            source,
            _notify: notify,
            settler,
        }))
    }

    /// The table, as WiredTiger wants it.
    pub fn table(this: NonNull<Self>) -> *mut DataSource {
        this.as_ptr().cast()
    }

    /// The adapter whose table WiredTiger passed; none if it was terminated.
    ///
    /// # Safety
    ///
    /// `table` is null or came from [`Self::table`] and was not freed.
    unsafe fn of<'a>(table: *mut DataSource) -> Option<&'a Self> {
        // SAFETY: the table is the adapter's first field.
        let adapter = unsafe { table.cast::<Self>().as_ref() }?;
        (adapter.alive == ALIVE).then_some(adapter)
    }

    /// Stops the thread and closes the volumes.
    pub fn stop(&self) -> Result<()> {
        close::unwrap(&self.settler);
        self.settler.stop(true);
        self.source.terminate()
    }
}

/// Truncate and range truncate are left out: WiredTiger then removes row by row inside a
/// transaction, which can be rolled back. Where a range ends see [`super::cursor::range`].
fn table() -> DataSource {
    DataSource {
        alter: None,
        create: Some(create),
        compact: Some(compact),
        drop: Some(drop_object),
        open_cursor: Some(open_cursor),
        rename: Some(rename),
        salvage: Some(salvage),
        size: None,
        truncate: None,
        range_truncate: None,
        verify: Some(verify),
        checkpoint: Some(checkpoint),
        terminate: Some(terminate),
        lsm_pre_merge: None,
    }
}

/// What a method works with.
struct Call<'a> {
    source: &'a Arc<Source<Wired>>,
    session: SessionHandle,
    config: CallConfig,
}

/// Runs a method on the adapter whose table WiredTiger passed.
///
/// # Safety
///
/// The pointers are those that WiredTiger called the method with.
unsafe fn method(
    table: *mut DataSource,
    session: *mut Session,
    config: *mut ConfigArg,
    work: impl FnOnce(Call<'_>) -> Result<()>,
) -> c_int {
    // SAFETY: the caller vouches for it.
    let Some(adapter) = (unsafe { Adapter::of(table) }) else {
        return EINVAL;
    };
    let source = &adapter.source;
    answer(source, SessionHandle::new(session), || {
        work(Call {
            source,
            session: SessionHandle::required(session)?,
            // SAFETY: the caller vouches for it.
            config: unsafe { CallConfig::new(source.host().api(), session, config) },
        })
    })
}

/// # Safety
///
/// `uri` is null or a C string that lives as long as the caller needs the answer.
unsafe fn text<'a>(uri: *const c_char) -> Result<&'a str> {
    if uri.is_null() {
        return Err(Error::invalid("WiredTiger passed a null URI"));
    }
    // SAFETY: the caller vouches for it.
    let uri = unsafe { CStr::from_ptr(uri) };
    uri.to_str()
        .map_err(|_| Error::invalid(format!("{}: a URI is UTF-8", uri.to_string_lossy())))
}

/// Declares methods that take a URI and nothing else that we look at.
macro_rules! uri_methods {
    ($($name:ident => $method:ident;)*) => {$(
        unsafe extern "C" fn $name(
            table: *mut DataSource,
            session: *mut Session,
            uri: *const c_char,
            config: *mut ConfigArg,
        ) -> c_int {
            // SAFETY: WiredTiger's pointers, handed on as they came.
            unsafe {
                method(table, session, config, |call| {
                    call.source.$method(call.session, text(uri)?)
                })
            }
        }
    )*};
}

uri_methods! {
    drop_object => drop_object;
    salvage => salvage;
    verify => verify;
}

unsafe extern "C" fn create(
    table: *mut DataSource,
    session: *mut Session,
    uri: *const c_char,
    config: *mut ConfigArg,
) -> c_int {
    // SAFETY: WiredTiger's pointers, handed on as they came.
    unsafe {
        method(table, session, config, |call| {
            memory()?;
            match parts::asked_for(session) {
                Some(table) => parts::prepare(call.source.host(), call.session, &table),
                None => call.source.create(call.session, text(uri)?, &call.config),
            }
        })
    }
}

unsafe extern "C" fn compact(
    table: *mut DataSource,
    session: *mut Session,
    uri: *const c_char,
    config: *mut ConfigArg,
) -> c_int {
    // SAFETY: WiredTiger's pointers, handed on as they came.
    unsafe {
        method(table, session, config, |call| {
            let timeout = call.config.value("timeout")?;
            let seconds = timeout.and_then(|timeout| timeout.item().as_number());
            call.source.compact(call.session, text(uri)?, seconds)
        })
    }
}

unsafe extern "C" fn rename(
    table: *mut DataSource,
    session: *mut Session,
    uri: *const c_char,
    new_uri: *const c_char,
    config: *mut ConfigArg,
) -> c_int {
    // SAFETY: WiredTiger's pointers, handed on as they came.
    unsafe {
        method(table, session, config, |call| {
            call.source.rename(call.session, text(uri)?, text(new_uri)?)
        })
    }
}

unsafe extern "C" fn open_cursor(
    table: *mut DataSource,
    session: *mut Session,
    uri: *const c_char,
    config: *mut ConfigArg,
    new_cursor: *mut *mut Cursor,
) -> c_int {
    if new_cursor.is_null() {
        return EINVAL;
    }
    // SAFETY: WiredTiger's pointers, handed on as they came; the place for the new cursor was
    // checked, and holds nothing until there is one.
    unsafe {
        *new_cursor = ptr::null_mut();
        method(table, session, config, |call| {
            let source = call.source;
            session::wrap(session);
            let opened = source.open_cursor(call.session, text(uri)?, &call.config);
            let cursor = match opened {
                Err(error) if dumps(&call.config) || opening::is_for_dump(session) => {
                    Err(report(source.host(), Some(call.session), &error))
                }
                opened => Ok(opened?),
            };
            cursor::into_wiredtiger(cursor, session, new_cursor)
        })
    }
}

/// Whether the cursor that is being opened is for a dump.
fn dumps(config: &CallConfig) -> bool {
    let dump = config.value("dump").ok().flatten();
    dump.is_some_and(|format| !format.text.is_empty())
}

unsafe extern "C" fn checkpoint(
    table: *mut DataSource,
    session: *mut Session,
    config: *mut ConfigArg,
) -> c_int {
    // SAFETY: WiredTiger's pointers, handed on as they came.
    unsafe {
        method(table, session, config, |call| {
            let force = call.config.value("force")?;
            let is_forced = force.is_some_and(|force| force.item().as_bool() == Some(true));
            call.source.checkpoint(call.session, is_forced)
        })
    }
}

unsafe extern "C" fn terminate(table: *mut DataSource, session: *mut Session) -> c_int {
    // SAFETY: WiredTiger passes the table that it was given.
    let Some(adapter) = (unsafe { Adapter::of(table) }) else {
        return EINVAL;
    };
    // A fork's copy is left as it is: its threads are not there to be joined.
    if let Err(error) = adapter.source.check_process() {
        return report(adapter.source.host(), SessionHandle::new(session), &error);
    }
    // SAFETY: the adapter was leaked when it was registered, and WiredTiger forgets it now.
    let mut adapter = unsafe { Box::from_raw(table.cast::<Adapter>()) };
    adapter.alive = 0;
    // Not `answer`: the source goes away in here, so what it says is said by a clone.
    let source = Arc::clone(&adapter.source);
    let session = SessionHandle::new(session);
    match catch_unwind(AssertUnwindSafe(|| adapter.stop())) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => report(source.host(), session, &error),
        Err(panic) => {
            let text = format!("panic in terminate: {}", panic_text(&*panic));
            source.host().error(session, &text);
            EIO
        }
    }
}
