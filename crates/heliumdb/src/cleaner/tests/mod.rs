//! What waits for what: rounds of cleaning, checkpoints, and the room that each of them takes and gives.

pub(super) mod stage;

use crossbeam_epoch as epoch;

use super::Need;
use crate::{
    limits::BLOCK_BYTES,
    log::{Batch, BatchKind},
};
use stage::{Stage, VALUE_BYTES};

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
    assert!(shared.cleaner.clean_step(Need::Short).unwrap() && shared.cleaner.is_cleaning());
    shared.checkpoints.request();
    let before = checkpointed(&stage);
    let mut steps = 0;
    while shared.cleaner.is_cleaning() {
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
    let has_resort = || stage.shared().cleaner.is_resort_left();
    let mut deletes = 0;
    while !has_resort() {
        assert!(deletes < 200);
        assert!(stage.put(deletes, 0));
        stage.volume.flush().unwrap();
        deletes += 1;
    }
    assert!(deletes > 100, "{deletes}");
}

/// A delete of something large writes next to nothing, and makes much die.
#[test]
fn what_dies_gives_checkpoints_another_chance() {
    let stage = Stage::new();
    let half = stage.shared().log.room().segment_bytes / 2;
    assert!(stage.put(0, half as usize));
    assert!(stage.put(1, 100_000));
    let stage = stage.without_resort();
    let has_resort = || stage.shared().cleaner.is_resort_left();
    stage.delete(1..2);
    assert!(!has_resort());
    stage.delete(0..1);
    assert!(has_resort());
}

/// It moves all of its pages, and leaves those of the one before for the cleaner.
#[test]
fn a_checkpoint_that_somebody_takes_gives_others_another_chance() {
    let stage = Stage::new().without_resort();
    let has_resort = || stage.shared().cleaner.is_resort_left();
    assert!(!has_resort());
    stage.volume.checkpoint().unwrap();
    assert!(has_resort());
}

/// A volume with too little room for its next checkpoint before the guard goes, which keeps what was freed.
fn readers_keep_checkpoint_room() -> (Stage, epoch::Guard) {
    let stage = Stage::new();
    let index = stage.volume.create_datastore(b"index").unwrap();
    for number in 0..20_000u32 {
        index.put(number.to_be_bytes(), b"").unwrap();
    }
    stage.end_segment();
    let stage = stage.filled();
    // Of more segments than one round empties.
    stage.delete((0..500).filter(|number| number % 20 != 0));
    let guard = epoch::pin();
    stage.use_up_reserve();
    let (shared, log) = (stage.shared(), &stage.shared().log);
    while shared.cleaner.clean_step(Need::Short).unwrap() && shared.cleaner.is_cleaning() {}
    stage.volume.free().unwrap();
    assert!(log.leaving() > 0 && log.lacks_checkpoint_room());
    (stage, guard)
}

