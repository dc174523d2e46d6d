//! The schedules by which isolation levels are told apart (Berenson and others, Adya; as in the
//! Hermitage tests), at snapshot isolation and read committed.

use heliumdb::{
    Datastore, ErrorKind, Isolation, Readable, Transaction, TransactionOptions, Volume,
    host::WriteSet,
};

use super::{all, get};
use crate::common::store;

fn begin(volume: &Volume, isolation: Isolation) -> Transaction {
    let options = TransactionOptions::new().isolation(isolation);
    volume.begin_with(options).unwrap()
}

fn put(txn: &mut Transaction, store: &Datastore, key: &str, value: &str) -> heliumdb::Result<()> {
    txn.put(store, key.as_bytes(), value.as_bytes())
}

/// Two items, and a volume to begin transactions on.
fn two() -> (helium_sim::Machine, Volume, Datastore) {
    let (machine, volume, store) = store();
    store.put(b"1", b"10").unwrap();
    store.put(b"2", b"20").unwrap();
    (machine, volume, store)
}

const BOTH: [Isolation; 2] = [Isolation::Snapshot, Isolation::ReadCommitted];

#[test]
fn g0_write_cycles_are_prevented() {
    for isolation in BOTH {
        let (_machine, volume, store) = two();
        let (mut a, mut b) = (begin(&volume, isolation), begin(&volume, isolation));
        put(&mut a, &store, "1", "11").unwrap();
        let why = put(&mut b, &store, "1", "12").unwrap_err();
        assert_eq!(why.kind(), ErrorKind::Conflict);
        assert!(why.is_retryable());
        put(&mut a, &store, "2", "21").unwrap();
        a.commit().unwrap();
        // The failed transaction cannot go on.
        assert_eq!(
            put(&mut b, &store, "2", "22").unwrap_err().kind(),
            ErrorKind::Conflict
        );
        assert!(b.commit().is_err());
        let seen = all(&volume.snapshot().unwrap(), &store);
        assert_eq!(seen, [("1".into(), "11".into()), ("2".into(), "21".into())]);
    }
}

#[test]
fn g1a_and_g1b_nobody_reads_what_is_not_committed() {
    for isolation in BOTH {
        let (_machine, volume, store) = two();
        let (mut a, b) = (begin(&volume, isolation), begin(&volume, isolation));
        put(&mut a, &store, "1", "101").unwrap();
        assert_eq!(get(&b, &store, "1").unwrap(), "10");
        put(&mut a, &store, "1", "11").unwrap();
        assert_eq!(get(&b, &store, "1").unwrap(), "10");
        a.rollback();
        assert_eq!(get(&b, &store, "1").unwrap(), "10");
        assert_eq!(store.get(b"1").unwrap().unwrap(), b"10");
    }
}

#[test]
fn g1c_circular_information_flow_is_prevented() {
    for isolation in BOTH {
        let (_machine, volume, store) = two();
        let (mut a, mut b) = (begin(&volume, isolation), begin(&volume, isolation));
        put(&mut a, &store, "1", "11").unwrap();
        put(&mut b, &store, "2", "22").unwrap();
        assert_eq!(get(&a, &store, "2").unwrap(), "20");
        assert_eq!(get(&b, &store, "1").unwrap(), "10");
        a.commit().unwrap();
        b.commit().unwrap();
    }
}

#[test]
fn otv_an_observed_transaction_does_not_vanish() {
    let (_machine, volume, store) = two();
    let mut a = begin(&volume, Isolation::ReadCommitted);
    put(&mut a, &store, "1", "11").unwrap();
    put(&mut a, &store, "2", "19").unwrap();
    a.commit().unwrap();
    let mut b = begin(&volume, Isolation::ReadCommitted);
    put(&mut b, &store, "1", "12").unwrap();
    let c = begin(&volume, Isolation::ReadCommitted);
    assert_eq!(get(&c, &store, "1").unwrap(), "11");
    put(&mut b, &store, "2", "18").unwrap();
    assert_eq!(get(&c, &store, "2").unwrap(), "19");
    b.commit().unwrap();
    assert_eq!(get(&c, &store, "2").unwrap(), "18");
    assert_eq!(get(&c, &store, "1").unwrap(), "12");
}

#[test]
fn pmp_and_g_single_a_snapshot_has_no_phantoms_and_no_skew() {
    let (_machine, volume, store) = two();
    let a = begin(&volume, Isolation::Snapshot);
    let relaxed = begin(&volume, Isolation::ReadCommitted);
    assert_eq!(get(&a, &store, "1").unwrap(), "10");
    let mut b = begin(&volume, Isolation::Snapshot);
    put(&mut b, &store, "1", "12").unwrap();
    put(&mut b, &store, "2", "18").unwrap();
    put(&mut b, &store, "3", "30").unwrap();
    b.commit().unwrap();
    assert_eq!(get(&a, &store, "2").unwrap(), "20");
    assert_eq!(all(&a, &store).len(), 2);
    // Read committed sees it: fuzzy reads and phantoms.
    assert_eq!(get(&relaxed, &store, "2").unwrap(), "18");
    assert_eq!(all(&relaxed, &store).len(), 3);
}

