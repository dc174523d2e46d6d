//! Whoever is after keys only waits for no device.

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
    let devices = machine.devices(&[helium_sim::DiskId(0)]);
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

/// How long a value is stands where the item is: of a long one no piece is read.
#[test]
fn lengths_are_read_without_the_pieces_of_long_values() {
    const LONG: usize = 3_000_000;
    let machine = machine(0, 1);
    let options = {
        let mut options = helium_sim::sim_options();
        options.read_cache_bytes = 0;
        options
    };
    let volume = open_one(&machine).unwrap();
    let kinds = [
        ("plain", false, false),
        ("compressed", true, false),
        ("unordered", false, true),
    ];
    for (name, compress, unordered) in kinds {
        let mut how = DatastoreOptions::default();
        (how.create, how.compress, how.unordered) = (true, compress, unordered);
        let store = volume.open_datastore(name, &how).unwrap();
        for (key, len) in [("a", LONG), ("b", 3), ("c", 0)] {
            store.put(key, vec![7; len]).unwrap();
        }
    }
    volume.close().unwrap();
    let devices = machine.devices(&[helium_sim::DiskId(0)]);
    let volume = Volume::open_devices(devices, &options).unwrap();
    let reads = || volume.stats().device_reads;
    for (name, _, unordered) in kinds {
        let store = volume.datastore(name).unwrap();
        let before = reads();
        for (key, len) in [
            ("a", Some(LONG)),
            ("b", Some(3)),
            ("c", Some(0)),
            ("d", None),
        ] {
            let found = DatastoreExt::newest_length(&store, key.as_bytes()).unwrap();
            assert_eq!(found, len.map(|len| len as u64), "{name} {key}");
        }
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for (position, len) in [
            (Position::First, LONG),
            (Position::Last, 0),
            (Position::Before(b"b"), LONG),
        ] {
            let found = store.nearest_for((position, Wanted::Lengths), &mut key, &mut value);
            assert_eq!(found.is_err(), unordered, "{name}");
            assert!(
                unordered || Wanted::length(&value) == len as u64,
                "{name} {position:?}"
            );
        }
        let lengths = reads() - before;
        assert!(lengths <= 6, "{name}: {lengths} reads for six lengths");
        assert_eq!(store.get("a").unwrap().unwrap().len(), LONG);
        let whole = reads() - before - lengths;
        assert!(whole > 1, "{name}: {whole} reads for a value");
    }
}
