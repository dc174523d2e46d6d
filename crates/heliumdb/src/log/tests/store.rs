//! Appending, syncing, reading and recovering, without anything going wrong but failed writes.

use super::*;
use crate::limits::{CHUNK_BYTES, KEY_BYTES_MAX, VALUE_BYTES_MAX};

#[test]
fn what_was_synced_is_found_again() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    for i in 0..1000u64 {
        put(&log, i + 1, format!("key{i}").as_bytes(), &[i as u8; 100]);
    }
    let end = log.reach.end();
    log.sync_to(end).unwrap();
    assert!(log.reach.durable() >= end);
    abandon(log);
    let (log, model) = open(&disk).unwrap();
    assert_eq!((model.live.len(), model.items), (1000, 1000));
    for i in 0..1000u64 {
        assert_eq!(
            model.value(&log, 1, format!("key{i}").as_bytes()),
            Some(vec![i as u8; 100])
        );
    }
    put_synced(&log, 2000, b"key0", b"new");
    log.close().unwrap();
    let (log, model) = open(&disk).unwrap();
    assert_eq!(model.value(&log, 1, b"key0"), Some(b"new".to_vec()));
}

#[test]
fn values_and_keys_of_every_size_come_back() {
    let disk = Disk::new("disk", 128 * MIB);
    let log = create(&disk);
    let sizes = [
        0,
        1,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        3 * CHUNK_BYTES,
        VALUE_BYTES_MAX,
    ];
    let keys = [0, 1, KEY_BYTES_MAX];
    let value = |n: usize| (0..n).map(|i| (i * 7 % 251) as u8).collect::<Vec<u8>>();
    let mut batch = Batch::new(BatchKind::Commit);
    let mut expected = Vec::new();
    for (t, k) in keys.iter().enumerate() {
        for (s, n) in sizes.iter().enumerate() {
            let tree = 16 + (t * 10 + s) as u32;
            let index = batch.push(
                tree,
                tree as u64 + 1,
                false,
                &vec![7u8; *k],
                Some(&value(*n)),
            );
            expected.push((tree, vec![7u8; *k], *n, index));
        }
    }
    assert_eq!(batch.len(), 21);
    let before = log.reach.end();
    let appended = log.append(&mut batch, false).unwrap();
    assert!(appended.end - before > 3 * VALUE_BYTES_MAX as u64);
    assert_eq!(appended.locations.len(), 21);
    for (tree, key, n, index) in &expected {
        let mut out = Vec::new();
        assert!(
            log.read(appended.locations[*index], *tree, key, &mut out)
                .unwrap()
        );
        assert!(out == value(*n));
        assert!(
            !log.read(appended.locations[*index], *tree + 1, key, &mut out)
                .unwrap()
        );
    }
    let live = log.stats().live_bytes;
    log.sync_to(appended.end).unwrap();
    abandon(log);
    let (log, model) = open(&disk).unwrap();
    for (tree, key, n, _) in &expected {
        assert!(model.value(&log, *tree, key) == Some(value(*n)), "{n}");
    }
    assert_eq!(log.stats().live_bytes, live);
    for (_, place) in model.live.values() {
        log.mark_dead(place.unwrap());
    }
    assert_eq!(log.stats().live_bytes, 0);
}

#[test]
fn cancelled_batches_are_not_delivered() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    put(&log, 1, b"a", b"1");
    let gone = put(&log, 2, b"a", b"2");
    put(&log, 3, b"b", b"3");
    let end = log.append_cancel(gone.batch_id).unwrap();
    log.sync_to(end).unwrap();
    abandon(log);
    let (log, model) = open(&disk).unwrap();
    assert_eq!(model.value(&log, 1, b"a"), Some(b"1".to_vec()));
    assert_eq!(model.value(&log, 1, b"b"), Some(b"3".to_vec()));
    assert_eq!(model.cancels, [gone.batch_id]);
}

#[test]
fn prepared_batches_are_delivered_with_what_became_of_them() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    let global = |number| GlobalTxn {
        decider: log.medium.volume_id(),
        number,
    };
    for number in 1..=3 {
        let kind = BatchKind::Prepare {
            global: global(number),
            participants: vec![log.medium.volume_id()],
        };
        let mut batch = Batch::new(kind);
        batch.push(1, number, false, &number.to_le_bytes(), Some(b"x"));
        log.append(&mut batch, false).unwrap();
    }
    log.append_resolve(global(1), true).unwrap();
    log.append_resolve(global(2), false).unwrap();
    log.sync_to(log.reach.end()).unwrap();
    let expected = (
        vec![global(1), global(2), global(3)],
        vec![(global(1), true), (global(2), false)],
    );
    abandon(log);
    let (_, model) = open(&disk).unwrap();
    assert_eq!((model.prepared, model.resolves), expected);
}

#[test]
fn threads_share_syncs() {
    let disk = Disk::new("disk", 128 * MIB);
    let log = create(&disk);
    std::thread::scope(|scope| {
        for t in 0..8u64 {
            let log = &log;
            scope.spawn(move || {
                for i in 0..200u64 {
                    put_synced(log, t * 1000 + i + 1, format!("{t}-{i}").as_bytes(), b"v");
                }
            });
        }
    });
    abandon(log);
    let (_, model) = open(&disk).unwrap();
    assert_eq!(model.live.len(), 1600);
}

#[test]
fn reading_notices_damage_and_names_the_place() {
    let disk = Disk::new("the-disk", 64 * MIB);
    let log = create(&disk);
    let at = put(&log, 1, b"key", b"value").locations[0];
    // Out of the write cache, so that it is read from the device.
    for i in 0..40u64 {
        put(&log, i + 2, b"filler", &[0; 200_000]);
    }
    let mut out = Vec::new();
    assert!(log.read(at, 1, b"key", &mut out).unwrap());
    let (_, offset) = log.medium.place(at.address());
    disk.edit(offset + 28, |b| *b ^= 1);
    let error = log.read(at, 1, b"key", &mut out).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Damaged);
    assert!(
        error
            .to_string()
            .contains(&format!("the-disk is damaged at offset {offset}")),
        "{error}"
    );
}

#[test]
fn a_failed_write_or_sync_poisons_for_good() {
    for (writes, syncs) in [(Some(0), None), (None, Some(0))] {
        let disk = Disk::new("disk", 64 * MIB);
        let log = create(&disk);
        put_synced(&log, 1, b"a", b"1");
        disk.fail_after(writes, syncs);
        let appended = put(&log, 2, b"b", b"2");
        assert_eq!(
            log.sync_to(appended.end).unwrap_err().kind(),
            crate::ErrorKind::Io
        );
        disk.fail_after(None, None);
        assert_eq!(
            log.sync_to(appended.end).unwrap_err().kind(),
            crate::ErrorKind::Poisoned
        );
        let mut batch = Batch::new(BatchKind::Commit);
        assert_eq!(
            log.append(&mut batch, true).unwrap_err().kind(),
            crate::ErrorKind::Poisoned
        );
        assert!(log.health.poisoned().is_some());
        let mut out = Vec::new();
        assert!(log.read(appended.locations[0], 1, b"b", &mut out).unwrap());
        drop(log);
        let (log, model) = open(&disk).unwrap();
        assert_eq!(model.value(&log, 1, b"a"), Some(b"1".to_vec()));
    }
}
