//! Cleaning: volumes that are overwritten for ever, and what a crash in the middle leaves.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use helium_sim::{DiskId, Keeper, Machine, seed};
use heliumdb::host::VolumeExt;
use heliumdb::{Datastore, Isolation, Volume, VolumeOptions};
use rand::{Rng, rngs::SmallRng};

use crate::common::{MIB, Session, after_power_loss, destroy_checkpoint, open_one};

fn key(number: u64) -> Vec<u8> {
    format!("item {number:08}").into_bytes()
}

/// A volume of so many megabytes, with a datastore.
fn volume_of(megabytes: u64) -> (Machine, Volume, Datastore) {
    let machine = Machine::new(1, &[megabytes * MIB]);
    let volume = open_one(&machine).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    (machine, volume, store)
}

/// Steps until nothing is left to do.
fn settle(volume: &Volume) {
    for _ in 0..10_000 {
        if !volume.background_step().unwrap() {
            return;
        }
    }
    panic!("the background work has no end");
}

/// Puts items of 1,000 bytes, their number in front, and remembers which.
struct Writer {
    newest: Vec<u64>,
    rng: SmallRng,
    puts: u64,
}

impl Writer {
    fn new(items: u64) -> Self {
        Self {
            newest: vec![0; items as usize],
            rng: seed::rng(7),
            puts: 0,
        }
    }

    fn put(&mut self, volume: &Volume, store: &Datastore, number: u64) {
        self.puts += 1;
        let mut value = [number as u8; 1000];
        value[..8].copy_from_slice(&self.puts.to_le_bytes());
        store
            .put(key(number), value)
            .unwrap_or_else(|why| panic!("put {}: {why}", self.puts));
        self.newest[number as usize] = self.puts;
        if self.puts.is_multiple_of(64) {
            volume.background_step().unwrap();
        }
    }

    fn check(&self, store: &Datastore) {
        for (number, newest) in self.newest.iter().enumerate() {
            let value = store.get(key(number as u64)).unwrap().unwrap();
            assert_eq!(value[..8], newest.to_le_bytes(), "item {number}");
        }
    }
}

#[test]
fn a_volume_at_seventy_per_cent_is_overwritten_for_ever() {
    let (machine, volume, store) = volume_of(128);
    let items = 128 * MIB * 7 / 10 / 1056;
    let mut writer = Writer::new(items);
    (0..items).for_each(|number| writer.put(&volume, &store, number));
    let rounds = seed::count("HELIUM_OVERWRITES", 4);
    for _ in 0..rounds * items {
        let number = writer.rng.random_range(0..items);
        writer.put(&volume, &store, number);
    }
    writer.check(&store);
    let stats = volume.stats();
    eprintln!("{stats:?}");
    assert!(stats.used_bytes <= 128 * MIB);
    volume.flush().unwrap();
    drop((volume, store));
    let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
    let store = volume.datastore(b"store").unwrap();
    writer.check(&store);
    store.verify(&mut |_| {}).unwrap();
}

#[test]
fn a_queue_with_cold_items_runs_for_ever() {
    let (machine, volume, store) = volume_of(64);
    for number in 0..100 {
        store
            .put(format!("cold {number}").as_bytes(), [7; 1000])
            .unwrap();
    }
    for number in 0..200_000u64 {
        store.put(key(number), [number as u8; 600]).unwrap();
        if let Some(old) = number.checked_sub(1_000) {
            assert!(store.delete(key(old)).unwrap());
        }
        if number.is_multiple_of(64) {
            volume.background_step().unwrap();
        }
    }
    settle(&volume);
    eprintln!("{:?}", volume.stats());
    volume.flush().unwrap();
    drop((volume, store));
    let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
    let store = volume.datastore(b"store").unwrap();
    assert_eq!(store.iter().count(), 1_100);
}

#[test]
fn what_may_still_be_taken_back_is_not_moved() {
    let (machine, volume, store) = volume_of(64);
    let keeper = Keeper::new();
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    session.put(&store, "cancelled", &"x".repeat(1000)).unwrap();
    session.commit_unpublished().unwrap();
    // All that shares the segment dies.
    for round in 0..20u64 {
        for number in 0..100 {
            store.put(key(number), [round as u8; 1000]).unwrap();
        }
        volume.settle(&*keeper);
        settle(&volume);
    }
    session.cancel().unwrap();
    volume.settle(&*keeper);
    settle(&volume);
    assert_eq!(store.get(b"cancelled").unwrap(), None);
    volume.flush().unwrap();
    let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
    let store = volume.datastore(b"store").unwrap();
    assert_eq!(store.get(b"cancelled").unwrap(), None);
    assert_eq!(store.iter().count(), 100);
}

