//! A volume that is open, and the gate that all calls on it pass.
//!
//! Invariant: the store's close runs when no call is inside and none can come in any more, however many threads there
//! are. What was opened through the volume (datastores, transactions, walks) outlives it, and is refused.

use std::{
    cell::RefCell,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use helium_activity::{Publisher, Reading};
use heliumdb::{
    Error, ErrorKind, Result, Volume,
    process::{Owner, PerProcess},
};
use parking_lot::{Condvar, Mutex, MutexGuard};
use pyo3::prelude::*;

use crate::errors::{own, raised};

/// How long a close waits for calls before it looks whether the user wants it to stop.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long the end of the interpreter waits for calls of threads that go on behind its back.
const PATIENCE_AT_EXIT: Duration = Duration::from_secs(5);
/// In the number of calls: no more may come.
const CLOSED: usize = 1 << (usize::BITS - 1);

thread_local! {
    /// Of which volumes this thread is in a call that runs Python's code.
    static CALLING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

static OPEN: PerProcess<Mutex<Vec<Weak<Session>>>> = PerProcess::new();

/// An open volume.
pub struct Session {
    /// Tells others what goes on in it, until it is closed.
    publisher: Mutex<Option<Publisher>>,
    volume: Volume,
    owner: Owner,
    /// Calls that are inside, and [`CLOSED`].
    calls: AtomicUsize,
    /// Whether the store's close has run: held while it does.
    done: Mutex<bool>,
    left: Condvar,
}

/// A call that is inside: no close while there is one.
pub struct Inside<'a>(&'a Session);

/// A stretch of a call in which Python's code may run.
pub struct CallingBack(usize);

/// What keeps a close off, or shows that it is over.
pub enum Aside<'a> {
    Inside { _call: Inside<'a> },
    Over { _closed: MutexGuard<'a, bool> },
}

impl Session {
    pub fn new(volume: Volume) -> Result<Arc<Self>> {
        // Nobody else can look if this fails; that is no reason not to work.
        let publisher = Publisher::start_for_library(&volume, "Python", Reading::Snapshots).ok();
        let this = Arc::new(Self {
            publisher: Mutex::new(publisher),
            volume,
            owner: Owner::here()?,
            calls: AtomicUsize::new(0),
            done: Mutex::new(false),
            left: Condvar::new(),
        });
        let mut open = OPEN.get().lock();
        open.retain(|session| session.strong_count() > 0);
        open.push(Arc::downgrade(&this));
        drop(open);
        Ok(this)
    }

    pub fn volume(&self) -> &Volume {
        &self.volume
    }

    /// Lets a call in, unless the volume is closed or this is a fork of the process that opened it. That is looked at
    /// first: in a fork any lock may be held by a thread that is not there.
    pub fn enter(&self) -> Result<Inside<'_>> {
        self.owner.check()?;
        let before = self.calls.fetch_add(1, SeqCst);
        let inside = Inside(self);
        if before & CLOSED == 0 {
            return Ok(inside);
        }
        drop(inside);
        Err(Error::new(
            ErrorKind::Closed,
            format!("the volume {} was closed", self.volume.url()),
        ))
    }

    pub fn is_closed(&self) -> bool {
        self.calls.load(SeqCst) & CLOSED != 0
    }

    pub fn is_elsewhere(&self) -> bool {
        self.owner.is_elsewhere()
    }

    /// For what ends without being asked: keeps a close off, or waits for its end.
    pub fn aside(&self) -> Aside<'_> {
        match self.enter() {
            Ok(call) => Aside::Inside { _call: call },
            Err(_) => Aside::Over {
                _closed: self.done.lock(),
            },
        }
    }

    pub fn calling_back(&self) -> CallingBack {
        let own = std::ptr::from_ref(self).addr();
        CALLING.with_borrow_mut(|calling| calling.push(own));
        CallingBack(own)
    }

    fn is_calling_back(&self) -> bool {
        let own = std::ptr::from_ref(self).addr();
        CALLING.with_borrow(|calling| calling.contains(&own))
    }

    /// Closes the volume once no call is inside. A second close does nothing; in a fork none does anything.
    pub fn close(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_elsewhere() {
            return Ok(());
        }
        if self.is_calling_back() {
            return Err(own(
                py,
                ErrorKind::Busy,
                "the volume cannot be closed by a function that a call on it is running",
            ));
        }
        loop {
            let until = Instant::now() + PATIENCE;
            match py.detach(|| self.close_by(until)) {
                Some(done) => return done.map_err(|why| raised(py, &why)),
                None => py.check_signals()?,
            }
        }
    }

    /// `None` if calls are inside still.
    fn close_by(&self, until: Instant) -> Option<Result<()>> {
        self.calls.fetch_or(CLOSED, SeqCst);
        let mut done = self.done.lock();
        while self.calls.load(SeqCst) != CLOSED {
            if self.left.wait_until(&mut done, until).timed_out() {
                return None;
            }
        }
        if *done {
            return Some(Ok(()));
        }
        *done = true;
        self.publisher.lock().take();
        Some(self.volume.close())
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let session = self.0;
        if session.calls.fetch_sub(1, SeqCst) == CLOSED + 1 {
            let _waits = session.done.lock();
            session.left.notify_all();
        }
    }
}

impl Drop for CallingBack {
    fn drop(&mut self) {
        CALLING.with_borrow_mut(|calling| {
            if let Some(at) = calling.iter().rposition(|&own| own == self.0) {
                calling.remove(at);
            }
        });
    }
}

impl Drop for Session {
    /// Nobody has anything of it any more: it is closed now, and a failure is said where Python says those of `__del__`.
    fn drop(&mut self) {
        if self.is_elsewhere() || *self.done.get_mut() {
            return;
        }
        let (volume, publisher) = (self.volume.clone(), self.publisher.get_mut().take());
        let closed = Python::try_attach(|py| {
            let closed = py.detach(|| {
                drop(publisher);
                volume.close()
            });
            if let Err(why) = closed {
                raised(py, &why).write_unraisable(py, None);
            }
        });
        if closed.is_none() {
            // The interpreter is gone, and with it who would hear of a failure.
            let _ = volume.close();
        }
    }
}

/// Makes durable and closes whatever this process has open: for the end of the interpreter.
#[pyfunction]
pub fn close_all(py: Python<'_>) {
    py.detach(|| {
        let open: Vec<_> = OPEN.get().lock().iter().filter_map(Weak::upgrade).collect();
        for session in open {
            // Its threads may be in the middle of something that never ends: what they have written is safe.
            if let Ok(_inside) = session.enter() {
                let _ = session.volume.flush();
            }
            let _ = session.close_by(Instant::now() + PATIENCE_AT_EXIT);
        }
    });
}
