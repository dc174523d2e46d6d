//! Which segments to clean: those that give most room for the work, old ones before young ones.
//!
//! Young segments still lose items by themselves; old ones have what stays. The usual measure of
//! that (Rosenblum and Ousterhout) is (1 - u) × age / (1 + u), where u is the part that has to be
//! moved. Invariant: what is chosen fits into the room that is left, moved; and what
//! waits for a checkpoint then does not take the room that the checkpoint needs.

use std::collections::BTreeMap;

use super::{Need, ROUND_BYTES, ROUND_READ, ROUND_SEGMENTS};
use crate::{log::Candidate, volume::Shared};

/// Of a segment that has more to be moved than this, cleaning gives next to nothing.
const WEIGHT_PCT_MAX: u32 = 95;

impl Shared {
    pub(super) fn choose_victims(
        &self,
        stuck: &BTreeMap<u64, (u64, u64)>,
        need: Need,
    ) -> Vec<Candidate> {
        let mut candidates = self.log.candidates();
        let oldest = self.unsettled.oldest();
        candidates
            .retain(|c| !c.is_done() && stuck.get(&c.sequence) != Some(&(c.weight(), oldest)));
        let segment_bytes = self.log.room().segment_bytes;
        let (weight_pct_max, by_age) = match need {
            Need::Nothing => return Vec::new(),
            Need::Dirty => (self.options.clean_util_pct.clamp(1, 100), false),
            Need::Short => (WEIGHT_PCT_MAX, false),
            Need::Tombstones => (100, true),
        };
        candidates.retain(|c| {
            c.weight() > 0 && c.weight() * 100 <= segment_bytes * u64::from(weight_pct_max)
        });
        candidates.retain(|c| need != Need::Short || gives_room(c, segment_bytes));
        let now = self.log.next_segment_sequence();
        if by_age {
            candidates.sort_by_key(|c| c.min_placed);
        } else {
            let score = |c: &Candidate| score(c, segment_bytes, now);
            candidates.sort_by(|a, b| score(b).total_cmp(&score(a)));
        }
        // All that is moved must fit, with what is lost at the ends of segments. What gives no room
        // before a checkpoint leaves the checkpoint what it needs.
        let (mut left, mut beside) = self.log.cleaner_room();
        let (mut moved, mut read) = (0, 0);
        let mut chosen = Vec::new();
        for candidate in candidates {
            let needed =
                candidate.weight() + candidate.weight() / 16 + self.log.move_bytes() as u64;
            let fits = needed <= left && (!candidate.is_replayed || needed <= beside);
            let is_round = moved + needed > ROUND_BYTES || read + candidate.filled() > ROUND_READ;
            if chosen.len() == ROUND_SEGMENTS || (is_round && !chosen.is_empty()) {
                break;
            }
            if fits {
                left -= needed;
                beside = beside.saturating_sub(needed);
                moved += needed;
                read += candidate.filled();
                chosen.push(candidate);
            }
        }
        chosen
    }
}

/// Whether to move what is in it makes room. Else what was just moved would be moved again: it takes
/// a little more room than its items.
fn gives_room(candidate: &Candidate, segment_bytes: u64) -> bool {
    candidate.weight() * 100 <= segment_bytes * u64::from(WEIGHT_PCT_MAX)
        && (candidate.dead_bytes * 20 >= segment_bytes
            || candidate.weight() * 4 <= segment_bytes * 3)
}

/// Whether a checkpoint would let it go, or let it be cleaned.
pub(super) fn is_held(candidate: &Candidate, segment_bytes: u64) -> bool {
    candidate.is_done() || candidate.is_replayed && gives_room(candidate, segment_bytes)
}

fn score(candidate: &Candidate, segment_bytes: u64, now: u64) -> f64 {
    let used = candidate.weight() as f64 / segment_bytes as f64;
    let age = now.saturating_sub(candidate.sequence) as f64;
    let score = (1.0 - used) * age / (1.0 + used);
    // Its room comes later, and with a checkpoint.
    if candidate.is_replayed {
        score / 2.0
    } else {
        score
    }
}
