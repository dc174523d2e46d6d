//! Several keys at once: each value is that of a look of its own, wherever the item is.

use heliumdb::{Datastore, DatastoreOptions, Durability, Volume, VolumeOptions};

const ITEMS: u64 = 300;

fn key(number: u64) -> Vec<u8> {
    format!("{:05}", number * 7919 % 10_007).into_bytes()
}

/// Some empty, some compressible, some in pieces.
fn value(number: u64) -> Vec<u8> {
    let len = match number % 50 {
        0 => 0,
        1 => 600_000,
        short => 20 * short as usize,
    };
    (0..len).map(|i| (number as usize + i / 3) as u8).collect()
}

/// Asks for all items, some of them twice, and for keys that are not there.
fn check(store: &Datastore) {
    let numbers: Vec<u64> = (0..ITEMS).rev().chain([5, 5, 1, ITEMS - 1]).collect();
    let mut keys: Vec<Vec<u8>> = numbers.iter().map(|&n| key(n)).collect();
    for i in (0..keys.len()).step_by(13) {
        keys[i].push(b'x');
    }
    let values = store.multi_get(&keys).unwrap();
    assert_eq!(values.len(), keys.len());
    for ((key, found), number) in keys.iter().zip(&values).zip(numbers) {
        let is_there = !key.ends_with(b"x");
        assert_eq!(found, &is_there.then(|| value(number)), "item {number}");
        assert_eq!(found, &store.get(key).unwrap());
    }
    assert!(store.multi_get::<&[u8]>(&[]).unwrap().is_empty());
}

#[test]
fn values_of_many_keys_are_those_of_each() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("he://./{}", folder.path().join("volume").display());
    let mut options = VolumeOptions::default();
    let volume = Volume::open(&url, &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    // In batches, whose places are prepared together, over two datastores in turns.
    let mut unordered = DatastoreOptions::default();
    (unordered.create, unordered.unordered) = (true, true);
    let other = volume.open_datastore(b"other", &unordered).unwrap();
    let mut batch = volume.batch();
    for number in 0..ITEMS {
        batch.put(&store, key(number), value(number)).unwrap();
        batch.put(&other, key(number), value(number)).unwrap();
        if number % 130 == 129 {
            batch.commit(Durability::Buffered).unwrap();
        }
    }
    batch.commit(Durability::Buffered).unwrap();
    assert_eq!((store.len(), other.len()), (ITEMS, ITEMS));
    check(&store);
    check(&other);
    drop((batch, store, other, volume));

    options.write_cache_bytes = 0;
    for read_cache_bytes in [0, 256 << 20] {
        options.read_cache_bytes = read_cache_bytes;
        let volume = Volume::open(&url, &options).unwrap();
        let store = volume.datastore(b"store").unwrap();
        let keys: Vec<_> = (0..ITEMS).map(key).collect();
        let first = store.multi_get(&keys).unwrap();
        let reads = volume.stats().device_reads;
        assert_eq!(store.multi_get(&keys).unwrap(), first);
        // What was read for a get is kept, the pieces of long values too.
        let more = volume.stats().device_reads - reads;
        assert_eq!(more == 0, read_cache_bytes > 0, "{more} more reads");
        check(&store);
        check(&volume.datastore(b"other").unwrap());
    }
}
