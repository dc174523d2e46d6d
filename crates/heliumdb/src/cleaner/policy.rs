//! When to clean: when room gets short, when much of the volume is dead, or when tombstones pile up.

use std::time::Duration;

use crate::volume::Shared;

/// Room is short when there is less of it than this part of the volume, or so many segments.
const SHORT_PART: u64 = 16;
const SHORT_SEGMENTS: u64 = 4;
/// Tombstones that something old keeps from going may take this part of what is in use.
const TOMBSTONES_PCT: u64 = 10;

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
