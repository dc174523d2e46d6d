//! Who has a log open, and closes it.
//!
//! Invariant: a log is closed when whoever has it open lets go of it, by a call or by dropping it; its thread is gone
//! then.

use super::{Log, background};
use crate::Result;
use parking_lot::Mutex;
use std::{sync::Arc, thread::JoinHandle};

/// Keeps a log open, with its background thread. Everybody else has the [`Log`] alone, which says that it is closed
/// once this is gone.
pub(crate) struct OpenLog {
    log: Arc<Log>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

impl OpenLog {
    pub(super) fn new(log: Arc<Log>, worker: Option<JoinHandle<()>>) -> Self {
        Self {
            log,
            worker: Mutex::new(worker),
        }
    }

    /// Flushes, and joins the background thread. What comes later fails with `Closed`.
    pub(crate) fn close(&self) -> Result<()> {
        self.log.health.check_owner()?;
        self.stop_worker();
        let result = if self.log.health.is_read_only() || self.log.health.is_closed() {
            Ok(())
        } else {
            let synced = self.log.sync_to(self.log.reach.end());
            // Once more for the copy of a segment header, which follows the first sync.
            synced
                .and_then(|()| self.log.flush(true))
                .and_then(|()| self.log.mark_end())
        };
        if self.log.health.close() {
            self.log.medium.release();
        }
        result
    }

    /// What is open.
    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    #[cfg(test)]
    pub(super) fn has_worker(&self) -> bool {
        self.worker.lock().is_some()
    }

    fn stop_worker(&self) {
        self.log.helpers.stop();
        let worker = self.worker.lock().take();
        // A device that the thread calls may have had the last handle, so that it closes the volume itself.
        if let Some(worker) = worker.filter(|_| !background::is_worker_of(&self.log)) {
            // Its panic, if any, has poisoned the log.
            let _ = worker.join();
        }
    }
}

impl Drop for OpenLog {
    fn drop(&mut self) {
        if self.log.health.is_elsewhere() {
            // The thread is not here to be joined, nor to be let go of.
            std::mem::forget(self.worker.get_mut().take());
            return;
        }
        // An orderly end for whoever did not ask for one; its failure is in the log's state.
        let _ = self.close();
    }
}

/// Tests use what they have opened as the log that it is.
#[cfg(test)]
impl std::ops::Deref for OpenLog {
    type Target = Arc<Log>;
    fn deref(&self) -> &Arc<Log> {
        &self.log
    }
}
