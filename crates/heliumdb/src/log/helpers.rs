//! Which threads a log may have beside those of its callers.
//!
//! Invariant: a simulation steps everything itself, and has none.

use crate::{bell::Bell, options::VolumeOptions};
use std::time::Duration;

/// See the module.
pub(super) struct Helpers {
    /// Whether a thread does the work that nobody waits for.
    has_thread: bool,
    may_have_more: bool,
    /// Wakes that thread.
    bell: Bell,
}

impl Helpers {
    pub(super) fn new(options: &VolumeOptions) -> Self {
        Self {
            has_thread: options.background_thread && !options.read_only,
            may_have_more: options.background_thread,
            bell: Bell::default(),
        }
    }

    pub(super) fn has_thread(&self) -> bool {
        self.has_thread
    }

    /// Whether recovery may have threads.
    pub(super) fn may_have_more(&self) -> bool {
        self.may_have_more
    }

    /// How many threads may work on recovery at once.
    pub(super) fn count(&self) -> usize {
        match self.may_have_more {
            true => std::thread::available_parallelism().map_or(1, usize::from),
            false => 1,
        }
    }

    /// There is something to do.
    pub(super) fn nudge(&self) {
        self.bell.nudge();
    }

    /// The thread is to end.
    pub(super) fn stop(&self) {
        self.bell.stop();
    }

    /// Waits in the thread for something to do, or for so long; false if it is to end.
    pub(super) fn rest(&self, pause: Option<Duration>) -> bool {
        self.bell.rest(pause)
    }
}
