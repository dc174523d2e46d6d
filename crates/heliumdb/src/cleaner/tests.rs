//! What waits for what: rounds of cleaning, checkpoints, and the room that each of them takes and gives.

use crossbeam_epoch as epoch;

use super::{
    Need,
    stage::{Stage, VALUE_BYTES},
};
use crate::log::{Batch, BatchKind};

/// Bytes of checkpoints so far.
fn checkpointed(stage: &Stage) -> u64 {
    stage.volume.stats().checkpoint_written_bytes
}

/// A full volume of which much can be cleaned.
fn dirty() -> Stage {
    let full = Stage::new().filled();
    full.delete((0..full.items).filter(|number| number % 10 != 0));
    full
}

/// It gives the room that it has taken only at its end.
#[test]
fn a_checkpoint_waits_for_the_end_of_a_round() {
    let stage = dirty();
    let shared = stage.shared();
    assert!(shared.clean_step(Need::Short).unwrap() && shared.is_cleaning());
    shared.request_checkpoint();
    let before = checkpointed(&stage);
    let mut steps = 0;
    while shared.is_cleaning() {
        assert_eq!(checkpointed(&stage), before);
        stage.step();
        steps += 1;
    }
    assert!(steps > 2, "{steps}");
    stage.step();
    assert!(checkpointed(&stage) > before);
}

/// Little is written by deletes that are synced one by one, but the log becomes longer.
#[test]
fn deletes_give_checkpoints_another_chance() {
    let stage = Stage::new().without_resort();
    let has_resort = || stage.shared().cleaner.has_resort(&stage.shared().log);
    let mut deletes = 0;
    while !has_resort() {
        assert!(deletes < 200);
        assert!(stage.put(deletes, 0));
        stage.volume.flush().unwrap();
        deletes += 1;
    }
    assert!(deletes > 100, "{deletes}");
}

/// Takes all that deletes may take: a checkpoint has what it may need, and the cleaner what is its own.
fn use_up_reserve(stage: &Stage) {
    let mut batch = Batch::new(BatchKind::Commit);
    for value_bytes in [200_000, 2_000] {
        loop {
            batch.clear(BatchKind::Commit);
            batch.push(1_000, 1 << 40, false, b"key", Some(&vec![1; value_bytes]));
            let Ok(appended) = stage.shared().log.append(&mut batch, true) else {
                break;
            };
            let dead = appended.locations.into_iter();
            dead.for_each(|at| stage.shared().log.mark_dead(at));
        }
    }
}

/// A checkpoint for which there is too little room waits for what was freed and is still looked at; and nothing more
/// is cleaned before it, which would take some of that room.
#[test]
fn a_checkpoint_waits_for_room_that_is_coming_and_nothing_takes_it() {
    let stage = Stage::new();
    let index = stage.volume.create_datastore(b"index", b"").unwrap();
    for number in 0..20_000u32 {
        index.put(&number.to_be_bytes(), b"").unwrap();
    }
    stage.end_segment();
    let stage = stage.filled();
    // Of more segments than one round empties.
    stage.delete((0..500).filter(|number| number % 20 != 0));
    let (shared, log) = (stage.shared(), &stage.shared().log);
    let guard = epoch::pin();
    use_up_reserve(&stage);
    while shared.clean_step(Need::Short).unwrap() && shared.is_cleaning() {}
    stage.volume.free_now().unwrap();
    assert!(log.leaving() > 0 && log.lacks_checkpoint_room());
    shared.request_checkpoint();
    let before = stage.volume.stats();
    for _ in 0..4 {
        stage.step();
    }
    let after = stage.volume.stats();
    assert_eq!(after.cleaner_bytes, before.cleaner_bytes);
    assert_eq!(
        after.checkpoint_written_bytes,
        before.checkpoint_written_bytes
    );
    drop(guard);
    while log.leaving() > 0 {
        epoch::pin().flush();
        std::thread::yield_now();
    }
    stage.step();
    assert!(checkpointed(&stage) > before.checkpoint_written_bytes);
    assert!(stage.put(stage.items, VALUE_BYTES));
}
