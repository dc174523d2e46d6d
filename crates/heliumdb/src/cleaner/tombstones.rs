//! When it is worth moving everything for the sake of tombstones.
//!
//! A tombstone goes when no segment is placed below it any more, so where tombstones pile up the
//! segments placed lowest are cleaned, whatever is live in them. But a snapshot, or a transaction that
//! is not resolved, keeps what is below a tombstone where it is placed. Invariant: after as much was
//! moved as is live, nothing more is before there are twice as many tombstones as were left then.

use parking_lot::Mutex;

use crate::log::Candidate;

/// See the module.
#[derive(Default)]
pub(super) struct Tombstones(Mutex<Pass>);

#[derive(Default)]
struct Pass {
    moved: u64,
    /// Bytes of tombstones that the last pass over all has left.
    left: u64,
}

impl Tombstones {
    /// Whether so many are too many; `too_many` is when there is any reason to care.
    pub(super) fn are_worth_it(&self, bytes: u64, too_many: bool) -> bool {
        let mut pass = self.0.lock();
        if !too_many {
            *pass = Pass::default();
        }
        too_many && bytes >= 2 * pass.left
    }

    /// A round has moved so much for their sake; without it, there was nothing to be moved.
    pub(super) fn note(&self, moved: Option<u64>, candidates: &[Candidate]) {
        let mut pass = self.0.lock();
        let live: u64 = candidates.iter().map(|c| c.live_bytes).sum();
        pass.moved += moved.unwrap_or(live);
        if pass.moved >= live {
            pass.left = candidates.iter().map(|c| c.tombstone_bytes).sum();
            pass.moved = 0;
        }
    }
}
