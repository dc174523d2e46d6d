//! Appending: one short lock in which places are given out and bytes copied.
//!
//! Invariant: the frames of a batch follow each other, and each is published whole.

use super::{
    Appended, BatchKind, Prepared, batch::Batch, core::Log, flusher::Active, ledger::Ledger,
    segments::Appender, space::Reservation, spot::Spot,
};
use crate::{
    Error, ErrorKind, Result,
    format::{
        Version,
        frame::{self, FIRST, FrameHeader, Kind, LAST},
        item,
        name::GlobalTxn,
        superblock::{MAY_HOLD_CANCELS, MAY_HOLD_MOVES},
    },
    limits::{BLOCK_BYTES, ITEM_ALIGN},
    location::Lsn,
};
use parking_lot::MutexGuard;
use std::sync::atomic::Ordering::*;

/// Whose room an append may use.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    /// What is neither reserved nor promised.
    Open,
    /// The reserve too, but for what the cleaner needs.
    Reserve,
    /// All of the reserve.
    Cleaner,
    /// What was promised to this append earlier.
    Promised,
    /// So much of what was promised to this append, and for the removals beside that the reserve.
    PromisedAnd(u64),
    /// The reserve, but for what lets the cleaner go on.
    Checkpoint,
}

/// Whose room moved items may take.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum MoveRoom {
    /// That of ordinary writes.
    Open,
    /// That of deletes too, but not what a checkpoint may need: what is moved gives no room before that.
    Beside,
    /// All of the reserve: what is moved gives more than it takes, at once.
    #[default]
    Kept,
}

impl Room {
    /// Whether it is something that waits, or does without, when a device has no room: not what was accepted, and
    /// not what gives room.
    fn may_be_refused(self) -> bool {
        match self {
            Self::Open | Self::Cleaner | Self::Checkpoint => true,
            Self::Reserve | Self::Promised | Self::PromisedAnd(_) => false,
        }
    }
}

impl Log {
    /// Appends, buffered. Ordinary appends leave the reserve and what is promised to others
    /// alone; `uses_reserve` (deletes) may use the reserve. For commits that hold a
    /// [`Reservation`] use `append_promised`.
    pub(crate) fn append(&self, batch: &mut Batch, uses_reserve: bool) -> Result<Appended> {
        let room = if uses_reserve {
            Room::Reserve
        } else {
            Room::Open
        };
        self.append_in(batch, room)
    }

    /// Appends what says how a transaction ended: that goes as long as there is any room at all.
    pub(crate) fn append_outcome(&self, batch: &mut Batch) -> Result<Appended> {
        match self.append_in(batch, Room::Reserve) {
            Err(why) if why.kind() == ErrorKind::VolumeFull => {
                self.append_in(batch, Room::Promised).map_err(|_| why)
            }
            appended => appended,
        }
    }

    /// Appends items of a checkpoint. They do not count as something to make a checkpoint of.
    pub(crate) fn append_checkpoint(&self, batch: &mut Batch) -> Result<Appended> {
        let appended = self.append_in(batch, Room::Checkpoint)?;
        self.reserve.checkpoint_takes(batch.bytes() as u64);
        Ok(appended)
    }

    /// Appends in space promised earlier: does not fail for space while the batch fits the promise.
    pub(crate) fn append_promised(
        &self,
        batch: &mut Batch,
        promise: &mut Reservation,
    ) -> Result<Appended> {
        let cost = self.cost(batch.bytes() as u64, batch.largest as u64);
        let room = if promise.bytes() >= cost {
            Room::Promised
        } else {
            Room::PromisedAnd(promise.bytes())
        };
        let appended = self.append_in(batch, room)?;
        promise.draw(cost);
        Ok(appended)
    }

    /// Appends the items at `from`, which are moved, buffered. `None`: the place of one of them is in another use by now, and nothing was
    /// appended.
    pub(crate) fn append_moves(
        &self,
        batch: &mut Batch,
        from: &[Spot],
        room: MoveRoom,
    ) -> Result<Option<Appended>> {
        self.health.check_writable()?;
        self.superblocks.announce(&self.medium, MAY_HOLD_MOVES)?;
        let room = match room {
            MoveRoom::Open => Room::Open,
            MoveRoom::Beside => Room::Reserve,
            MoveRoom::Kept => Room::Cleaner,
        };
        self.retry_device(room)?;
        let appender = self.appender.lock();
        // Segments are taken into use under this lock. So in the log, too, whatever comes to lie where
        // an item was comes behind its move: replay tells the two apart by that alone.
        if !from.iter().all(|&spot| self.is_in_place(spot)) {
            return Ok(None);
        }
        self.append_under(appender, batch, room).map(Some)
    }

