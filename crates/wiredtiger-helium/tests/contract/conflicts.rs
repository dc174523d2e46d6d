//! The first to update wins; the other gets WT_ROLLBACK, and its transaction cannot commit.

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";

/// Two snapshot transactions begun, over one row.
fn two_transactions(arena: &Arena, check: impl Fn(&Session, &Cursor, &Session, &Cursor)) {
    let (one, two) = (arena.snapshot_session(), arena.snapshot_session());
    let uri = arena.create(&one, "t", FORMATS);
    let (first, second) = (one.cursor(&uri, "").unwrap(), two.cursor(&uri, "").unwrap());
    first.put("k", "0").unwrap();
    one.begin("").unwrap();
    two.begin("").unwrap();
    check(&one, &first, &two, &second);
}

on_every_kind! {
    fn an_uncommitted_update_stops_a_second_one(arena) {
        two_transactions(arena, |one, first, two, second| {
            first.change("k", "1").unwrap();
            assert_eq!(second.change("k", "2").code(), Code::ROLLBACK);
            two.rollback().unwrap();
            one.commit().unwrap();
            assert_eq!(second.get("k").unwrap().unwrap(), "1");
        });
    }

    fn an_update_committed_after_the_snapshot_stops_another(arena) {
        two_transactions(arena, |one, first, two, second| {
            assert_eq!(second.get("k").unwrap().unwrap(), "0");
            first.change("k", "1").unwrap();
            one.commit().unwrap();
            assert_eq!(second.get("k").unwrap().unwrap(), "0");
            assert_eq!(second.change("k", "2").code(), Code::ROLLBACK);
            two.rollback().unwrap();
        });
    }

    fn every_pair_of_writes_conflicts(arena) {
        type Write = fn(&Cursor<'_>) -> Code;
        let writes: [(&str, Write); 4] = [
            ("insert", |cursor| cursor.put("k", "x").code()),
            ("update", |cursor| cursor.change("k", "x").code()),
            ("remove", |cursor| cursor.take("k").code()),
            ("reserve", |cursor| cursor.hold("k").code()),
        ];
        for (first_name, first_write) in writes {
            for (second_name, second_write) in writes {
                two_transactions(arena, |one, first, two, second| {
                    assert_eq!(first_write(first), Code::OK, "{first_name}");
                    assert_eq!(second_write(second), Code::ROLLBACK, "{first_name}, {second_name}");
                    two.rollback().unwrap();
                    one.rollback().unwrap();
                });
            }
        }
    }

    fn a_reservation_of_a_row_that_is_gone_leaves_nothing_of_it(arena) {
        let (one, two) = (arena.session(), arena.session());
        let uri = arena.create(&one, "t", FORMATS);
        let (first, second) = (one.cursor(&uri, "").unwrap(), two.cursor(&uri, "").unwrap());
        second.put("k", "0").unwrap();
        one.begin("isolation=read-uncommitted").unwrap();
        first.next().unwrap();
        second.take("k").unwrap();
        assert_eq!(first.reserve().code(), Code::NOTFOUND);
        assert_eq!(first.key_str().unwrap(), "k");
        assert!(first.value_str().is_err());
        one.rollback().unwrap();
    }

    fn two_inserts_of_one_new_key_conflict(arena) {
        for overwrite in ["overwrite=true", "overwrite=false"] {
            let (one, two) = (arena.snapshot_session(), arena.snapshot_session());
            let uri = arena.create(&one, "t", FORMATS);
            let first = one.cursor(&uri, overwrite).unwrap();
            let second = two.cursor(&uri, overwrite).unwrap();
            one.begin("").unwrap();
            two.begin("").unwrap();
            first.put("new", "1").unwrap();
            assert_eq!(second.put("new", "2").code(), Code::ROLLBACK, "{overwrite}");
            two.rollback().unwrap();
            one.rollback().unwrap();
        }
    }

    fn a_rolled_back_update_conflicts_with_nobody(arena) {
        two_transactions(arena, |one, first, two, second| {
            first.change("k", "1").unwrap();
            one.rollback().unwrap();
            second.change("k", "2").unwrap();
            two.commit().unwrap();
            assert_eq!(first.get("k").unwrap().unwrap(), "2");
        });
    }

    fn different_keys_do_not_conflict(arena) {
        two_transactions(arena, |one, first, two, second| {
            first.change("k", "1").unwrap();
            second.put("l", "2").unwrap();
            second.put("ka", "2").unwrap();
            two.commit().unwrap();
            one.commit().unwrap();
            assert_eq!(first.list().unwrap(), ["k=1", "ka=2", "l=2"]);
        });
    }

    /// Without a snapshot there is no conflict check: the later update counts.
    fn read_committed_writers_do_not_conflict(arena) {
        let (one, two) = (arena.session(), arena.session());
        let uri = arena.create(&one, "t", FORMATS);
        let (first, second) = (one.cursor(&uri, "").unwrap(), two.cursor(&uri, "").unwrap());
        first.put("k", "0").unwrap();
        one.begin("isolation=read-committed").unwrap();
        two.begin("isolation=read-committed").unwrap();
        first.change("k", "1").unwrap();
        second.change("k", "2").unwrap();
        two.commit().unwrap();
        one.commit().unwrap();
        first.reset().unwrap();
        assert_eq!(first.get("k").unwrap().unwrap(), "2", "the update made last, not the commit");
    }

    /// What one transaction did to another's row while that was uncommitted stays when the
    /// other rolls back.
    fn a_rollback_takes_only_its_own_update(arena) {
        let (one, two) = (arena.session(), arena.session());
        let uri = arena.create(&one, "t", FORMATS);
        let (first, second) = (one.cursor(&uri, "").unwrap(), two.cursor(&uri, "").unwrap());
        first.put("k", "0").unwrap();
        one.begin("isolation=read-committed").unwrap();
        two.begin("isolation=read-committed").unwrap();
        first.change("k", "1").unwrap();
        second.change("k", "2").unwrap();
        one.rollback().unwrap();
        assert_eq!(second.get("k").unwrap().unwrap(), "2");
        two.commit().unwrap();
        assert_eq!(first.get("k").unwrap().unwrap(), "2");
    }

    fn a_reservation_holds_the_row_and_changes_nothing(arena) {
        two_transactions(arena, |one, first, two, second| {
            first.hold("k").unwrap();
            assert_eq!(first.get("k").unwrap().unwrap(), "0");
            assert_eq!(second.get("k").unwrap().unwrap(), "0");
            assert_eq!(second.change("k", "2").code(), Code::ROLLBACK);
            two.rollback().unwrap();
            one.commit().unwrap();
            two.begin("").unwrap();
            second.change("k", "3").unwrap();
            two.commit().unwrap();
            assert_eq!(first.get("k").unwrap().unwrap(), "3");
        });
    }

    fn a_reservation_needs_a_row(arena) {
        let session = arena.snapshot_session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "").unwrap();
        session.begin("").unwrap();
        assert_eq!(cursor.hold("k").code(), Code::NOTFOUND);
        session.rollback().unwrap();
        assert_eq!(cursor.hold("k").code(), Code::EINVAL, "outside of a transaction");
    }

    fn an_update_after_ones_own_reservation_stands(arena) {
        two_transactions(arena, |one, first, two, second| {
            first.hold("k").unwrap();
            first.change("k", "1").unwrap();
            first.hold("k").unwrap();
            one.commit().unwrap();
            two.rollback().unwrap();
            assert_eq!(second.get("k").unwrap().unwrap(), "1");
        });
    }

    /// Autocommit retries by itself: many threads count one row up, none loses a step.
    fn autocommit_loses_no_update(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "").unwrap();
        cursor.put("k", "0").unwrap();
        let arena = &*arena;
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let uri = &uri;
                scope.spawn(move || {
                    let session = arena.snapshot_session();
                    let cursor = session.cursor(uri, "").unwrap();
                    for step in 0..50 {
                        cursor.put("k", &format!("{thread}.{step}")).unwrap();
                        count_up(&session, &cursor);
                    }
                });
            }
        });
        assert_eq!(cursor.get("count").unwrap().unwrap(), "150");
    }
}

