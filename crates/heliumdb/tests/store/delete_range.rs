//! Ranges that are deleted: what goes and what stays, beside whom, and what it takes.

use std::{collections::BTreeMap, ops::Bound, thread};

use helium_sim::{DiskId, Keeper, Operation, Verdict, seed, sim_options};
use heliumdb::host::DatastoreExt;
use heliumdb::host::VolumeExt;
use heliumdb::{
    Datastore, DatastoreOptions, ErrorKind, Isolation, Readable, Volume, host::WriteSet,
};
use rand::Rng;

use crate::common::{Released, after_power_loss, held_store, machine, open_one, store};

fn key(number: u64) -> Vec<u8> {
    format!("{number:06}").into_bytes()
}

fn filled(items: u64, value_bytes: usize) -> (helium_sim::Machine, Volume, Datastore) {
    let (machine, volume, store) = store();
    for number in 0..items {
        store
            .put(key(number), vec![number as u8; value_bytes])
            .unwrap();
    }
    (machine, volume, store)
}

fn keys(store: &Datastore) -> Vec<Vec<u8>> {
    store
        .iter()
        .keys()
        .collect::<heliumdb::Result<_>>()
        .unwrap()
}

/// All kinds of bounds, ends in the wrong order among them, directly and in transactions, over steps of any length.
#[test]
fn what_is_in_the_range_goes_and_nothing_else() {
    let (_machine, volume, store) = store();
    let mut rng = seed::rng(1);
    let mut model = BTreeMap::new();
    let bound = |rng: &mut rand::rngs::SmallRng| {
        let key = key(rng.random_range(0..1_100));
        match rng.random_range(0..5) {
            0 => Bound::Unbounded,
            1 | 2 => Bound::Included(key),
            _ => Bound::Excluded(key),
        }
    };
    let within = |(low, high): &(Bound<Vec<u8>>, Bound<Vec<u8>>), key: &Vec<u8>| {
        let above = match low {
            Bound::Included(low) => key >= low,
            Bound::Excluded(low) => key > low,
            Bound::Unbounded => true,
        };
        above
            && match high {
                Bound::Included(high) => key <= high,
                Bound::Excluded(high) => key < high,
                Bound::Unbounded => true,
            }
    };
    let mut gone = 0;
    for round in 0..120u64 {
        for _ in 0..200 {
            let (key, value) = (key(rng.random_range(0..1_000)), round.to_be_bytes());
            store.put(&key, value).unwrap();
            model.insert(key, value.to_vec());
        }
        let bounds = (bound(&mut rng), bound(&mut rng));
        let before = model.len();
        model.retain(|key, _| !within(&bounds, key));
        let wanted = (before - model.len()) as u64;
        let deleted = if round % 2 == 0 {
            store.delete_range(bounds).unwrap()
        } else {
            let mut txn = volume.begin().unwrap();
            let deleted = txn.delete_range(&store, bounds).unwrap();
            assert_eq!(txn.iter(&store).count(), model.len());
            txn.commit().unwrap();
            deleted
        };
        assert_eq!(deleted, wanted, "round {round}");
        gone += deleted;
        let found: BTreeMap<_, _> = store.iter().map(Result::unwrap).collect();
        assert_eq!(found, model, "round {round}");
        assert_eq!(store.len(), model.len() as u64);
    }
    assert!(gone > 5_000, "{gone}");
}

#[test]
fn values_are_not_read() {
    let (machine, volume, store) = filled(2_000, 3_000);
    // In pieces.
    store.put(b"long", [7; 700_000]).unwrap();
    volume.close().unwrap();
    let mut options = sim_options();
    options.read_cache_bytes = 0;
    let devices = machine.devices(&[DiskId(0)]);
    let volume = Volume::open_devices(devices, &options).unwrap();
    let store = volume.datastore(b"store").unwrap();
    let before = volume.stats().device_reads;
    assert_eq!(store.delete_range(..key(500)).unwrap(), 500);
    let mut txn = volume.begin().unwrap();
    assert_eq!(txn.delete_range(&store, key(1_000)..).unwrap(), 1_001);
    txn.commit().unwrap();
    assert_eq!(volume.stats().device_reads, before);
    assert_eq!(keys(&store), (500..1_000).map(key).collect::<Vec<_>>());
    // What was dead of the long value, too.
    assert!(volume.stats().live_bytes < 4 << 20);
}

