//! Walks that come again find neighbours' values side by side; whatever became of the items since, they show those that
//! are there. (That they do where places are used again is tested beside readers, in `clean.rs`.)

use std::collections::BTreeMap;

use helium_sim::{DiskId, Machine, seed, sim_options};
use heliumdb::{Datastore, Position, Readable, Volume};
use rand::{Rng, rngs::SmallRng};

use crate::common::MIB;

const ITEMS: u32 = 5_000;

/// A volume with caches for all of it, and a datastore.
fn scene() -> (Machine, Volume, Datastore) {
    let machine = Machine::new(0, &[96 * MIB]);
    let mut options = sim_options();
    (options.read_cache_bytes, options.write_cache_bytes) = (64 * MIB, 64 * MIB);
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    (machine, volume, store)
}

fn filled() -> (Machine, Volume, Datastore, BTreeMap<[u8; 4], Vec<u8>>) {
    let (machine, volume, store) = scene();
    let mut model = BTreeMap::new();
    // Not in the order of their keys.
    for number in 0..ITEMS {
        let key = number.reverse_bits().to_be_bytes();
        let value = vec![number as u8; number as usize % 300];
        store.put(key, &value).unwrap();
        model.insert(key, value);
    }
    (machine, volume, store, model)
}

/// Items that `work` takes from copies, for each of all.
fn packed(volume: &Volume, work: impl FnOnce()) -> f64 {
    let before = volume.stats().packed_items;
    work();
    (volume.stats().packed_items - before) as f64 / f64::from(ITEMS)
}

/// Every way to walk shows what the model has.
fn check(store: &Datastore, model: &BTreeMap<[u8; 4], Vec<u8>>) {
    let wanted = || {
        model
            .iter()
            .map(|(key, value)| (key.to_vec(), value.clone()))
    };
    assert!(store.iter().map(Result::unwrap).eq(wanted()));
    assert!(store.iter().rev().map(Result::unwrap).eq(wanted().rev()));
    let mut all = wanted();
    let visit = &mut |key: &[u8], value: &[u8]| {
        assert_eq!(all.next(), Some((key.to_vec(), value.to_vec())));
        true
    };
    store.visit(Position::First, visit).unwrap();
    assert_eq!(all.next(), None);
}

#[test]
fn walks_that_come_again_find_them_and_one_pass_makes_no_copy() {
    let (_machine, volume, store, model) = filled();
    let pass = || assert_eq!(store.iter().count(), ITEMS as usize);
    let memory = volume.stats().read_cache_bytes;
    assert_eq!(packed(&volume, pass), 0.0);
    assert_eq!(volume.stats().read_cache_bytes, memory);
    pass();
    assert!(packed(&volume, pass) > 0.9);
    let range = || assert_eq!(store.iter().take(10).count(), 10);
    assert!(packed(&volume, range) * f64::from(ITEMS) >= 10.0);
    check(&store, &model);
}

/// A walk may begin anywhere in a leaf, and its first items be in the next one, in memory or not.
#[test]
fn walks_begin_anywhere() {
    const ITEMS: u32 = 12_000;
    let machine = Machine::new(0, &[96 * MIB]);
    let mut options = sim_options();
    (options.read_cache_bytes, options.write_cache_bytes) = (MIB, 2 * MIB);
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    let value = |number: u32| [number as u8; 1_000];
    for number in 0..ITEMS {
        store.put(number.to_be_bytes(), value(number)).unwrap();
    }
    let before = volume.stats().device_reads;
    for first in 0..ITEMS {
        let numbers = first..(first + 6).min(ITEMS);
        let wanted = numbers.map(|number| (number.to_be_bytes().to_vec(), value(number).to_vec()));
        let from = first.to_be_bytes();
        assert!(store.range(from..).take(6).map(Result::unwrap).eq(wanted));
        let numbers = (first.saturating_sub(5)..=first).rev();
        let wanted = numbers.map(|number| (number.to_be_bytes().to_vec(), value(number).to_vec()));
        let walk = store.range(..=from).rev();
        assert!(walk.take(6).map(Result::unwrap).eq(wanted));
    }
    let reads = volume.stats().device_reads - before;
    assert!(reads > u64::from(ITEMS) / 2, "{reads} reads of a device");
}

#[test]
fn they_show_what_became_of_the_items_since() {
    let (_machine, volume, store, mut model) = filled();
    let mut rng = seed::rng(1);
    for round in 0..40u8 {
        (0..3).for_each(|_| check(&store, &model));
        let snapshot = volume.snapshot().unwrap();
        let before = model.clone();
        for _ in 0..rng.random_range(1..800) {
            change(&mut rng, round, &store, &mut model);
        }
        (0..2).for_each(|_| check(&store, &model));
        let seen = snapshot.iter(&store).map(Result::unwrap);
        let wanted = before.into_iter().map(|(key, value)| (key.to_vec(), value));
        assert!(seen.eq(wanted), "round {round}");
    }
    let pass = || check(&store, &model);
    pass();
    assert!(packed(&volume, pass) > 2.0, "three walks");
}

fn change(
    rng: &mut SmallRng,
    round: u8,
    store: &Datastore,
    model: &mut BTreeMap<[u8; 4], Vec<u8>>,
) {
    let number = rng.random_range(0..ITEMS * 2);
    let key = number.reverse_bits().to_be_bytes();
    if rng.random_ratio(1, 4) {
        assert_eq!(store.delete(key).unwrap(), model.remove(&key).is_some());
        return;
    }
    // Few are as long as they were, and some too long for a copy.
    let len = match rng.random_range(0..20) {
        0 => rng.random_range(1_000..60_000),
        _ => rng.random_range(0..300),
    };
    let value = vec![round; len];
    store.put(key, &value).unwrap();
    model.insert(key, value);
}
