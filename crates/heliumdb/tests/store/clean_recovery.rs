//! What was moved, and a crash: places that are used again, checkpoints that are not there, and
//! checkpoints that have to find room on a volume that has little.

use helium_sim::{DiskId, Keeper, Machine, seed, sim_options};
use heliumdb::host::VolumeExt;
use heliumdb::{Datastore, DatastoreOptions, Isolation, Volume};
use rand::{Rng, seq::IndexedRandom};

use crate::common::{
    MIB, Session, after_kill, after_power_loss, destroy_checkpoint, open_one, store,
};

fn key(number: u64) -> Vec<u8> {
    format!("item {number:08}").into_bytes()
}

/// Steps until nothing is left to do.
fn settle(volume: &Volume) {
    for _ in 0..20_000 {
        if !volume.background_step().unwrap() {
            return;
        }
    }
    panic!("the background work has no end");
}

/// Overwrites a thousand items, `rounds` times.
fn filler(store: &Datastore, rounds: u64) {
    for number in 0..rounds * 1_000 {
        store
            .put(key(number % 1_000), [number as u8; 1_000])
            .unwrap();
    }
}

fn without_checkpoint(machine: &Machine) -> Volume {
    let mut images = after_power_loss(machine, 0).images();
    assert!(destroy_checkpoint(&mut images[0]), "there is a checkpoint");
    open_one(&Machine::with_images(0, images)).unwrap()
}

/// Items behind the newest checkpoint are in the log only: a segment that they were moved away from
/// stays until a checkpoint has their new places, because replay of the move looks for the old ones.
#[test]
fn what_was_moved_from_behind_a_checkpoint_is_there_after_any_crash() {
    let (machine, volume, store) = store();
    volume.checkpoint().unwrap();
    for number in 0..5_000 {
        store.put(key(number), [1; 1_000]).unwrap();
    }
    for number in (0..5_000).filter(|number| number % 10 != 0) {
        store.put(key(number), [2; 1_000]).unwrap();
    }
    volume.flush().unwrap();
    machine.record(&[]);
    volume.clean().unwrap();
    assert!(volume.stats().cleaner_bytes > 0);
    settle(&volume);
    volume.flush().unwrap();
    let records = machine.records();
    let mut rng = seed::rng(1);
    for _ in 0..60 {
        let record = records.choose(&mut rng).unwrap();
        let crashed = Machine::with_images(0, record.crash(&mut rng));
        let volume = open_one(&crashed).unwrap();
        let store = volume.datastore(b"store").unwrap();
        for number in 0..5_000 {
            let value = store.get(key(number)).unwrap();
            let wanted = if number % 10 == 0 { 1 } else { 2 };
            assert!(value == Some(vec![wanted; 1_000]), "item {number}");
        }
    }
}

/// In the middle of what stays, so that what is beside it in the log, moved, has moved with it.
const REMOVED: &str = "stays 03000 not";

/// Items that stay, and among them one that is to be removed; half of each segment dies, so that none is
/// too full to be cleaned.
fn what_stays(store: &Datastore) {
    store.put(REMOVED.as_bytes(), b"x").unwrap();
    for number in 0..6_000u64 {
        let stays = format!("stays {number:05}");
        store.put(stays.as_bytes(), [1; 1_000]).unwrap();
        store.put(key(number % 1_000), [0; 1_000]).unwrap();
    }
}

/// Whatever is beside something dead moves, and its segments are freed.
fn clean(volume: &Volume, store: &Datastore, rounds: u64, keeper: &Keeper) {
    for _ in 0..rounds {
        filler(store, 6);
        volume.settle(keeper);
        volume.clean().unwrap();
        volume.checkpoint().unwrap();
        settle(volume);
    }
}

fn check_removed(machine: &Machine, volume: Volume) {
    volume.flush().unwrap();
    drop(volume);
    let volume = without_checkpoint(machine);
    let store = volume.datastore(b"store").unwrap();
    assert_eq!(store.get(REMOVED.as_bytes()).unwrap(), None);
    assert_eq!(store.iter().count(), 7_000);
}

/// A copy that was moved stands in a young segment with an old number, beside others of the kind. What
/// removed it since is needed as long as the copy is there, though all other segments are younger.
#[test]
fn a_removal_stays_as_long_as_a_moved_copy_of_what_it_removed() {
    let (machine, volume, store) = store();
    let keeper = Keeper::new();
    what_stays(&store);
    clean(&volume, &store, 4, &keeper);
    assert!(volume.stats().cleaner_bytes > 0);
    assert!(store.delete(REMOVED.as_bytes()).unwrap());
    // What is beside the tombstone dies.
    clean(&volume, &store, 6, &keeper);
    drop(store);
    check_removed(&machine, volume);
}

