//! The read cache in the log: what is found is what the device has, and is gone with it.

use super::*;
use std::collections::{HashMap, HashSet};

/// Fills segments with what is dead at once, so that items before go out of the write cache.
fn push_out(log: &Log, from: u64) {
    for i in 0..40u64 {
        let filler = put(log, from + i, b"filler", &[0; 200_000]);
        log.mark_dead(filler.locations[0]);
    }
}

fn get(log: &Log, purpose: Purpose, at: Location, tree: u32, key: &[u8]) -> Option<Vec<u8>> {
    read(log, purpose, (at, tree, key)).unwrap()
}

#[test]
fn what_was_read_is_found_without_the_device() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    let at = put(&log, 1, b"key", b"value").locations[0];
    push_out(&log, 2);
    for purpose in [Purpose::Walk, Purpose::Walk, Purpose::Point, Purpose::Point] {
        let value = get(&log, purpose, at, 1, b"key");
        assert_eq!(value.as_deref(), Some(&b"value"[..]));
    }
    let stats = log.stats();
    assert_eq!((stats.cache.hits, stats.cache.misses), (2, 0));
    assert_eq!(stats.device_reads, 1, "a walk does not keep what it reads");
    let other = put(&log, 1, b"other", b"value").locations[0];
    push_out(&log, 2);
    for purpose in [Purpose::Point, Purpose::Walk, Purpose::Point] {
        assert!(get(&log, purpose, other, 1, b"other").is_some());
    }
    let stats = log.stats();
    assert_eq!((stats.cache.hits, stats.cache.misses), (3, 1));
    assert_eq!(stats.device_reads, 2);
    assert!(get(&log, Purpose::Check, at, 1, b"key").is_some());
    assert_eq!(
        log.stats().device_reads,
        3,
        "a check takes the cache's word"
    );
}

#[test]
fn a_found_item_is_of_the_right_tree_and_key() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    let at = put(&log, 1, b"key", b"value").locations[0];
    push_out(&log, 2);
    for _ in 0..2 {
        assert_eq!(get(&log, Purpose::Point, at, 2, b"key"), None);
        assert_eq!(get(&log, Purpose::Point, at, 1, b"kez"), None);
        assert!(get(&log, Purpose::Point, at, 1, b"key").is_some());
    }
}

#[test]
fn damaged_bytes_are_not_kept() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    let at = put(&log, 1, b"key", b"value").locations[0];
    push_out(&log, 2);
    let (_, offset) = log.medium.place(at.address());
    disk.edit(offset + 28, |b| *b ^= 1);
    for _ in 0..2 {
        let read = read(&log, Purpose::Point, (at, 1, b"key"));
        assert_eq!(read.unwrap_err().kind(), crate::ErrorKind::Damaged);
    }
    disk.edit(offset + 28, |b| *b ^= 1);
    let value = get(&log, Purpose::Point, at, 1, b"key");
    assert_eq!(value.as_deref(), Some(&b"value"[..]));
}

/// The same key at the same place, in a later use of the segment.
#[test]
fn an_item_whose_place_was_used_again_is_not_found() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    let mut places = HashMap::new();
    let (mut addresses, mut positions) = (HashSet::new(), HashSet::new());
    let mut met = 0;
    for i in 0..2_000u64 {
        let value = i.to_le_bytes();
        let at = put(&log, 2 * i + 1, b"key", &value).locations[0];
        // A big one behind it, so that segments fill up soon, and the item goes out of memory.
        let filler = put(&log, 2 * i + 2, b"filler", &[0; 200_000]);
        log.mark_dead(filler.locations[0]);
        places.insert(i, at);
        addresses.insert(at.address());
        let position = log.position_of(at, &crossbeam_epoch::pin()).unwrap();
        assert!(positions.insert(position), "a position is used again");
        let Some(old) = i.checked_sub(30).and_then(|old| places.remove(&old)) else {
            continue;
        };
        let expected = (i - 30).to_le_bytes();
        for _ in 0..2 {
            let value = get(&log, Purpose::Point, old, 1, b"key");
            assert_eq!(value.as_deref(), Some(&expected[..]), "item {}", i - 30);
        }
        met += 1;
        log.mark_dead(old);
        while log.background_step().unwrap() {}
        // What was freed comes back when no thread can look at it; other tests' threads count too.
        while log.space.lock().free_segments() < 8 {
            crossbeam_epoch::pin().flush();
            std::thread::yield_now();
        }
    }
    assert!(met > 1_900);
    assert!(addresses.len() < 1_000, "no place was used again");
    let stats = log.stats();
    assert!(stats.cache.hits > 500, "{stats:?}");
}
