//! Datastores that compress: what goes in comes out, whatever it is and wherever it is read.

use std::collections::BTreeMap;

use crate::common::{after_power_loss, machine, open_one};
use helium_sim::{DiskId, Replay};
use heliumdb::{
    DatastoreOptions, Durability, ErrorKind, Isolation, Position, Readable, TransactionOptions,
    Volume, limits,
};
use rand::{Rng, SeedableRng, rngs::SmallRng};

fn compressed() -> DatastoreOptions {
    let mut options = DatastoreOptions::default();
    options.create = true;
    options.compress = true;
    options
}

fn noise(random: &mut SmallRng, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    random.fill(&mut bytes[..]);
    bytes
}

/// Values of all kinds: empty, short, repetitive, noise, and those at the limits.
fn values(random: &mut SmallRng) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let lengths = [0, 1, 31, 32, 33, 1000, 70_000];
    let limits = [limits::CHUNK_BYTES, limits::CHUNK_BYTES + 1, 700_000];
    let mut items = BTreeMap::new();
    for len in lengths.into_iter().chain(limits) {
        items.insert(format!("same {len}").into_bytes(), vec![7; len]);
        let text = b"all work and no play ".repeat(len / 20 + 1);
        items.insert(format!("text {len}").into_bytes(), text[..len].to_vec());
        items.insert(format!("noise {len}").into_bytes(), noise(random, len));
        // Some of its pieces are compressed, others are not.
        let mut mixed = vec![3; len];
        mixed[len / 2..].copy_from_slice(&noise(random, len - len / 2));
        items.insert(format!("mixed {len}").into_bytes(), mixed);
    }
    items
}

fn check(volume: &Volume, name: &[u8], items: &BTreeMap<Vec<u8>, Vec<u8>>) {
    let store = volume.datastore(name).unwrap();
    for (key, value) in items {
        let found = store.get(key).unwrap();
        assert!(found.as_ref() == Some(value), "{}", key.escape_ascii());
    }
    let mut walk = items.iter();
    store
        .visit(Position::First, &mut |key, value| {
            let expected = walk.next();
            assert!(expected == Some((&key.to_vec(), &value.to_vec())));
            true
        })
        .unwrap();
    assert!(walk.next().is_none());
    let backward: Vec<_> = store.iter().rev().map(|item| item.unwrap().0).collect();
    assert!(backward.iter().eq(items.keys().rev()));
    let report = store.verify(&mut |_| {}).unwrap();
    let bytes: usize = items.iter().map(|(k, v)| k.len() + v.len()).sum();
    assert_eq!(
        (report.items, report.bytes),
        (items.len() as u64, bytes as u64)
    );
}

#[test]
fn whatever_is_put_comes_back_before_and_after_a_power_loss() {
    let seed = helium_sim::seed::replayed().unwrap_or_else(rand::random);
    let _shown = Replay::new(seed);
    let mut random = SmallRng::seed_from_u64(seed);
    let machine = machine(seed, 1);
    let volume = open_one(&machine).unwrap();
    let store = volume.open_datastore(b"c", &compressed()).unwrap();
    let plain = volume.create_datastore(b"p").unwrap();
    let items = values(&mut random);
    for (key, value) in &items {
        store.put(key, value).unwrap();
        plain.put(key, value).unwrap();
    }
    check(&volume, b"c", &items);
    volume.flush().unwrap();
    drop((store, plain, volume));
    let machine = after_power_loss(&machine, seed);
    let volume = open_one(&machine).unwrap();
    check(&volume, b"c", &items);
    check(&volume, b"p", &items);
}

#[test]
fn the_longest_value_comes_back() {
    let machine = machine(0, 1);
    let volume = open_one(&machine).unwrap();
    let store = volume.open_datastore(b"c", &compressed()).unwrap();
    let value = vec![9; limits::VALUE_BYTES_MAX];
    store.put(b"key", &value).unwrap();
    assert!(store.get(b"key").unwrap() == Some(value));
    let longer = vec![9; limits::VALUE_BYTES_MAX + 1];
    assert!(store.put(b"key", &longer).is_err());
    let stats = volume.stats();
    assert_eq!(stats.compress_given_bytes, limits::VALUE_BYTES_MAX as u64);
    assert!(stats.compress_stored_bytes < 100_000, "{stats:?}");
}

