//! When to clean: when room gets short, when much of the volume is dead, or when tombstones pile up.

use std::time::{Duration, Instant};

use crate::{error::Result, volume::Shared};

/// Room is short when there is less of it than this part of the volume, or so many segments.
const SHORT_PART: u64 = 16;
const SHORT_SEGMENTS: u64 = 4;
/// Tombstones that something old keeps from going may take this part of what is in use.
const TOMBSTONES_PCT: u64 = 10;

/// So many cleaned segments are worth a checkpoint, if that is small.
const WAITING_SEGMENTS: u64 = 8;
/// Longest pause between two steps.
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// Why to clean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    /// There is no reason.
    Nothing,
    /// Much of the volume is dead; nobody waits.
    Dirty,
    /// Room is short.
    Short,
    /// Tombstones pile up, because items older than they are left somewhere.
    Tombstones,
}

impl Shared {
    /// Cleans a little if there is a reason, and asks for the checkpoint that frees what was cleaned.
    pub(crate) fn clean_if_due(&self) -> Result<bool> {
        let need = self.cleaning_need();
        let started = Instant::now();
        let cleaned = self.clean_step(need)?;
        let candidates = self.log.candidates();
        let room = self.log.room().segment_bytes;
        let waiting = candidates
            .iter()
            .filter(|c| c.awaits_checkpoint && c.live_bytes * 8 < room)
            .count() as u64;
        // A checkpoint costs the pages that were changed, at worst all.
        let worth = (2 * self.checkpoint_bytes()).max(WAITING_SEGMENTS * room);
        let is_wanted = need == Need::Short || need == Need::Tombstones;
        if waiting > 0 && (waiting * room >= worth || (is_wanted && !cleaned)) {
            self.request_checkpoint();
        }
        if cleaned && !is_wanted && self.options.background_thread {
            // Nobody waits for it: leave most of the time to others.
            std::thread::sleep(started.elapsed().min(PAUSE_MAX));
        }
        Ok(cleaned)
    }

    /// Whether there is a reason to clean.
    pub(crate) fn cleaning_need(&self) -> Need {
        let candidates = self.log.candidates();
        let room = self.log.room();
        let used: u64 = candidates.len() as u64 * room.segment_bytes;
        let tombstones: u64 = candidates.iter().map(|c| c.tombstone_bytes).sum();
        if tombstones > room.segment_bytes && tombstones * 100 > used * TOMBSTONES_PCT {
            return Need::Tombstones;
        }
        let short = (room.segments / SHORT_PART).max(SHORT_SEGMENTS) * room.segment_bytes;
        if room.open_bytes.saturating_add(room.growth_bytes) < short {
            return Need::Short;
        }
        let period = Duration::from_millis(self.options.auto_clean_period_ms);
        let rested = self.cleaner.rested() >= period;
        let waiting = candidates.iter().filter(|c| c.is_done()).count() as u64;
        let live: u64 = candidates.iter().map(|c| c.live_bytes).sum();
        let dead = used.saturating_sub(live + waiting * room.segment_bytes);
        if rested && used > 0 && dead * 100 >= used * u64::from(self.options.clean_dirty_pct) {
            return Need::Dirty;
        }
        Need::Nothing
    }
}
