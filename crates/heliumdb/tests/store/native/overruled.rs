//! Transactions that were overruled by operations outside them, and do not commit, whatever
//! happens to what overruled them.

use std::thread;

use helium_sim::sim_options;
use heliumdb::{
    Datastore, Durability, ErrorKind, Isolation, TransactionOptions, Volume, VolumeOptions,
};

use crate::common::{after_power_loss, open_one, store};

fn number(value: Option<&[u8]>) -> u64 {
    value.map_or(0, |value| u64::from_le_bytes(value.try_into().unwrap()))
}

fn one_more(old: Option<&[u8]>) -> Option<Vec<u8>> {
    Some((number(old) + 1).to_le_bytes().to_vec())
}

const BUFFERED: TransactionOptions = TransactionOptions::new()
    .isolation(Isolation::Snapshot)
    .durability(Durability::Buffered)
    .memory_budget_bytes(1 << 20);

#[test]
fn the_overruled_stay_so_when_what_overruled_them_was_trimmed() {
    for later in 0..20 {
        let (machine, volume, store) = store();
        let mut overruled = volume.begin_with(BUFFERED).unwrap();
        overruled.update_fetch(&store, b"k", one_more).unwrap();
        store.update_fetch(b"k", one_more).unwrap();
        for _ in 0..later {
            let mut txn = volume.begin_with(BUFFERED).unwrap();
            txn.update_fetch(&store, b"k", one_more).unwrap();
            txn.commit().unwrap();
        }
        let refused = overruled.commit().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{later} commits later");
        assert_eq!(number(store.get(b"k").unwrap().as_deref()), 1 + later);
        assert_eq!(store.len(), 1);
        volume.flush().unwrap();
        let volume = open_one(&after_power_loss(&machine, later)).unwrap();
        let store = volume.datastore(b"store").unwrap();
        assert_eq!(number(store.get(b"k").unwrap().as_deref()), 1 + later);
    }
}

/// What lies below its own newer version was decided past as well.
#[test]
fn what_a_transaction_has_written_twice_is_overruled_twice() {
    let (_machine, volume, store) = store();
    for blind in [false, true] {
        store.put(b"k", b"item").unwrap();
        let mut txn = volume.begin_with(BUFFERED).unwrap();
        txn.put(&store, b"k", b"first").unwrap();
        let savepoint = txn.savepoint().unwrap();
        txn.put(&store, b"k", b"second").unwrap();
        if blind {
            store.put(b"k", b"outside").unwrap();
        } else {
            assert_eq!(store.remove(b"k").unwrap().unwrap(), b"item");
        }
        txn.rollback_to(savepoint).unwrap();
        assert_eq!(txn.commit().unwrap_err().kind(), ErrorKind::Conflict);
    }
    assert_eq!(store.get(b"k").unwrap().unwrap(), b"outside");
}

/// Who finds nothing to do was there before.
#[test]
fn what_finds_nothing_to_do_overrules_nobody() {
    let (_machine, volume, store) = store();
    store.put(b"there", b"1").unwrap();
    let mut txn = volume.begin_with(BUFFERED).unwrap();
    assert!(txn.delete(&store, b"there").unwrap());
    txn.try_insert(&store, b"new", b"1").unwrap();
    assert!(store.try_insert(b"there", b"").is_err());
    assert!(!store.delete(b"new").unwrap());
    assert!(store.replace(b"new", b"").is_err());
    assert_eq!(store.remove(b"new").unwrap(), None);
    let kept = store.try_update_fetch(b"there", |_| {
        Err(heliumdb::Error::new(ErrorKind::Cancelled, "refused"))
    });
    assert_eq!(kept.unwrap_err().kind(), ErrorKind::Cancelled);
    txn.commit().unwrap();
    assert_eq!(store.get(b"there").unwrap(), None);
    assert_eq!(store.get(b"new").unwrap().unwrap(), b"1");
}

