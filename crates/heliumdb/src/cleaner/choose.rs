//! Which segments to clean: those that give most room for the work, old ones before young ones.
//!
//! Young segments still lose items by themselves; old ones have what stays. The usual measure of
//! that (Rosenblum and Ousterhout) is (1 - u) × age / (1 + u), where u is the part that has to be
//! moved. Invariant: what is chosen fits into the room that is left, moved.

use std::collections::BTreeMap;

use super::{Need, ROUND_BYTES, ROUND_SEGMENTS};
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
        let room = self.log.room();
        let (weight_pct_max, by_age) = match need {
            Need::Nothing => return Vec::new(),
            Need::Dirty => (self.options.clean_util_pct.clamp(1, 100), false),
            Need::Short => (WEIGHT_PCT_MAX, false),
            Need::Tombstones => (100, true),
        };
        candidates.retain(|c| {
            c.weight() > 0 && c.weight() * 100 <= room.segment_bytes * u64::from(weight_pct_max)
        });
        // Else what was just moved would be moved again: it takes a little more room than its items.
        let gives_room = |c: &Candidate| {
            c.dead_bytes * 20 >= room.segment_bytes || c.weight() * 4 <= room.segment_bytes * 3
        };
        candidates.retain(|c| need != Need::Short || gives_room(c));
        let now = self.log.next_segment_sequence();
        if by_age {
            candidates.sort_by_key(|c| c.min_placed);
        } else {
            candidates.sort_by(|a, b| {
                let score = |c: &Candidate| score(c, room.segment_bytes, now);
                score(b).total_cmp(&score(a))
            });
        }
        // All that is moved must fit, with what is lost at the ends of segments.
        let mut left = self.log.cleaner_room().min(ROUND_BYTES);
        candidates.truncate(ROUND_SEGMENTS);
        candidates.retain(|c| {
            let needed = c.weight() + c.weight() / 8;
            let fits = needed <= left;
            if fits {
                left -= needed;
            }
            fits
        });
        candidates
    }
}

fn score(candidate: &Candidate, segment_bytes: u64, now: u64) -> f64 {
    let used = candidate.weight() as f64 / segment_bytes as f64;
    let age = now.saturating_sub(candidate.sequence) as f64;
    (1.0 - used) * age / (1.0 + used)
}
