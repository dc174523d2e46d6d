//! Writers that find the volume full: they wait for the cleaner, or for a checkpoint, as long as
//! either may help.
//!
//! Invariant: who waits holds no latch, no epoch guard and no place in the gate, so that nothing
//! that makes room waits for them. What was refused has changed nothing. Nobody waits for what cannot
//! come: only segments count that can go, or can be emptied, as things are; so whoever has a
//! transaction open that keeps the room from coming is told so at once.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use crossbeam_epoch as epoch;

use super::Cleaner;
use crate::error::{Error, ErrorKind, Result};

/// One step of all background work, where the volume has no thread for it; false if there was nothing to do.
pub(crate) type OwnStep<'a> = &'a dyn Fn() -> Result<bool>;

/// Steps of background work that a writer does itself between two attempts, where the volume has
/// no thread for that.
const OWN_STEPS: usize = 64;
/// How long it waits then for readers of what was freed, before it looks again; and in all.
const READERS_GO: Duration = Duration::from_millis(1);
const READERS_MAX: Duration = Duration::from_millis(20);

impl Cleaner {
    /// Does `write`, and tries again when it found the volume full and room is being made: by `step` where nobody else
    /// does it.
    #[inline]
    pub(crate) fn when_room<T>(
        &self,
        step: OwnStep<'_>,
        mut write: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        self.on.pace.keep();
        // What was accepted since may have made the index larger, and with it what is set aside: before this
        // is accepted, not when the room is gone.
        if self.on.log.takes_old_reserve() {
            self.checkpoints.keep_room();
        }
        let mut attempts = 0;
        let mut waiting = None;
        loop {
            let readmitted = self.on.log.readmitted();
            match write() {
                Err(why) if why.kind() == ErrorKind::VolumeFull => {
                    waiting.get_or_insert_with(|| Waiting::begin(&self.waiting));
                    // Others may have made room since, all that there was to make.
                    let is_hope = self.await_room(step)? || self.on.log.readmitted() != readmitted;
                    if attempts == self.on.access.options().retry_count || !is_hope {
                        return Err(self.say_who_keeps_room(why));
                    }
                    attempts += 1;
                }
                done => return done,
            }
        }
    }

    /// Waits as long as a writer would while there is too little room for a checkpoint and more of it is on its way.
    /// Cleaning, which takes room first, waits meanwhile.
    pub(crate) fn await_checkpoint_room(&self) -> Result<()> {
        let lacks = || self.on.log.lacks_checkpoint_room();
        for _ in 0..self.on.access.options().retry_count {
            if lacks() && self.on.log.has_dead() {
                self.on.log.free_now()?;
            }
            if !lacks() || self.on.log.leaving() == 0 {
                break;
            }
            self.await_readers();
        }
        Ok(())
    }

    /// Waits a little for room; false if none is to be expected.
    pub(super) fn await_room(&self, step: OwnStep<'_>) -> Result<bool> {
        // Nothing that makes room in the log makes any on the device.
        if self.on.log.flusher().is_blocked() {
            return Ok(false);
        }
        // Items may have gone, or been replaced, since it was last reckoned what is set aside for them.
        let kept = self.on.log.reserve_bytes();
        self.checkpoints.keep_room();
        if self.on.log.reserve_bytes() < kept {
            return Ok(true);
        }
        if !self.on.access.options().background_thread {
            return self.make_room(step);
        }
        if !self.may_make_room() {
            return Ok(false);
        }
        self.on.bell.ring();
        let delay = Duration::from_micros(self.on.access.options().retry_delay_us);
        self.on.log.await_segment(delay);
        Ok(true)
    }

    /// Does background work, as nobody else does; false if there is none.
    fn make_room(&self, step: OwnStep<'_>) -> Result<bool> {
        let mut worked = false;
        for _ in 0..OWN_STEPS {
            if !step()? && !self.on.writing.want_pass() {
                break;
            }
            worked = true;
        }
        if !worked && self.on.log.leaving() > 0 {
            self.await_readers();
            return Ok(true);
        }
        // A checkpoint that has failed leaves what it wrote, which is free the next time.
        Ok(worked || self.on.log.has_dead())
    }

    /// Readers of what was freed, in other threads, are soon gone.
    pub(crate) fn await_readers(&self) {
        if self.on.log.leaving() == 0 {
            return;
        }
        let looks = Duration::from_micros(self.on.access.options().retry_delay_us).min(READERS_MAX);
        for _ in 0..looks.as_millis().max(1) {
            self.on.log.await_segment(READERS_GO);
            epoch::pin().flush();
            if self.on.log.leaving() == 0 {
                return;
            }
        }
    }

    fn may_make_room(&self) -> bool {
        let Some(progress) = self.progress() else {
            return true;
        };
        if progress.round.is_some() || self.on.log.leaving() > 0 || self.checkpoints.is_coming() {
            return true;
        }
        // A writer may have ended since the background thread was here.
        self.on.writing.report_pending();
        self.on.log.has_dead()
            || self.has_victims(&progress.stuck)
            || self.on.writing.want_pass()
            || self.has_resort()
            || self.to_end_early().is_some()
    }

    /// What the volume is full of may be what somebody can still look at.
    fn say_who_keeps_room(&self, why: Error) -> Error {
        match self.on.writing.unsettled.has_any() {
            true => why.advice(
                "transactions and snapshots that are open, one's own included, keep what they may still read: end them",
            ),
            false => why,
        }
    }
}

/// Counts a writer that waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;
