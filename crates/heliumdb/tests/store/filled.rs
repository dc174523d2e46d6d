//! What gives room goes on working on a file system that something else has filled to the last byte.

use std::collections::BTreeMap;

use helium_sim::{DiskId, Machine, sim_options};
use heliumdb::{Datastore, ErrorKind, Result, Volume, VolumeOptions};

use crate::{common::MIB, mounted::Mounted};

/// Where every write takes new blocks, a commit that is durable by itself may have to wait for room that others give.
#[derive(Clone, Copy, PartialEq)]
enum Writes {
    InPlace,
    Elsewhere,
}

/// What was deleted, each delete synced alone: they take several segments.
const DELETES: u64 = 4_000;

fn key(number: u64) -> Vec<u8> {
    format!("key{number:05}").into_bytes()
}

fn items(store: &Datastore) -> BTreeMap<Vec<u8>, Vec<u8>> {
    store.iter().map(|item| item.unwrap()).collect()
}

fn step(volume: &Volume) {
    // Where there is no room for what is buffered it is tried again.
    let stepped = volume.background_step();
    assert!(stepped.is_ok() || stepped.unwrap_err().kind() == ErrorKind::VolumeFull);
}

fn work_off(volume: &Volume) {
    while volume.background_step().unwrap() {
        std::thread::yield_now();
    }
}

/// All of the file is used once; then more comes free than is kept written, and what is not kept is given back to
/// the file system.
fn give_back(volume: &Volume) {
    for _ in 0..3 {
        let large = volume.create_datastore(b"large").unwrap();
        for number in 0..400 {
            large.put(key(number), [5; 100_000]).unwrap();
        }
        volume.drop_datastore(large.id()).unwrap();
        volume.checkpoint().unwrap();
        work_off(volume);
    }
    while volume.stats().trimmed_bytes < 2 * MIB {
        work_off(volume);
        std::thread::yield_now();
    }
}

fn options() -> VolumeOptions {
    let mut options = sim_options();
    options.limit_bytes = Some(96 * MIB);
    options
}

fn fills_up(kind: &str, writes: Writes) {
    // XFS makes none that is smaller.
    let Some(mounted) = Mounted::of_kind(kind, 320 * MIB) else {
        return;
    };
    let url = format!("he://{}", mounted.path().join("volume").display());
    let open = || Volume::open(&url, &options()).unwrap();
    gives_room(writes, &open, &|| mounted.fill(), &|| mounted.empty());
}

/// Writes what takes room until there is none.
fn use_up(store: &Datastore) {
    for number in 0.. {
        if let Err(why) = store.put(key(100_000 + number), [4; 10_000]) {
            assert_eq!(why.kind(), ErrorKind::VolumeFull, "{why}");
            return;
        }
    }
}

fn gives_room(writes: Writes, open: &dyn Fn() -> Volume, fill: &dyn Fn(), empty: &dyn Fn()) {
    let volume = open();
    let create = |name: &[u8]| volume.create_datastore(name).unwrap();
    let [store, dropped, truncated] = [&b"store"[..], b"dropped", b"truncated"].map(create);
    for number in 0..2 * DELETES {
        store
            .put(key(number * 7 % (2 * DELETES)), [1; 500])
            .unwrap();
    }
    for number in 0..500 {
        dropped.put(key(number), [2; 1_000]).unwrap();
        truncated.put(key(number), [3; 1_000]).unwrap();
    }
    give_back(&volume);
    fill();
    if writes == Writes::InPlace {
        use_up(&store);
    }
    let done = |what: &str, done: Result<()>| match done {
        Ok(()) => {}
        Err(why) if writes == Writes::Elsewhere && why.kind() == ErrorKind::OutcomeUnknown => {
            assert!(
                why.to_string().contains("give the device more room"),
                "{why}"
            );
        }
        Err(why) => panic!("{what}: {why}: {:?}", volume.stats()),
    };
    // Nothing comes free meanwhile that was not written ahead.
    for number in 0..DELETES {
        let mut txn = volume.begin().unwrap();
        assert!(txn.delete(&store, key(number)).unwrap());
        done("delete", txn.commit());
    }
    step(&volume);
    done("truncate", volume.truncate_datastore(truncated.id()));
    done("drop", volume.drop_datastore(dropped.id()));
    if writes == Writes::InPlace {
        store.compact().unwrap();
        volume.clean().unwrap();
        work_off(&volume);
    }
    let left = items(&store);
    let is_kept = |number: &u64| left.contains_key(&key(*number));
    assert!(!(0..DELETES).any(|number| is_kept(&number)));
    assert!((DELETES..2 * DELETES).all(|number| is_kept(&number)));
    if writes == Writes::Elsewhere {
        empty();
        volume.flush().unwrap();
    }
    volume.close().unwrap();
    drop((store, truncated, dropped));
    let volume = open();
    assert!(items(&volume.datastore(b"store").unwrap()) == left);
    assert!(volume.datastore(b"truncated").unwrap().is_empty());
    assert!(volume.datastore(b"dropped").is_err());
}

