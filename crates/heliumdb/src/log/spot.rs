//! What tells an item from all others: its place, and its position in the log.
//!
//! Invariants:
//! - A place is used again once its segment was freed, a position never is: the segment's next use has
//!   a higher sequence. So who remembers an item and lets go of everything remembers its [`Spot`];
//!   a place that says the same is not the same item.
//! - The index refers to items of the use of now only. Who has found the place there, and holds the
//!   leaf's latch or the guard, learns from [`Log::spot`] which item that is.
//! - Who has not found it there asks [`Log::use_of`] first: a use that is seen under a guard does not
//!   end while the guard lives.

use super::{
    core::Log,
    table::{FILLING, SEALED},
};
use crate::location::{Location, Lsn};
use crossbeam_epoch::Guard;
use std::sync::atomic::Ordering::*;

/// An item's place together with its position in the log, which is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Spot {
    at: Location,
    position: Lsn,
}

impl Spot {
    /// The item at `at`, in the use with this sequence of a segment of so many bytes.
    pub(super) fn new(at: Location, sequence: u64, segment_bytes: u64) -> Self {
        Self {
            at,
            position: sequence * segment_bytes + at.address() % segment_bytes,
        }
    }

    pub(crate) fn at(self) -> Location {
        self.at
    }
}

impl Log {
    /// What tells the item at `at` from all others, those of later uses of the place included;
    /// `None` if the volume has no such place. The index refers to it, or did when the guard was there.
    pub(crate) fn spot(&self, at: Location, _guard: &Guard) -> Option<Spot> {
        let (segment, _) = self.entry_of(at)?;
        let sequence = segment.sequence.load(Acquire);
        Some(Spot::new(at, sequence, self.medium.segment_bytes()))
    }

    /// The sequence of a segment's use of now, which does not end while the guard lives; `None` if
    /// it is free, or will be as soon as its readers are gone.
    pub(crate) fn use_of(&self, segment: u64, _guard: &Guard) -> Option<u64> {
        let segment = self.table.get(segment)?;
        let is_used = matches!(segment.state.load(Acquire), FILLING | SEALED);
        is_used.then(|| segment.sequence.load(Acquire))
    }

    /// Whether the segment of the item is in the use that the item is in, and stays so while the guard
    /// lives.
    pub(crate) fn stays(&self, spot: Spot, guard: &Guard) -> bool {
        let sequence = self.use_of(self.medium.segment_of(spot.at), guard);
        sequence == Some(spot.position / self.medium.segment_bytes())
    }

    /// Whether the item's segment has not begun another use. It may do so at any time, but not
    /// while the caller holds the appender, or the latch of a leaf that refers to the place.
    pub(crate) fn is_in_place(&self, spot: Spot) -> bool {
        let sequence = self
            .entry_of(spot.at)
            .map(|(s, _)| s.sequence.load(Acquire));
        sequence == Some(spot.position / self.medium.segment_bytes())
    }
}