/// The function may use the store as it likes: nothing is held while it runs.
#[test]
fn a_function_that_writes_the_item_itself_comes_to_an_end() {
    let (_machine, volume, store) = store();
    let mut calls = 0;
    let merged = store.update_fetch(b"once", |old| {
        calls += 1;
        if calls == 1 {
            store.put(b"once", b"inner").unwrap();
        }
        Some([old.unwrap_or(b"none"), b"+".as_slice()].concat())
    });
    assert_eq!(merged.unwrap().unwrap(), b"inner+");
    let mut writers: Vec<Box<dyn Fn(u64)>> = Vec::new();
    writers.push(Box::new(|call| {
        store.put(b"ever", call.to_le_bytes()).unwrap();
    }));
    writers.push(Box::new(|_| {
        drop(store.update_fetch(b"ever", one_more).unwrap())
    }));
    writers.push(Box::new(|call| {
        let mut txn = volume.begin_with(BUFFERED).unwrap();
        txn.put(&store, b"ever", call.to_le_bytes()).unwrap();
        txn.commit().unwrap();
    }));
    writers.push(Box::new(|call| {
        let mut batch = volume.batch();
        batch.put(&store, b"ever", call.to_le_bytes()).unwrap();
        batch.commit(Durability::Buffered).unwrap();
    }));
    for write in writers {
        let mut calls = 0;
        let merged = store.update_fetch(b"ever", |_| {
            calls += 1;
            write(calls);
            Some(b"never".to_vec())
        });
        assert_eq!(merged.unwrap_err().kind(), ErrorKind::Conflict);
        assert!(calls > 100, "others may come in between: {calls}");
        assert_ne!(store.get(b"ever").unwrap().unwrap(), b"never");
    }
    // Inside a transaction: the two conflict.
    let mut txn = volume.begin_with(BUFFERED).unwrap();
    let merged = txn.update_fetch(&store, b"inside", |_| {
        store.update_fetch(b"inside", one_more).unwrap()
    });
    let refused = merged.and_then(|_| txn.commit()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(number(store.get(b"inside").unwrap().as_deref()), 1);
}

/// One that cleans and makes checkpoints all the time, or hardly ever.
fn in_memory(busy: bool) -> (Volume, Datastore) {
    let mut options = VolumeOptions::default();
    options.exclusive = true;
    if busy {
        options.auto_clean_period_ms = 0;
        options.clean_dirty_pct = 1;
        options.clean_util_pct = 100;
        options.checkpoint_log_bytes = Some(100 << 10);
    }
    let volume = Volume::open("he://./_67108864", &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    (volume, store)
}

/// Increments inside and outside transactions, at each isolation level, in threads: each that was
/// acknowledged counts.
#[test]
fn every_acknowledged_increment_counts() {
    for busy in [false, true] {
        every_increment_counts(busy);
    }
}

fn every_increment_counts(busy: bool) {
    let (volume, store) = in_memory(busy);
    let levels = [
        Isolation::ReadCommitted,
        Isolation::Snapshot,
        Isolation::ReadUncommitted,
    ];
    let counted: u64 = thread::scope(|scope| {
        let inside = levels.map(|isolation| {
            let options = TransactionOptions::new().isolation(isolation);
            let (volume, store) = (&volume, &store);
            scope.spawn(move || {
                let attempt = |_: &u64| {
                    let mut txn = volume.begin_with(options).unwrap();
                    let merged = txn.update_fetch(store, b"k", one_more);
                    merged.and_then(|_| txn.commit()).is_ok()
                };
                (0..2000).filter(attempt).count() as u64
            })
        });
        for _ in 0..2000 {
            store.update_fetch(b"k", one_more).unwrap();
        }
        2000 + inside
            .map(|thread| thread.join().unwrap())
            .iter()
            .sum::<u64>()
    });
    assert_eq!(number(store.get(b"k").unwrap().as_deref()), counted);
    assert_eq!(store.len(), 1);
}

/// Nothing that a volume opened with these does is done by itself.
#[test]
fn a_refused_transaction_lets_those_outside_go_on() {
    let (_machine, volume, store) = store();
    assert!(!sim_options().background_thread);
    let mut txn = volume.begin().unwrap();
    txn.put(&store, b"a", b"1").unwrap();
    txn.put(&store, b"b", b"1").unwrap();
    store.put(b"b", b"2").unwrap();
    assert_eq!(txn.commit().unwrap_err().kind(), ErrorKind::Conflict);
    store.try_insert(b"a", b"2").unwrap();
    assert_eq!(volume.commit_waits(), 0);
}
