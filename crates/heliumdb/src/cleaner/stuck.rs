//! Segments that could not be emptied: what is in them is not resolved yet, or may still be taken back.
//!
//! Invariant: one is tried again only after something has come to its end that may have held it; the
//! more often that was in vain, the later, unless writers wait.

use std::collections::BTreeMap;

use crate::{log::Candidate, version::TxnId, write::Writing};

/// As often as that, twice as many have to end before the next try.
const DOUBLINGS_MAX: u32 = 16;

/// Those segments, by sequence.
#[derive(Default)]
pub(super) struct Stuck(BTreeMap<u64, Try>);

struct Try {
    /// What was left in it.
    weight: u64,
    was: Ended,
    times: u32,
}

/// What has come to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    final_below: TxnId,
    writers: u64,
    pub(super) is_urgent: bool,
}

impl Ended {
    pub(super) fn of_now(writing: &Writing, is_urgent: bool) -> Self {
        Self {
            final_below: writing.final_below(),
            writers: writing.writers_ended(),
            is_urgent,
        }
    }
}

impl Stuck {
    /// Whether it is no use to try it now.
    pub(super) fn holds(&self, candidate: &Candidate, now: Ended) -> bool {
        let Some(tried) = self.0.get(&candidate.sequence) else {
            return false;
        };
        if tried.weight != candidate.weight() || tried.was.final_below != now.final_below {
            return false;
        }
        let ended = now.writers - tried.was.writers;
        let enough = match now.is_urgent {
            true => 1,
            false => 1 << tried.times.min(DOUBLINGS_MAX),
        };
        ended < enough
    }

    /// It was tried; so much is left.
    pub(super) fn note(&mut self, sequence: u64, weight: u64, was: Ended) {
        let before = self.0.get(&sequence).filter(|t| t.weight == weight);
        let times = before.map_or(0, |tried| tried.times + 1);
        self.0.insert(sequence, Try { weight, was, times });
    }

    /// Nothing is left in it.
    pub(super) fn forget(&mut self, sequence: u64) {
        self.0.remove(&sequence);
    }

    pub(super) fn retain(&mut self, is_in_use: impl Fn(u64) -> bool) {
        self.0.retain(|sequence, _| is_in_use(*sequence));
    }
}
