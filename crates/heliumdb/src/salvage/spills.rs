//! What transactions have sent to the log before they committed.
//!
//! Invariant: nothing here counts; whoever meets the commit that names an id takes what there
//! is of it, if nothing is missing that has to be there. What no commit names was rolled back, or
//! was never finished.

use crate::location::Lsn;
use std::collections::{BTreeMap, HashMap};

use super::{
    batches::{Item, Order},
    trouble::Trouble,
};
use crate::format;

/// What was spilled under one id.
#[derive(Default)]
pub(super) struct Spilled {
    pub(super) items: Vec<Item>,
    /// Whole batches, by number: where each begins.
    batches: BTreeMap<u64, Lsn>,
    /// Some of it is known to be missing.
    is_broken: bool,
}

#[derive(Default)]
pub(super) struct Spills(HashMap<u64, Spilled>);

impl Spills {
    /// A whole batch.
    pub(super) fn add(&mut self, id: u64, number: u64, at: Lsn, items: Vec<Item>) {
        let spilled = self.0.entry(id).or_default();
        spilled.batches.insert(number, at);
        spilled.items.extend(items);
    }

    pub(super) fn break_up(&mut self, id: u64) {
        self.0.entry(id).or_default().is_broken = true;
    }

    pub(super) fn take(&mut self, id: u64) -> Spilled {
        self.0.remove(&id).unwrap_or_default()
    }
}

impl Spilled {
    /// Whether all is here that the commit names, but for what was certainly freed: batches all of
    /// whose segments that are left were read from end to end without finding them.
    pub(super) fn is_whole(
        &self,
        commit: &format::frame::Spilled,
        order: &Order,
        trouble: &Trouble,
    ) -> bool {
        if self.is_broken {
            return false;
        }
        // A number past the last one closes the last stretch.
        let ends = self.batches.iter().map(|(number, at)| (*number, *at));
        let ends = ends.chain([(commit.batches, commit.last)]);
        let (mut next, mut from) = (0, commit.first);
        for (number, at) in ends {
            let is_gap = number > next;
            if is_gap && (order.incomplete || trouble.is_within(from, at, order.segment_bytes)) {
                return false;
            }
            (next, from) = (number + 1, at);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 1 << 20;

    /// Batches 0 to 3 in segments 2 to 5, of which those in `found` are here.
    fn is_whole(found: &[u64], in_use: &[u64], trouble: &[u64], incomplete: bool) -> bool {
        let mut spills = Spills::default();
        for &number in found {
            spills.add(7, number, (2 + number) * SEGMENT + 64, Vec::new());
        }
        let commit = format::frame::Spilled {
            id: 7,
            batches: 4,
            first: 2 * SEGMENT + 64,
            last: 5 * SEGMENT + 64,
            skipped: Vec::new(),
        };
        let order = Order {
            in_use: in_use.iter().copied().collect(),
            incomplete,
            segment_bytes: SEGMENT,
        };
        let mut all = Trouble::default();
        trouble.iter().for_each(|sequence| all.add(*sequence));
        spills.take(7).is_whole(&commit, &order, &all)
    }

    #[test]
    fn what_is_missing_was_freed_or_lost() {
        let all = [2, 3, 4, 5, 6];
        assert!(is_whole(&[0, 1, 2, 3], &all, &all, true));
        // Their segments are not in use.
        assert!(is_whole(&[2, 3], &[4, 5, 6], &[], false));
        assert!(is_whole(&[0, 3], &[2, 5, 6], &[1, 6], false));
        assert!(is_whole(&[], &[6], &[], false));
        // Something is wrong where they were.
        for missing in 0..4 {
            let found: Vec<u64> = (0..4).filter(|number| *number != missing).collect();
            assert!(!is_whole(&found, &all, &[2 + missing], false), "{missing}");
            assert!(!is_whole(&found, &all, &[], true), "{missing}");
        }
        let mut spills = Spills::default();
        spills.break_up(7);
        assert!(spills.take(7).is_broken);
    }
}
