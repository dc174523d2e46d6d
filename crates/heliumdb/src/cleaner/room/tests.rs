//! What writers wait for, each by itself.

use std::cell::Cell;

use super::*;
use crate::{
    cleaner::{
        Need,
        tests::stage::{Stage, VALUE_BYTES},
    },
    write::Haste,
};

fn is_hope(stage: &Stage) -> bool {
    stage.shared().cleaner.may_make_room()
}

/// How many segments could be cleaned.
fn victims(stage: &Stage) -> usize {
    let progress = stage.shared().cleaner.round.lock();
    let victims = stage
        .shared()
        .cleaner
        .choose_victims(&progress.stuck, Need::Short);
    victims.len()
}

fn full() -> Stage {
    Stage::new().filled()
}

#[test]
fn nobody_waits_for_what_is_alive() {
    assert!(!is_hope(&full()));
}

/// Whatever it is for: what goes with it is not known before its end.
#[test]
fn who_waits_counts_on_a_round_that_is_under_way() {
    let full = full();
    assert!(full.shared().cleaner.clean_step(Need::Tombstones).unwrap());
    assert!(full.shared().cleaner.is_cleaning() && victims(&full) == 0);
    assert!(is_hope(&full));
}

#[test]
fn who_waits_counts_on_what_is_dead() {
    let full = full();
    // Two whole segments.
    full.delete(20..60);
    assert!(full.shared().log.has_dead());
    assert_eq!(victims(&full), 0);
    assert!(is_hope(&full));
}

#[test]
fn who_waits_counts_on_what_readers_leave() {
    let full = full();
    let guard = epoch::pin();
    full.delete(20..60);
    full.volume.free().unwrap();
    let log = &full.shared().log;
    assert!(!log.has_dead() && log.leaving() > 0);
    assert!(is_hope(&full));
    // Others, too, who make the room themselves.
    while full.step() {}
    assert!(full.await_room());
    drop(guard);
}

#[test]
fn who_waits_counts_on_a_checkpoint_that_was_asked_for() {
    let full = full();
    full.shared().checkpoints.request();
    assert!(is_hope(&full));
}

#[test]
fn who_waits_counts_on_what_can_be_cleaned() {
    let full = full();
    full.delete((0..full.items).filter(|number| number % 2 == 0));
    assert!(!full.shared().log.has_dead());
    assert!(is_hope(&full));
}

/// None of them can go, and what they wait for is all alive: that is moved for their sake.
#[test]
fn who_waits_counts_on_tombstones() {
    let stage = Stage::new();
    let keys = stage.volume.create_datastore(b"keys").unwrap();
    let key = |number: u8| vec![number; 100_000];
    (0..80).for_each(|number| keys.put(key(number), b"").unwrap());
    (0..80).for_each(|number| assert!(keys.delete(key(number)).unwrap()));
    let shared = stage.shared();
    while shared.cleaner.clean_step(Need::Short).unwrap() || shared.log.has_dead() {
        stage.volume.free().unwrap();
        epoch::pin().flush();
    }
    for number in 0.. {
        if shared.cleaner.open_room() < 2 * VALUE_BYTES as u64 {
            break;
        }
        assert!(stage.put(number, VALUE_BYTES));
    }
    while shared.log.leaving() > 0 {
        epoch::pin().flush();
    }
    let stage = stage.without_resort();
    assert!(!stage.shared().log.has_dead() && victims(&stage) == 0);
    assert!(stage.shared().cleaner.are_tombstones_worth_it());
    assert!(is_hope(&stage));
}

/// There is as much as is wanted for ordinary writes.
#[test]
fn who_wants_much_is_not_refused_while_there_is_some() {
    let stage = Stage::new();
    (0..850).for_each(|number| assert!(stage.put(number, VALUE_BYTES)));
    stage.delete((0..850).filter(|number| number % 6 == 0));
    while stage.step() {}
    let open = stage.shared().cleaner.open_room();
    assert!(open > 8 << 20, "{open}");
    assert!(victims(&stage) > 0, "it is cleaned already");
    let value_bytes = open as usize + (1 << 20);
    assert!(value_bytes < crate::limits::VALUE_BYTES_MAX, "{open}");
    assert!(stage.put(1_000, value_bytes));
}

/// What everybody sees, and what is between what two snapshots see; however many snapshots before needed nothing.
#[test]
fn who_waits_counts_on_versions_that_nobody_needs() {
    for is_older_held in [false, true] {
        let stage = Stage::new();
        let _older = is_older_held.then(|| stage.volume.snapshot().unwrap());
        let full = stage.filled();
        for _ in 0..4 {
            let _vain = full.volume.snapshot().unwrap();
            full.write_in_vain();
            look_through(&full);
        }
        look_through(&full);
        let snapshot = full.volume.snapshot().unwrap();
        full.delete(0..full.items);
        look_through(&full);
        let full = full.without_resort();
        assert!(!is_hope(&full), "older: {is_older_held}");
        drop(snapshot);
        assert!(!full.shared().log.has_dead());
        assert!(is_hope(&full), "older: {is_older_held}");
    }
}