/// The machine after a power loss, with the checkpoint destroyed that recovery would start from.
fn without_checkpoint(machine: &Machine) -> Machine {
    let mut images = after_power_loss(machine, 0).images();
    assert!(destroy_checkpoint(&mut images[0]), "there is a checkpoint");
    Machine::with_images(0, images)
}

/// A removal that is not committed while its item is moved, and gets a place before that: it still
/// keeps the item from coming back.
#[test]
fn a_removal_that_was_pending_when_its_item_moved_stays_as_long_as_the_item() {
    let (machine, volume, store) = volume_of(64);
    let keeper = Keeper::new();
    let filler = |from: u64| {
        for number in from..from + 2_000 {
            store
                .put(key(number % 1_000), [number as u8; 1000])
                .unwrap();
        }
    };
    store.put(b"removed", b"x").unwrap();
    filler(0);
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    session.remove(&store, "removed").unwrap();
    // The item moves, together with one that stays.
    store.put(b"stays", [1; 2000]).unwrap();
    for _ in 0..4 {
        filler(0);
        volume.clean().unwrap();
        settle(&volume);
    }
    session.commit().unwrap();
    for _ in 0..8 {
        filler(0);
        volume.settle(&*keeper);
        volume.clean().unwrap();
        settle(&volume);
    }
    volume.flush().unwrap();
    drop(volume);
    let volume = open_one(&without_checkpoint(&machine)).unwrap();
    let store = volume.datastore(b"store").unwrap();
    assert_eq!(store.get(b"removed").unwrap(), None);
    assert_eq!(store.get(b"stays").unwrap(), Some(vec![1; 2000]));
}

#[test]
fn a_full_volume_that_is_mostly_dead_makes_room_for_whoever_writes() {
    let (_machine, volume, store) = volume_of(64);
    // Nobody steps: each write that finds the volume full does.
    let mut rng = seed::rng(1);
    for put in 0..150_000u64 {
        let number = rng.random_range(0..20_000);
        let done = store.put(key(number), [put as u8; 1000]);
        done.unwrap_or_else(|why| panic!("put {put}: {why}"));
    }
    let stats = volume.stats();
    assert!(stats.cleaner_bytes > 0, "{stats:?}");
}

/// Readers on threads of their own, while segments are cleaned and used again and again.
#[test]
fn readers_meet_no_other_item_while_places_are_used_again() {
    reuse_under_readers(2 * MIB);
}

/// As above, with room for all segments in memory: none may be served from what it held before.
#[test]
fn readers_meet_no_other_item_in_memory_while_places_are_used_again() {
    reuse_under_readers(256 * MIB);
}

fn reuse_under_readers(read_cache_bytes: u64) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("he://./{}", folder.path().join("volume").display());
    let mut options = VolumeOptions::default();
    options.limit_bytes = Some(64 * MIB);
    options.write_cache_bytes = 2 * MIB;
    options.read_cache_bytes = read_cache_bytes;
    options.auto_clean_period_ms = 0;
    options.clean_dirty_pct = 1;
    options.clean_util_pct = 95;
    let volume = Volume::open(&url, &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    let items = 20_000u64;
    let value = |number: u64, turn: u64| {
        let mut value = vec![number as u8; 900];
        value[..8].copy_from_slice(&number.to_le_bytes());
        value[8..16].copy_from_slice(&turn.to_le_bytes());
        value
    };
    (0..items).for_each(|number| store.put(key(number), value(number, 0)).unwrap());
    let rounds = seed::count("HELIUM_REUSE_WRITES", 150_000);
    let done = AtomicBool::new(false);
    let turns: Vec<AtomicU64> = (0..items).map(|_| AtomicU64::new(0)).collect();
    // What was written before the read began is the least it may see.
    let check = |number: u64, least: u64, found: &[u8]| {
        let turn = u64::from_le_bytes(found[8..16].try_into().unwrap());
        assert!(
            turn >= least,
            "item {number} went back to {turn} from {least}"
        );
        assert_eq!(found, value(number, turn));
    };
    std::thread::scope(|scope| {
        let (store, done, turns) = (&store, &done, &turns);
        let least = |number: u64| turns[number as usize].load(Ordering::SeqCst);
        let mut readers = vec![];
        for reader in 0..2 {
            readers.push(scope.spawn(move || {
                let mut rng = seed::rng(reader);
                while !done.load(Ordering::Relaxed) {
                    let number = rng.random_range(0..items);
                    let least = least(number);
                    let found = store.get(key(number)).unwrap().unwrap();
                    check(number, least, &found);
                }
            }));
        }
        // Some ranges again and again, so that copies are made of them.
        readers.push(scope.spawn(move || {
            let mut rng = seed::rng(2);
            while !done.load(Ordering::Relaxed) {
                let first = rng.random_range(0..20) * 900;
                let numbers = first..first + 200;
                let least: Vec<_> = numbers.clone().map(least).collect();
                let range = store.range(key(first)..key(first + 200));
                for ((number, least), item) in numbers.zip(least).zip(range) {
                    let (found, value) = item.unwrap();
                    assert_eq!(found, key(number));
                    check(number, least, &value);
                }
            }
        }));
        let mut rng = seed::rng(9);
        for turn in 1..=rounds {
            // Half of them hot, so that segments are neither dead nor live.
            let number = rng.random_range(0..items / (1 + turn % 2 * 3));
            store.put(key(number), value(number, turn)).unwrap();
            turns[number as usize].store(turn, Ordering::SeqCst);
        }
        done.store(true, Ordering::Relaxed);
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
    });
    let stats = volume.stats();
    assert!(stats.cleaner_bytes > 0, "{stats:?}");
    for (number, turn) in turns.iter().enumerate() {
        let wanted = value(number as u64, turn.load(Ordering::SeqCst));
        assert_eq!(store.get(key(number as u64)).unwrap(), Some(wanted));
    }
    store.verify(&mut |_| {}).unwrap();
}

