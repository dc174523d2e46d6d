//! How a thread that works in the background rests, is called, and is told to end.
//!
//! Invariant: a thread that rests leaves no trace outside the bell. (Other locks of ours have a table of
//! all threads that wait, for the whole process. A fork of it has the table and not the threads, and
//! would come to grief over it in a volume that it opens itself.)

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Default)]
struct State {
    stop: bool,
    asked: bool,
}

impl Bell {
    /// Wakes the thread if it rests now.
    pub(crate) fn nudge(&self) {
        self.rung.notify_one();
    }

    /// Has the thread look soon, whether it rests now or works.
    pub(crate) fn ring(&self) {
        self.lock().asked = true;
        self.rung.notify_one();
    }

    /// Tells the thread to end.
    pub(crate) fn stop(&self) {
        self.lock().stop = true;
        self.rung.notify_all();
    }

    /// Rests for `pause`, if it is not called before; false if the thread is to end.
    pub(crate) fn rest(&self, pause: Option<Duration>) -> bool {
        let mut state = self.lock();
        if let Some(pause) = pause
            && !state.stop
            && !state.asked
        {
            let waited = self.rung.wait_timeout(state, pause);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.asked = false;
        !state.stop
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that panics is done under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