/// The removal has its number, but no place, while what it removes is moved.
#[test]
fn a_removal_with_a_number_from_before_the_move_stays_as_well() {
    let (machine, volume, store) = store();
    let keeper = Keeper::new();
    what_stays(&store);
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    session.remove(&store, REMOVED).unwrap();
    clean(&volume, &store, 4, &keeper);
    session.commit().unwrap();
    clean(&volume, &store, 6, &keeper);
    drop(store);
    check_removed(&machine, volume);
}

/// A long value moves with all its pieces, some compressed and some not.
#[test]
fn compressed_long_values_are_the_same_after_they_moved() {
    let machine = Machine::new(1, &[128 * MIB]);
    let volume = open_one(&machine).unwrap();
    let mut options = DatastoreOptions::default();
    options.create = true;
    options.compress = true;
    let long = volume.open_datastore(b"long", &options).unwrap();
    let plain = volume.create_datastore(b"store").unwrap();
    let mut rng = seed::rng(3);
    let values: Vec<Vec<u8>> = (0..12usize)
        .map(|number| {
            let mut value = vec![number as u8; 500_000 + number * 40_000];
            rng.fill(&mut value[200_000..400_000]);
            value
        })
        .collect();
    for (number, value) in values.iter().enumerate() {
        long.put(key(number as u64), value).unwrap();
        filler(&plain, 2);
    }
    for _ in 0..3 {
        volume.clean().unwrap();
        settle(&volume);
        filler(&plain, 2);
    }
    let stats = volume.stats();
    assert!(stats.cleaner_bytes > 2_000_000, "{stats:?}");
    volume.flush().unwrap();
    let check = |volume: &Volume| {
        let long = volume.datastore(b"long").unwrap();
        for (number, value) in values.iter().enumerate() {
            assert!(long.get(key(number as u64)).unwrap().as_ref() == Some(value));
        }
        assert_eq!(long.verify(&mut |_| {}).unwrap().items, 12);
    };
    check(&volume);
    check(&open_one(&after_kill(&machine, 0)).unwrap());
    drop((long, plain));
    check(&without_checkpoint(&machine));
}

/// A volume with a checkpoint whenever so many bytes were written.
fn checkpointing(megabytes: u64, every: u64) -> (Machine, Volume, Datastore) {
    let machine = Machine::new(1, &[megabytes * MIB]);
    let mut options = sim_options();
    options.checkpoint_log_bytes = Some(every);
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    (machine, volume, store)
}

/// Checkpoints all the time, and cleaning that has no room to waste.
#[test]
fn checkpoints_and_cleaning_leave_each_other_room_for_ever() {
    let (machine, volume, store) = checkpointing(128, 16 * MIB);
    let items = 128 * MIB * 7 / 10 / 1_056;
    let rounds = seed::count("HELIUM_OVERWRITES", 2);
    let mut rng = seed::rng(11);
    let mut newest = vec![0u64; items as usize];
    for put in 0..items * (1 + rounds) {
        let number = if put < items {
            put
        } else {
            rng.random_range(0..items)
        };
        let mut value = [number as u8; 1_000];
        value[..8].copy_from_slice(&put.to_le_bytes());
        let done = store.put(key(number), value);
        done.unwrap_or_else(|why| panic!("put {put}: {why}; {:?}", volume.stats()));
        newest[number as usize] = put;
        if put % 256 == 0 {
            volume.background_step().unwrap();
        }
    }
    let stats = volume.stats();
    assert!(stats.cleaner_bytes > 0, "{stats:?}");
    eprintln!("{stats:?}");
    volume.flush().unwrap();
    drop(volume);
    let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
    let found = volume.datastore(b"store").unwrap();
    for (number, put) in newest.iter().enumerate() {
        let value = found.get(key(number as u64)).unwrap().unwrap();
        assert_eq!(value[..8], put.to_le_bytes(), "item {number}");
    }
    let replayed = volume.stats().recovered_items;
    assert!(replayed < items, "{replayed} items were replayed");
}

/// Writers are refused before they take what a checkpoint of now needs; deletes after that go on.
#[test]
fn a_full_volume_takes_checkpoints() {
    let (machine, volume, store) = checkpointing(64, 4 * MIB);
    let mut items = 0;
    while store.put(key(items), [items as u8; 1_000]).is_ok() {
        items += 1;
        if items % 256 == 0 {
            volume.background_step().unwrap();
        }
    }
    settle(&volume);
    for number in 0..3_000 {
        assert!(store.delete(key(number)).unwrap());
        if number % 50 == 0 {
            volume.checkpoint().unwrap();
            settle(&volume);
        }
    }
    volume.flush().unwrap();
    let again = open_one(&after_power_loss(&machine, 0)).unwrap();
    let found = again.datastore(b"store").unwrap();
    assert_eq!(found.iter().count() as u64, items - 3_000);
    let replayed = again.stats().recovered_items;
    assert!(
        replayed < items / 2,
        "{replayed} of {items} items were replayed"
    );
}
