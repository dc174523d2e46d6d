//! Files that grow become shorter again: what is alive at their ends moves to the front, and the rest is cut off, durably
//! and wherever the power goes; and they grow again afterwards.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering::*},
    time::{Duration, Instant},
};

use helium_sim::{
    DiskId, Fault, FaultKind, Image, Latch, Machine, On, Operation, Replay, Verdict, seed,
    sim_options,
};
use heliumdb::{Datastore, ErrorKind, Readable, Result, Volume, VolumeOptions, upkeep::BackupFrom};

use crate::{
    common::{MIB, destroy_checkpoint},
    mounted::Mounted,
};

type Items = BTreeMap<Vec<u8>, Vec<u8>>;

const DISKS: [DiskId; 2] = [DiskId(0), DiskId(1)];
/// What each file may become.
const MOST: u64 = 200 * MIB;
/// Readers that are not the test's own are soon gone.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of a volume with a datastore and next to nothing in it: what a new one has.
const LEAST: u64 = 32 * MIB;

/// Segments of 1 MiB.
fn options() -> VolumeOptions {
    let mut options = sim_options();
    options.limit_bytes = Some(MOST);
    options
}

fn growing(seed: u64, images: Vec<Image>) -> Machine {
    let machine = Machine::with_images(seed, images);
    let disks = machine.images().len();
    DISKS[..disks]
        .iter()
        .for_each(|disk| machine.allow_growth(*disk, MOST));
    machine
}

fn new_machine(seed: u64, disks: usize) -> Machine {
    growing(seed, vec![Image::new(0); disks])
}

fn open(machine: &Machine) -> Result<Volume> {
    let disks = machine.images().len();
    Volume::open_devices(machine.devices(&DISKS[..disks]), &options())
}

fn lengths(machine: &Machine) -> Vec<u64> {
    machine.images().iter().map(Image::len).collect()
}

fn key(number: u64) -> Vec<u8> {
    format!("key{number:05}").into_bytes()
}

fn items(store: &Datastore) -> Items {
    store.iter().map(|item| item.unwrap()).collect()
}

fn work_off(volume: &Volume) {
    while volume.background_step().unwrap() {
        std::thread::yield_now();
    }
}

fn put(store: &Datastore, numbers: impl Iterator<Item = u64>, fill: u8) {
    // Some are in pieces.
    let len = |number: u64| {
        if number.is_multiple_of(50) {
            300_000
        } else {
            20_000
        }
    };
    for number in numbers {
        store.put(key(number), vec![fill; len(number)]).unwrap();
    }
}

/// Files that are much longer than what is left in them, some of which lies at their ends.
fn long(seed: u64, disks: usize) -> (Machine, Volume, Datastore) {
    let machine = new_machine(seed, disks);
    let volume = open(&machine).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    put(&store, 0..2_000, 1);
    let stays = |number: u64| number % 100 == 99 || number % 500 == 50;
    for number in (0..2_000).filter(|number| !stays(*number)) {
        assert!(store.delete(key(number)).unwrap());
    }
    volume.flush().unwrap();
    (machine, volume, store)
}

/// As `helium compact` does, until it is `done`: threads of other tests may keep what was freed from being used, or cut
/// off, as readers would.
fn compact_until(volume: &Volume, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() && started.elapsed() < PATIENCE {
        volume.compact(&mut |_| true).unwrap();
        std::thread::yield_now();
    }
    assert!(done(), "{:?}", volume.stats());
}

/// Opened again there is all of it, and room for as much as there was.
fn check(machine: &Machine, wanted: &Items) {
    let volume = open(machine).unwrap();
    let store = volume.datastore(b"store").unwrap();
    assert!(items(&store) == *wanted, "{} items", store.len());
    put(&store, 5_000..6_000, 9);
    work_off(&volume);
    volume.flush().unwrap();
    drop((store, volume));
    let volume = open(machine).unwrap();
    let mut left = items(&volume.datastore(b"store").unwrap());
    left.retain(|item, _| *item < key(5_000));
    assert!(left == *wanted);
    assert_eq!(
        volume.datastore(b"store").unwrap().len() as usize,
        wanted.len() + 1_000
    );
    assert_eq!(volume.verify(&mut |_| true).unwrap().damaged, 0);
}

#[test]
fn files_become_as_short_as_new_ones() {
    for disks in [1, 2] {
        let (machine, volume, store) = long(7, disks);
        let before: u64 = lengths(&machine).iter().sum();
        assert!(before > 45 * MIB, "{before}");
        let wanted = items(&store);
        let mut steps = 0;
        let is_done = volume.compact(&mut |_| {
            steps += 1;
            steps < 3
        });
        assert!(!is_done.unwrap() && steps == 3);
        // In full: what is in use, what is set aside, and two segments on each.
        let most = LEAST + disks as u64 * 3 * MIB;
        compact_until(&volume, || lengths(&machine).iter().sum::<u64>() <= most);
        assert!(items(&store) == wanted);
        drop((store, volume));
        check(&machine, &wanted);
    }
}

