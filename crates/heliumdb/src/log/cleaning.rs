//! What the cleaner needs of the log: which segments there are, what is in them, and that what
//! was moved away stays until a checkpoint no longer refers to it.
//!
//! Invariant: a segment that items were moved away from is noted as cleaned before any of them
//! counts as dead, so that it is never freed too early.

use super::{
    Purpose, Ready,
    core::Log,
    ledger::Ledger,
    spot::Spot,
    table::{SEALED, Segment},
    walk::{Step, Walk},
};
use crate::{
    Result,
    device::aligned::AlignedBuffer,
    format::{item::ItemHeader, segment::State},
    location::{Location, Lsn},
};
use std::{collections::HashMap, sync::atomic::Ordering::*, time::Duration};

/// A segment that could be cleaned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub sequence: u64,
    pub segment: u64,
    pub live_bytes: u64,
    /// Bytes of items in it that have died.
    pub dead_bytes: u64,
    /// Bytes that moving would take if all of its items were alive, and bytes of frame headers that
    /// it saves.
    pub again: u64,
    pub spare: u64,
    pub tombstone_bytes: u64,
    /// The highest number of a tombstone in it.
    pub max_tombstone: u64,
    /// Bytes of the newest checkpoint in it, which are live, and which only a newer one brings elsewhere.
    pub page_bytes: u64,
    /// Whatever may yet supersede an item in it has this number or a higher one.
    pub min_placed: u64,
    /// Replay reads it, or may: what is moved away from it stays until a newer checkpoint is durable.
    pub is_replayed: bool,
    /// It stays until a newer checkpoint is durable, cleaned or not.
    pub awaits_checkpoint: bool,
    /// Replay would read it from a checkpoint of now, too: behind something that was spilled and has no outcome
    /// yet. Nothing that is done with it gives room before that is over.
    pub is_behind_spill: bool,
    /// Something in another segment, which does not go itself at the next checkpoint, needs a record in it: emptied, it
    /// would still stay.
    pub is_pinned: bool,
}

impl Candidate {
    /// Bytes that may have to be moved to get rid of it.
    pub(crate) fn weight(&self) -> u64 {
        self.live_bytes + self.tombstone_bytes
    }

    /// Bytes that moving takes, at most, but for frame headers and what is lost at the ends of segments.
    pub(crate) fn moved_bytes(&self) -> u64 {
        // Size classes overstate what is dead by a sixteenth of it, at most.
        let dead = self.dead_bytes - self.dead_bytes.div_ceil(17);
        // The shortest tombstone has 32 bytes, and is moved with 8 more.
        self.again.saturating_sub(dead) + self.tombstone_bytes + self.tombstone_bytes / 4
    }

    /// Bytes of all items that were put into it, dead or not.
    pub(crate) fn filled(&self) -> u64 {
        self.live_bytes + self.dead_bytes + self.tombstone_bytes
    }

    /// Whether what is done with it gives room only with a newer checkpoint.
    pub(crate) fn gives_later(&self) -> bool {
        self.is_replayed || self.page_bytes > 0
    }

    /// Whether nothing is alive in it, and a newer checkpoint is all that it waits for.
    pub(crate) fn is_emptied(&self) -> bool {
        self.live_bytes == 0 && self.awaits_checkpoint
    }

    /// Whether it is free once a checkpoint is durable, and all that needs a record in it is.
    fn is_going(&self) -> bool {
        self.weight() == 0 && !self.is_pinned && !self.is_behind_spill
    }

    /// Whether only a checkpoint is missing for it to be freed.
    pub(crate) fn is_done(&self) -> bool {
        self.live_bytes == self.page_bytes && (self.awaits_checkpoint || self.page_bytes > 0)
    }
}

/// How much room there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Room for ordinary writes, growth of files not counted.
    pub open_bytes: u64,
    /// By how much files may still grow; `u64::MAX` if nobody knows.
    pub growth_bytes: u64,
    /// Bytes that frames can use in a segment.
    pub segment_bytes: u64,
    /// All segments of the volume.
    pub segments: u64,
}

impl Log {
    /// Room for those who may not use the reserve.
    pub(crate) fn room(&self) -> Room {
        let members = self.superblocks.members();
        let total: u64 = members.iter().map(|m| m.bytes).sum();
        let growth_bytes = match self.space.is_out_of_blocks() {
            true => 0,
            false => self.growth.left(&members),
        };
        let space = self.space.lock();
        Room {
            open_bytes: self
                .expected(&space)
                .saturating_sub(self.reserve_bytes() + space.promised),
            growth_bytes,
            segment_bytes: self.medium.usable(),
            segments: total / self.medium.segment_bytes(),
        }
    }

