//! The volume's maintenance: work that no caller waits for, in a thread of its own.
//!
//! One step does a little of everything that is due. Invariant: [`Maintenance::stop`] returns when
//! no step is running and none will begin; a step that panics poisons the volume. The thread has
//! the volume's memory and no [`Lease`](super::lease): it never keeps a volume open, nor closes one.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use parking_lot::Mutex;

use super::{Shared, scrub};
use crate::{
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
    /// Starts the thread, unless the volume is to have none.
    pub(super) fn start(shared: &Arc<Shared>) -> Result<()> {
        if !shared.access.options().background_thread || shared.access.options().read_only {
            return Ok(());
        }
        let this = &shared.maintenance;
        let bell = this.bell.clone();
        let volume = Arc::clone(shared);
        let started = threads::start("helium-upkeep", move || run(&volume, &bell))
            .map_err(|e| Error::io("start the volume's maintenance thread", e))?;
        *this.thread.lock() = Some(started);
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

fn run(shared: &Arc<Shared>, bell: &Arc<Bell>) {
    UPKEEP_OF.set(Arc::as_ptr(bell).addr());
    while bell.rest(Some(PAUSE)) {
        let stepped = catch_unwind(AssertUnwindSafe(|| step(shared)));
        match stepped {
            Ok(Ok(false)) => {}
            // There may be more to do.
            Ok(Ok(true)) => bell.ring(),
            Ok(Err(why)) => {
                if shared.log.health().poisoned().is_some() {
                    return;
                }
                tracing::warn!(url = shared.access.url(), %why, "the volume's maintenance failed; it is tried again");
            }
            Err(_) => {
                shared.log.health().poison(Error::new(
                    ErrorKind::Poisoned,
                    "the volume's maintenance thread panicked",
                ));
                return;
            }
        }
    }
}

/// One step of everything that is due; true if something was done.
pub(super) fn step(shared: &Arc<Shared>) -> Result<bool> {
    shared.access.check_writable()?;
    let settled = shared.settle_native();
    shared.writing.report_pending();
    let flushed = auto_commit(shared)?;
    let cleaned = shared.cleaner.clean_if_due()?;
    let checkpointed = shared
        .checkpoints
        .take_if_due(shared.cleaner.is_cleaning())?;
    Ok(scrub::step(shared)? | checkpointed | cleaned | flushed | settled)
}

/// Makes durable what has been buffered for as long as it may be.
fn auto_commit(shared: &Shared) -> Result<bool> {
    let period = shared.access.options().auto_commit_period_ms;
    if period == u64::MAX || !shared.access.options().background_thread {
        return Ok(false);
    }
    let mut clean = shared.clean_at.lock();
    let now = shared.access.options().clock.now();
    if shared.log.reach().durable() >= shared.log.reach().end() {
        *clean = now;
        return Ok(false);
    }
    if now.duration_since(*clean) < Duration::from_millis(period) {
        return Ok(false);
    }
    shared.log.sync_to(shared.log.reach().end())?;
    shared.auto_commits.fetch_add(1, Ordering::Relaxed);
    *clean = now;
    Ok(true)
}

/// One step of all background work, for a volume without threads.
pub(crate) fn background_step(shared: &Arc<Shared>) -> Result<bool> {
    let logged = shared.log.background_step()?;
    Ok(step(shared)? | logged)
}
