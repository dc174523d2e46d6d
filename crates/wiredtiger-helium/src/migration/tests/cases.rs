//! What becomes of each kind of record.

use super::*;

const A: Option<&[u8]> = Some(b"a");
const B: Option<&[u8]> = Some(b"b");

/// Transactions 1 and 2 committed, 8 rolled back, 9 was running.
fn one() -> Volumes {
    let volumes = Volumes::new(1);
    volumes.object(0, "x");
    volumes.outcome(0, 1, b"C");
    volumes.outcome(0, 2, b"C");
    volumes.outcome(0, 8, b"A");
    volumes
}

#[test]
fn for_each_key_the_newest_committed_update_counts() {
    // Updates, oldest first, and what is left, on top of nothing and on top of an item.
    let cases: [(&[Update<'_>], &str, &str); 15] = [
        (&[(1, A)], "a", "a"),
        (&[(8, A)], "", "old"),
        (&[(9, A)], "", "old"),
        (&[(1, A), (2, B)], "b", "b"),
        // The order of updates decides, not that of ids.
        (&[(2, A), (1, B)], "b", "b"),
        (&[(1, A), (1, B)], "b", "b"),
        (&[(1, A), (8, B)], "a", "a"),
        (&[(1, A), (9, B)], "a", "a"),
        (&[(9, A), (1, B)], "b", "b"),
        (&[(8, A), (9, B), (8, None)], "", "old"),
        (&[(1, None)], "", ""),
        (&[(1, A), (2, None)], "", ""),
        (&[(1, None), (2, B)], "b", "b"),
        (&[(1, A), (8, None)], "a", "a"),
        (&[(1, A), (9, None), (8, B)], "a", "a"),
    ];
    for (updates, over_nothing, over_old) in cases {
        for (old, expected) in [("", over_nothing), ("old", over_old)] {
            let mut volumes = one();
            volumes.cached(0, "x", "k", updates);
            if !old.is_empty() {
                volumes.settled(0, "x", "k", old);
            }
            volumes.migrate().expect("taken over");
            let expected = match expected {
                "" => String::new(),
                value => format!("k={value}"),
            };
            assert_eq!(volumes.only(0, "x"), expected, "{updates:?} over '{old}'");
        }
    }
}

#[test]
fn empty_and_long_values_come_over_whole() {
    let mut volumes = one();
    let long = vec![7; 1 << 20];
    volumes.cached(
        0,
        "x",
        "long",
        &[(8, A), (1, Some(&long)), (9, Some(&[8; 100]))],
    );
    volumes.cached(0, "x", "empty", &[(1, Some(b""))]);
    volumes.migrate().expect("taken over");
    let store = volumes.store(0, "WiredTiger.x");
    assert_eq!(store.get(b"long").expect("read"), Some(long));
    assert_eq!(store.get(b"empty").expect("read"), Some(Vec::new()));
    assert_eq!(store.len(), 2);
}

#[test]
fn what_was_done_is_told_and_done_once() {
    let mut volumes = one();
    volumes.settled(0, "x", "gone", "old");
    volumes.cached(0, "x", "gone", &[(1, None)]);
    volumes.cached(0, "x", "new", &[(1, A)]);
    volumes.cached(0, "x", "running", &[(9, A), (9, B)]);
    volumes.migrate().expect("taken over");
    assert_eq!(volumes.messages.len(), 1);
    let message = &volumes.messages[0];
    for words in [
        "dev1",
        "WiredTiger.x",
        "3 keys",
        "1 have",
        "1 are removed",
        "2 updates",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    volumes.messages.clear();
    let changes = volumes.machine.changes();
    volumes.migrate().expect("nothing to do");
    assert!(volumes.messages.is_empty());
    assert_eq!(volumes.machine.changes(), changes);
}

#[test]
fn a_volume_that_was_closed_cleanly_is_left_as_it_is() {
    let mut volumes = Volumes::new(2);
    volumes.object(0, "x");
    volumes.object(1, "y");
    volumes.store(0, TXN);
    volumes.store(0, "WiredTiger.WiredTigerInit");
    volumes.settled(0, "x", "k", "v");
    volumes
        .store(1, "of somebody else")
        .put(b"k", b"v")
        .expect("put");
    let changes = volumes.machine.changes();
    volumes.migrate().expect("nothing to do");
    assert_eq!(volumes.machine.changes(), changes);
    assert_eq!(volumes.volumes[0].datastores().len(), 4);
    assert!(volumes.messages.is_empty());
}

#[test]
fn outcomes_without_updates_go() {
    let mut volumes = one();
    volumes.migrate().expect("done");
    assert_eq!(volumes.only(0, "x"), "");
    assert!(volumes.volumes[0].datastore(TXN.as_bytes()).is_err());
}

#[test]
fn one_store_of_outcomes_serves_all_volumes() {
    for holder in 0..3 {
        let mut volumes = Volumes::new(3);
        for volume in 0..3 {
            volumes.object(volume, "x");
            volumes.cached(volume, "x", "k", &[(1, A), (9, B)]);
            volumes.cached(volume, "x", "l", &[(8, A)]);
        }
        volumes.outcome(holder, 1, b"C");
        volumes.outcome(holder, 8, b"A");
        volumes.migrate().expect("taken over");
        for volume in 0..3 {
            assert_eq!(volumes.only(volume, "x"), "k=a", "held by {holder}");
        }
    }
}

#[test]
fn a_volume_with_outcomes_of_its_own_goes_by_them() {
    let mut volumes = Volumes::new(2);
    for volume in 0..2 {
        volumes.object(volume, "x");
        volumes.cached(volume, "x", "k", &[(1, A)]);
    }
    volumes.outcome(0, 1, b"C");
    volumes.outcome(1, 1, b"A");
    volumes.migrate().expect("taken over");
    assert_eq!(volumes.only(0, "x"), "k=a");
    assert_eq!(volumes.only(1, "x"), "");
}

#[test]
fn a_drop_cut_short_takes_its_updates_with_it() {
    let mut volumes = one();
    volumes.object(0, "y");
    volumes.cached(0, "x", "k", &[(1, A)]);
    volumes.cached(0, "y", "k", &[(1, A)]);
    let dropped = volumes.store(0, "WiredTiger.y").id();
    volumes.volumes[0].drop_datastore(dropped).expect("dropped");
    volumes.migrate().expect("taken over");
    assert_eq!(volumes.only(0, "x"), "k=a");
    assert!(
        volumes
            .messages
            .iter()
            .any(|text| text.contains("dropped WiredTiger.y"))
    );
}

#[test]
fn a_rename_cut_short_is_taken_back() {
    let mut volumes = one();
    volumes.object(0, "y");
    volumes.settled(0, "x", "j", "old");
    volumes.cached(0, "x", "k", &[(1, A)]);
    let renamed = volumes.store(0, "WiredTiger.x").id();
    volumes.volumes[0]
        .rename_datastore(renamed, b"WiredTiger.z")
        .expect("renamed");
    volumes.migrate().expect("taken over");
    assert_eq!(volumes.only(0, "x"), "j=old k=a");
}