fn count_up(session: &Session<'_>, cursor: &Cursor<'_>) {
    loop {
        session.begin("").unwrap();
        let count = cursor
            .get("count")
            .unwrap()
            .map_or(0, |text| text.parse::<u64>().unwrap());
        match cursor.put("count", &(count + 1).to_string()).code() {
            Code::OK => return session.commit().unwrap(),
            Code::ROLLBACK => session.rollback().unwrap(),
            other => panic!("{other}"),
        }
    }
}

on_helium! {
    /// A native transaction refuses by itself; for a data source the extension has to.
    fn a_transaction_with_a_conflict_cannot_commit(arena) {
        two_transactions(arena, |one, first, two, second| {
            second.put("other", "2").unwrap();
            first.change("k", "1").unwrap();
            assert_eq!(second.change("k", "2").code(), Code::ROLLBACK);
            one.commit().unwrap();
            assert_ne!(two.commit().code(), Code::OK);
            assert_eq!(first.list().unwrap(), ["k=1"], "nothing of it may be there");
        });
    }

    fn nor_does_its_native_half_commit(arena) {
        let (one, two) = (arena.snapshot_session(), arena.snapshot_session());
        let uri = arena.create(&one, "t", FORMATS);
        one.create("table:native", FORMATS).unwrap();
        let (first, second) = (one.cursor(&uri, "").unwrap(), two.cursor(&uri, "").unwrap());
        let native = two.cursor("table:native", "").unwrap();
        first.put("k", "0").unwrap();
        one.begin("").unwrap();
        two.begin("").unwrap();
        native.put("n", "2").unwrap();
        first.change("k", "1").unwrap();
        assert_eq!(second.change("k", "2").code(), Code::ROLLBACK);
        assert_ne!(two.commit().code(), Code::OK);
        // WiredTiger refuses by itself here, before it asks anyone, and leaves the rollback
        // to the program; a refusal by the extension would have rolled back already.
        let _ = two.rollback();
        assert!(native.list().unwrap().is_empty());
        one.commit().unwrap();
    }
}
