//! Which segments to clean: those that give most room for the work, old ones before young ones.
//!
//! Young segments still lose items by themselves; old ones have what stays. The usual measure of
//! that (Rosenblum and Ousterhout) is (1 - u) × age / (1 + u), where u is the part that has to be
//! moved; while writers wait, age does not count. Room is judged by what items take once they are
//! moved, many in a frame: items that were put singly take a third less.
//!
//! Invariant: what is chosen fits into the room that is left, moved; and what waits for a checkpoint
//! then does not take the room that the checkpoint needs. What the cleaner has written is not
//! chosen again until some of it is dead.

use super::{
    Cleaner, Ended, Need, ROUND_BYTES, ROUND_READ, ROUND_READ_PART, ROUND_SEGMENTS, Sake, Stuck,
};
use crate::{
    log::{Candidate, MoveRoom},
    write::short_bytes,
};

/// A segment of which less than this part is gained gives next to nothing.
const GAIN_PART: u64 = 20;

impl Cleaner {
    /// Whether there is anything to clean for somebody who waits for room: what gives some itself, or what tombstones
    /// wait for that take it.
    pub(super) fn has_victims(&self, stuck: &Stuck) -> bool {
        let has_any = |need| !self.choose_victims(stuck, need).is_empty();
        has_any(Need::Short) || self.are_tombstones_worth_it() && has_any(Need::Tombstones)
    }