/// A checkpoint for which there is too little room waits for what was freed and is still looked at; and nothing more
/// is cleaned before it, which would take some of that room.
#[test]
fn a_checkpoint_waits_for_room_that_is_coming_and_nothing_takes_it() {
    let (stage, guard) = readers_keep_checkpoint_room();
    let (shared, log) = (stage.shared(), &stage.shared().log);
    shared.checkpoints.request();
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

#[test]
fn a_checkpoint_that_a_program_takes_waits_for_readers_too() {
    let (stage, guard) = readers_keep_checkpoint_room();
    drop(guard);
    stage.volume.checkpoint().unwrap();
    let log = &stage.shared().log;
    assert!(log.leaving() == 0 || !log.lacks_checkpoint_room());
}

/// Puts and deletes items that fill segments which only a checkpoint frees: what is deleted is there, too.
fn put_in_vain(stage: &Stage, numbers: std::ops::Range<u32>) {
    for number in numbers {
        assert!(stage.put(number, VALUE_BYTES));
        stage.delete(number..number + 1);
    }
}

/// Writers that go on give the cleaner more to do below the start of the checkpoint that there is.
#[test]
fn no_checkpoint_is_taken_for_room_while_some_is_coming() {
    let stage = Stage::new();
    stage.volume.checkpoint().unwrap();
    stage.end_segment();
    put_in_vain(&stage, 1_000..1_100);
    stage.end_segment();
    let (shared, log) = (stage.shared(), &stage.shared().log);
    let segment_bytes = log.room().segment_bytes;
    let mut items = 0;
    while shared.cleaner.open_room() > segment_bytes / 2 {
        assert!(stage.put(items, VALUE_BYTES));
        items += 1;
    }
    let guard = epoch::pin();
    // Two whole segments.
    stage.delete(20..60);
    while log.has_dead() {
        log.background_step().unwrap();
    }
    assert!(log.leaving() > 0 && shared.cleaner.is_out() && shared.cleaner.has_resort());
    let before = checkpointed(&stage);
    for _ in 0..4 {
        stage.step();
    }
    assert!(log.leaving() > 0);
    assert_eq!(checkpointed(&stage), before);
    drop(guard);
}

/// How old they are does not matter then.
#[test]
fn what_gives_most_room_comes_first_when_there_is_none() {
    let full = Stage::new().filled();
    let young = full.items - 40..full.items - 20;
    full.delete((20..40).filter(|number| number % 3 == 0));
    full.delete(young.filter(|number| number % 10 != 0));
    let shared = full.shared();
    assert!(shared.cleaner.is_out());
    let progress = shared.cleaner.round.lock();
    let chosen = shared.cleaner.choose_victims(&progress.stuck, Need::Short);
    let last = chosen.iter().map(|c| c.sequence).max();
    assert!(chosen.len() > 1);
    assert!(chosen[0].sequence + 1 >= last.unwrap(), "{chosen:?}");
}

/// So many that a checkpoint is worth it, though nobody needs the room.
#[test]
fn a_checkpoint_is_taken_when_it_frees_many_segments() {
    let stage = Stage::new();
    stage.volume.checkpoint().unwrap();
    stage.end_segment();
    let before = checkpointed(&stage);
    for number in 1_000..2_000 {
        put_in_vain(&stage, number..number + 1);
        let candidates = stage.shared().log.candidates();
        let done = candidates.iter().filter(|c| c.is_done()).count();
        while stage.step() {}
        let is_taken = checkpointed(&stage) > before;
        // And one that cleaning empties meanwhile.
        assert_eq!(is_taken, done >= 7, "{done} are done");
        if is_taken {
            return;
        }
    }
    panic!("none was taken");
}

/// What is moved makes log, and a checkpoint of it leaves pages that are to be cleaned: one would lead to the other
/// for ever.
#[test]
fn what_is_moved_is_no_reason_for_a_checkpoint_that_costs_as_much_as_was_gained() {
    const LOG_BYTES: u64 = 1 << 20;
    let stage = Stage::with_checkpoints(LOG_BYTES);
    let index = stage.volume.create_datastore("index").unwrap();
    for number in 0..80_000u32 {
        index.put(number.to_be_bytes(), b"").unwrap();
    }
    (0..400).for_each(|number| assert!(stage.put(number, VALUE_BYTES)));
    stage.volume.checkpoint().unwrap();
    let pages = stage.volume.stats().checkpoint_bytes;
    assert!(pages > 600_000, "{pages}");
    let (shared, before) = (stage.shared(), checkpointed(&stage));
    let moved = || stage.volume.stats().cleaner_bytes;
    // Of each segment a part is dead already: what had been put singly.
    let mut gained = 0;
    while moved() < 4 * LOG_BYTES || shared.cleaner.is_cleaning() {
        assert!(shared.cleaner.clean_step(Need::Tombstones).unwrap());
        gained = shared.cleaner.on.pace.gained_bytes();
        shared
            .checkpoints
            .take_if_due(|| shared.cleaner.is_cleaning())
            .unwrap();
    }
    assert!(moved() > 2 * LOG_BYTES && gained < 2 * pages, "{gained}");
    assert_eq!(checkpointed(&stage), before);
    // As soon as users have written anything to speak of, it is.
    assert!(stage.put(1_000, 700_000));
    while stage.step() {}
    assert!(checkpointed(&stage) > before);
}

/// What the cleaner and checkpoints write gives no more of them.
#[test]
fn only_what_users_write_gives_checkpoints_another_chance() {
    let stage = dirty().without_resort();
    let shared = stage.shared();
    let has_resort = || shared.cleaner.is_resort_left();
    let spared = shared.log.replay_spared();
    while shared.cleaner.clean_step(Need::Short).unwrap() {}
    let moved = shared.log.replay_spared() - spared;
    assert!(moved > shared.log.room().segment_bytes, "{moved}");
    assert!(!has_resort());
    assert!(stage.put(stage.items, 600_000));
    assert!(has_resort());
}

/// Others take the room that was there when it began; what a checkpoint may need it leaves.
#[test]
fn a_round_that_gives_its_room_later_leaves_the_checkpoint_what_it_needs() {
    let stage = Stage::new();
    stage.volume.checkpoint().unwrap();
    stage.end_segment();
    // All of it is behind the checkpoint.
    (0..600).for_each(|number| assert!(stage.put(number, VALUE_BYTES)));
    stage.delete((0..600).filter(|number| number % 3 != 0));
    let (shared, log) = (stage.shared(), &stage.shared().log);
    assert!(shared.cleaner.clean_step(Need::Short).unwrap() && shared.cleaner.is_cleaning());
    stage.use_up_reserve();
    while shared.cleaner.is_cleaning() {
        shared.cleaner.clean_step(Need::Short).unwrap();
    }
    assert!(!log.lacks_checkpoint_room());
    stage.volume.checkpoint().unwrap();
}

/// Whoever looks how many items there are comes between their log and their index.
#[test]
fn what_is_between_log_and_index_has_room_for_its_deletes() {
    let stage = Stage::new();
    let shared = stage.shared();
    let append = |items: u64| {
        let mut batch = Batch::new(BatchKind::Commit);
        for _ in 0..items {
            batch.push(1_000, 1 << 40, false, b"key", Some(b"value"));
        }
        shared.log.append(&mut batch, false).unwrap();
    };
    shared.checkpoints.keep_room();
    let before = shared.log.reserve_bytes();
    // As many threads, and a load in bulk.
    let inside: Vec<_> = (0..300).map(|_| shared.writing.gate.enter()).collect();
    (0..300).for_each(|_| append(1));
    let loading = shared.writing.gate.enter_with(1_000);
    append(1_000);
    shared.checkpoints.keep_room();
    let least = before + 1_300 * BLOCK_BYTES as u64;
    assert!(shared.log.reserve_bytes() >= least);
    drop((inside, loading));
    // None of them ever came to the index.
    shared.checkpoints.keep_room();
    assert!(shared.log.reserve_bytes() < least);
}
