//! Compaction: a datastore's items appended anew in key order, where they are scattered.
//!
//! Invariant: it uses only room that anybody may use, and changes no item.

use std::{sync::Arc, time::Instant};

use crossbeam_epoch as epoch;

use super::{Cleaner, Need, gather::Gathered, room::OwnStep};
use crate::{
    error::Result,
    format::item::{INDIRECT, ItemHeader},
    index::{Bound, Direction},
    location::{Slot, Word},
    log::Spot,
    tree::Tree,
};

/// Items that are looked at together.
const RUN_ITEMS: usize = 2048;
/// Bytes of them, at most, but for the last.
const RUN_BYTES: usize = 8 << 20;
/// A run of which more than this part does not lie behind its predecessor is scattered.
const JUMPS_PCT: usize = 10;

/// What a compaction has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Compaction {
    /// How many items were moved.
    pub moved: u64,
    /// Whether it came to the end before its time was over.
    pub is_done: bool,
}

impl Cleaner {
    /// Cleans whatever gives room, and frees it behind a checkpoint.
    pub(crate) fn clean_all(&self) -> Result<()> {
        while self.clean_some()? {}
        self.checkpoints.request();
        Ok(())
    }

    /// A step of cleaning whatever gives room; false if there is nothing.
    pub(crate) fn clean_some(&self) -> Result<bool> {
        self.on.access.check_writable()?;
        Ok(self.clean_step(Need::Short)? || self.clear_ends()?)
    }

    /// Moves the items of `tree` next to each other, in key order, until `deadline`. `step` is as for
    /// [`Cleaner::when_room`].
    pub(crate) fn compact(
        &self,
        tree: &Arc<Tree>,
        deadline: Option<Instant>,
        step: OwnStep<'_>,
    ) -> Result<Compaction> {
        self.on.access.check_writable()?;
        let trees = [(tree.id, tree.clone())].into();
        let mut moved = 0;
        let mut last: Option<Vec<u8>> = None;
        loop {
            if deadline.is_some_and(|deadline| self.clock().now() >= deadline) {
                return Ok(Compaction {
                    moved,
                    is_done: false,
                });
            }
            let (places, end) = self.run_of_items(tree, last.as_deref());
            if is_scattered(&places) {
                let mut gathered = self.gather_places(tree, &places)?;
                moved += gathered.len() as u64;
                let mut next = 0;
                while next < gathered.len() {
                    next = self.when_room(step, || self.move_some(&trees, &mut gathered, next))?;
                }
            }
            if end.is_none() {
                self.checkpoints.request();
                return Ok(Compaction {
                    moved,
                    is_done: true,
                });
            }
            last = end;
        }
    }

    /// The next items behind `last`, and the key of the last one if there may be more.
    pub(super) fn run_of_items(
        &self,
        tree: &Tree,
        last: Option<&[u8]>,
    ) -> (Vec<Spot>, Option<Vec<u8>>) {
        let guard = epoch::pin();
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut slots = tree.index.iter(from, Direction::Forward, &guard);
        let mut places = Vec::new();
        let (mut items, mut bytes) = (0, 0);
        while let Some((key, word)) = slots.next() {
            // What is in a chain was written lately, and will be again.
            if let Slot::At(at) = Word(word).slot() {
                places.extend(self.on.log.spot(at, &guard));
                bytes += at.class_bytes();
            }
            items += 1;
            if items == RUN_ITEMS || bytes >= RUN_BYTES {
                return (places, Some(key.to_vec()));
            }
        }
        (places, None)
    }

    pub(super) fn gather_places(&self, tree: &Tree, places: &[Spot]) -> Result<Gathered> {
        let mut gathered = Gathered::in_open_room();
        for &spot in places {
            let guard = epoch::pin();
            if !self.on.log.stays(spot, &guard) {
                continue;
            }
            let at = spot.at();
            let Some(bytes) = self.on.log.read_logged(at.address(), at.class_bytes())? else {
                continue;
            };
            // Long values are in order as they are.
            if let Some(header) = ItemHeader::decode(&bytes)
                && header.tree == tree.id
                && !header.has(INDIRECT)
            {
                gathered.push(&header, &bytes[..header.len()], spot);
            }
        }
        Ok(gathered)
    }
}

fn is_scattered(places: &[Spot]) -> bool {
    let jumps = places
        .windows(2)
        .filter(|two| two[1].at().address() < two[0].at().address());
    jumps.count() * 100 > places.len() * JUMPS_PCT
}
