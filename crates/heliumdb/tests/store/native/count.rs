//! The exact number of items, with threads that commit, take back and overtake each other.

use std::{collections::BTreeSet, thread};

use helium_sim::{Keeper, Replay, seed};
use heliumdb::host::VolumeExt;
use heliumdb::{Durability, Isolation, TransactionOptions, Volume, VolumeOptions};
use rand::Rng;

use crate::common::{Session, store};

/// The keeper outside lets read-committed writers commit in any order, and take commits back.
#[test]
fn the_count_is_exact_for_any_order_of_commits() {
    for seed in seed::seeds(10) {
        let _replay = Replay::new(seed);
        let mut rng = seed::rng(seed);
        let (_machine, volume, store) = store();
        let keeper = Keeper::new();
        let mut sessions: Vec<Session> = Vec::new();
        for _ in 0..600 {
            let key = format!("{}", rng.random_range(0..6));
            match rng.random_range(0..12) {
                0..2 if sessions.len() < 5 => {
                    sessions.push(Session::begin(&keeper, Isolation::ReadCommitted));
                }
                2 => store.put(key.as_bytes(), b"x").unwrap(),
                3 => drop(store.delete(key.as_bytes())),
                4 => drop(volume.settle(&*keeper)),
                5..8 if !sessions.is_empty() => {
                    let mut session = sessions.swap_remove(rng.random_range(0..sessions.len()));
                    if session.commit_unpublished().is_err() || rng.random_bool(0.2) {
                        session.abort();
                    } else if rng.random_bool(0.2) {
                        session.cancel().unwrap();
                    } else {
                        session.view.end();
                    }
                }
                _ if !sessions.is_empty() => {
                    let session = rng.random_range(0..sessions.len());
                    match rng.random_bool(0.5) {
                        true => sessions[session].put(&store, &key, "y").unwrap(),
                        false => sessions[session].remove(&store, &key).unwrap(),
                    }
                }
                _ => {}
            }
            let items = store.iter().count() as u64;
            assert_eq!(store.len(), items);
        }
    }
}

#[test]
fn threads_keep_the_count_exact() {
    let mut options = VolumeOptions::default();
    options.exclusive = true;
    let volume = Volume::open("he://./_134217728", &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    thread::scope(|scope| {
        for who in 0..3 {
            let (volume, store) = (&volume, &store);
            scope.spawn(move || {
                let mut rng = seed::rng(who);
                for _ in 0..3_000 {
                    let key = [rng.random_range(0..8u8)];
                    match rng.random_range(0..5) {
                        0 => store.put(key, b"").unwrap(),
                        1 => drop(store.remove(key).unwrap()),
                        2 => {
                            let mut batch = volume.batch();
                            batch
                                .put(store, key, b"")
                                .unwrap()
                                .delete(store, [9])
                                .unwrap();
                            batch.commit(Durability::Buffered).unwrap();
                        }
                        _ => {
                            let mut txn = volume
                                .begin_with(
                                    TransactionOptions::new().durability(Durability::Buffered),
                                )
                                .unwrap();
                            let done = txn
                                .remove(store, key)
                                .and_then(|_| txn.put(store, [8], b""));
                            if done.is_ok() {
                                let _ = txn.commit();
                            }
                        }
                    }
                }
            });
        }
    });
    let keys: BTreeSet<_> = store.iter().map(|item| item.unwrap().0).collect();
    assert_eq!(store.len(), keys.len() as u64);
}