#[test]
fn p4_the_first_updater_wins() {
    let (_machine, volume, store) = two();
    let mut a = begin(&volume, Isolation::Snapshot);
    let mut b = begin(&volume, Isolation::Snapshot);
    assert_eq!(get(&a, &store, "1"), get(&b, &store, "1"));
    put(&mut a, &store, "1", "11").unwrap();
    a.commit().unwrap();
    // After the other's commit, too.
    let why = put(&mut b, &store, "1", "11").unwrap_err();
    assert_eq!(why.kind(), ErrorKind::Conflict);
    // Read committed may lose an update.
    let mut c = begin(&volume, Isolation::ReadCommitted);
    let seen = get(&c, &store, "1").unwrap();
    store.put(b"1", b"12").unwrap();
    put(&mut c, &store, "1", &format!("{seen}!")).unwrap();
    c.commit().unwrap();
    assert_eq!(store.get(b"1").unwrap().unwrap(), b"11!");
}

#[test]
fn g2_write_skew_is_possible_and_prevented_by_reserving() {
    for reserves in [false, true] {
        let (_machine, volume, store) = two();
        let mut a = begin(&volume, Isolation::Snapshot);
        let mut b = begin(&volume, Isolation::Snapshot);
        let mut failed = false;
        if reserves {
            a.reserve(&store, b"2").unwrap();
            failed |= b.reserve(&store, b"1").is_err();
        }
        failed |= put(&mut a, &store, "1", "11").is_err();
        failed |= put(&mut b, &store, "2", "21").is_err();
        failed |= a.commit().is_err();
        failed |= b.commit().is_err();
        assert_eq!(failed, reserves);
    }
}

#[test]
fn writes_outside_transactions_neither_wait_nor_disturb_a_snapshot() {
    let (_machine, volume, store) = two();
    let snapshot = volume.snapshot().unwrap();
    let mut txn = volume.begin().unwrap();
    put(&mut txn, &store, "2", "mine").unwrap();
    store.put(b"1", b"11").unwrap();
    store.put(b"2", b"21").unwrap();
    store.put(b"3", b"31").unwrap();
    assert!(store.delete(b"1").unwrap());
    assert_eq!(
        all(&snapshot, &store),
        [("1".into(), "10".into()), ("2".into(), "20".into())]
    );
    assert_eq!(get(&txn, &store, "1").unwrap(), "10");
    assert_eq!(get(&txn, &store, "2").unwrap(), "mine");
    // An item that was overwritten meanwhile keeps the transaction from committing.
    assert_eq!(txn.commit().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.get(b"2").unwrap().unwrap(), b"21");
    // And one that the transaction wants to write conflicts.
    let mut late = volume.begin().unwrap();
    store.put(b"2", b"22").unwrap();
    assert_eq!(
        put(&mut late, &store, "2", "x").unwrap_err().kind(),
        ErrorKind::Conflict
    );
    drop((snapshot, late));
    crate::common::assert_settles(&volume);
}

#[test]
fn batches_are_atomic_and_win_over_what_is_not_committed() {
    let (_machine, volume, store) = two();
    let other = volume.create_datastore(b"other").unwrap();
    let snapshot = volume.snapshot().unwrap();
    let mut txn = volume.begin().unwrap();
    put(&mut txn, &store, "1", "mine").unwrap();
    let mut batch = volume.batch();
    batch
        .put(&store, b"1", b"batch")
        .unwrap()
        .delete(&store, b"2")
        .unwrap();
    batch.put(&other, b"x", b"batch").unwrap();
    batch.commit(heliumdb::Durability::Synced).unwrap();
    assert!(batch.is_empty());
    assert_eq!(all(&snapshot, &store).len(), 2);
    assert_eq!(all(&snapshot, &other).len(), 0);
    assert_eq!(txn.commit().unwrap_err().kind(), ErrorKind::Conflict);
    let now = volume.snapshot().unwrap();
    assert_eq!(all(&now, &store), [("1".into(), "batch".into())]);
    assert_eq!((store.len(), other.len()), (1, 1));
}

