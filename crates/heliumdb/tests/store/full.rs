//! A full volume: reads and a stated number of deletes go on, and space comes back.

use helium_sim::{DiskId, Keeper, Machine, seed, sim_options};
use heliumdb::host::VolumeExt;
use heliumdb::{
    Datastore, Error, ErrorKind, Isolation, Volume,
    limits::{CLEANER_SEGMENTS, DELETES_WHEN_FULL, SEGMENT_BYTES},
};
use rand::Rng;

use crate::common::{MIB, Session, after_power_loss, open_one, store};

fn key(number: u64) -> Vec<u8> {
    // As long as keys reasonably are.
    format!("{number:0>64}").into_bytes()
}

/// Writes until the volume is full; how many items there are then.
fn fill(volume: &Volume, store: &Datastore) -> (u64, Error) {
    for number in 0.. {
        while volume.background_step().unwrap_or(false) {}
        if let Err(why) = store.put(key(number), [number as u8; 3000]) {
            return (number, why);
        }
    }
    unreachable!("the volume has an end")
}

#[test]
fn a_full_volume_reads_and_deletes_and_recovers_its_space() {
    let (machine, volume, store) = store();
    let (items, why) = fill(&volume, &store);
    assert_eq!(why.kind(), ErrorKind::VolumeFull, "{why}");
    // The reserve holds as many synced deletes as are promised, at a block each.
    let reserve = DELETES_WHEN_FULL * 4096;
    assert!(
        items * 3000 > (39 << 20) && items * 3000 < (64 << 20) - reserve,
        "{items} items fit"
    );
    for number in (0..items).step_by(501) {
        let value = store.get(key(number)).unwrap();
        assert_eq!(value, Some(vec![number as u8; 3000]));
    }
    volume.flush().unwrap();
    // Every fourth or so goes, so that no segment dies of it.
    let mut deleted = 0;
    for number in (0..items).step_by(4) {
        if deleted == DELETES_WHEN_FULL {
            break;
        }
        assert!(store.delete(key(number)).unwrap());
        deleted += 1;
    }
    assert!(deleted > 3_000, "{deleted}");
    volume.flush().unwrap();
    drop((volume, store));
    let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
    let store = volume.datastore(b"store").unwrap();
    assert_eq!(store.approximate_len(), items - deleted);
    // The rest goes, too: whole segments die, and their space comes back.
    for number in 0..items {
        if number % 4 != 0 || number / 4 >= deleted {
            assert!(store.delete(key(number)).unwrap());
        }
        while volume.background_step().unwrap() {}
    }
    volume.flush().unwrap();
    for _ in 0..100 {
        while volume.background_step().unwrap() {}
    }
    let (again, _) = fill(&volume, &store);
    assert!(again * 10 > items * 8, "{again} of {items} items fit again");
}

/// Emptying and removing datastores gives room like deletes, and has the room for it that these have.
#[test]
fn datastores_are_emptied_and_removed_on_a_full_volume() {
    let (machine, volume, store) = store();
    let removed = volume.create_datastore(b"removed").unwrap();
    for number in 0..10 {
        removed.put(key(number), [1; 3000]).unwrap();
    }
    let (items, _) = fill(&volume, &store);
    // The last small rest, too.
    while store.put(key(items), b"").is_ok() {}
    let made = volume.create_datastore(b"more").err();
    assert_eq!(made.map(|why| why.kind()), Some(ErrorKind::VolumeFull));
    volume.drop_datastore(removed.id()).unwrap();
    volume.truncate_datastore(store.id()).unwrap();
    let (again, _) = fill(&volume, &store);
    assert!(again * 10 > items * 9, "{again} of {items} items fit again");
    volume.flush().unwrap();
    drop((volume, store));
    let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
    assert_eq!(volume.datastore(b"store").unwrap().len(), again);
    assert!(volume.datastore(b"removed").is_err());
}

#[test]
fn deletes_in_transactions_work_on_a_full_volume() {
    let (_machine, volume, store) = store();
    let (items, _) = fill(&volume, &store);
    let keeper = Keeper::new();
    let mut number = 0;
    while number < DELETES_WHEN_FULL.min(items) {
        let mut session = Session::begin(&keeper, Isolation::Snapshot);
        for _ in 0..64 {
            session
                .remove(&store, &String::from_utf8(key(number)).unwrap())
                .unwrap();
            number += 1;
        }
        session.commit().unwrap();
        volume.settle(&*keeper);
    }
    assert_eq!(store.get(key(number - 1)).unwrap(), None);
}

