//! Writers that find the volume full: they wait for the cleaner, or for a checkpoint, as long as
//! either may help.
//!
//! Invariant: who waits holds no latch, no epoch guard and no place in the gate, so that nothing
//! that makes room waits for them. What was refused has changed nothing.

use std::{sync::Arc, time::Duration};

use super::{Need, choose::is_held};
use crate::{
    error::{ErrorKind, Result},
    volume::{Shared, background_step},
};

/// Steps of background work that a writer does itself between two attempts, where the volume has
/// no thread for that.
const OWN_STEPS: usize = 64;
/// How long it waits then for readers of what was freed.
const READERS_GO: Duration = Duration::from_millis(1);

impl Shared {
    /// Does `write`, and tries again when it found the volume full and room is being made.
    pub(crate) fn when_room<T>(
        self: &Arc<Self>,
        mut write: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        self.keep_pace();
        let mut attempts = 0;
        loop {
            match write() {
                Err(why) if why.kind() == ErrorKind::VolumeFull => {
                    if attempts == self.options.retry_count || !self.await_room()? {
                        return Err(why);
                    }
                    attempts += 1;
                }
                done => return done,
            }
        }
    }

    /// Waits a little for room; false if none is to be expected.
    fn await_room(self: &Arc<Self>) -> Result<bool> {
        if !self.options.background_thread {
            let mut worked = false;
            for _ in 0..OWN_STEPS {
                if !background_step(self)? {
                    if !worked && self.log.leaving() > 0 {
                        // Readers of it, in other threads, are soon gone.
                        self.log.await_segment(READERS_GO);
                        return Ok(true);
                    }
                    return Ok(worked);
                }
                worked = true;
            }
            return Ok(true);
        }
        if !self.may_make_room() {
            return Ok(false);
        }
        self.maintenance.wake();
        let delay = Duration::from_micros(self.options.retry_delay_us);
        self.log.await_segment(delay);
        self.check_writable()?;
        Ok(true)
    }

    fn may_make_room(&self) -> bool {
        let progress = self.cleaner.round.lock();
        if progress.round.is_some() || self.log.leaving() > 0 || self.is_checkpoint_coming() {
            return true;
        }
        let (candidates, room) = (self.log.candidates(), self.log.room().segment_bytes);
        candidates.iter().any(|c| c.live_bytes == 0)
            || !self.choose_victims(&progress.stuck, Need::Short).is_empty()
            || candidates.iter().any(|c| is_held(c, room)) && self.cleaner.has_resort(&self.log)
    }
}
