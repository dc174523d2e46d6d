//! Cleaning: volumes that are overwritten for ever, and what a crash in the middle leaves.

use helium_sim::{Keeper, Machine, seed};
use heliumdb::{Datastore, Isolation, Volume};
use rand::{Rng, rngs::SmallRng};

use crate::common::{MIB, Session, after_power_loss, open_one};

fn key(number: u64) -> Vec<u8> {
    format!("item {number:08}").into_bytes()
}

/// A volume of so many megabytes, with a datastore.
fn volume_of(megabytes: u64) -> (Machine, Volume, Datastore) {
    let machine = Machine::new(1, &[megabytes * MIB]);
    let volume = open_one(&machine).unwrap();
    let store = volume.create_datastore(b"store", b"").unwrap();
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
            .put(&key(number), &value)
            .unwrap_or_else(|why| panic!("put {}: {why}", self.puts));
        self.newest[number as usize] = self.puts;
        if self.puts.is_multiple_of(64) {
            volume.background_step().unwrap();
        }
    }

    fn check(&self, store: &Datastore) {
        for (number, newest) in self.newest.iter().enumerate() {
            let value = store.get(&key(number as u64)).unwrap().unwrap();
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
            .put(format!("cold {number}").as_bytes(), &[7; 1000])
            .unwrap();
    }
    for number in 0..200_000u64 {
        store.put(&key(number), &[number as u8; 600]).unwrap();
        if let Some(old) = number.checked_sub(1_000) {
            store.delete(&key(old)).unwrap();
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
            store.put(&key(number), &[round as u8; 1000]).unwrap();
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