#[test]
fn freed_space_goes_back_to_the_device_unless_that_is_unwanted() {
    for no_trim in [false, true] {
        let machine = Machine::new(1, &[256 * MIB]);
        let mut options = helium_sim::sim_options();
        options.no_trim = no_trim;
        let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
        let store = volume.create_datastore(b"store").unwrap();
        for number in 0..150_000 {
            store.put(key(number), [1; 1000]).unwrap();
        }
        volume.truncate_datastore(store.id()).unwrap();
        // Readers in other tests' threads hold up what waits for readers.
        for _ in 0..200 {
            settle(&volume);
            if no_trim || volume.stats().trimmed_bytes > 50 * MIB {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let trimmed = volume.stats().trimmed_bytes;
        assert_eq!(trimmed > 50 * MIB, !no_trim, "{trimmed} bytes");
        let blocks = machine.images()[0].pages().len() as u64 * 4096;
        assert!(no_trim || blocks < 256 * MIB);
        // It is all there to be used again.
        for number in 0..150_000 {
            store.put(key(number), [2; 1000]).unwrap();
        }
        volume.flush().unwrap();
        let volume = open_one(&after_power_loss(&machine, 3)).unwrap();
        let store = volume.datastore(b"store").unwrap();
        assert_eq!(store.iter().count(), 150_000);
    }
}

#[test]
fn compaction_puts_scattered_items_in_order_and_changes_none() {
    let (machine, volume, store) = volume_of(128);
    let items = 20_000;
    let mut writer = Writer::new(items);
    // In no order at all.
    (0..items).for_each(|n| writer.put(&volume, &store, n * 7_919 % items));
    let hurried = store
        .compact_until(Some(std::time::Instant::now()))
        .unwrap();
    assert_eq!((hurried.moved, hurried.is_done), (0, false));
    let moved = store.compact().unwrap();
    assert!(moved > items * 9 / 10, "{moved}");
    assert_eq!(store.compact().unwrap(), 0, "it is in order now");
    writer.check(&store);
    settle(&volume);
    volume.clean().unwrap();
    settle(&volume);
    let stats = volume.stats();
    assert!(stats.space_amplification() < 1.3, "{stats:?}");
    volume.flush().unwrap();
    drop((volume, store));
    let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
    writer.check(&volume.datastore(b"store").unwrap());
}

/// Old versions that a snapshot still reads move, and stand behind newer ones in the log then.
#[test]
fn without_a_checkpoint_numbers_count_and_not_places() {
    let (machine, volume, store) = volume_of(64);
    let keeper = Keeper::new();
    let filler = |round: u64| {
        for number in 0..2_000 {
            store.put(key(number % 1_000), [round as u8; 1000]).unwrap();
        }
    };
    for name in ["changed", "removed"] {
        store.put(name.as_bytes(), b"old").unwrap();
    }
    filler(0);
    let old = Session::begin(&keeper, Isolation::Snapshot);
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    session.put(&store, "changed", "new").unwrap();
    session.remove(&store, "removed").unwrap();
    session.commit().unwrap();
    for round in 1..8 {
        filler(round);
        settle(&volume);
    }
    volume.clean().unwrap();
    settle(&volume);
    volume.flush().unwrap();
    let after = without_checkpoint(&machine);
    drop(old);
    let volume = open_one(&after).unwrap();
    let store = volume.datastore(b"store").unwrap();
    assert_eq!(store.get(b"changed").unwrap(), Some(b"new".to_vec()));
    assert_eq!(store.get(b"removed").unwrap(), None);
}
