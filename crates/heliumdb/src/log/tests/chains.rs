//! Batches over the ends of segments, of which each segment keeps the next.

use super::*;

/// Batches of more than a segment, one after the other: each ends in the segment in which the next one begins.
fn chained(log: &Log) -> Vec<Location> {
    let batches = (0..5u64).flat_map(|number| {
        let mut batch = Batch::new(BatchKind::Commit);
        for seq in 1 + number * 6..7 + number * 6 {
            batch.push(1, seq, false, &seq.to_be_bytes(), Some(&[0; 200_000]));
        }
        log.append(&mut batch, false).unwrap().locations
    });
    batches.collect()
}

/// None of them is freed before those that need its record; but a checkpoint frees all, and so nothing is to be moved one
/// link after the other.
#[test]
fn a_segment_is_not_kept_by_those_that_only_wait_themselves() {
    let log = create(&Disk::new("disk", 64 * MIB));
    let places = chained(&log);
    let pinned = || {
        let all = log.candidates().into_iter();
        all.map(|candidate| candidate.is_pinned).collect::<Vec<_>>()
    };
    let all = pinned();
    assert!(all.len() >= 5, "{all:?}");
    assert_eq!(all.iter().filter(|pinned| !**pinned).count(), 1, "{all:?}");
    // All but one item in the third.
    let third = log.candidates()[2].segment;
    let is_in_third = |at: &&Location| log.medium().segment_of(**at) == third;
    let alive = *places.iter().find(is_in_third).unwrap();
    let dead = places.iter().filter(|at| **at != alive);
    dead.for_each(|at| log.mark_dead(*at));
    let some = pinned();
    assert_eq!(some[..3], [false; 3], "{some:?}");
    assert!(some[3], "{some:?}");
    log.mark_dead(alive);
    assert!(pinned().iter().all(|pinned| !pinned));
}