#[test]
fn a_volume_has_one_keeper_of_transactions() {
    let (_machine, volume, store) = two();
    volume.begin().unwrap();
    let keeper = helium_sim::Keeper::new();
    let mut view = keeper.begin(Isolation::Snapshot);
    let mut foreign = WriteSet::new(view.allocate());
    let change = heliumdb::host::Change::Put(b"x");
    let why = foreign
        .write(&store, &view, b"1", change, heliumdb::host::Mode::Any)
        .unwrap_err();
    assert_eq!(why.kind(), ErrorKind::InvalidArgument);
    assert!(
        why.to_string().contains("kept by the volume itself"),
        "{why}"
    );

    let (_machine, volume, store) = two();
    let mut foreign = WriteSet::new(view.allocate());
    foreign
        .write(&store, &view, b"1", change, heliumdb::host::Mode::Any)
        .unwrap();
    drop(foreign);
    for why in [volume.begin().unwrap_err(), volume.snapshot().unwrap_err()] {
        assert_eq!(why.kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn another_volumes_datastore_is_refused() {
    let (_one, volume, _store) = two();
    let (_two, _other, elsewhere) = two();
    let mut txn = volume.begin().unwrap();
    assert_eq!(
        put(&mut txn, &elsewhere, "1", "x").unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
    assert_eq!(
        txn.get(&elsewhere, b"1").unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
    assert!(txn.iter(&elsewhere).next().unwrap().is_err());
}

#[test]
fn savepoints_go_back_and_forgive() {
    let (_machine, volume, store) = two();
    let mut txn = volume.begin().unwrap();
    let start = txn.savepoint().unwrap();
    put(&mut txn, &store, "1", "a").unwrap();
    let middle = txn.savepoint().unwrap();
    put(&mut txn, &store, "1", "b").unwrap();
    assert!(txn.delete(&store, b"2").unwrap());
    let late = txn.savepoint().unwrap();
    txn.rollback_to(middle).unwrap();
    assert_eq!(get(&txn, &store, "1").unwrap(), "a");
    assert_eq!(get(&txn, &store, "2").unwrap(), "20");
    assert_eq!(
        txn.rollback_to(late).unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
    let mut other = volume.begin().unwrap();
    put(&mut other, &store, "2", "other").unwrap();
    assert!(other.rollback_to(middle).is_err());
    assert!(put(&mut txn, &store, "2", "x").is_err());
    assert!(txn.failure().is_some() && txn.get(&store, b"1").is_err());
    txn.rollback_to(middle).unwrap();
    put(&mut txn, &store, "1", "c").unwrap();
    txn.rollback_to(start).unwrap();
    assert_eq!(get(&txn, &store, "1").unwrap(), "10");
    put(&mut txn, &store, "3", "30").unwrap();
    txn.commit().unwrap();
    other.commit().unwrap();
    let now = all(&volume.snapshot().unwrap(), &store);
    assert_eq!(now.len(), 3);
    assert_eq!(volume.version_bytes(), 0);
}

#[test]
fn iterators_seek_both_ways_and_merge_own_writes() {
    let (_machine, volume, store) = store();
    for i in (0..100).step_by(2) {
        store.put(format!("{i:02}").as_bytes(), b"").unwrap();
    }
    let mut txn = volume.begin().unwrap();
    put(&mut txn, &store, "05", "own").unwrap();
    assert!(txn.delete(&store, b"06").unwrap());
    let keys = |range: &mut dyn Iterator<Item = heliumdb::Result<heliumdb::Item>>| {
        let keys = range
            .take(3)
            .map(|item| String::from_utf8(item.unwrap().0).unwrap());
        keys.collect::<Vec<_>>()
    };
    let mut range = txn.range(&store, "02".."90");
    assert_eq!(keys(&mut range), ["02", "04", "05"]);
    assert_eq!(keys(&mut range.by_ref().rev()), ["88", "86", "84"]);
    range.seek(b"06", heliumdb::host::SeekDirection::Forward);
    assert_eq!(keys(&mut range), ["08", "10", "12"]);
    range.seek(b"07", heliumdb::host::SeekDirection::Backward);
    assert_eq!(keys(&mut range.by_ref().rev()), ["05", "04", "02"]);
    range.seek(b"00", heliumdb::host::SeekDirection::Forward);
    assert_eq!(keys(&mut range), ["02", "04", "05"]);
    assert_eq!(txn.previous(&store, b"08").unwrap().unwrap().0, b"05");
    assert_eq!(txn.next(&store, b"05").unwrap().unwrap().0, b"08");
    let found = txn.multi_get(&store, &["08", "05", "06", "10"]).unwrap();
    assert_eq!(
        found.iter().map(Option::is_some).collect::<Vec<_>>(),
        [true, true, false, true]
    );
    assert!(txn.contains_key(&store, b"05").unwrap() && !txn.contains_key(&store, b"06").unwrap());
}
