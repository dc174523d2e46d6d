//! Reads that decide what is written, and reads beside commits.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use heliumdb::{
    Datastore, Durability, ErrorKind, Isolation, Result, Transaction, TransactionOptions, Volume,
    VolumeOptions,
};

const KEYS: u32 = 4000;

fn in_memory() -> (Volume, Datastore) {
    let mut options = VolumeOptions::default();
    options.exclusive = true;
    let volume = Volume::open("he://./_134217728", &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    (volume, store)
}

fn at(isolation: Isolation) -> TransactionOptions {
    TransactionOptions::new()
        .isolation(isolation)
        .durability(Durability::Buffered)
}

/// What one thread does to one item; true if it says that it did it.
type Work = fn(&mut Transaction, &Datastore, &[u8]) -> Result<bool>;

/// How often a thing was done to each key by two threads that race for each.
fn race(isolation: Isolation, there: bool, work: Work) -> Vec<u64> {
    let (volume, store) = in_memory();
    let done: Vec<AtomicU64> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
    let turn = [AtomicU64::new(0), AtomicU64::new(0)];
    if there {
        for key in 0..KEYS {
            store.put(key.to_be_bytes(), b"x").unwrap();
        }
    }
    thread::scope(|scope| {
        for me in 0..2 {
            let (volume, store, done, turn) = (&volume, &store, &done, &turn);
            scope.spawn(move || {
                for key in 0..KEYS {
                    turn[me].store(u64::from(key), Ordering::SeqCst);
                    // Together, or nearly so.
                    while turn[1 - me].load(Ordering::SeqCst) < u64::from(key) {
                        thread::yield_now();
                    }
                    let worked = volume
                        .transact_with(at(isolation), |txn| work(txn, store, &key.to_be_bytes()));
                    match worked {
                        Ok(is_done) => {
                            done[key as usize].fetch_add(u64::from(is_done), Ordering::SeqCst);
                        }
                        Err(why) => assert!(matches!(why.kind(), ErrorKind::ItemExists)),
                    }
                }
                turn[me].store(u64::MAX, Ordering::SeqCst);
            });
        }
    });
    done.into_iter().map(AtomicU64::into_inner).collect()
}

#[test]
fn each_item_is_taken_inserted_and_removed_once_at_every_isolation_level() {
    let works: [(&str, bool, Work); 4] = [
        ("take", true, |txn, store, key| {
            Ok(txn.remove(store, key)?.is_some())
        }),
        ("insert", false, |txn, store, key| {
            txn.try_insert(store, key, b"y").map(|()| true)
        }),
        ("delete", true, |txn, store, key| txn.delete(store, key)),
        ("merge", false, |txn, store, key| {
            let new = txn.update_fetch(store, key, |old| {
                Some(vec![old.map_or(1, |old| old[0] + 1)])
            })?;
            Ok(new == Some(vec![1]))
        }),
    ];
    for isolation in [
        Isolation::ReadCommitted,
        Isolation::ReadUncommitted,
        Isolation::Snapshot,
    ] {
        for (what, there, work) in works {
            let wrong = race(isolation, there, work).into_iter().filter(|n| *n != 1);
            assert_eq!(wrong.count(), 0, "{what} at {isolation:?}");
        }
    }
}

/// A committed item is shown as such from the moment on when it is one.
#[test]
fn walks_and_merges_see_items_while_they_are_committed() {
    let (volume, store) = in_memory();
    let keys: Vec<[u8; 1]> = (0..20).map(|key| [key]).collect();
    for key in &keys {
        store.put(key, b"0").unwrap();
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let options = at(Isolation::Snapshot);
                let written = volume.transact_with(options, |txn| {
                    keys.iter().try_for_each(|key| txn.put(&store, key, b"1"))
                });
                written.unwrap();
            }
        });
        for _ in 0..4000 {
            let seen: Result<BTreeSet<_>> = store.items().map(|item| Ok(item?.0)).collect();
            assert_eq!(seen.unwrap().len(), keys.len());
        }
        for round in 0..4000 {
            let merged = store.update_fetch(keys[round % keys.len()], |old| {
                assert!(old.is_some(), "it is there");
                Some(b"2".to_vec())
            });
            merged.unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(store.len(), keys.len() as u64);
}
