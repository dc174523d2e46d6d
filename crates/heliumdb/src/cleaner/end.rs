//! Clearing the ends of files that grow, so that they can be cut off.
//!
//! Invariant: what is moved from there lies in front afterwards, in room that was there before; so each segment is
//! moved once, and it ends.

use super::{
    Cleaner, Need, ROUND_BYTES, ROUND_SEGMENTS,
    choose::can_go,
    stuck::{Ended, Stuck},
};
use crate::{
    error::Result,
    log::{Candidate, Log},
};

/// What one round frees may make room for another; more than this are not worth it.
const ROUNDS_MAX: u32 = 8;

impl Cleaner {
    /// See [`crate::Volume::compact`].
    pub(crate) fn compact_all(&self, go_on: &mut dyn FnMut(u64) -> bool) -> Result<bool> {
        let takes = |log: &Log| (log.stats().used_bytes, log.bounds().bytes());
        let moved = |log: &Log| log.stats().moved_bytes;
        let first = moved(&self.on.log);
        for _ in 0..ROUNDS_MAX {
            let before = takes(&self.on.log);
            let mut worked = false;
            let need = Need::Items(self.sake_of_tombstones());
            while self.clean_step(need)? {
                worked = true;
                if !go_on(moved(&self.on.log) - first) {
                    return Ok(false);
                }
            }
            // Tombstones that nothing needs now go with their segments, and need not be moved.
            if worked {
                self.free_now()?;
            }
            while self.clean_some()? {
                if !go_on(moved(&self.on.log) - first) {
                    return Ok(false);
                }
            }
            self.free_now()?;
            // What readers still hold comes free when they are gone.
            if takes(&self.on.log) >= before && self.on.log.leaving() == 0 {
                break;
            }
        }
        Ok(true)
    }

    /// See [`crate::Volume::free`].
    pub(crate) fn free_now(&self) -> Result<()> {
        self.take_checkpoint()?;
        self.on.log.free_now()?;
        self.await_readers();
        self.on.log.give_back_all()?;
        self.cut_ends()
    }

    /// Cuts off what is free at the ends of files, and not needed.
    fn cut_ends(&self) -> Result<()> {
        let Some(cut) = self.on.log.begin_cut()? else {
            return Ok(());
        };
        // Pages that were written before may name places there.
        self.take_checkpoint()?;
        self.on.log.end_cut(cut).map(|_| ())
    }

    /// A step of moving what is alive out of the ends of files that could be shorter; false if there is nothing, or no
    /// room for it in front.
    pub(super) fn clear_ends(&self) -> Result<bool> {
        if let Some(Need::End { .. }) = self.resting_need() {
            return self.clean_step(Need::Nothing);
        }
        let staying = self
            .on
            .log
            .candidates()
            .iter()
            .filter(|c| c.weight() > 0)
            .count() as u64
            + 1;
        match self.on.log.prepare_front(staying, ROUND_BYTES)? {
            Some((end, room)) => self.clean_step(Need::End { end, room }),
            None => Ok(false),
        }
    }

    /// Segments from `end` on, the last first, as far as what is in them fits into so many bytes.
    pub(super) fn choose_at_end(&self, stuck: &Stuck, end: u64, room: u64) -> Vec<Candidate> {
        let ended = Ended::of_now(&self.on.writing, false);
        let mut candidates = self.on.log.candidates();
        candidates.retain(|c| {
            c.segment >= end
                && c.weight() > 0
                && can_go(c)
                && self.on.log.is_of_growing(c.segment)
                && !stuck.holds(c, ended)
        });
        candidates.sort_by_key(|c| std::cmp::Reverse(c.segment));
        let (_, beside) = self.on.log.cleaner_room();
        let mut left = room.min(beside).min(ROUND_BYTES);
        let mut chosen = Vec::new();
        for candidate in candidates {
            let needed = self.needed_to_move(&candidate);
            if needed > left || chosen.len() == ROUND_SEGMENTS {
                break;
            }
            left -= needed;
            chosen.push(candidate);
        }
        chosen
    }
}