/// What a transaction sends to the log before its commit is kept as what comes with the commit is.
#[test]
fn what_outgrew_its_memory_is_compressed_too() {
    let machine = machine(0, 1);
    let volume = open_one(&machine).unwrap();
    let store = volume.open_datastore(b"c", &compressed()).unwrap();
    let plain = volume.create_datastore(b"p").unwrap();
    let value =
        |number: u32| format!("value {number} ").repeat(if number == 7 { 40_000 } else { 90 });
    let small = TransactionOptions::new()
        .isolation(Isolation::Snapshot)
        .durability(Durability::Synced)
        .memory_budget_bytes(50_000);
    let mut txn = volume.begin_with(small).unwrap();
    for number in 0..1_000u32 {
        txn.put(&store, number.to_be_bytes(), value(number).as_bytes())
            .unwrap();
    }
    txn.put(&plain, b"key", [7; 60_000]).unwrap();
    let appended = volume.stats().user_bytes;
    assert!(appended < 300_000, "{appended} bytes of log for 1.6 MB");
    let check = |found: &dyn Fn(&[u8]) -> Option<Vec<u8>>| {
        for number in 0..1_000u32 {
            assert!(found(&number.to_be_bytes()).unwrap() == value(number).as_bytes());
        }
    };
    check(&|key| txn.get(&store, key).unwrap());
    txn.commit().unwrap();
    check(&|key| store.get(key).unwrap());
    let volume = open_one(&after_power_loss(&machine, 1)).unwrap();
    let (store, plain) = (
        volume.datastore(b"c").unwrap(),
        volume.datastore(b"p").unwrap(),
    );
    check(&|key| store.get(key).unwrap());
    assert_eq!(plain.get(b"key").unwrap().unwrap(), [7; 60_000]);
}

#[test]
fn how_a_datastore_is_kept_lasts() {
    let machine = machine(0, 1);
    let volume = open_one(&machine).unwrap();
    let id = volume.open_datastore(b"c", &compressed()).unwrap().id();
    volume.create_datastore(b"p").unwrap();
    volume.rename_datastore(id, b"d").unwrap();
    volume.set_attributes(id, b"others").unwrap();
    volume.truncate_datastore(id).unwrap();
    let is_compressed = |volume: &Volume, name: &[u8]| {
        let store = volume.datastore(name).unwrap();
        let before = volume.stats().compress_given_bytes;
        store.put(b"key", [1; 1000]).unwrap();
        let grown = volume.stats().compress_given_bytes - before;
        assert_eq!(store.info().unwrap().compress, grown > 0);
        grown == 1000
    };
    assert!(is_compressed(&volume, b"d"));
    assert!(!is_compressed(&volume, b"p"));
    volume.flush().unwrap();
    drop(volume);
    let machine = after_power_loss(&machine, 1);
    let volume = open_one(&machine).unwrap();
    assert!(is_compressed(&volume, b"d"));
    assert!(!is_compressed(&volume, b"p"));
}

#[test]
fn a_damaged_block_is_an_error_and_never_a_value() {
    let (key, value) = (b"the key of the item", b"all work and no play ".repeat(50));
    let machine = machine(0, 1);
    let volume = open_one(&machine).unwrap();
    let store = volume.open_datastore(b"c", &compressed()).unwrap();
    store.put(key, &value).unwrap();
    // Out of the write cache, so that the device is asked.
    let filler = noise(&mut SmallRng::seed_from_u64(1), 200_000);
    for i in 0..60u32 {
        store.put(i.to_be_bytes(), &filler).unwrap();
    }
    volume.flush().unwrap();
    let device = machine.device(DiskId(0));
    let mut image = vec![0; 16 << 20];
    device.read_at(&mut image, 0).unwrap();
    let place = image.windows(key.len()).position(|at| at == key).unwrap();
    for flip in 0..32u64 {
        let at = (place + key.len()) as u64 + flip;
        let mut byte = [image[at as usize] ^ 1 << (flip % 8)];
        device.write_at(&byte, at).unwrap();
        for _ in 0..2 {
            let refused = store.get(key).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Damaged);
        }
        assert!(store.verify(&mut |_| {}).is_err());
        byte[0] ^= 1 << (flip % 8);
        device.write_at(&byte, at).unwrap();
    }
    assert_eq!(store.get(key).unwrap(), Some(value));
}