    pub(super) fn choose_victims(&self, stuck: &Stuck, need: Need) -> Vec<Candidate> {
        let mut candidates = self.on.log.candidates();
        let segment_bytes = self.on.log.room().segment_bytes;
        // Writers that wait for room need it now.
        let is_out = self.is_out();
        let ended = Ended::of_now(&self.on.writing, is_out);
        candidates.retain(|c| can_go(c) && !stuck.holds(c, ended));
        let lowest = self.on.log.oldest_placed(u64::MAX);
        let is_worth = |c: &Candidate| match need {
            Need::Nothing | Need::End { .. } => false,
            Need::Dirty => {
                let most = u64::from(self.on.access.options().clean_util_pct.clamp(1, 100));
                c.weight() * 100 <= segment_bytes * most
            }
            Need::Short => !c.is_done() && gives_room(c, segment_bytes),
            Need::Items(sake) => {
                let is_alive = c.tombstone_bytes <= c.live_bytes;
                !c.is_done()
                    && (is_alive && gives_room(c, segment_bytes)
                        || sake.is_some_and(|sake| is_for(c, sake, lowest, segment_bytes)))
            }
            Need::Tombstones => true,
        };
        candidates.retain(|c| c.weight() > 0 && !c.is_emptied() && is_worth(c));
        let now = self.on.log.next_segment_sequence();
        if need == Need::Tombstones {
            candidates.sort_by_key(|c| c.min_placed);
        } else if let Need::Items(Some(_)) = need {
            // When its turn has come, more of what tombstones in it wait for has gone.
            candidates.sort_by_key(|c| c.tombstone_bytes);
        } else {
            let score = |c: &Candidate| match is_out {
                true => gain_for_cost(c, segment_bytes),
                false => score(c, segment_bytes, now),
            };
            candidates.sort_by(|a, b| score(b).total_cmp(&score(a)));
        }
        // All that is moved must fit, with its frames and what is lost at the ends of segments. What
        // gives no room before a checkpoint leaves the checkpoint what it needs.
        let (mut left, mut beside) = self.on.log.cleaner_room();
        // A round gives its room at the end: it leaves some to writers until then.
        let most = match need {
            Need::Short | Need::Items(_) => ROUND_BYTES.min(short_bytes(&self.on.log.room()) / 2),
            _ => ROUND_BYTES,
        };
        let most_read = (self.on.log.write_cache_bytes() / ROUND_READ_PART)
            .clamp(*ROUND_READ.start(), *ROUND_READ.end());
        let (mut moved, mut read) = (0, 0);
        let mut chosen = Vec::new();
        for candidate in candidates {
            let needed = self.needed_to_move(&candidate);
            let fits = needed <= left && (!candidate.gives_later() || needed <= beside);
            let is_round = moved + needed > most || read + candidate.filled() > most_read;
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

    /// The room that a round may take. Others take what is free while it is under way, but for what a checkpoint and
    /// the cleaner may need: of that it begins only what it will end, which then gives back more.
    pub(super) fn room_to_move(&self, victims: &[Candidate]) -> MoveRoom {
        let needed: u64 = victims.iter().map(|c| self.needed_to_move(c)).sum();
        match victims.iter().any(Candidate::gives_later) || needed > self.on.log.kept_for_cleaner()
        {
            true => MoveRoom::Beside,
            false => MoveRoom::Kept,
        }
    }

    /// Room that moving what is in it takes, with frames and what is lost at the ends of segments. Pages of a checkpoint
    /// have theirs in what is set aside for the next.
    pub(super) fn needed_to_move(&self, candidate: &Candidate) -> u64 {
        let bytes = moved_bytes(candidate).saturating_sub(candidate.page_bytes);
        bytes + bytes / 64 + 2 * self.on.log.move_bytes() as u64
    }
}

/// Bytes that moving takes, with frames, and what is lost at the ends of segments on average.
fn moved_bytes(candidate: &Candidate) -> u64 {
    let bytes = candidate.moved_bytes();
    bytes + bytes / 64
}

/// Whether to move what is in it makes room. What was moved has nothing to gain but what has died since,
/// and the ends of segments do not count, as the next one may be as bad: else it would be moved for ever.
fn gives_room(candidate: &Candidate, segment_bytes: u64) -> bool {
    let least = segment_bytes / GAIN_PART;
    moved_bytes(candidate) + least <= segment_bytes
        && (candidate.dead_bytes + candidate.spare >= least
            || candidate.weight() * 4 <= segment_bytes * 3)
}

/// Whether it keeps tombstones from going, or has some that nothing keeps.
fn is_for(candidate: &Candidate, sake: Sake, lowest: u64, segment_bytes: u64) -> bool {
    let keeps =
        candidate.min_placed <= sake.newest && candidate.tombstone_bytes <= candidate.live_bytes;
    let has =
        candidate.max_tombstone < lowest && candidate.tombstone_bytes >= segment_bytes / GAIN_PART;
    candidate.sequence < sake.before && (keeps || has)
}

/// Whether to complete it and move what is in it makes room, though as much as `lost` at its end is not used then.
pub(super) fn gives_room_unfilled(candidate: &Candidate, lost: u64, segment_bytes: u64) -> bool {
    let least = segment_bytes / GAIN_PART;
    // What was synced piece by piece takes more than its items.
    let used = segment_bytes.saturating_sub(lost);
    can_go(candidate)
        && (candidate.dead_bytes >= least || candidate.weight() * 4 <= used * 3)
        && moved_bytes(candidate) + lost + least <= segment_bytes
}

/// Whether it is free once it is empty and a checkpoint was taken. What is moved out of others takes room and gives
/// none.
pub(super) fn can_go(candidate: &Candidate) -> bool {
    !candidate.is_behind_spill && !candidate.is_pinned
}

/// Whether a checkpoint would let it go, or let it be cleaned.
pub(super) fn is_held(candidate: &Candidate, segment_bytes: u64) -> bool {
    can_go(candidate)
        && (candidate.is_done() || candidate.gives_later() && gives_room(candidate, segment_bytes))
}

/// Most room at once for what it costs, however old: above all, what a checkpoint that is over has left.
fn gain_for_cost(candidate: &Candidate, segment_bytes: u64) -> f64 {
    let used = (moved_bytes(candidate) as f64 / segment_bytes as f64).min(1.0);
    let gain = (1.0 - used) / (1.0 + used);
    // Of this nothing comes before a checkpoint: only if there is nothing else.
    if candidate.gives_later() {
        gain - 1.0
    } else {
        gain
    }
}

fn score(candidate: &Candidate, segment_bytes: u64, now: u64) -> f64 {
    let used = (moved_bytes(candidate) as f64 / segment_bytes as f64).min(1.0);
    let age = now.saturating_sub(candidate.sequence) as f64;
    let score = (1.0 - used) * age / (1.0 + used);
    // Its room comes later, and with a checkpoint.
    if candidate.gives_later() {
        score / 2.0
    } else {
        score
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 1_000_000;

    /// A segment wholly filled with items of 240 bytes, alone in their frames or many in one.
    fn candidate(is_moved: bool, dead_pct: u64) -> Candidate {
        let frame = if is_moved { 9 } else { 80 };
        let items = SEGMENT / (240 + frame);
        let dead_bytes = items * dead_pct / 100 * 240;
        Candidate {
            sequence: 1,
            segment: 1,
            live_bytes: items * 240 - dead_bytes,
            dead_bytes,
            again: items * 248,
            spare: if is_moved { 0 } else { items * 70 },
            tombstone_bytes: 0,
            max_tombstone: 0,
            page_bytes: 0,
            min_placed: 1,
            is_replayed: false,
            awaits_checkpoint: false,
            is_behind_spill: false,
            is_pinned: false,
        }
    }

    #[test]
    fn what_was_put_singly_is_worth_moving_once() {
        assert!(gives_room(&candidate(false, 0), SEGMENT));
        assert!(!gives_room(&candidate(true, 0), SEGMENT));
        assert!(!gives_room(&candidate(true, 5), SEGMENT));
        assert!(gives_room(&candidate(true, 10), SEGMENT));
    }

    #[test]
    fn ends_of_segments_are_no_gain() {
        // A fifth of it is empty, as with long values, and the next one may be as bad.
        let short = Candidate {
            again: 800_000,
            live_bytes: 800_000,
            ..candidate(true, 0)
        };
        assert!(!gives_room(&short, SEGMENT));
        let dead = Candidate {
            live_bytes: 740_000,
            dead_bytes: 60_000,
            ..short
        };
        assert!(gives_room(&dead, SEGMENT));
    }
}