/// Of what was given back nothing comes again.
#[test]
fn what_gives_room_works_where_only_blocks_that_are_there_can_be_written() {
    for grows in [false, true] {
        let machine = Machine::new(1, &[if grows { 0 } else { 96 * MIB }]);
        machine.allow_growth(DiskId(0), if grows { 1024 * MIB } else { 0 });
        machine.keep_in_file(DiskId(0), 1024 * MIB);
        let open = || Volume::open_devices(machine.devices(&[DiskId(0)]), &options()).unwrap();
        let fill = || machine.fill_file_system(DiskId(0));
        gives_room(Writes::InPlace, &open, &fill, &|| ());
    }
}

/// How many items are taken until there is no room for more.
fn fill_with_items(volume: &Volume, store: &Datastore) -> u64 {
    for number in 0.. {
        if number % 64 == 0 {
            work_off(volume);
        }
        if let Err(why) = store.put(key(number), [6; 5_000]) {
            assert_eq!(why.kind(), ErrorKind::VolumeFull, "{why}");
            return number;
        }
    }
    unreachable!("the file system has an end")
}

/// What is kept follows what there is, and has its blocks: however early a file that may grow has none to grow by, all
/// of it can be deleted again, each delete synced alone, and gives its room back.
#[test]
fn deletes_make_room_on_a_file_system_of_any_size() {
    for mib in [1, 34, 42, 60, 90] {
        let machine = Machine::new(mib, &[0]);
        machine.allow_growth(DiskId(0), 4096 * MIB);
        machine.keep_in_file(DiskId(0), mib * MIB);
        let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &sim_options()).unwrap();
        let store = match volume.create_datastore(b"store") {
            Ok(store) => store,
            Err(why) => {
                assert_eq!(why.kind(), ErrorKind::VolumeFull, "{why}");
                assert!(mib < 34, "{mib} MiB: {why}");
                continue;
            }
        };
        let items = fill_with_items(&volume, &store);
        for number in 0..items {
            let deleted = store.delete(key(number)).and_then(|was_there| {
                assert!(was_there);
                volume.flush()
            });
            deleted.unwrap_or_else(|why| {
                panic!(
                    "{mib} MiB, {number} of {items}: {why}: {:?}",
                    volume.stats()
                )
            });
            if number % 64 == 0 {
                work_off(&volume);
            }
        }
        work_off(&volume);
        let again = fill_with_items(&volume, &store);
        // But for what is dead in the segment that is being filled.
        let lost = 8 * MIB / 5_000;
        assert!(
            again + lost >= items,
            "{mib} MiB: {items} items, then {again}: {:?}",
            volume.stats()
        );
        assert!(mib < 90 || items > 3_000, "{mib} MiB: {items} items");
    }
}

#[test]
fn what_gives_room_works_on_a_full_ext4() {
    fills_up("ext4", Writes::InPlace);
}

#[test]
fn what_gives_room_works_on_a_full_xfs() {
    fills_up("xfs", Writes::InPlace);
}

/// What is committed is in memory until there is room, and then it is durable.
#[test]
fn what_gives_room_works_on_a_full_btrfs() {
    fills_up("btrfs", Writes::Elsewhere);
}