#[test]
fn a_snapshot_goes_on_to_see_what_is_deleted() {
    let (_machine, volume, store) = filled(300, 20);
    let snapshot = volume.snapshot().unwrap();
    assert_eq!(store.delete_range(key(10)..key(290)).unwrap(), 280);
    assert_eq!(snapshot.iter(&store).count(), 300);
    assert_eq!(store.iter().count(), 20);
    let mut before = volume.begin().unwrap();
    store.put(key(5), b"new").unwrap();
    // Of a range all goes, or nothing.
    let why = before.delete_range(&store, ..key(8)).unwrap_err();
    assert_eq!(why.kind(), ErrorKind::Conflict, "{why}");
    assert!(before.failure().is_some() && before.commit().is_err());
    assert_eq!(store.iter().count(), 20);
    // It goes back to a savepoint like any write.
    let mut txn = volume.begin().unwrap();
    let savepoint = txn.savepoint().unwrap();
    assert_eq!(txn.delete_range::<&[u8]>(&store, ..).unwrap(), 20);
    txn.rollback_to(savepoint).unwrap();
    assert_eq!(txn.delete_range(&store, key(295)..).unwrap(), 5);
    txn.commit().unwrap();
    assert_eq!((store.len(), snapshot.iter(&store).count()), (15, 300));
}

/// With a budget for fewer versions than the range has items: without a snapshot none is needed for long, with
/// one the error says how far it came, and a transaction takes all or nothing.
#[test]
fn a_long_range_keeps_to_the_budget_of_versions() {
    let machine = machine(0, 1);
    let mut options = sim_options();
    options.version_budget_bytes = 64 << 10;
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    let fill = || (0..20_000).for_each(|number| store.put(key(number), b"v").unwrap());
    fill();
    assert_eq!(store.delete_range::<&[u8]>(..).unwrap(), 20_000);
    fill();
    let mut txn = volume.begin().unwrap();
    let why = txn.delete_range::<&[u8]>(&store, ..).unwrap_err();
    assert_eq!(why.kind(), ErrorKind::VersionBudget, "{why}");
    txn.rollback();
    assert_eq!(store.len(), 20_000);
    let snapshot = volume.snapshot().unwrap();
    let why = store.delete_range::<&[u8]>(..).unwrap_err();
    assert_eq!(why.kind(), ErrorKind::VersionBudget, "{why}");
    let deleted = 20_000 - store.len();
    assert!(deleted > 100, "{deleted}");
    let said = format!("{deleted} items of the range were deleted before");
    assert!(why.to_string().contains(&said), "{why}");
    assert!(volume.version_bytes() <= 64 << 10);
    drop(snapshot);
    let left = 20_000 - deleted;
    assert_eq!(store.delete_range::<&[u8]>(..).unwrap(), left);
    assert!(store.is_empty());
}

/// A commit under way is waited for; a transaction that has only written is overruled, as by any other delete.
#[test]
fn commits_are_waited_for_and_writes_overruled() {
    let (_machine, latch, volume, store) = held_store(&sim_options());
    for number in 0..10 {
        store.put(key(number), b"old").unwrap();
    }
    let mut overruled = volume.begin().unwrap();
    overruled.put(&store, key(3), b"new").unwrap();
    latch.hold(|operation| *operation == Operation::Sync);
    thread::scope(|scope| {
        let _released = Released(&latch);
        let mut committing = volume.begin().unwrap();
        committing.put(&store, key(7), b"new").unwrap();
        committing.put(&store, key(8), b"new").unwrap();
        let commit = scope.spawn(|| committing.commit());
        latch.await_held(1);
        let waits = volume.commit_waits();
        let deletes = scope.spawn(|| store.delete_range(key(2)..key(9)));
        while volume.commit_waits() == waits {
            assert!(!deletes.is_finished(), "it did not wait");
            thread::yield_now();
        }
        latch.release(Verdict::Go);
        commit.join().unwrap().unwrap();
        assert_eq!(deletes.join().unwrap().unwrap(), 7);
    });
    assert_eq!(overruled.commit().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(keys(&store), [key(0), key(1), key(9)]);
}

/// Others write all the time: each item that was there throughout is gone, none outside is, and what is said of
/// their number is true.
#[test]
fn beside_writers_it_takes_the_range_and_no_more() {
    let (_machine, volume, store) = filled(4_000, 8);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..2u64)
            .map(|writer| {
                let (volume, store) = (&volume, &store);
                scope.spawn(move || {
                    let mut rng = seed::rng(writer);
                    for round in 0..3_000u64 {
                        // Even ones within the range are left alone.
                        let number = rng.random_range(0..3_000) * 2 + 1;
                        match round % 3 {
                            0 => store.put(key(number), b"new").unwrap(),
                            1 => drop(store.remove(key(number)).unwrap()),
                            _ => {
                                let mut txn = volume.begin().unwrap();
                                if txn.put(store, key(number), b"new").is_ok() {
                                    // Overruled by the other ones at times.
                                    let _ = txn.commit();
                                }
                            }
                        }
                    }
                })
            })
            .collect();
        let mut deleted = 0;
        while writers.iter().any(|writer| !writer.is_finished()) {
            deleted += store.delete_range(key(1_000)..key(3_000)).unwrap();
        }
        assert!(deleted >= 1_000, "{deleted}");
    });
    store.delete_range(key(1_000)..key(3_000)).unwrap();
    let left = keys(&store);
    let even = |numbers: std::ops::Range<u64>| numbers.filter(|number| number % 2 == 0).map(key);
    assert!(
        even(0..1_000)
            .chain(even(3_000..4_000))
            .all(|key| left.contains(&key))
    );
    assert!(!left.iter().any(|k| (key(1_000)..key(3_000)).contains(k)));
    assert_eq!(store.len(), left.len() as u64);
}

