//! Room in the log for what a part's commit will append.
//!
//! Invariant: what was accepted has its room until it is in the log or taken back, whatever else is
//! refused; what was refused or taken back has none. So a commit does not fail for want of room.

use std::sync::Arc;

use crossbeam_epoch as epoch;

use super::part::{Part, Write};
use crate::{
    error::Result,
    log::Reservation,
    shared::Lease,
    version::{Change, Said},
};

/// Log space is reserved in steps of this size.
const RESERVE_STEP_BYTES: u64 = 64 << 10;
/// What an item takes in the log beyond key and value, at most, with its share of a frame.
const ITEM_OVERHEAD_BYTES: u64 = 160;
/// What a commit takes beyond its items: of a part that has spilled, what says which of them count.
const COMMIT_BYTES: u64 = 16 << 10;

impl Part {
    /// Makes sure that the log has room for what the commit will append. Removals are let
    /// through on a full volume: the log keeps a reserve for them. If there is no room, what was
    /// reserved before stays.
    pub(super) fn reserve(&mut self, key: &[u8], change: Change<'_>) -> Result<()> {
        let value = match change {
            Change::Put(value) => value.len(),
            Change::Remove | Change::Reserve => return Ok(()),
        };
        let room = room_of(key.len(), value);
        self.ahead_bytes = self.ahead_bytes.saturating_sub(room);
        let needed_bytes = self.needed_bytes + room;
        let wanted = needed_bytes + self.ahead_bytes + COMMIT_BYTES;
        if wanted > self.reserved_bytes {
            self.promise(wanted)?;
        }
        self.needed_bytes = needed_bytes;
        Ok(())
    }

    fn promise(&mut self, bytes: u64) -> Result<()> {
        // The items of a large transaction are in the index long before they are in the log.
        if self.reservation.is_some() {
            self.volume.checkpoints.keep_room();
        }
        let log = &self.volume.log;
        let mut promise = self.reservation.take().unwrap_or_else(|| log.no_promise());
        let promised = extend(&self.volume, &mut promise, bytes);
        self.reservation = Some(promise).filter(|promise| promise.bytes() > 0);
        self.reserved_bytes = promised?;
        Ok(())
    }

    /// From now on values need no more than this: gives back what was reserved for others.
    pub(super) fn need_only(&mut self, needed_bytes: u64) {
        self.needed_bytes = needed_bytes;
        self.reserved_bytes = 0;
        let kept = needed_bytes + self.ahead_bytes;
        if kept == 0 && self.spill.id.is_none() {
            self.reservation = None;
        } else if let Some(promise) = &mut self.reservation {
            let log = &self.volume.log;
            log.shrink(promise, kept + COMMIT_BYTES);
            // What was spilled may have taken a little more than its share.
            if log.extend(promise, kept + COMMIT_BYTES).is_ok() {
                self.reserved_bytes = kept + COMMIT_BYTES;
            }
        }
    }

    /// Takes over what was reserved for the writes that come now.
    pub(super) fn take_ahead(&mut self, ahead: Ahead) {
        self.ahead_bytes = ahead.needed_bytes;
        self.reserved_bytes = ahead.reserved_bytes;
        self.reservation = Some(ahead.reservation);
    }

    /// What the values that are not in the log yet need.
    pub(super) fn count_needed(&self) -> u64 {
        let guard = epoch::pin();
        let room = |write: &Write| match write.held.version().payload.get(&guard) {
            Said::Bytes(value) => room_of(write.key.len(), value.len()),
            Said::Tombstone | Said::Reserve | Said::At(_) => 0,
        };
        self.writes.iter().map(room).sum()
    }
}

/// Room for writes that nobody can see yet. Invariant: who waits for it keeps nobody waiting.
pub(super) struct Ahead {
    reservation: Reservation,
    reserved_bytes: u64,
    needed_bytes: u64,
}

impl Ahead {
    /// Room for items with keys and values of these lengths; `None` if they are none.
    pub(super) fn reserve(
        volume: &Arc<Lease>,
        puts: impl Iterator<Item = (usize, usize)>,
    ) -> Result<Option<Self>> {
        let needed_bytes: u64 = puts.map(|(key, value)| room_of(key, value)).sum();
        if needed_bytes == 0 {
            return Ok(None);
        }
        volume.access.check_writable()?;
        let mut reservation = volume.log.no_promise();
        let reserved_bytes = extend(volume, &mut reservation, needed_bytes + COMMIT_BYTES)?;
        Ok(Some(Self {
            reservation,
            reserved_bytes,
            needed_bytes,
        }))
    }
}

/// Makes a promise one for `bytes`, or for a step more if that needs no waiting; returns for how many.
fn extend(volume: &Arc<Lease>, promise: &mut Reservation, bytes: u64) -> Result<u64> {
    let wanted = bytes + RESERVE_STEP_BYTES;
    if volume.log.extend(promise, wanted).is_ok() {
        return Ok(wanted);
    }
    volume
        .when_room(|| volume.log.extend(promise, bytes))
        .map(|()| bytes)
}

/// Room in the log for an item, at most.
fn room_of(key_bytes: usize, value_bytes: usize) -> u64 {
    ITEM_OVERHEAD_BYTES + (key_bytes + value_bytes) as u64
}