/// Whoever looked all chains through last knew nothing of the snapshot, and few versions have come since.
#[test]
fn who_waits_counts_on_versions_of_a_snapshot_that_came_and_went() {
    let stage = Stage::new();
    let _older = stage.volume.snapshot().unwrap();
    let full = stage.filled();
    look_through(&full);
    let snapshot = full.volume.snapshot().unwrap();
    full.delete(0..40);
    drop(snapshot);
    assert!(!full.shared().log.has_dead() && victims(&full) == 0);
    assert!(is_hope(&full));
    assert!(full.put(full.items, VALUE_BYTES));
}

/// No snapshot ever saw what was replaced.
#[test]
fn who_waits_counts_on_the_first_of_two_values_that_came_beside_a_snapshot() {
    let stage = Stage::new();
    let _older = stage.volume.snapshot().unwrap();
    let full = stage.filled();
    look_through(&full);
    full.delete(0..40);
    assert!(is_hope(&full));
    assert!(full.put(full.items, VALUE_BYTES));
}

/// Of what was written since the last look nothing stays that nobody needs: one look is enough.
#[test]
fn who_waits_does_not_count_on_a_second_look() {
    let stage = Stage::new();
    let older = stage.volume.snapshot().unwrap();
    let full = stage.filled();
    let vain = full.volume.snapshot().unwrap();
    full.write_in_vain();
    assert!(is_hope(&full));
    while full.step() {}
    assert!(!is_hope(&full));
    // What is refused has written nothing.
    assert!(!full.put(full.items, VALUE_BYTES) && !is_hope(&full));
    drop(vain);
    assert!(is_hope(&full));
    while full.step() {}
    assert!(!is_hope(&full));
    drop(older);
    assert!(is_hope(&full));
}

/// Settles and thins all that is due.
fn look_through(stage: &Stage) {
    let shared = stage.shared();
    shared.settle_native();
    let readers = shared.writing.native.readers();
    let clock = &shared.access.options().clock;
    while shared
        .writing
        .unsettled
        .thin(&readers, Haste::All, clock, &shared.log)
    {}
}

/// Snapshots that see nothing else than what everybody sees may come and go for ever.
#[test]
fn who_waits_does_not_count_on_snapshots_that_need_nothing() {
    let stage = Stage::new();
    let _held = stage.volume.snapshot().unwrap();
    let full = stage.filled();
    for _ in 0..3 {
        let snapshot = full.volume.snapshot().unwrap();
        look_through(&full);
        drop(snapshot);
        assert!(!is_hope(&full));
    }
}

/// Segments in which nothing is alive, but something that replay from the last checkpoint needs.
#[test]
fn who_waits_counts_on_a_checkpoint_as_long_as_one_may_help() {
    let stage = Stage::new();
    stage.volume.checkpoint().unwrap();
    stage.end_segment();
    // Whatever stays is among what stays.
    for number in 0..20 {
        assert!(stage.put(number, VALUE_BYTES));
    }
    let log = &stage.shared().log;
    let first = log.next_segment_sequence();
    // They fill their segments to the end.
    for number in 100.. {
        let (filling, left) = log.filling().unwrap();
        if filling.sequence > first + 4 && left < VALUE_BYTES as u64 {
            break;
        }
        assert!(stage.put(number, VALUE_BYTES));
        stage.delete(number..number + 1);
    }
    assert!(stage.put(20, VALUE_BYTES));
    assert!(!stage.shared().log.has_dead());
    assert_eq!(victims(&stage), 0);
    assert!(is_hope(&stage));
    assert!(!is_hope(&stage.without_resort()));
}

/// Nothing else holds anything that is dead.
#[test]
fn who_waits_counts_on_the_segment_that_is_being_filled() {
    let full = full();
    let (filling, _) = full.shared().log.filling().unwrap();
    let items = (filling.live_bytes / VALUE_BYTES as u64) as u32;
    assert!(items >= 2, "{filling:?}");
    full.delete(full.items - items..full.items);
    assert!(!full.shared().log.has_dead() && victims(&full) == 0);
    assert!(is_hope(&full));
    assert!(full.put(full.items, VALUE_BYTES));
}

/// More than they do at once.
#[test]
fn who_makes_room_himself_goes_on_as_long_as_there_is_work() {
    let full = Stage::new().filled();
    full.delete((0..full.items).filter(|number| number % 2 == 0));
    assert!(full.await_room());
    assert!(full.step(), "it was too little work");
}

/// The last segment that could become free does, after a write was refused and before anybody
/// has looked whether there is something to wait for.
#[test]
fn room_that_came_since_is_used() {
    let stage = Stage::new();
    (0..8).for_each(|_| assert!(stage.put(0, 1 << 19)));
    let guard = Cell::new(Some(epoch::pin()));
    stage.volume.checkpoint().unwrap();
    while stage.step() {}
    let shared = stage.shared();
    assert!(shared.log.leaving() > 0, "nothing was freed");
    let mut writes = 0;
    let written = shared.when_room(|| {
        writes += 1;
        if guard.take().is_none() {
            return Ok(());
        }
        // Other tests' threads have guards, too.
        while shared.log.leaving() > 0 {
            epoch::pin().flush();
            std::thread::yield_now();
        }
        Err(Error::new(ErrorKind::VolumeFull, "full"))
    });
    assert!(written.is_ok(), "{written:?}");
    assert_eq!(writes, 2);
}
