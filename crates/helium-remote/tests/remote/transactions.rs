//! Transactions: one moment, all or nothing.

use helium_remote::{Walk, When};
use heliumdb::ErrorKind;

use crate::harness::Fixture;

#[test]
fn a_transaction_sees_one_moment_and_is_done_at_once() {
    let fixture = Fixture::new();
    let remote = fixture.remote();
    let d = remote.datastore(b"d");
    d.put(b"a", b"1").unwrap();
    let transaction = remote.begin().unwrap();
    d.put(b"a", b"2").unwrap();
    d.put(b"c", b"2").unwrap();
    assert_eq!(transaction.get(b"d", b"a").unwrap().unwrap(), b"1");
    transaction.put(b"d", b"b", b"1", When::Absent).unwrap();
    assert_eq!(d.get(b"b").unwrap(), None);
    let keys: Vec<_> = transaction
        .range(b"d", Walk::all())
        .map(|item| item.unwrap().0)
        .collect();
    assert_eq!(keys, [b"a", b"b"]);
    transaction.commit().unwrap();
    assert_eq!(d.get(b"b").unwrap().unwrap(), b"1");
    // Dropped, it has done nothing, and its connection is good for the next.
    for _ in 0..40 {
        let transaction = remote.begin().unwrap();
        transaction.put(b"d", b"x", b"1", When::Always).unwrap();
        assert!(transaction.delete(b"d", b"a").unwrap());
    }
    assert_eq!(d.count().unwrap(), 3);
}

#[test]
fn of_two_that_write_an_item_the_second_is_refused() {
    let fixture = Fixture::new();
    let remote = fixture.remote();
    let [one, two] = [remote.begin().unwrap(), remote.begin().unwrap()];
    one.put(b"d", b"k", b"1", When::Always).unwrap();
    let why = two.put(b"d", b"k", b"2", When::Always).unwrap_err();
    assert_eq!(why.kind(), ErrorKind::Conflict);
    drop(two);
    one.commit().unwrap();
    assert_eq!(remote.datastore(b"d").get(b"k").unwrap().unwrap(), b"1");
}

/// Others remove a datastore in the middle of a walk: what is left of it comes, or an error, but no early end.
#[test]
fn a_walk_does_not_end_early_where_a_datastore_is_removed() {
    let fixture = Fixture::new();
    let remote = fixture.remote();
    let d = remote.datastore(b"d");
    let keys: Vec<_> = (0..5000_u32).map(u32::to_be_bytes).collect();
    let items: Vec<_> = keys.iter().map(|key| (&key[..], &b"v"[..])).collect();
    d.put_all(&items).unwrap();
    let transaction = remote.begin().unwrap();
    let mut seen = transaction.range(b"d", Walk::all());
    let mut newest = d.range(Walk::all());
    assert_eq!(seen.next().unwrap().unwrap().0, keys[0]);
    assert_eq!(newest.next().unwrap().unwrap().0, keys[0]);
    remote.drop_datastore(b"d").unwrap();
    assert_eq!(seen.map(Result::unwrap).count(), keys.len() - 1);
    let why = newest.find_map(Result::err).unwrap();
    assert_eq!(why.kind(), ErrorKind::DatastoreNotFound, "{why}");
}
