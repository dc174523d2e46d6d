//! Room for what was accepted, whatever was refused or taken back since; and going back that fails.

use std::{sync::mpsc, thread, time::Duration};

use helium_sim::{Operation, Verdict, sim_options};
use heliumdb::{
    Datastore, Durability, ErrorKind, Isolation, Readable, Savepoint, Transaction,
    TransactionOptions, Volume, limits::SPILL_SKIPS_MAX,
};

use super::all;
use crate::common::{MIB, Released, after_power_loss, held_store, open_one, store};

const TINY: TransactionOptions = TransactionOptions::new()
    .isolation(Isolation::Snapshot)
    .durability(Durability::Synced)
    .memory_budget_bytes(100);

fn item(number: usize) -> Vec<u8> {
    format!("{number:06}").into_bytes()
}

/// A transaction that has gone back over spilled items as often as it may, each time to another
/// savepoint, and has gone on since; with its savepoints.
fn at_the_limit(volume: &Volume, store: &Datastore) -> (Transaction, Vec<Savepoint>) {
    let mut txn = volume.begin_with(TINY).unwrap();
    let mut savepoints = Vec::new();
    for number in 0..=SPILL_SKIPS_MAX {
        txn.put(store, item(number), [1; 200]).unwrap();
        let savepoint = txn.savepoint().unwrap();
        savepoints.push(savepoint);
        txn.put(store, item(number), [2; 200]).unwrap();
        txn.put(store, b"taken back", [3; 200]).unwrap();
        if number < SPILL_SKIPS_MAX {
            txn.rollback_to(savepoint).unwrap();
        }
    }
    (txn, savepoints)
}

#[test]
fn going_back_that_is_refused_has_changed_nothing_and_lets_nothing_commit() {
    let (machine, volume, store) = store();
    let (mut txn, savepoints) = at_the_limit(&volume, &store);
    let last = *savepoints.last().unwrap();
    for _ in 0..2 {
        let refused = txn.rollback_to(last).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        assert!(txn.failure().is_some());
        assert!(txn.put(&store, b"more", b"").is_err());
    }
    assert!(txn.commit().is_err());
    assert_eq!(store.len(), 0);
    volume.flush().unwrap();
    let volume = open_one(&after_power_loss(&machine, 1)).unwrap();
    assert!(volume.datastore(b"store").unwrap().is_empty());
}

#[test]
fn going_back_further_takes_what_could_not_be_taken_back() {
    let (machine, volume, store) = store();
    let (mut txn, savepoints) = at_the_limit(&volume, &store);
    txn.rollback_to(*savepoints.last().unwrap()).unwrap_err();
    txn.rollback_to(savepoints[SPILL_SKIPS_MAX - 1]).unwrap();
    txn.put(&store, b"and on", b"").unwrap();
    let seen = all(&txn, &store);
    assert_eq!(seen.len(), SPILL_SKIPS_MAX + 1);
    assert!(!txn.contains_key(&store, b"taken back").unwrap());
    txn.commit().unwrap();
    assert_eq!(all(&volume.snapshot().unwrap(), &store), seen);
    for seed in 0..3 {
        let volume = open_one(&after_power_loss(&machine, seed)).unwrap();
        let store = volume.datastore(b"store").unwrap();
        assert_eq!(all(&volume.snapshot().unwrap(), &store), seen);
    }
}

/// Puts values of a mebibyte until the volume is full; how many it took.
fn fill(store: &Datastore) -> usize {
    let full = |number: &usize| match store.put(item(1000 + number), vec![9; MIB as usize]) {
        Ok(()) => false,
        Err(why) => {
            assert_eq!(why.kind(), ErrorKind::VolumeFull);
            true
        }
    };
    (0..).find(full).unwrap()
}

