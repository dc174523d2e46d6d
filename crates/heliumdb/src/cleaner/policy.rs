//! When to clean: when room gets short, when much of the volume is dead, or when tombstones pile up.

use std::time::Duration;

use super::{
    Cleaner,
    choose::{can_go, gives_room_unfilled, is_held},
};
use crate::{
    clock,
    error::Result,
    log::Candidate,
    write::{Haste, short_bytes},
};

/// Tombstones that something old keeps from going may take this part of what is in use.
const TOMBSTONES_PCT: u64 = 10;
/// Less than this part stays where a volume is to become small.
const COMPACTED_PART: u64 = 20;

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
    /// Room is wanted as if it were short, and what is alive goes first: tombstones that need not be moved once nothing
    /// older is left wait. For the sake of these, see [`Sake`].
    Items(Option<Sake>),
    /// Tombstones pile up, because items older than they are left somewhere.
    Tombstones,
    /// Files could end at that segment, and there is room for so many bytes in front of it.
    End { end: u64, room: u64 },
}

/// For the sake of tombstones: what is moved too of the segments that were there, though it gives no room itself.
/// Invariant: nothing is moved twice for one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sake {
    /// The segments that were there have lower sequences.
    pub(super) before: u64,
    /// What something with this number, or a lower one, may yet supersede.
    pub(super) newest: u64,
}

impl Cleaner {
    /// Cleans a little if there is a reason, and asks for the checkpoint that frees what was cleaned.
    pub(crate) fn clean_if_due(&self) -> Result<bool> {
        self.checkpoints.keep_room();
        let need = self.need_of_now();
        let started = clock::now();
        // Nothing is to be moved that nobody needs.
        let thinned = self.thin_chains(need);
        let mut cleaned = self.clean_step(need)? | thinned;
        if self.resting_need().is_none() {
            self.ask_for_checkpoint(need, cleaned);
            cleaned = cleaned || self.end_segment_early()?;
        }
        self.on.pace.set();
        let is_wanted = need == Need::Short || need == Need::Tombstones;
        if cleaned && !is_wanted && self.on.access.options().background_thread {
            // Nobody waits for it: leave most of the time to others.
            std::thread::sleep(clock::since(started).min(PAUSE_MAX));
        }
        Ok(cleaned)
    }

    /// A step of looking through versions for what nobody needs, if that is due.
    fn thin_chains(&self, need: Need) -> bool {
        let haste = match need {
            Need::Nothing => Haste::None,
            Need::Dirty | Need::Items(_) | Need::Tombstones | Need::End { .. } => Haste::Some,
            Need::Short if self.is_out() => Haste::All,
            Need::Short => Haste::Some,
        };
        self.on.writing.thin(haste)
    }

    /// Why to go on with the round that is under way, or to begin one.
    fn need_of_now(&self) -> Need {
        match self.resting_need() {
            Some(_) if self.is_short() => Need::Short,
            Some(need) => need,
            // It waits for the room that the last round gives, and another one would take that.
            None if self.checkpoints.is_wanted() => Need::Nothing,
            None => self.cleaning_need(),
        }
    }

    fn is_short(&self) -> bool {
        self.is_out() || self.open_room() < short_bytes(&self.on.log.room())
    }

    /// Whether writers need room now: one waits for it, or there is next to none.
    pub(super) fn is_out(&self) -> bool {
        self.is_waited_for() || self.open_room() < self.on.log.room().segment_bytes
    }

    /// Room for users, growth of files counted.
    pub(super) fn open_room(&self) -> u64 {
        let room = self.on.log.room();
        room.open_bytes.saturating_add(room.growth_bytes)
    }

    /// Asks for a checkpoint if it gives enough room for what it costs, or if nothing else does.
    fn ask_for_checkpoint(&self, need: Need, cleaned: bool) {
        let candidates = self.on.log.candidates();
        let room = self.on.log.room().segment_bytes;
        let is_waiting = |c: &&Candidate| {
            can_go(c) && (c.awaits_checkpoint || c.is_done()) && c.live_bytes * 8 < room
        };
        let waiting = candidates.iter().filter(is_waiting);
        let count = waiting.clone().count() as u64;
        // A checkpoint costs the pages that were changed, at worst all.
        let worth = (2 * self.checkpoints.bytes()).max(WAITING_SEGMENTS * room);
        if count > 0 && count * room >= worth && self.checkpoints.is_worth_it() {
            return self.request_checkpoint_without(waiting);
        }
        let is_wanted = need == Need::Short || need == Need::Tombstones;
        // As long as there is room, or some of it is coming, writers go on, and give the cleaner more to do
        // below the start of the checkpoint that there is.
        if cleaned || !is_wanted || !self.is_out() || self.on.log.leaving() > 0 {
            return;
        }
        let mut held = candidates.iter().filter(|c| is_held(c, room)).peekable();
        if held.peek().is_some() && self.may_ask() {
            self.request_checkpoint_without(held);
        }
    }

