//! Transactions in threads.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use heliumdb::{
    Datastore, Durability, Isolation, Readable, TransactionOptions, Volume, VolumeOptions,
};
use rand::Rng;

const ACCOUNTS: u64 = 16;
/// How often somebody looks at it all.
const LOOKS: u32 = 20;

fn in_memory() -> (Volume, Datastore) {
    let mut options = VolumeOptions::default();
    options.exclusive = true;
    let volume = Volume::open("he://./_268435456", &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    (volume, store)
}

fn number(value: Option<Vec<u8>>) -> u64 {
    value.map_or(0, |value| u64::from_le_bytes(value.try_into().unwrap()))
}

fn sum(through: &impl Readable, store: &Datastore) -> u64 {
    through
        .iter(store)
        .map(|item| number(Some(item.unwrap().1)))
        .sum()
}

#[test]
fn money_moves_and_is_neither_made_nor_lost() {
    let (volume, bank) = in_memory();
    for account in 0..ACCOUNTS {
        bank.put(account.to_be_bytes(), 100u64.to_le_bytes())
            .unwrap();
    }
    let seen = AtomicBool::new(false);
    let is_seen = || seen.load(Ordering::Relaxed);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut moves = 0;
                // However threads are scheduled, some of it is looked at.
                while moves < 2_000 || !is_seen() {
                    move_some(&volume, &bank);
                    moves += 1;
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..LOOKS {
                let snapshot = volume.snapshot().unwrap();
                for _ in 0..3 {
                    assert_eq!(sum(&snapshot, &bank), 100 * ACCOUNTS);
                }
                assert_eq!(sum(&volume.begin().unwrap(), &bank), 100 * ACCOUNTS);
                assert_eq!(bank.len(), ACCOUNTS);
            }
            seen.store(true, Ordering::Relaxed);
        });
    });
    assert_eq!(sum(&volume.snapshot().unwrap(), &bank), 100 * ACCOUNTS);
}

fn move_some(volume: &Volume, bank: &Datastore) {
    let mut rng = rand::rng();
    let mut account = || rng.random_range(0..ACCOUNTS).to_be_bytes();
    let (from, to) = (account(), account());
    let options = TransactionOptions::new().durability(Durability::Buffered);
    let moved = volume.transact_with(options, |txn| {
        let has = number(txn.get(bank, from)?);
        txn.put(bank, from, has.saturating_sub(7).to_le_bytes())?;
        let had = number(txn.get(bank, to)?);
        txn.put(bank, to, (had + has.min(7)).to_le_bytes())
    });
    moved.unwrap();
}

/// Sums are kept by writers outside transactions only if a snapshot is of one moment.
#[test]
fn snapshots_stay_under_writes_outside_transactions() {
    let (volume, store) = in_memory();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..2u64)
            .map(|who| {
                let store = &store;
                scope.spawn(move || {
                    for round in 0..30_000u64 {
                        let key = [who as u8, (round % 50) as u8];
                        store.put(key, round.to_le_bytes()).unwrap();
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let snapshot = volume.snapshot().unwrap();
                let first: Vec<_> = snapshot.iter(&store).map(Result::unwrap).collect();
                thread::yield_now();
                let again: Vec<_> = snapshot.iter(&store).rev().map(Result::unwrap).collect();
                assert!(
                    first.iter().eq(again.iter().rev()),
                    "a snapshot has changed"
                );
            }
        });
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(store.len(), 100);
}

#[test]
fn merging_and_taking_lose_nothing() {
    let (volume, store) = in_memory();
    let _snapshot = volume.snapshot().unwrap();
    let taken = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for round in 0..3_000 {
                    let add = |old: Option<&[u8]>| {
                        let old = number(old.map(<[u8]>::to_vec));
                        Some((old + 1).to_le_bytes().to_vec())
                    };
                    store.update_fetch(b"counter", add).unwrap();
                    if round % 100 == 0 {
                        let some = number(store.remove(b"counter").unwrap());
                        taken.fetch_add(some, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let left = number(store.remove(b"counter").unwrap());
    assert_eq!(taken.into_inner() + left, 9_000);
}

#[test]
fn an_old_snapshot_and_a_hot_key_take_little_memory() {
    let (volume, store) = in_memory();
    store.put(b"hot", b"0").unwrap();
    let old = volume.snapshot().unwrap();
    let options = TransactionOptions::new()
        .durability(Durability::Buffered)
        .isolation(Isolation::Snapshot);
    let mut later = None;
    for round in 1..=20_000u64 {
        let mut txn = volume.begin_with(options).unwrap();
        txn.put(&store, b"hot", round.to_le_bytes()).unwrap();
        txn.commit().unwrap();
        if round == 10_000 {
            later = Some(volume.snapshot().unwrap());
        }
        assert!(
            volume.version_bytes() < 2_000,
            "{} bytes after {round} rounds",
            volume.version_bytes()
        );
    }
    for round in 0..20_000u64 {
        store.put(b"hot", round.to_le_bytes()).unwrap();
        assert!(
            volume.version_bytes() < 2_000,
            "{} bytes after {round} puts",
            volume.version_bytes()
        );
    }
    assert_eq!(old.get(&store, b"hot").unwrap().unwrap(), b"0");
    assert_eq!(number(later.unwrap().get(&store, b"hot").unwrap()), 10_000);
    drop(old);
    crate::common::assert_settles(&volume);
}
