//! What WiredTiger and its extensions say: collected, and shown on request.
//!
//! Invariant: the handler lives at one address for as long as its connection,
//! because WiredTiger calls it from any thread at any time until then.
#![expect(unsafe_code, reason = "WiredTiger calls back with raw pointers")]

use std::ffi::{CStr, c_char, c_int};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use wiredtiger_abi::v3_2 as wt;

use crate::Code;

/// One message.
#[derive(Debug, Clone)]
pub struct Event {
    /// Whether it is an error.
    pub kind: EventKind,
    /// The text, without a line end.
    pub text: String,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Something went wrong; with the code that came with it.
    Error(Code),
    /// Something to know.
    Message,
}

/// The handler that WiredTiger gets, followed by what it collects.
#[repr(C)]
pub(crate) struct Handler {
    /// First, so that a pointer to it is a pointer to the whole.
    methods: wt::EventHandler,
    events: Mutex<Vec<Event>>,
    echo: bool,
}

impl Handler {
    pub(crate) fn events(&self) -> Vec<Event> {
        self.lock().clone()
    }

    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.lock())
    }

    fn hear(&self, event: Event) {
        if self.echo {
            eprintln!("wiredtiger: {:?} {}", event.kind, event.text);
        }
        self.lock().push(event);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Owns a [`Handler`] that WiredTiger points at: a `Box` would claim to be the only pointer.
pub(crate) struct HandlerBox(NonNull<Handler>);

// SAFETY: a handler is only used through shared references, and is `Sync`.
unsafe impl Send for HandlerBox {}
// SAFETY: as above.
unsafe impl Sync for HandlerBox {}

impl HandlerBox {
    /// A handler on the heap; `WIREDTIGER_ECHO=1` shows what it hears on standard error.
    pub(crate) fn new() -> Self {
        let handler = Box::new(Handler {
            methods: wt::EventHandler {
                handle_error: Some(handle_error),
                handle_message: Some(handle_message),
                handle_progress: None,
                handle_close: None,
            },
            events: Mutex::new(Vec::new()),
            echo: std::env::var_os("WIREDTIGER_ECHO").is_some_and(|value| value != "0"),
        });
        Self(NonNull::from(Box::leak(handler)))
    }

    pub(crate) fn as_ptr(&self) -> *mut wt::EventHandler {
        self.0.as_ptr().cast()
    }
}

impl std::ops::Deref for HandlerBox {
    type Target = Handler;

    fn deref(&self) -> &Handler {
        // SAFETY: allocated in `new`, freed only on drop, never handed out mutably.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for HandlerBox {
    fn drop(&mut self) {
        // SAFETY: allocated by a `Box` in `new`; the connection that pointed here is closed.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

unsafe extern "C" fn handle_error(
    handler: *mut wt::EventHandler,
    _session: *mut wt::Session,
    error: c_int,
    message: *const c_char,
) -> c_int {
    // SAFETY: WiredTiger passes back the handler that it was given, and a C string.
    unsafe { hear(handler, EventKind::Error(Code(error)), message) }
}

unsafe extern "C" fn handle_message(
    handler: *mut wt::EventHandler,
    _session: *mut wt::Session,
    message: *const c_char,
) -> c_int {
    // SAFETY: as for errors.
    unsafe { hear(handler, EventKind::Message, message) }
}

/// # Safety
///
/// `handler` is the first field of a living [`Handler`], `message` a C string.
unsafe fn hear(handler: *mut wt::EventHandler, kind: EventKind, message: *const c_char) -> c_int {
    // SAFETY: the caller vouches for both.
    let (handler, text) = unsafe { (&*handler.cast::<Handler>(), CStr::from_ptr(message)) };
    handler.hear(Event {
        kind,
        text: text.to_string_lossy().trim_end().to_owned(),
    });
    0
}