    /// All segments that are complete, oldest first.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let ledger = self.ledger.lock();
        let spilled = ledger.oldest_spill().unwrap_or(u64::MAX);
        let sealed = ledger.in_use.iter().filter_map(|(&sequence, &id)| {
            let segment = self.table.get(id)?;
            (segment.state.load(Acquire) == SEALED).then_some((sequence, id, segment))
        });
        // What needs a record in another one is older than that.
        let mut going = HashMap::new();
        sealed
            .map(|(sequence, id, segment)| {
                let mut candidate = self.candidate(sequence, id, segment, &ledger, spilled);
                let gone = going.get(&id).copied().unwrap_or(0);
                candidate.is_pinned = ledger.needs_record_of(id) > gone;
                candidate.is_replayed |= gone > 0;
                if candidate.is_going() {
                    let homes = ledger.homes_of(id);
                    homes.for_each(|home| *going.entry(home).or_default() += 1);
                }
                candidate
            })
            .collect()
    }

    fn candidate(
        &self,
        sequence: u64,
        id: u64,
        segment: &Segment,
        ledger: &Ledger,
        spilled: u64,
    ) -> Candidate {
        let live_bytes = segment.live.load(Acquire).max(0) as u64;
        Candidate {
            sequence,
            segment: id,
            live_bytes,
            dead_bytes: segment.filled.load(Acquire).saturating_sub(live_bytes),
            again: segment.again.load(Acquire),
            spare: segment.spare.load(Acquire),
            tombstone_bytes: segment.tombstones.load(Acquire),
            max_tombstone: segment.max_tombstone.load(Acquire),
            page_bytes: ledger
                .pages
                .get(&id)
                .map_or(0, |bytes| live_bytes.min(*bytes)),
            min_placed: segment.min_placed.load(Acquire),
            is_replayed: self.is_replayed(sequence),
            awaits_checkpoint: self.awaits_checkpoint(segment, sequence),
            is_behind_spill: self.is_replayed(sequence) && sequence >= spilled,
            is_pinned: ledger.needs_record_of(id) > 0,
        }
    }

    /// The newest checkpoint is at these places.
    pub(crate) fn note_pages(&self, places: impl Iterator<Item = Location>) {
        let mut pages = HashMap::new();
        for at in places {
            *pages.entry(self.medium.segment_of(at)).or_insert(0) += at.class_bytes() as u64;
        }
        self.ledger.lock().pages = pages;
    }

    /// The segment that is being filled, as if it were complete; and what would be lost at its end. `None` where that
    /// would not leave the cleaner, and a checkpoint, what they need.
    pub(crate) fn filling(&self) -> Option<(Candidate, u64)> {
        let appender = self.appender.lock();
        let current = appender.current.as_ref()?;
        let (id, lost) = (current.segment, self.medium.room_from(current.offset));
        if !self.may_lose(lost) {
            return None;
        }
        let ledger = self.ledger.lock();
        let spilled = ledger.oldest_spill().unwrap_or(u64::MAX);
        let segment = self.table.get(id)?;
        let mut candidate = self.candidate(current.sequence, id, segment, &ledger, spilled);
        if !self.needs_tombstones(segment, self.oldest_placed_in(&ledger, id)) {
            candidate.dead_bytes += std::mem::take(&mut candidate.tombstone_bytes);
        }
        Some((candidate, lost))
    }

    fn may_lose(&self, bytes: u64) -> bool {
        let space = self.space.lock();
        let kept = self.cleaner_bytes() + space.promised;
        space.free_segments() > 0 && self.available(&space) >= kept + bytes
    }

    /// Completes the segment that is being filled, if [`Log::filling`] still says that it is that one; false if not.
    pub(crate) fn end_segment(&self, sequence: u64) -> Result<bool> {
        let mut appender = self.appender.lock();
        self.health.check_writable()?;
        let current = appender.current.as_ref();
        let Some(current) = current.filter(|current| current.sequence == sequence) else {
            return Ok(false);
        };
        if !self.may_lose(self.medium.room_from(current.offset)) {
            return Ok(false);
        }
        self.next_segment(&mut appender)?;
        let end = self.position(&appender);
        self.reach.written_to(end);
        Ok(true)
    }

    /// The lowest number that may yet supersede an item of another segment than this one.
    pub(crate) fn oldest_placed(&self, but: u64) -> u64 {
        self.oldest_placed_in(&self.ledger.lock(), but)
    }

    fn oldest_placed_in(&self, ledger: &Ledger, but: u64) -> u64 {
        let others = ledger.in_use.values().filter(|&&id| id != but);
        let placed = others.filter_map(|&id| Some(self.table.get(id)?.min_placed.load(Acquire)));
        placed.min().unwrap_or(u64::MAX)
    }

    /// Whether a tombstone in it may yet be needed, for what others hold, of which the oldest is `others`, or for what
    /// is yet to be logged.
    pub(super) fn needs_tombstones(&self, segment: &Segment, others: u64) -> bool {
        segment.tombstones.load(Acquire) > 0
            && (others <= segment.max_tombstone.load(Acquire)
                || self.freeing.oldest_pending() < segment.max_overtaking.load(Acquire))
    }

    /// The tombstones in a segment were moved, or nothing needs them.
    pub(crate) fn forget_tombstones(&self, candidate: &Candidate) {
        // The guard keeps the segment from its next use, with tombstones of its own.
        let guard = crossbeam_epoch::pin();
        if let Some(segment) = self.table.get(candidate.segment)
            && self.use_of(candidate.segment, &guard) == Some(candidate.sequence)
        {
            // Replay from the checkpoint of now may still need them where they are.
            segment.cleaned_at.fetch_max(self.reach.end(), AcqRel);
            segment.tombstones.store(0, Release);
        }
    }

    /// Segments that will be free as soon as readers of them are gone.
    pub(crate) fn leaving(&self) -> u64 {
        self.freeing.leaving()
    }

    /// Segments that were freed and can be used again, so far.
    pub(crate) fn readmitted(&self) -> u64 {
        self.freeing.readmitted()
    }

    /// Waits until a segment gets free, or for so long.
    pub(crate) fn await_segment(&self, most: Duration) {
        self.nudge();
        self.space.await_room(most);
    }

    /// Room for what the cleaner moves if that gives room at once, and for the rest: that is what
    /// is left beside what a checkpoint may need.
    pub(crate) fn cleaner_room(&self) -> (u64, u64) {
        let all = self.all_room();
        let beside = all.saturating_sub(self.cleaner_bytes());
        (beside.max(self.kept_for_cleaner()).min(all), beside)
    }

    /// Room for a checkpoint.
    pub(crate) fn checkpoint_room(&self) -> u64 {
        self.all_room().saturating_sub(self.kept_for_cleaner())
    }

    /// The same with all that files may still grow by.
    pub(crate) fn checkpoint_room_at_most(&self) -> u64 {
        self.checkpoint_room()
            .saturating_add(self.room().growth_bytes)
    }

    /// Whether that is less than the next one may take.
    pub(crate) fn lacks_checkpoint_room(&self) -> bool {
        self.checkpoint_room_at_most() < self.checkpoint_reserve()
    }

    fn all_room(&self) -> u64 {
        let space = self.space.lock();
        self.expected(&space).saturating_sub(space.promised)
    }

    /// Bytes of items that are moved in one batch, which has to fit into one frame.
    pub(crate) fn move_bytes(&self) -> usize {
        // Whoever appends meanwhile waits for all of it to be copied; and as much is lost at the end of a
        // segment.
        (self.medium.segment_bytes() as usize / 64).min(64 << 10)
    }

    /// The sequence that the next segment gets.
    pub(crate) fn next_segment_sequence(&self) -> u64 {
        self.reach.end() / self.medium.segment_bytes() + 1
    }

    /// Shows `visit` every item in a segment, pieces of long values too; false if the segment is
    /// in another use by now.
    pub(crate) fn visit_segment(
        &self,
        candidate: &Candidate,
        visit: &mut dyn FnMut(&ItemHeader, &[u8], Spot),
    ) -> Result<bool> {
        let (id, sequence) = (candidate.segment, candidate.sequence);
        for _ in 0..2 {
            // What is not on the device yet has to get there first.
            if !self.flusher.is_written(id) {
                self.flush(true)?;
            }
        }
        let (device, offset) = self.medium.segment_place(id);
        let mut image = AlignedBuffer::new(self.medium.segment_bytes() as usize);
        {
            let guard = crossbeam_epoch::pin();
            if self.use_of(id, &guard) != Some(sequence) {
                return Ok(false);
            }
            self.medium
                .device(device)
                .read_at(&mut image, offset)
                .map_err(|e| self.medium.io_error("read log from", device, offset, e))?;
        }
        let newest = self.medium.newest_header(id, &image);
        let Some(header) = newest.filter(|h| h.sequence == sequence) else {
            let at = Location::new(id * self.medium.segment_bytes(), 0);
            return Err(self.medium.damaged(at, "a segment header", "another one"));
        };
        let end = match header.state {
            State::Ended => header.end,
            State::InUse => u64::MAX,
            State::Free => return Ok(false),
        };
        let mut walk = Walk::new(&image, &header, self.medium.salt(), self.reach.durable());
        while walk.lsn() < end {
            match walk.next()? {
                Step::Sealed => break,
                Step::Broken { .. } if walk.lsn() >= end => break,
                Step::Broken { found } | Step::Impossible { found } => {
                    let at = Location::new(id * self.medium.segment_bytes() + walk.at as u64, 0);
                    return Err(self.medium.damaged(at, "a frame of the log", found));
                }
                Step::Frame {
                    payload,
                    prefix_len,
                    ..
                } => {
                    let start = payload.start + prefix_len;
                    let base = id * self.medium.segment_bytes() + start as u64;
                    visit_items(&image[start..payload.end], base, &mut |header, item, at| {
                        visit(
                            header,
                            item,
                            Spot::new(at, sequence, self.medium.segment_bytes()),
                        );
                    });
                }
            }
        }
        Ok(true)
    }

    /// The long values, by where their indirect items are and in that order, that have a piece in one of `segments`.
    pub(crate) fn owners_of_chunks(&self, segments: &[u64]) -> Vec<u64> {
        let is_in =
            |at: &Location| segments.contains(&(at.address() / self.medium.segment_bytes()));
        let ledger = self.ledger.lock();
        let chunks = ledger.chunks.iter();
        let owners = chunks
            .filter(|(owner, places)| {
                places.iter().any(is_in)
                    || segments.contains(&(*owner / self.medium.segment_bytes()))
            })
            .map(|(owner, _)| *owner);
        let mut owners: Vec<u64> = owners.collect();
        owners.sort_unstable();
        owners
    }

    /// Reads all of the item of up to `bytes` bytes at `address`, with its padding; the caller's
    /// guard keeps it there, as [`Log::use_of`] or the index has said.
    pub(crate) fn read_logged(&self, address: u64, bytes: usize) -> Result<Option<Vec<u8>>> {
        let at = Location::new(address, bytes);
        let mut item = Vec::new();
        let guard = crossbeam_epoch::pin();
        let found = self.with_item(Purpose::Check, at, Ready::No, &guard, |header, bytes| {
            item.extend_from_slice(&bytes[..header.padded_len()]);
        })?;
        Ok(found.map(|()| item))
    }

    /// Items at `from` were appended anew, up to `end`; their pieces, if any, with them.
    pub(crate) fn note_moved(&self, from: Location, end: Lsn) {
        let note = |at: u64| {
            // Of what was cut off since nothing is known.
            if let Some(segment) = self.table.known(at / self.medium.segment_bytes()) {
                segment.cleaned_at.fetch_max(end, AcqRel);
            }
        };
        note(from.address());
        let is_long = self
            .table
            .known(from.address() / self.medium.segment_bytes())
            .is_some_and(|segment| segment.indirect.load(Acquire));
        if is_long && let Some(chunks) = self.ledger.lock().chunks.get(&from.address()) {
            chunks.iter().for_each(|at| note(at.address()));
        }
    }

    /// Whether the segment is needed where it is, as long as replay starts where it does now: for
    /// items that were moved away from it, or what its tombstones say.
    ///
    /// Replay does not read what lies wholly below its start, and all that was moved away from there
    /// has either moved below the start too, so that the checkpoint has the new place, or replay
    /// meets the move. It looks for the old place in the index, not on the medium.
    pub(super) fn awaits_checkpoint(&self, segment: &Segment, sequence: u64) -> bool {
        self.is_replayed(sequence)
            && (segment.cleaned_at.load(Acquire) > self.replay.start()
                || segment.says_more_than_its_items())
    }

    /// Whether some of the segment lies behind where replay starts. Without any checkpoint all of
    /// the log is read, and goes by numbers: nothing is needed for where it stood.
    fn is_replayed(&self, sequence: u64) -> bool {
        (sequence + 1).saturating_mul(self.medium.segment_bytes()) > self.replay.start()
    }
}

/// The items of a frame's payload that starts at `base`.
fn visit_items(bytes: &[u8], base: u64, visit: &mut dyn FnMut(&ItemHeader, &[u8], Location)) {
    let mut at = 0;
    while let Some(header) = bytes.get(at..).and_then(ItemHeader::decode) {
        let item = &bytes[at..at + header.len()];
        visit(&header, item, header.place(base + at as u64));
        at += header.padded_len();
    }
}