/// A full volume has room for it, and gets room by it.
#[test]
fn a_full_volume_gets_room_by_it() {
    let (machine, volume, store) = store();
    let fill = || {
        for number in 0.. {
            while volume.background_step().unwrap_or(false) {}
            if let Err(why) = store.put(key(number), [number as u8; 2_000]) {
                assert_eq!(why.kind(), ErrorKind::VolumeFull, "{why}");
                return number;
            }
        }
        unreachable!("a volume has an end")
    };
    let items = fill();
    assert!(items > 4 * heliumdb::limits::DELETES_WHEN_FULL, "{items}");
    assert_eq!(store.delete_range(key(10)..).unwrap(), items - 10);
    volume.flush().unwrap();
    for _ in 0..100 {
        while volume.background_step().unwrap() {}
    }
    let again = fill();
    assert!(again * 10 > items * 8, "{again} of {items}");
    let mut txn = volume.begin().unwrap();
    assert_eq!(txn.delete_range(&store, ..key(3_000)).unwrap(), 3_000);
    txn.commit().unwrap();
    drop((volume, store));
    let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
    let store = volume.datastore(b"store").unwrap();
    assert!(store.range(..key(3_000)).next().is_none());
}

/// Power goes in the middle of it: of a transaction all or nothing is gone.
#[test]
fn of_a_transaction_that_a_crash_cuts_all_goes_or_nothing() {
    let mut rng = seed::rng(3);
    let (mut none, mut all) = (0, 0);
    for at in 0..40 {
        let (machine, volume, store) = filled(1_500, 40);
        volume.flush().unwrap();
        let mut txn = volume.begin().unwrap();
        txn.delete_range(&store, key(100)..key(1_400)).unwrap();
        // With its write, or the sync after that, or not at all.
        machine.power_off_at(at % 3);
        let committed = txn.commit();
        let images = machine.crash(&mut rng);
        drop((volume, store));
        let volume = open_one(&helium_sim::Machine::with_images(at, images)).unwrap();
        let left = volume.datastore(b"store").unwrap().len();
        match left {
            1_500 => none += 1,
            200 => all += 1,
            left => panic!("{left} items are left"),
        }
        assert!(committed.is_err() || left == 200);
    }
    assert!(none > 0 && all > 0, "{none} {all}");
}

/// Who keeps transactions itself: the same, with its own views.
#[test]
fn embedding_programs_delete_ranges_in_their_transactions() {
    let (_machine, volume, store) = filled(500, 10);
    let keeper = Keeper::new();
    let mut view = keeper.begin(Isolation::Snapshot);
    view.operation();
    let mut txn = WriteSet::new(view.allocate());
    assert_eq!(txn.delete_range(&store, &view, key(100)..).unwrap(), 400);
    assert_eq!(store.len(), 500);
    txn.abort();
    view.end();
    assert_eq!(store.delete_range(key(400)..).unwrap(), 100);
    assert_eq!(store.len(), 400);
    drop(volume);
}

#[test]
fn what_has_no_ranges_or_takes_no_writes_refuses() {
    let (_machine, volume, store) = filled(10, 10);
    let mut how = DatastoreOptions::default();
    (how.create, how.unordered) = (true, true);
    let unordered = volume.open_datastore(b"hashed", &how).unwrap();
    unordered.put(b"a", b"1").unwrap();
    let kind = |done: heliumdb::Result<u64>| done.unwrap_err().kind();
    assert_eq!(
        kind(unordered.delete_range::<&[u8]>(..)),
        ErrorKind::Unsupported
    );
    let mut txn = volume.begin().unwrap();
    assert_eq!(
        kind(txn.delete_range::<&[u8]>(&unordered, ..)),
        ErrorKind::Unsupported
    );
    drop(txn);
    let reader = store.clone().read_only();
    // Whether there is anything to delete or not.
    assert_eq!(kind(reader.delete_range(key(50)..)), ErrorKind::ReadOnly);
    let mut txn = volume.begin().unwrap();
    assert_eq!(
        kind(txn.delete_range(&reader, key(50)..)),
        ErrorKind::ReadOnly
    );
    assert_eq!((store.len(), unordered.len()), (10, 1));
}

