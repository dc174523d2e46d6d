//! Stopping our thread before the connection's close begins.
//!
//! WiredTiger closes every session, ours too, before it calls a data source's terminate,
//! so the threads with such sessions, those of readers in other processes among them, have to be gone by then. The public structure's close
//! is replaced by one that joins the thread and then closes.
#![expect(unsafe_code, reason = "replaces a method of WiredTiger's")]

use super::{
    guard::{EINVAL, report},
    host::Wired,
};
use crate::{
    error::{Code, Error, Result},
    nudge,
    source::Source,
};
use parking_lot::Mutex;
use std::{
    ffi::{c_char, c_int},
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};
use wiredtiger_abi::v3_2::Connection;

type Close = unsafe extern "C" fn(*mut Connection, *const c_char) -> c_int;

/// The thread that settles versions.
pub struct Settler {
    source: Arc<Source<Wired>>,
    sessions_gone: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Settler {
    /// Starts the thread. `sessions_gone` tells `mover` that its session is closed already.
    pub fn start(
        source: Arc<Source<Wired>>,
        mut mover: impl nudge::Mover + Send + 'static,
        sessions_gone: Arc<AtomicBool>,
    ) -> Result<Arc<Self>> {
        let thread = {
            let source = Arc::clone(&source);
            thread::Builder::new()
                .name("helium-settle".into())
                .spawn(move || nudge::run(&source, &mut mover))
                .map_err(|why| {
                    Error::new(
                        Code::Io,
                        format!("the settling thread does not start: {why}"),
                    )
                })?
        };
        Ok(Arc::new(Self {
            source,
            sessions_gone,
            thread: Mutex::new(Some(thread)),
        }))
    }

    /// Stops and joins the thread, and those of readers. `sessions_gone` says that WiredTiger has closed the
    /// thread's session already.
    pub fn stop(&self, sessions_gone: bool) {
        let Some(thread) = self.thread.lock().take() else {
            return;
        };
        self.sessions_gone.store(sessions_gone, Ordering::Release);
        self.source.end_publishing();
        self.source.pulse().stop();
        // A panic of the thread has been told by the panic hook; there is nothing to save.
        let _ = thread.join();
    }
}

/// A connection whose close is ours.
struct Wrapped {
    connection: usize,
    close: Close,
    settler: Arc<Settler>,
}

/// The open connections.
static WRAPPED: Mutex<Vec<Wrapped>> = Mutex::new(Vec::new());

/// Has the connection's close stop `settler` first.
///
/// # Safety
///
/// `connection` is a live connection of release 3.2.1.
pub unsafe fn wrap(connection: NonNull<Connection>, settler: Arc<Settler>) {
    // SAFETY: the caller vouches for it; nobody else uses the connection while its extensions
    // are loaded.
    let slot = unsafe { &mut (*connection.as_ptr()).close };
    let Some(close) = slot.replace(close) else {
        *slot = None;
        return;
    };
    WRAPPED.lock().push(Wrapped {
        connection: connection.as_ptr().addr(),
        close,
        settler,
    });
}

/// Whether the connection has the extension already.
pub fn is_wrapped(connection: NonNull<Connection>) -> bool {
    let all = WRAPPED.lock();
    all.iter()
        .any(|wrapped| wrapped.connection == connection.as_ptr().addr())
}

/// Forgets the connection of `settler`, which is being closed or never finished opening.
pub fn unwrap(settler: &Arc<Settler>) {
    WRAPPED
        .lock()
        .retain(|wrapped| !Arc::ptr_eq(&wrapped.settler, settler));
}

unsafe extern "C" fn close(connection: *mut Connection, config: *const c_char) -> c_int {
    let wrapped = {
        let mut all = WRAPPED.lock();
        let last = all
            .iter()
            .rposition(|wrapped| wrapped.connection == connection.addr());
        // In a fork of the process the thread is not there to be joined, and what WiredTiger would
        // write is the parent's to write.
        let source = last.map(|index| all[index].settler.source.clone());
        if let Some(source) = source
            && let Err(error) = source.check_process()
        {
            return report(source.host(), None, &error);
        }
        last.map(|index| all.remove(index))
    };
    let Some(wrapped) = wrapped else {
        return EINVAL;
    };
    wrapped.settler.stop(false);
    drop(wrapped.settler);
    // SAFETY: the connection is live until the call that follows, which is the one that was
    // asked for.
    unsafe {
        (*connection).close = Some(wrapped.close);
        (wrapped.close)(connection, config)
    }
}
