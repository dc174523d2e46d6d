//! What recovery finds alive, counted while it goes on.
//!
//! Invariant: the sum of what was added and not removed is what the index refers to. The log
//! takes it over once ([`Log::set_live`]); before that it frees nothing. Threads count for
//! themselves; what one adds, another may remove.

use super::{core::Log, ledger::Ledger};
use crate::{Error, Result, location::Location};
use parking_lot::Mutex;
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::*},
    },
};

/// A segment is a whole number of granules, whatever its size.
const GRANULE_BITS: u32 = 20;

/// Bytes of live items, by place.
#[derive(Default)]
pub(crate) struct Live {
    granules: Vec<i64>,
    long: Arc<Long>,
}

/// Addresses of live items whose values are in pieces: few volumes have any.
#[derive(Default)]
struct Long {
    any: AtomicBool,
    addresses: Mutex<HashSet<u64>>,
}

impl Live {
    /// Counts for another thread, to be merged in the end.
    pub(crate) fn beside(&self) -> Self {
        Self {
            granules: Vec::new(),
            long: Arc::clone(&self.long),
        }
    }

    /// False if it is a long value that was added before.
    pub(crate) fn add(&mut self, at: Location, is_long: bool) -> bool {
        *self.granule(at) += at.class_bytes() as i64;
        if !is_long {
            return true;
        }
        self.long.any.store(true, Release);
        self.long.addresses.lock().insert(at.address())
    }

    pub(crate) fn remove(&mut self, at: Location) {
        *self.granule(at) -= at.class_bytes() as i64;
        if self.long.any.load(Acquire) {
            self.long.addresses.lock().remove(&at.address());
        }
    }

    /// Adds what one [`beside`](Self::beside) it counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.granules.len() < other.granules.len() {
            self.granules.resize(other.granules.len(), 0);
        }
        for (own, more) in self.granules.iter_mut().zip(&other.granules) {
            *own += more;
        }
    }

    #[cfg(test)]
    pub(crate) fn granules(&self) -> &[i64] {
        &self.granules
    }

    fn granule(&mut self, at: Location) -> &mut i64 {
        let granule = (at.address() >> GRANULE_BITS) as usize;
        if granule >= self.granules.len() {
            self.granules.resize(granule + 1, 0);
        }
        &mut self.granules[granule]
    }
}

impl Log {
    /// Takes over what is alive; from here on segments may be freed. An error if that is where
    /// nothing is: it would be written over.
    pub(crate) fn set_live(&self, live: &Live) -> Result<()> {
        self.check_live(live)?;
        for (granule, &bytes) in live.granules.iter().enumerate() {
            let segment = ((granule as u64) << GRANULE_BITS) / self.medium.segment_bytes();
            if let Some(segment) = self.table.get(segment).filter(|_| bytes != 0) {
                segment.live.fetch_add(bytes, AcqRel);
            }
        }
        let mut ledger = self.ledger.lock();
        let long = live.long.addresses.lock();
        ledger.chunks.retain(|item, _| long.contains(item));
        drop(long);
        self.check_pieces(&ledger)?;
        for place in ledger.chunks.values().flatten() {
            if let Some(segment) = self
                .table
                .get(place.address() / self.medium.segment_bytes())
            {
                segment.live.fetch_add(place.class_bytes() as i64, AcqRel);
            }
        }
        drop(ledger);
        self.freeing.live_is_known();
        self.nudge();
        Ok(())
    }

    /// Pages of a checkpoint may name places that were used again; replay has replaced each of them.
    fn check_live(&self, live: &Live) -> Result<()> {
        let used: HashSet<u64> = self.ledger.lock().in_use.values().copied().collect();
        for (granule, &bytes) in live.granules.iter().enumerate() {
            let address = (granule as u64) << GRANULE_BITS;
            if bytes != 0 && !used.contains(&(address / self.medium.segment_bytes())) {
                return Err(self.lost(Location::new(address, 0), "items that a checkpoint names"));
            }
        }
        Ok(())
    }

    /// Every piece of a long value is in use, and no other's.
    fn check_pieces(&self, ledger: &Ledger) -> Result<()> {
        let used: HashSet<u64> = ledger.in_use.values().copied().collect();
        let mut pieces = HashSet::new();
        for place in ledger.chunks.values().flatten() {
            if !used.contains(&(place.address() / self.medium.segment_bytes())) {
                return Err(self.lost(*place, "a piece of a long value"));
            }
            if !pieces.insert(place.address()) {
                let expected = "a piece of one long value";
                return Err(self.medium.damaged(*place, expected, "one that two name"));
            }
        }
        Ok(())
    }

    fn lost(&self, at: Location, what: &str) -> Error {
        self.medium
            .damaged(at, what, "a segment that holds nothing")
            .advice("salvage copies what is left to another volume")
    }
}