#[test]
fn what_remains_after_going_back_from_a_full_volume_has_its_room() {
    for spills in [false, true] {
        let (machine, volume, store) = store();
        let options =
            TransactionOptions::new().memory_budget_bytes(if spills { 3 << 20 } else { 1 << 30 });
        let mut txn = volume.begin_with(options).unwrap();
        for number in 0..10 {
            txn.put(&store, item(number), vec![1; MIB as usize])
                .unwrap();
        }
        let savepoint = txn.savepoint().unwrap();
        let refused = (10..).find_map(|number| {
            let put = txn.put(&store, item(number), vec![2; MIB as usize]);
            put.err()
        });
        assert_eq!(refused.unwrap().kind(), ErrorKind::VolumeFull);
        txn.rollback_to(savepoint).unwrap();
        // Others take all that is not kept.
        fill(&store);
        txn.commit()
            .unwrap_or_else(|why| panic!("spills: {spills}: {why}"));
        let volume = open_one(&after_power_loss(&machine, 1)).unwrap();
        let store = volume.datastore(b"store").unwrap();
        let there = (0..12).filter(|number| store.contains_key(item(*number)).unwrap());
        assert_eq!(there.count(), 10);
    }
}

#[test]
fn what_is_refused_keeps_no_room() {
    let (_machine, _volume, empty) = store();
    let most = fill(&empty);
    let (_machine, volume, store) = store();
    store.put(b"there", b"").unwrap();
    let value = vec![1; MIB as usize];
    let mut transactions = Vec::new();
    for _ in 0..4 {
        let mut txn = volume.begin().unwrap();
        for _ in 0..30 {
            let refused = txn.try_insert(&store, b"there", &value).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ItemExists);
            let refused = txn.replace(&store, b"missing", &value).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ItemNotFound);
        }
        transactions.push(txn);
    }
    assert!(fill(&store) >= most - 1, "{most} fit in an empty volume");
}

/// Removals have the reserve, beside whatever else the transaction does.
#[test]
fn a_transaction_that_puts_and_removes_commits_on_a_volume_that_is_full_by_then() {
    let (_machine, volume, store) = store();
    assert!(!sim_options().background_thread);
    let long = |number: usize| [item(number), vec![7; 100]].concat();
    for number in 0..3000 {
        store.put(long(number), b"x").unwrap();
    }
    let mut txn = volume.begin().unwrap();
    txn.put(&store, b"new", [1; 70_000]).unwrap();
    for number in 0..3000 {
        assert!(txn.delete(&store, long(number)).unwrap());
    }
    let full = fill(&store);
    assert!(full > 10);
    // The last small rest, too.
    let small = (0..).take_while(|number| store.put(item(5000 + number), [1; 5000]).is_ok());
    assert!(small.count() < 1000);
    txn.commit().unwrap();
    assert_eq!(store.get(b"new").unwrap().unwrap(), [1; 70_000]);
    assert_eq!(store.get(long(1)).unwrap(), None);
}

/// Nothing of a batch can be seen, or waited for, until all of it has its room.
#[test]
fn a_batch_that_waits_for_room_keeps_nobody_waiting() {
    let (_machine, latch, volume, store) = held_store(&sim_options());
    store.put(b"shared", b"before").unwrap();
    let full = fill(&store);
    // What is dead now is freed by whoever looks for room first, who has to sync for that.
    for number in 0..full / 2 {
        assert!(store.delete(item(1000 + number)).unwrap());
    }
    let is_batch = || thread::current().name() == Some("batch");
    latch.hold(move |operation| *operation == Operation::Sync && is_batch());
    thread::scope(|scope| {
        let _released = Released(&latch);
        let mut batch = volume.batch();
        batch.put(&store, b"shared", b"batch").unwrap();
        for number in 0..full / 4 {
            let value = vec![5; MIB as usize];
            batch.put(&store, item(number), &value).unwrap();
        }
        let named = thread::Builder::new().name("batch".to_owned());
        let commit = move || batch.commit(Durability::Buffered);
        let committed = named.spawn_scoped(scope, commit).unwrap();
        latch.await_held(1);
        let (tell, told) = mpsc::channel();
        // It depends on what is there, and so on every batch that has written there.
        scope.spawn(move || tell.send(store.delete(b"shared")));
        let deleted = told.recv_timeout(Duration::from_secs(60));
        deleted.expect("it waits for the batch").unwrap();
        latch.release(Verdict::Go);
        committed.join().unwrap().unwrap();
    });
    let store = volume.datastore(b"store").unwrap();
    assert_eq!(store.get(b"shared").unwrap().unwrap(), b"batch");
}