#[test]
fn what_was_accepted_can_be_committed() {
    let (machine, volume, store) = store();
    let keeper = Keeper::new();
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    for number in 0..1_000 {
        session
            .put(&store, &format!("early{number}"), &"v".repeat(100))
            .unwrap();
    }
    fill(&volume, &store);
    let mut late = Session::begin(&keeper, Isolation::Snapshot);
    let refused = loop {
        match late.put(&store, "late", &"v".repeat(60_000)) {
            Ok(()) => continue,
            Err(why) => break why,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::VolumeFull, "{refused}");
    late.abort();
    session.commit().unwrap();
    drop((volume, store));
    let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
    let store = volume.datastore(b"store").unwrap();
    assert!(store.get(b"early999").unwrap().is_some());
}

#[test]
fn overwriting_for_ever_fits_in_a_small_volume() {
    let (_machine, volume, store) = store();
    let keeper = Keeper::new();
    for round in 0..60_000u64 {
        if round % 2 == 0 {
            store.put(key(round % 100), [round as u8; 2000]).unwrap();
        } else {
            let mut session = Session::begin(&keeper, Isolation::Snapshot);
            let key = String::from_utf8(key(round % 100)).unwrap();
            session.put(&store, &key, &"x".repeat(2000)).unwrap();
            session.commit().unwrap();
        }
        if round % 16 == 0 {
            volume.settle(&*keeper);
            while volume.background_step().unwrap() {}
        }
    }
    assert!(volume.stats().used_bytes <= 64 << 20);
}

/// Whose index is the larger part of it: with a checkpoint once there are `first_at` items, and its keys.
fn full_of_keys(first_at: Option<usize>) -> (Machine, Volume, Datastore, Vec<Vec<u8>>) {
    let machine = Machine::new(1, &[128 * MIB]);
    let options = sim_options().checkpoint_log_bytes(u64::MAX);
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    let mut rng = seed::rng(5);
    let mut keys: Vec<Vec<u8>> = Vec::new();
    loop {
        if Some(keys.len()) == first_at {
            volume.checkpoint().unwrap();
        }
        let key: Vec<u8> = (0..250).map(|_| rng.random()).collect();
        match store.put(&key, b"") {
            Ok(()) => keys.push(key),
            Err(why) if why.kind() == ErrorKind::VolumeFull => break,
            Err(why) => panic!("{why}"),
        }
        if keys.len().is_multiple_of(64) {
            volume.background_step().unwrap();
        }
    }
    (machine, volume, store, keys)
}

/// Mostly index: its checkpoint takes more than all else that is set aside.
#[test]
fn a_full_volume_has_room_for_a_checkpoint_and_for_deletes_after_it() {
    for first_at in [None, Some(60_000)] {
        let (machine, volume, store, keys) = full_of_keys(first_at);
        volume.checkpoint().unwrap();
        let stats = volume.stats();
        let others = DELETES_WHEN_FULL * 4096 + CLEANER_SEGMENTS * SEGMENT_BYTES[0];
        assert!(
            stats.checkpoint_bytes > others,
            "{} items: {stats:?}",
            keys.len()
        );
        for key in keys.iter().take(DELETES_WHEN_FULL as usize) {
            assert!(store.delete(key).unwrap());
            volume.flush().unwrap();
        }
        volume.checkpoint().unwrap();
        let after = volume.stats();
        let written = after.checkpoint_written_bytes - stats.checkpoint_written_bytes;
        // Three for each half segment that users write, and this one.
        let times = 3 * (DELETES_WHEN_FULL * 4096).div_ceil(SEGMENT_BYTES[1] / 2) + 1;
        assert!(written <= times * stats.checkpoint_bytes, "{after:?}");
        drop((volume, store));
        let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
        let store = volume.datastore(b"store").unwrap();
        let left = keys.len() as u64 - DELETES_WHEN_FULL;
        assert_eq!(store.approximate_len(), left);
    }
}

/// Pages that have not changed stay where they are, and with them the room of all that was beside them.
#[test]
fn a_checkpoint_of_some_pages_leaves_room_for_the_next_one() {
    for part in [10, 17, 19] {
        let (machine, volume, store, mut keys) = full_of_keys(None);
        volume.checkpoint().unwrap();
        keys.sort();
        let step = keys.len() / 2_500;
        let (changed, others): (Vec<_>, Vec<_>) = keys
            .iter()
            .enumerate()
            .partition(|(i, _)| i.is_multiple_of(step) && i / step % 20 < part);
        let deletes = changed.len();
        for (_, key) in changed {
            assert!(store.delete(key).unwrap());
            volume.flush().unwrap();
        }
        volume.checkpoint().unwrap();
        for (_, key) in others.iter().take(DELETES_WHEN_FULL as usize - deletes) {
            assert!(store.delete(key).unwrap(), "{part} of 20 pages");
            volume.flush().unwrap();
        }
        volume.checkpoint().unwrap();
        drop((volume, store));
        let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
        let left = keys.len() as u64 - DELETES_WHEN_FULL;
        assert_eq!(volume.datastore(b"store").unwrap().approximate_len(), left);
    }
}