/// What a change of the disks left is what was there, whatever else: with the checkpoint, or with all of the log read.
#[test]
fn power_lost_anywhere_on_the_way_leaves_all_of_it() {
    for disks in [1, 2] {
        let replay = Replay::new(seed::replayed().unwrap_or(disks as u64));
        let (machine, volume, store) = long(disks as u64, disks);
        let wanted = items(&store);
        machine.record(&[0]);
        for _ in 0..3 {
            while volume.clean_step().unwrap() {}
            machine.note(&[1]);
            volume.free().unwrap();
            machine.note(&[0]);
        }
        // Longer again, before any sync has covered that it was shorter.
        put(&store, 5_000..7_000, 8);
        volume.flush().unwrap();
        let records = machine.records();
        assert!(records.len() > 50, "{}", records.len());
        for (number, record) in records.iter().enumerate() {
            // Of cleaning others have seen everything.
            let is_cut = record.note[0] == 1;
            let Some(case) = replay
                .case(number as u64)
                .filter(|_| is_cut || number.is_multiple_of(8))
            else {
                continue;
            };
            let mut images = record.crash(&mut case.rng());
            case.keep(&images);
            if number.is_multiple_of(3) {
                images.iter_mut().for_each(|image| {
                    destroy_checkpoint(image);
                });
            }
            let machine = growing(number as u64, images);
            if number.is_multiple_of(64) {
                let volume = open(&machine).unwrap();
                let store = volume.datastore(b"store").unwrap();
                let added = items(&store).into_keys().filter(|item| *item >= key(5_000));
                added.for_each(|item| assert!(store.delete(&item).unwrap()));
                volume.close().unwrap();
                check(&machine, &wanted);
                continue;
            }
            let volume = open(&machine).unwrap();
            let mut left = items(&volume.datastore(b"store").unwrap());
            left.retain(|item, _| *item < key(5_000));
            assert!(left == wanted, "after change {number} of {}", records.len());
        }
    }
}

/// Neither copy of a superblock leads behind the end.
#[test]
fn either_copy_of_the_superblocks_is_enough_afterwards() {
    let (machine, volume, store) = long(3, 1);
    let wanted = items(&store);
    let before = lengths(&machine)[0];
    // And no further: each change writes one of the two.
    while lengths(&machine)[0] == before {
        while volume.clean_step().unwrap() {}
        volume.free().unwrap();
    }
    for block in 0..2 {
        let mut images = machine.images();
        images[0].write(&[0xff; 4096], block * 4096);
        check(&growing(block, images), &wanted);
    }
}

/// Where the file cannot be made shorter it stays, and is used again.
#[test]
fn a_file_that_stays_longer_than_its_superblocks_say_does_no_harm() {
    for kind in [FaultKind::Eio, FaultKind::Late, FaultKind::Lie] {
        let (machine, volume, store) = long(4, 1);
        let before = lengths(&machine)[0];
        let wanted = items(&store);
        machine.plan(Fault {
            on: On::Grow,
            nth: 0,
            for_ever: true,
            kind,
        });
        volume.compact(&mut |_| true).unwrap();
        if kind == FaultKind::Late {
            compact_until(&volume, || lengths(&machine)[0] < before);
        }
        machine.heal();
        assert_eq!(lengths(&machine)[0] == before, kind != FaultKind::Late);
        put(&store, 5_000..6_000, 8);
        work_off(&volume);
        assert_eq!(volume.verify(&mut |_| true).unwrap().damaged, 0);
        (5_000..6_000).for_each(|number| assert!(store.delete(key(number)).unwrap()));
        drop((store, volume));
        check(&machine, &wanted);
    }
}

/// What was alive when the checkpoint was taken may be gone when its segment is freed: the pages name places there.
#[test]
fn no_checkpoint_leads_behind_the_end() {
    let machine = new_machine(5, 1);
    let latch = Latch::new();
    let device = latch.guard(machine.device(DiskId(0)));
    let volume = Volume::open_devices(vec![device], &options()).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    put(&store, 0..2_000, 1);
    volume.flush().unwrap();
    let before = lengths(&machine)[0];
    latch.hold(Operation::is_superblock);
    std::thread::scope(|scope| {
        let freeing = scope.spawn(|| volume.free());
        latch.await_held(1);
        (200..2_000).for_each(|number| assert!(store.delete(key(number)).unwrap()));
        latch.release(Verdict::Go);
        freeing.join().unwrap().unwrap();
    });
    while lengths(&machine)[0] == before {
        volume.free().unwrap();
    }
    let wanted = items(&store);
    // As a kill leaves it: a close would take another one.
    let killed = growing(5, machine.images());
    let volume = open(&killed).unwrap();
    assert!(items(&volume.datastore(b"store").unwrap()) == wanted);
    // The whole log has all that there was.
    let read = volume.stats().recovered_items;
    assert!(read < 100, "{read}");
}

