//! The volume's maintenance: work that no caller waits for, in a thread of its own.
//!
//! One step does a little of everything that is due. Invariant: [`Maintenance::stop`] returns when
//! no step is running and none will begin; a step that panics poisons the volume. The thread has
//! the volume's memory and no [`Lease`](super::lease): it never keeps a volume open, nor closes one.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    access::Access,
    bell::Bell,
    error::{Error, ErrorKind, Result},
    threads,
};

/// How often it looks whether there is something to do.
const PAUSE: Duration = Duration::from_millis(50);

/// The thread, if there is one, and how to wake it.
#[derive(Default)]
pub(crate) struct Maintenance {
    bell: Arc<Bell>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Maintenance {
    /// Starts the thread, unless the volume is to have none: it does `step` until there is nothing to do, and again when it is called.
    pub(super) fn start(
        &self,
        access: &Arc<Access>,
        step: impl Fn() -> Result<bool> + Send + 'static,
    ) -> Result<()> {
        if !access.options().background_thread || access.options().read_only {
            return Ok(());
        }
        let (bell, access) = (self.bell.clone(), access.clone());
        let started = threads::start("helium-upkeep", move || run(step, &access, &bell))
            .map_err(|e| Error::io("start the volume's maintenance thread", e))?;
        *self.thread.lock() = Some(started);
        Ok(())
    }

    /// What calls the thread.
    pub(super) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// In a fork of the process that started it: the thread is not here to be joined, nor to be let go of.
    pub(super) fn forget(&mut self) {
        std::mem::forget(self.thread.get_mut().take());
    }

    /// Ends the thread.
    pub(super) fn stop(&self) {
        self.bell.stop();
        let Some(running) = self.thread.lock().take() else {
            return;
        };
        // What the thread calls, a device or whoever collects traces, may have had the last handle, so that
        // it closes the volume itself. (Who it is `thread::current` cannot say in a thread on its way out.)
        let working_for = UPKEEP_OF.try_with(Cell::get).unwrap_or(0);
        if working_for != Arc::as_ptr(&self.bell).addr() {
            // Its panic, if any, has poisoned the volume.
            let _ = running.join();
        }
    }
}

thread_local! {
    /// Whose maintenance thread this is: where that volume's bell is.
    static UPKEEP_OF: Cell<usize> = const { Cell::new(0) };
}

fn run(step: impl Fn() -> Result<bool>, access: &Access, bell: &Arc<Bell>) {
    UPKEEP_OF.set(Arc::as_ptr(bell).addr());
    while bell.rest(Some(PAUSE)) {
        let stepped = catch_unwind(AssertUnwindSafe(&step));
        match stepped {
            Ok(Ok(false)) => {}
            // There may be more to do.
            Ok(Ok(true)) => bell.ring(),
            Ok(Err(why)) => {
                if access.log().health().poisoned().is_some() {
                    return;
                }
                tracing::warn!(url = access.url(), %why, "the volume's maintenance failed; it is tried again");
            }
            Err(_) => {
                access.log().health().poison(Error::new(
                    ErrorKind::Poisoned,
                    "the volume's maintenance thread panicked",
                ));
                return;
            }
        }
    }
}
