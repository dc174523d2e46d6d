//! Pages that are written anew though nothing in their stretches has changed, for the room that they keep.
//!
//! A page that stays where it is keeps its segment, and with it the room of all that was beside it and is dead. After a
//! checkpoint of many pages, a few in each segment, the room is gone that the next one needs, which is to bring the rest
//! elsewhere. Invariant: a checkpoint leaves as much room as is set aside for a whole one, if it found it; and what it
//! brings elsewhere unasked or only because it was asked to, fits into the room that there is. Where files can grow
//! there is that room, and the pages stay.

use std::collections::{HashMap, HashSet};

use super::newest::Newest;
use crate::log::{Log, checkpoint_takes};

/// What a segment has of the newest checkpoint.
#[derive(Clone, Copy, Default, Debug)]
struct Remains {
    /// Bytes of the pages that stay, and of those that the next checkpoint writes anew anyway.
    staying: u64,
    going: u64,
    /// It is free once none of them is left.
    goes: bool,
    /// Somebody waits for that.
    is_asked: bool,
}

/// Room, in bytes, and what is to become of it.
struct Plan {
    /// That there is for the checkpoint, and that there is to be after it.
    room: u64,
    wanted: u64,
    /// Of a segment, and of the largest page.
    segment_bytes: u64,
    largest: u64,
}

impl Remains {
    /// What it gives to bring what stays elsewhere.
    fn gain(&self, plan: &Plan) -> u64 {
        let takes = self.staying + self.staying / 64 + plan.largest;
        match self.goes {
            true => plan.segment_bytes.saturating_sub(takes),
            false => 0,
        }
    }
}

impl Plan {
    /// The segments whose pages are to be written anew, those first that have the fewest.
    fn choose(&self, segments: HashMap<u64, Remains>) -> HashSet<u64> {
        let takes = |written| checkpoint_takes(written, self.largest, self.segment_bytes);
        let mut written = segments.values().map(|remains| remains.going).sum();
        let gone = segments.values().filter(|r| r.goes && r.staying == 0);
        let gone = gone.count() as u64 * self.segment_bytes;
        let mut room = self.room.saturating_add(gone);
        let mut others: Vec<_> = segments
            .into_iter()
            .filter(|(_, r)| r.staying > 0)
            .collect();
        others.sort_unstable_by_key(|(id, remains)| (remains.staying, *id));
        let mut chosen = HashSet::new();
        for (id, remains) in others {
            if takes(written + remains.staying) > self.room {
                break;
            }
            let lacks = room < takes(written) + self.wanted;
            if remains.is_asked || lacks && remains.gain(self) > 0 {
                written += remains.staying;
                let gives = if remains.goes { self.segment_bytes } else { 0 };
                room = room.saturating_add(gives);
                chosen.insert(id);
            }
        }
        chosen
    }
}

impl Newest {
    /// Marks pages that have not changed: those in the segments `asked`, and in others where that is needed to leave room
    /// for the next checkpoint. Returns which these are.
    pub(super) fn mark_remains(&mut self, log: &Log, asked: &HashSet<u64>) -> Vec<(u32, usize)> {
        let mut segments: HashMap<u64, Remains> = HashMap::new();
        for page in self.trees.values().flat_map(|directory| &directory.pages) {
            let Some(at) = page.at else { continue };
            let remains = segments.entry(log.medium().segment_of(at)).or_default();
            match page.stale {
                true => remains.going += at.class_bytes() as u64,
                false => remains.staying += at.class_bytes() as u64,
            }
        }
        for candidate in log.candidates() {
            if let Some(remains) = segments.get_mut(&candidate.segment) {
                remains.goes = candidate.weight() == candidate.page_bytes
                    && !candidate.is_pinned
                    && !candidate.is_behind_spill;
            }
        }
        for (id, remains) in &mut segments {
            remains.is_asked = asked.contains(id);
        }
        let plan = Plan {
            room: log.checkpoint_room_at_most(),
            wanted: log.checkpoint_reserve(),
            segment_bytes: log.room().segment_bytes,
            largest: self.bytes().1,
        };
        let chosen = plan.choose(segments);
        let mut marked = Vec::new();
        for (&tree, directory) in &mut self.trees {
            for (i, page) in directory.pages.iter_mut().enumerate() {
                let within = |at| chosen.contains(&log.medium().segment_of(at));
                if !page.stale && page.at.is_some_and(within) {
                    page.stale = true;
                    marked.push((tree, i));
                }
            }
        }
        marked
    }

    /// The checkpoint that was to write them has failed.
    pub(super) fn unmark(&mut self, marked: &[(u32, usize)]) {
        for (tree, i) in marked {
            let directory = self.trees.get_mut(tree);
            if let Some(page) = directory.and_then(|directory| directory.pages.get_mut(*i)) {
                page.stale = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 1 << 20;
    const PLAN: Plan = Plan {
        room: 20 * SEGMENT,
        wanted: 16 * SEGMENT,
        segment_bytes: SEGMENT,
        largest: 16 << 10,
    };

    /// Of which so many parts of 16 stay.
    fn remains(parts: u64) -> Remains {
        Remains {
            staying: parts * SEGMENT / 16,
            going: (16 - parts) * SEGMENT / 16,
            goes: true,
            is_asked: false,
        }
    }

    fn chosen(segments: impl IntoIterator<Item = Remains>, plan: &Plan) -> Vec<u64> {
        let chosen = plan.choose((0..).zip(segments).collect());
        let mut chosen: Vec<_> = chosen.into_iter().collect();
        chosen.sort();
        chosen
    }

    #[test]
    fn pages_stay_where_there_is_room_for_the_next_checkpoint() {
        let few = (0..8).map(|_| remains(15));
        assert!(chosen(few, &PLAN).is_empty());
        // Segments that go by themselves give it.
        let most = (0..12).map(|_| remains(0));
        assert!(chosen(most.chain([remains(8)]), &PLAN).is_empty());
    }

    #[test]
    fn those_go_that_keep_the_most_room() {
        let all = || (1..16).map(remains);
        let chosen = chosen(all(), &PLAN);
        assert!(!chosen.is_empty() && chosen.len() < 15, "{chosen:?}");
        assert!(chosen.iter().copied().eq(0..chosen.len() as u64));
        let left: u64 = all().skip(chosen.len()).map(|r| r.going).sum();
        let room = PLAN.room - checkpoint_takes(left, PLAN.largest, SEGMENT);
        assert!(room + SEGMENT >= PLAN.wanted, "{chosen:?}");
    }

    #[test]
    fn no_more_is_written_than_there_is_room_for() {
        let asked = (0..40).map(|_| Remains {
            is_asked: true,
            ..remains(8)
        });
        let plan = Plan {
            room: 30 * SEGMENT,
            ..PLAN
        };
        let count = chosen(asked, &plan).len() as u64;
        let takes = |halves| checkpoint_takes(halves * SEGMENT / 2, PLAN.largest, SEGMENT);
        assert!(takes(40 + count) <= plan.room && takes(41 + count) > plan.room);
    }

    #[test]
    fn what_keeps_its_segment_otherwise_goes_only_if_that_is_asked() {
        let kept = |is_asked| Remains {
            goes: false,
            is_asked,
            ..remains(1)
        };
        let plan = Plan {
            wanted: 40 * SEGMENT,
            ..PLAN
        };
        assert_eq!(chosen([kept(false), kept(true)], &plan), [1]);
        assert!(chosen([remains(16)], &plan).is_empty());
    }
}