#[test]
fn files_are_not_cut_under_a_backup() {
    let (machine, volume, store) = long(6, 1);
    (50_000..60_000).for_each(|number| store.put(key(number), b"small").unwrap());
    // What is free at the end is not cut off yet.
    volume.clean().unwrap();
    volume.checkpoint().unwrap();
    work_off(&volume);
    let before = lengths(&machine);
    let wanted = items(&store);
    let target = Machine::new(6, &[128 * MIB]);
    let copy = Volume::open_devices(target.devices(&DISKS[..1]), &sim_options()).unwrap();
    let mut is_tried = false;
    let mut beside = |_: &heliumdb::upkeep::Progress| {
        while volume.clean_step().unwrap() {}
        volume.free().unwrap();
        assert!(lengths(&machine) >= before);
        is_tried = true;
        true
    };
    volume
        .backup(BackupFrom::Newest, &copy, &mut beside)
        .unwrap();
    assert!(is_tried);
    assert!(items(&copy.datastore(b"store").unwrap()) == wanted);
    compact_until(&volume, || lengths(&machine) < before);
}

/// A snapshot keeps what it sees, wherever that is moved, and readers find everything.
#[test]
fn snapshots_and_readers_go_on() {
    let (machine, volume, store) = long(8, 1);
    let before = lengths(&machine)[0];
    let seen = items(&store);
    let snapshot = volume.snapshot().unwrap();
    put(&store, 0..100, 2);
    let left = items(&store).into_keys();
    left.for_each(|item| assert!(store.delete(&item).unwrap()));
    let done = AtomicBool::new(false);
    let read = || {
        for (key, value) in &seen {
            let found = snapshot.get(&store, key).unwrap();
            assert!(found.as_ref() == Some(value));
        }
    };
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            while !done.load(Acquire) {
                read();
            }
            read();
        });
        compact_until(&volume, || lengths(&machine)[0] < before);
        done.store(true, Release);
        reading.join().unwrap();
    });
    drop(snapshot);
    compact_until(&volume, || lengths(&machine)[0] <= LEAST + 2 * MIB);
}

#[test]
fn what_has_a_length_of_its_own_keeps_it() {
    let machine = Machine::new(9, &[96 * MIB]);
    let volume = Volume::open_devices(machine.devices(&DISKS[..1]), &sim_options()).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    put(&store, 0..2_000, 1);
    (10..2_000).for_each(|number| assert!(store.delete(key(number)).unwrap()));
    volume.compact(&mut |_| true).unwrap();
    assert_eq!(lengths(&machine), [96 * MIB]);
}

/// Cut, filled up by others, and longer again.
fn on_a_file_system(kind: &str) {
    let Some(mounted) = Mounted::of_kind(kind, 400 * MIB) else {
        return;
    };
    let path = mounted.path().join("volume");
    let url = format!("he://{}", path.display());
    let open = || Volume::open(&url, &options()).unwrap();
    let len = || std::fs::metadata(&path).unwrap().len();
    let volume = open();
    let store = volume.create_datastore(b"store").unwrap();
    put(&store, 0..4_000, 1);
    (0..4_000)
        .filter(|number| number % 100 != 99)
        .for_each(|number| assert!(store.delete(key(number)).unwrap()));
    let before = len();
    let wanted = items(&store);
    assert!(before > 80 * MIB, "{before}");
    compact_until(&volume, || len() <= LEAST + 3 * MIB);
    mounted.fill();
    for number in 10_000.. {
        if let Err(why) = store.put(key(number), [4; 20_000]) {
            assert_eq!(why.kind(), ErrorKind::VolumeFull, "{why}");
            break;
        }
    }
    let full = items(&store).len() - wanted.len();
    mounted.empty();
    put(&store, 10_000..12_000, 5);
    assert!(full < 2_000 && len() > 40 * MIB, "{full} {}", len());
    volume.flush().unwrap();
    drop((store, volume));
    let volume = open();
    let mut left = items(&volume.datastore(b"store").unwrap());
    left.retain(|item, _| *item < key(9_999));
    assert!(left == wanted);
    assert_eq!(volume.verify(&mut |_| true).unwrap().damaged, 0);
}

#[test]
fn on_ext4() {
    on_a_file_system("ext4");
}

#[test]
fn on_xfs() {
    on_a_file_system("xfs");
}

#[test]
fn on_btrfs() {
    on_a_file_system("btrfs");
}
