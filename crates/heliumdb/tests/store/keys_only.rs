//! Whoever is after keys only waits for no device.

use std::collections::BTreeMap;

use helium_sim::{DiskId, Machine};
use heliumdb::{
    DatastoreOptions, Position, Readable, Volume,
    host::{DatastoreExt, Wanted},
};

use crate::common::{machine, open_one};

#[test]
fn keys_are_read_without_their_values() {
    let machine = machine(0, 1);
    let options = {
        let mut options = helium_sim::sim_options();
        options.read_cache_bytes = 0;
        options
    };
    let volume = open_one(&machine).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    let keys: Vec<_> = (0..500u32).map(|n| n.to_be_bytes().to_vec()).collect();
    for key in &keys {
        store.put(key, [7; 3000]).unwrap();
    }
    volume.close().unwrap();
    // Nothing is in memory but keys.
    let devices = machine.devices(&[DiskId(0)]);
    let volume = Volume::open_devices(devices, &options).unwrap();
    let store = volume.datastore(b"store").unwrap();
    let reads = || volume.stats().device_reads;
    let before = reads();
    let ours = |found: heliumdb::Result<Vec<Vec<u8>>>| assert_eq!(found.unwrap(), keys);
    let backwards = |mut found: Vec<Vec<u8>>| {
        found.reverse();
        found
    };
    ours(store.iter().keys().collect());
    ours(
        store
            .iter()
            .keys()
            .rev()
            .collect::<heliumdb::Result<_>>()
            .map(backwards),
    );
    let snapshot = volume.snapshot().unwrap();
    ours(snapshot.iter(&store).keys().collect());
    let mut txn = volume.begin().unwrap();
    ours(txn.iter(&store).keys().collect());
    // What is written and removed meanwhile shows as everywhere.
    assert!(txn.delete(&store, &keys[0]).unwrap());
    txn.put(&store, [0, 0], b"new").unwrap();
    let mut seen = txn.range(&store, ..=keys[1].as_slice()).keys();
    assert_eq!(seen.next().unwrap().unwrap(), [0, 0]);
    assert_eq!(seen.next_back().unwrap().unwrap(), keys[1]);
    assert!(seen.next().is_none());
    assert_eq!(reads(), before);
    assert_eq!(store.iter().count(), 500);
    assert!(reads() > before);
}

/// Of values that are long.
const LONG: usize = 3_000_000;
/// As long as a value in one piece may be.
const PIECE: usize = 256 << 10;
const ITEMS: [(&str, usize); 6] = [
    ("a", LONG),
    ("b", 3),
    ("c", PIECE),
    ("d", 0),
    ("e", 17),
    ("f", 100_000),
];
/// Datastores: name, whether values are compressed, whether it is unordered.
const STORES: [(&str, bool, bool); 3] = [
    ("plain", false, false),
    ("compressed", true, false),
    ("unordered", false, true),
];

fn put_all(volume: &Volume) {
    for (name, compress, unordered) in STORES {
        let mut how = DatastoreOptions::default();
        (how.create, how.compress, how.unordered) = (true, compress, unordered);
        let store = volume.open_datastore(name, &how).unwrap();
        for (key, len) in ITEMS {
            store.put(key, vec![7; len]).unwrap();
        }
    }
}

/// How long a value is the index says; of one that is compressed or long, what lies where the item is: no piece is read.
fn check_lengths(volume: &Volume, how: &str) {
    let reads = || volume.stats().device_reads;
    let reads_of = |name: &str, key: &str, look: &mut dyn FnMut()| {
        let before = reads();
        look();
        let most = match (name, key) {
            ("plain" | "unordered", key) if key != "a" => 0,
            _ => 1,
        };
        let read = reads() - before;
        assert!(
            read <= most,
            "{how}: {read} reads for the length of {key} in {name}"
        );
    };
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for (name, _, unordered) in STORES {
        let store = volume.datastore(name).unwrap();
        for (wanted, len) in ITEMS {
            reads_of(name, wanted, &mut || {
                let found = DatastoreExt::newest_length(&store, wanted.as_bytes()).unwrap();
                assert_eq!(found, Some(len as u64), "{how}: {name} {wanted}");
            });
            if unordered {
                continue;
            }
            reads_of(name, wanted, &mut || {
                let position = Position::AtOrAfter(wanted.as_bytes());
                let found = store.nearest_for((position, Wanted::Lengths), &mut key, &mut value);
                assert!(found.unwrap() && key == wanted.as_bytes());
                assert_eq!(Wanted::length(&value), len as u64, "{how}: {name} {wanted}");
            });
        }
        assert_eq!(DatastoreExt::newest_length(&store, b"g").unwrap(), None);
        let position = (Position::First, Wanted::Lengths);
        let found = store.nearest_for(position, &mut key, &mut value);
        assert_eq!(found.is_err(), unordered, "{how}: {name}");
        let before = reads();
        let lengths: heliumdb::Result<BTreeMap<_, _>> = store.lengths().collect();
        let wanted = ITEMS.map(|(key, len)| (key.into(), len as u64));
        assert_eq!(lengths.unwrap(), BTreeMap::from(wanted), "{how}: {name}");
        if name == "plain" {
            assert!(
                reads() - before <= 1,
                "{how}: one length stands with its item"
            );
        }
        let before = reads();
        assert_eq!(store.get("a").unwrap().unwrap().len(), LONG);
        assert!(reads() - before > 1, "{how}: {name}: a value is read");
    }
}

#[test]
fn lengths_are_read_without_values() {
    let open = |machine: &Machine| {
        let mut options = helium_sim::sim_options();
        options.read_cache_bytes = 0;
        Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap()
    };
    let machine = machine(0, 1);
    // What a checkpoint says,
    let volume = open_one(&machine).unwrap();
    let waste = volume.create_datastore("waste").unwrap();
    for number in 0..32 {
        waste.put([number], [0; 200_000]).unwrap();
        if number % 16 == 0 {
            put_all(&volume);
        }
    }
    volume.truncate_datastore(waste.id()).unwrap();
    volume.close().unwrap();
    let volume = open(&machine);
    check_lengths(&volume, "closed");
    // what the cleaner has moved,
    assert!(volume.compact(&mut |_| true).unwrap());
    assert!(volume.stats().cleaner_bytes > 0);
    volume.close().unwrap();
    let volume = open(&machine);
    check_lengths(&volume, "moved");
    // and what the log says.
    put_all(&volume);
    volume.flush().unwrap();
    machine.power_off();
    drop(volume);
    let machine = Machine::with_images(0, machine.images());
    check_lengths(&open(&machine), "killed");
}
