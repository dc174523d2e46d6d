//! When to clean: when room gets short, when much of the volume is dead, or when tombstones pile up.

use std::time::Duration;

use super::choose::{can_go, is_held};
use crate::{clock, error::Result, log::Room, transaction::thin::Haste, volume::Shared};

/// Room is short when there is less of it than this part of the volume, or so many segments.
const SHORT_PART: u64 = 32;
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
    /// Files could end at that segment, and there is room for so many bytes in front of it.
    End { end: u64, room: u64 },
}

/// Less room than this is short.
pub(super) fn short_bytes(room: &Room) -> u64 {
    (room.segments / SHORT_PART).max(SHORT_SEGMENTS) * room.segment_bytes
}

impl Shared {
    /// Cleans a little if there is a reason, and asks for the checkpoint that frees what was cleaned.
    pub(crate) fn clean_if_due(&self) -> Result<bool> {
        self.keep_room_for_checkpoint();
        let need = self.need_of_now();
        let started = clock::now();
        // Nothing is to be moved that nobody needs.
        let thinned = self.thin_chains(need);
        let cleaned = self.clean_step(need)? | thinned;
        if self.cleaner.resting_need().is_none() {
            self.ask_for_checkpoint(need, cleaned);
        }
        self.set_pace();
        let is_wanted = need == Need::Short || need == Need::Tombstones;
        if cleaned && !is_wanted && self.options.background_thread {
            // Nobody waits for it: leave most of the time to others.
            std::thread::sleep(clock::since(started).min(PAUSE_MAX));
        }
        Ok(cleaned)
    }

    /// A step of looking through versions for what nobody needs, if that is due.
    fn thin_chains(&self, need: Need) -> bool {
        let haste = match need {
            Need::Nothing => Haste::None,
            Need::Dirty | Need::Tombstones | Need::End { .. } => Haste::Some,
            Need::Short if self.open_room() < self.log.room().segment_bytes => Haste::All,
            Need::Short => Haste::Some,
        };
        self.is_native() && self.unsettled.has_any() && {
            let readers = self.native.readers();
            let clock = &self.options.clock;
            self.unsettled.thin(&readers, haste, clock, &self.log)
        }
    }

    /// Why to go on with the round that is under way, or to begin one.
    fn need_of_now(&self) -> Need {
        match self.cleaner.resting_need() {
            Some(_) if self.is_short() => Need::Short,
            Some(need) => need,
            // It waits for the room that the last round gives, and another one would take that.
            None if self.is_checkpoint_wanted() => Need::Nothing,
            None => self.cleaning_need(),
        }
    }

    fn is_short(&self) -> bool {
        self.open_room() < short_bytes(&self.log.room())
    }

    /// Room for users, growth of files counted.
    pub(super) fn open_room(&self) -> u64 {
        let room = self.log.room();
        room.open_bytes.saturating_add(room.growth_bytes)
    }

    /// Asks for a checkpoint if it gives enough room for what it costs, or if nothing else does.
    fn ask_for_checkpoint(&self, need: Need, cleaned: bool) {
        let candidates = self.log.candidates();
        let room = self.log.room().segment_bytes;
        let waiting = candidates
            .iter()
            .filter(|c| c.awaits_checkpoint && can_go(c) && c.live_bytes * 8 < room)
            .count() as u64;
        // A checkpoint costs the pages that were changed, at worst all.
        let worth = (2 * self.checkpoint_bytes()).max(WAITING_SEGMENTS * room);
        let is_wanted = need == Need::Short || need == Need::Tombstones;
        // As long as there is room, or some of it is coming, writers go on, and give the cleaner more to do
        // below the start of the checkpoint that there is.
        let is_out = self.open_room() < room && self.log.leaving() == 0;
        let is_last_resort =
            is_wanted && is_out && !cleaned && candidates.iter().any(|c| is_held(c, room));
        if waiting > 0 && waiting * room >= worth
            || is_last_resort && self.cleaner.may_ask(&self.log)
        {
            self.request_checkpoint();
        }
    }

    /// Whether there is a reason to clean.
    pub(crate) fn cleaning_need(&self) -> Need {
        let candidates = self.log.candidates();
        let room = self.log.room();
        let used: u64 = candidates.len() as u64 * room.segment_bytes;
        let tombstones: u64 = candidates.iter().map(|c| c.tombstone_bytes).sum();
        let too_many = tombstones > room.segment_bytes && tombstones * 100 > used * TOMBSTONES_PCT;
        if self.cleaner.tombstones.are_worth_it(tombstones, too_many) {
            return Need::Tombstones;
        }
        if self.is_short() {
            return Need::Short;
        }
        let period = Duration::from_millis(self.options.auto_clean_period_ms);
        let rested = self.cleaner.rested(&self.options.clock) >= period;
        let waiting = candidates.iter().filter(|c| c.is_done()).count() as u64;
        let live: u64 = candidates.iter().map(|c| c.live_bytes).sum();
        let dead = used.saturating_sub(live + waiting * room.segment_bytes);
        if rested && used > 0 && dead * 100 >= used * u64::from(self.options.clean_dirty_pct) {
            return Need::Dirty;
        }
        Need::Nothing
    }
}