    /// Asks for a checkpoint that leaves nothing of itself in these.
    fn request_checkpoint_without<'a>(&self, held: impl Iterator<Item = &'a Candidate>) {
        let pages = held.filter(|c| c.page_bytes > 0);
        self.checkpoints.rewrite_pages(pages.map(|c| c.segment));
        self.checkpoints.request();
    }

    /// Whether a checkpoint may make room that nothing else makes.
    pub(super) fn has_resort(&self) -> bool {
        let segment_bytes = self.on.log.room().segment_bytes;
        let candidates = self.on.log.candidates();
        !self.checkpoints.is_refused()
            && candidates.iter().any(|c| is_held(c, segment_bytes))
            && self.is_resort_left()
    }

    /// The segment that is being filled, if it holds what somebody waits for, and nothing else does.
    pub(super) fn to_end_early(&self) -> Option<u64> {
        let (candidate, lost) = self.on.log.filling()?;
        let segment_bytes = self.on.log.room().segment_bytes;
        gives_room_unfilled(&candidate, lost, segment_bytes).then_some(candidate.sequence)
    }

    /// Completes the segment that is being filled early, so that it can be cleaned; false if that is of no use.
    fn end_segment_early(&self) -> Result<bool> {
        let is_room_coming =
            || self.on.log.has_dead() || self.on.log.leaving() > 0 || self.checkpoints.is_wanted();
        if !self.is_waited_for() || is_room_coming() {
            return Ok(false);
        }
        match self.to_end_early() {
            Some(sequence) => self.on.log.end_segment(sequence),
            None => Ok(false),
        }
    }

    /// Whether there are so many tombstones that what they wait for is to be moved.
    pub(super) fn are_tombstones_worth_it(&self) -> bool {
        let candidates = self.on.log.candidates();
        let segment_bytes = self.on.log.room().segment_bytes;
        let used = candidates.len() as u64 * segment_bytes;
        let bytes: u64 = candidates.iter().map(|c| c.tombstone_bytes).sum();
        let too_many = bytes > segment_bytes && bytes * 100 > used * TOMBSTONES_PCT;
        self.tombstones.are_worth_it(bytes, too_many)
    }

    /// For whose sake a volume that is to become small has everything older moved, if they take a part of it.
    pub(super) fn sake_of_tombstones(&self) -> Option<Sake> {
        let candidates = self.on.log.candidates();
        let segment_bytes = self.on.log.room().segment_bytes;
        let used = candidates.len() as u64 * segment_bytes;
        let with_any = candidates.iter().filter(|c| c.tombstone_bytes > 0);
        let bytes: u64 = with_any.clone().map(|c| c.tombstone_bytes).sum();
        (bytes >= segment_bytes && bytes * COMPACTED_PART >= used).then(|| Sake {
            before: self.on.log.next_segment_sequence(),
            newest: with_any.map(|c| c.max_tombstone).max().unwrap_or(0),
        })
    }

    /// Whether there is a reason to clean.
    fn cleaning_need(&self) -> Need {
        if self.are_tombstones_worth_it() {
            return Need::Tombstones;
        }
        if self.is_short() {
            return Need::Short;
        }
        let (candidates, room) = (self.on.log.candidates(), self.on.log.room());
        let used: u64 = candidates.len() as u64 * room.segment_bytes;
        let period = Duration::from_millis(self.on.access.options().auto_clean_period_ms);
        let rested = self.rested() >= period;
        let waiting = candidates.iter().filter(|c| c.is_done()).count() as u64;
        let live: u64 = candidates.iter().map(|c| c.live_bytes).sum();
        let dead = used.saturating_sub(live + waiting * room.segment_bytes);
        if rested
            && used > 0
            && dead * 100 >= used * u64::from(self.on.access.options().clean_dirty_pct)
        {
            return Need::Dirty;
        }
        Need::Nothing
    }
}