/// What others hand over of another volume: ids, names, attributes and kinds are as they were there.
#[test]
fn what_a_view_shows_can_be_restored_elsewhere() {
    let (_machine, volume, store) = filled(300, 20);
    let mut how = DatastoreOptions::default();
    (how.create, how.unordered) = (true, true);
    let hashed = volume.open_datastore(b"hashed", &how).unwrap();
    (0..100).for_each(|number| hashed.put(key(number), b"v").unwrap());
    let gone = volume.create_datastore(b"gone").unwrap();
    volume.drop_datastore(gone.id()).unwrap();
    let snapshot = volume.snapshot().unwrap();
    // None of this shows.
    volume.rename_datastore(store.id(), b"renamed").unwrap();
    store.delete_range(key(100)..).unwrap();
    volume.truncate_datastore(hashed.id()).unwrap();
    volume.create_datastore(b"late").unwrap();
    let machine = machine(1, 1);
    let copy = open_one(&machine).unwrap();
    for (info, seen) in volume.datastores_of(&snapshot) {
        let next_id = volume.next_datastore_id();
        let report = copy.restore(&info, next_id, seen.items_of(&snapshot));
        assert_eq!(
            report.unwrap().items,
            if info.unordered { 100 } else { 300 }
        );
    }
    // Until all of it is there it is no volume.
    let part = open_one(&after_power_loss(&machine, 0)).unwrap_err();
    assert_eq!(part.kind(), ErrorKind::NotAVolume, "{part}");
    copy.finish_copy().unwrap();
    drop(copy);
    let copy = open_one(&after_power_loss(&machine, 0)).unwrap();
    let names: Vec<_> = copy
        .datastores()
        .into_iter()
        .map(|info| info.name)
        .collect();
    assert_eq!(names, [b"hashed".to_vec(), b"store".to_vec()]);
    let restored = copy.datastore(b"store").unwrap();
    assert_eq!((restored.id(), restored.len()), (store.id(), 300));
    assert_eq!(copy.datastore(b"hashed").unwrap().len(), 100);
    assert!(copy.create_datastore(b"new").unwrap().id() >= gone.id());
    // An id that cannot be, or that is there.
    for (id, kind) in [
        (1, ErrorKind::InvalidArgument),
        (u32::MAX, ErrorKind::InvalidArgument),
        (store.id().0, ErrorKind::DatastoreExists),
    ] {
        let mut info = restored.info().unwrap();
        (info.id, info.name) = (heliumdb::DatastoreId(id), b"other".to_vec());
        let none = std::iter::empty::<heliumdb::Result<_>>();
        assert_eq!(copy.restore(&info, 0, none).unwrap_err().kind(), kind);
    }
    // What was refused has made no part of a copy of it.
    assert_eq!(copy.datastore(b"store").unwrap().len(), 300);
}

#[test]
fn a_copy_of_which_a_part_failed_to_come_is_not_finished() {
    let (_machine, volume, store) = filled(300, 20);
    let info = store.info().unwrap();
    let machine = machine(1, 1);
    let copy = open_one(&machine).unwrap();
    let broken = copy.datastore(b"none").unwrap_err();
    let items = store.iter().take(100).chain(std::iter::once(Err(broken)));
    copy.restore(&info, volume.next_datastore_id(), items)
        .unwrap_err();
    let refused = copy.finish_copy().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotAVolume, "{refused}");
    copy.close().unwrap();
    let refused = open_one(&after_power_loss(&machine, 0)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotAVolume, "{refused}");
}

/// A million items of which no value is in memory, deleted by walking over them and by their range.
#[test]
#[ignore = "measures"]
fn figures() {
    const ITEMS: u64 = 1_000_000;
    for by_range in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("he://{}", folder.path().join("volume").display());
        let mut options = heliumdb::VolumeOptions::default();
        let volume = Volume::open(&url, &options).unwrap();
        let store = volume.create_datastore(b"store").unwrap();
        (0..ITEMS).for_each(|number| store.put(key(number), [7; 200]).unwrap());
        drop((store, volume));
        options.read_cache_bytes = 0;
        let volume = Volume::open(&url, &options).unwrap();
        let store = volume.datastore(b"store").unwrap();
        let (reads, start) = (volume.stats().device_reads, std::time::Instant::now());
        if by_range {
            assert_eq!(store.delete_range::<&[u8]>(..).unwrap(), ITEMS);
        } else {
            store
                .iter()
                .for_each(|item| assert!(store.delete(&item.unwrap().0).unwrap()));
        }
        let (reads, time) = (volume.stats().device_reads - reads, start.elapsed());
        println!("by range {by_range}: {time:?}, {reads} device reads");
    }
}