    /// Takes back a batch: recovery will not see it.
    pub(crate) fn append_cancel(&self, batch_id: u64) -> Result<Lsn> {
        self.health.check_writable()?;
        self.superblocks.announce(&self.medium, MAY_HOLD_CANCELS)?;
        let mut payload = [0; ITEM_ALIGN];
        payload[..8].copy_from_slice(&batch_id.to_le_bytes());
        self.append_record(Kind::Cancel, batch_id, &payload, |ledger, home| {
            ledger.outcome(batch_id, home, self.medium.segment_bytes());
        })
    }

    /// The transaction that spilled under `id` is over without a commit.
    pub(crate) fn forget_spill(&self, id: u64) {
        self.ledger.lock().forget_spill(id);
    }

    /// Says what became of a prepared batch of this volume.
    pub(crate) fn append_resolve(&self, global: GlobalTxn, committed: bool) -> Result<Lsn> {
        self.health.check_writable()?;
        self.append_record(
            Kind::Resolve,
            0,
            &frame::encode_resolve(global, committed),
            |ledger, home| {
                ledger.resolved(global, home, self.medium.segment_bytes());
            },
        )
    }

    /// The transaction `name`, whose part here was prepared, was acknowledged as committed.
    pub(crate) fn note_committed(&self, name: GlobalTxn) {
        self.ledger.lock().committed(name);
    }

    /// The prepared batches that nothing in the log resolves.
    pub(crate) fn prepared(&self) -> Vec<(GlobalTxn, Prepared)> {
        self.ledger.lock().prepared()
    }

    /// A promise of nothing, for a transaction that has not written yet.
    pub(crate) fn no_promise(&self) -> Reservation {
        self.space.no_promise()
    }

    /// Makes a promise one for a batch of `bytes`, if it was for less. One that fails is what it was.
    pub(crate) fn extend(&self, promise: &mut Reservation, bytes: u64) -> Result<()> {
        self.health.check_writable()?;
        let cost = self.promise_cost(bytes);
        loop {
            {
                let mut space = self.space.lock();
                let more = cost.saturating_sub(promise.bytes());
                let (free, promised) = (self.available(&space), space.promised + more);
                if more == 0
                    || free >= self.reserve.at_most() + promised
                    || free >= self.reserve_beside(promised) + promised
                {
                    space.promised += more;
                    promise.add(more);
                    return Ok(());
                }
            }
            if !self.make_room()? {
                return Err(self.medium.full());
            }
        }
    }

    /// Gives back what a promise is for beyond a batch of `bytes`.
    pub(crate) fn shrink(&self, promise: &mut Reservation, bytes: u64) {
        let excess = promise.bytes().saturating_sub(self.promise_cost(bytes));
        promise.draw(excess);
    }

    fn promise_cost(&self, bytes: u64) -> u64 {
        self.cost(bytes, bytes.min(item::ITEM_BYTES_MAX as u64))
    }

    /// Room that a batch takes at worst: what is lost at the ends of segments, and to the
    /// end of a block when it is synced.
    fn cost(&self, bytes: u64, largest: u64) -> u64 {
        let lost = largest.max(self.medium.segment_bytes() / 128) + 2 * frame::HEADER_BYTES as u64;
        let segments = bytes / (self.medium.usable() - lost) + 1;
        bytes + segments * lost + BLOCK_BYTES as u64
    }

    /// On error nothing of the batch counts, now or after a crash; unless the kind is
    /// `OutcomeUnknown`: then all of it is in the buffer, where others may write it out.
    fn append_in(&self, batch: &mut Batch, room: Room) -> Result<Appended> {
        self.retry_device(room)?;
        self.append_under(self.appender.lock(), batch, room)
    }

    fn append_under(
        &self,
        mut appender: MutexGuard<'_, Appender>,
        batch: &mut Batch,
        room: Room,
    ) -> Result<Appended> {
        // Under the lock: what a failed flush left open must not be added to.
        self.health.check_writable()?;
        self.take_room(self.cost(batch.bytes() as u64, batch.largest as u64), room)?;
        let appended = self.place_batch(&mut appender, batch);
        match room {
            Room::Checkpoint => self.reach.end_at(self.position(&appender)),
            _ => self.reach.written_to(self.position(&appender)),
        }
        let waiting = appender.opened.len();
        drop(appender);
        let appended = appended?;
        self.written.count(batch);
        match self.relieve(waiting) {
            Ok(()) => Ok(appended),
            // It is in the buffer, and stays there until there is room.
            Err(why) if why.kind() == ErrorKind::VolumeFull => Ok(appended),
            Err(why) => Err(self.in_doubt(batch.kind(), why)),
        }
    }

    /// Where a device had no room there is to be no more in memory before that has changed.
    #[inline]
    fn retry_device(&self, room: Room) -> Result<()> {
        match room.may_be_refused() && self.flusher.is_blocked() {
            true => self.flush(false),
            false => Ok(()),
        }
    }

    /// What is said of a failure after the batch's last frame is in the buffer.
    fn in_doubt(&self, kind: &BatchKind, why: Error) -> Error {
        // Who meets the failure of others' write finds the log poisoned; a closed one is not yet.
        self.health.poison(why.clone());
        match kind {
            BatchKind::Commit | BatchKind::CommitSpilled(_) => why.outcome_unknown(),
            // These do not count by themselves: without what is to follow they never will.
            BatchKind::Prepare { .. }
            | BatchKind::Spill { .. }
            | BatchKind::Move { .. }
            | BatchKind::Checkpoint => why,
        }
    }

    #[inline]
    fn take_room(&self, cost: u64, room: Room) -> Result<()> {
        loop {
            {
                let space = self.space.lock();
                let free = self.available(&space);
                if free >= self.reserve.at_most() + space.promised + cost {
                    return Ok(());
                }
                // Only where room is short does it matter how much is kept.
                let kept = match room {
                    Room::Open => self.reserve_beside(space.promised + cost) + space.promised,
                    Room::Reserve => self.cleaner_bytes() + space.promised,
                    Room::Cleaner => space.promised,
                    Room::Checkpoint => self.kept_for_cleaner() + space.promised,
                    Room::Promised => 0,
                    Room::PromisedAnd(mine) => {
                        self.cleaner_bytes() + space.promised.saturating_sub(mine)
                    }
                };
                if free >= kept + cost {
                    return Ok(());
                }
            }
            if !self.make_room()? {
                return Err(self.medium.full());
            }
        }
    }

    /// Appends a frame that is not a batch, and enters what it pins in the ledger.
    fn append_record(
        &self,
        kind: Kind,
        batch_id: u64,
        payload: &[u8],
        enter: impl FnOnce(&mut Ledger, u64),
    ) -> Result<Lsn> {
        let mut appender = self.appender.lock();
        self.health.check_writable()?;
        self.take_room(
            self.cost((frame::HEADER_BYTES + payload.len()) as u64, 0),
            Room::Reserve,
        )
        .or_else(|e| {
            self.take_room(frame::HEADER_BYTES as u64, Room::Promised)
                .map_err(|_| e)
        })?;
        let needed = frame::HEADER_BYTES + payload.len();
        while appender
            .current
            .as_ref()
            .is_none_or(|c| self.medium.room_from(c.offset) < needed as u64)
        {
            self.next_segment(&mut appender)?;
        }
        let appender = &mut *appender;
        let Some(current) = appender.current.as_mut() else {
            return Err(self.medium.full());
        };
        let header = FrameHeader {
            version: Version::CURRENT,
            kind,
            flags: FIRST | LAST,
            payload_len: payload.len() as u32,
            item_count: 0,
            epoch: self.reach.epoch(),
            lsn: current.sequence * self.medium.segment_bytes() + current.offset as u64,
            horizon: self.reach.durable(),
            batch_id,
            payload_hash: frame::prefix_hash(payload),
            chain: appender.chain,
        };
        appender.chain = self.put_frame(current, &header, &[payload]);
        if let Some(segment) = self.table.get(current.segment) {
            segment.outcomes.store(true, Relaxed);
        }
        enter(&mut self.ledger.lock(), current.segment);
        let end = self.position(appender);
        self.reach.written_to(end);
        Ok(end)
    }

    pub(super) fn position(&self, appender: &Appender) -> Lsn {
        match &appender.current {
            Some(current) => current.sequence * self.medium.segment_bytes() + current.offset as u64,
            None => self.reach.end(),
        }
    }

    /// Pads the current segment to a block and says what is there to write.
    pub(super) fn cut(&self, pad: bool) -> (Lsn, Vec<Active>) {
        let mut appender = self.appender.lock();
        if let Some(current) = appender.current.as_mut().filter(|_| pad) {
            current.offset = current.offset.next_multiple_of(BLOCK_BYTES);
            current.writer.publish(current.offset);
            self.reach.leave(self.medium.room_from(current.offset));
        }
        let end = self.position(&appender);
        self.reach.end_at(end);
        (end, std::mem::take(&mut appender.opened))
    }
}
