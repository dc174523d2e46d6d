//! One view for as long as a cursor of the session is positioned, below snapshot isolation too:
//! walks see one state, searches through several cursors agree, native tables included.

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";

on_every_kind! {
    /// Another session moves 50 from one row to another in between.
    fn a_walk_sees_one_state(arena) {
        for (begin, isolation) in [
            (None, "read-committed"),
            (Some("isolation=read-committed"), "snapshot"),
            (Some("isolation=snapshot"), "read-committed"),
            (None, "snapshot"),
        ] {
            for back in [false, true] {
                let session = session(arena, isolation);
                let uri = account(arena, &session);
                if let Some(config) = begin {
                    session.begin(config).unwrap();
                }
                let cursor = session.cursor(&uri, "").unwrap();
                let step = || if back { cursor.prev() } else { cursor.next() };
                let mut sum = 0;
                while step().found().unwrap() {
                    sum += cursor.value_str().unwrap().parse::<u32>().unwrap();
                    transfer(arena, &uri);
                }
                assert_eq!(sum, 400, "{begin:?} {isolation} {back}");
                if begin.is_some() {
                    session.commit().unwrap();
                }
            }
        }
    }

    fn a_step_from_a_search_sees_what_the_search_saw(arena) {
        let session = arena.session();
        let uri = account(arena, &session);
        let cursor = session.cursor(&uri, "").unwrap();
        assert_eq!(cursor.get("a").unwrap().unwrap(), "200");
        transfer(arena, &uri);
        cursor.next().unwrap();
        assert_eq!(cursor.value_str().unwrap(), "200");
        cursor.prev().unwrap();
        assert_eq!(cursor.value_str().unwrap(), "200");
    }

    fn a_step_from_a_row_nearby_sees_what_the_search_saw(arena) {
        let session = arena.session();
        let uri = account(arena, &session);
        let cursor = session.cursor(&uri, "").unwrap();
        cursor.set_key_str("aa").unwrap();
        cursor.search_near().unwrap();
        remove_all(arena, &uri);
        cursor.prev().unwrap();
        assert_eq!(cursor.key_str().unwrap(), "a");
        assert_eq!(cursor.next().map(|()| cursor.key_str().unwrap()).unwrap(), "b");
        assert_eq!(cursor.next().code(), Code::NOTFOUND);
        assert!(cursor.list().unwrap().is_empty());
    }

    fn a_search_of_the_only_cursor_looks_anew(arena) {
        let session = arena.session();
        let uri = account(arena, &session);
        let cursor = session.cursor(&uri, "").unwrap();
        for expected in ["200", "150", "100"] {
            assert_eq!(cursor.get("a").unwrap().unwrap(), expected);
            transfer(arena, &uri);
        }
        cursor.reset().unwrap();
        cursor.next().unwrap();
        assert_eq!(cursor.value_str().unwrap(), "50");
    }

    fn in_a_transaction_too(arena) {
        let session = arena.session();
        let uri = account(arena, &session);
        let cursor = session.cursor(&uri, "").unwrap();
        session.begin("isolation=read-committed").unwrap();
        assert_eq!(cursor.get("a").unwrap().unwrap(), "200");
        transfer(arena, &uri);
        assert_eq!(cursor.get("a").unwrap().unwrap(), "150");
        transfer(arena, &uri);
        cursor.next().unwrap();
        assert_eq!(cursor.value_str().unwrap(), "250");
        session.rollback().unwrap();
    }

    fn a_second_cursor_sees_what_the_positioned_one_sees(arena) {
        let session = arena.session();
        let uri = account(arena, &session);
        let (one, two) = (session.cursor(&uri, "").unwrap(), session.cursor(&uri, "").unwrap());
        assert_eq!(one.get("a").unwrap().unwrap(), "200");
        transfer(arena, &uri);
        assert_eq!(two.get("b").unwrap().unwrap(), "200");
        two.reset().unwrap();
        assert_eq!(two.get("a").unwrap().unwrap(), "200");
        one.reset().unwrap();
        assert_eq!(two.get("a").unwrap().unwrap(), "150", "it was the last one then");
        one.close().unwrap();
        two.close().unwrap();
        assert_eq!(session.cursor(&uri, "").unwrap().get("b").unwrap().unwrap(), "250");
    }

    fn closing_the_positioned_cursor_ends_the_view(arena) {
        let session = arena.session();
        let uri = account(arena, &session);
        let (one, two) = (session.cursor(&uri, "").unwrap(), session.cursor(&uri, "").unwrap());
        one.next().unwrap();
        transfer(arena, &uri);
        assert_eq!(two.get("a").unwrap().unwrap(), "200");
        two.reset().unwrap();
        one.close().unwrap();
        assert_eq!(two.get("a").unwrap().unwrap(), "150");
    }

    fn what_fails_gives_the_view_up(arena) {
        let session = arena.session();
        let uri = account(arena, &session);
        let cursor = session.cursor(&uri, "overwrite=false").unwrap();
        let other = session.cursor(&uri, "").unwrap();
        cursor.seek("a").unwrap();
        transfer(arena, &uri);
        assert_eq!(cursor.get("x").unwrap(), None);
        assert_eq!(other.get("a").unwrap().unwrap(), "150");
        transfer(arena, &uri);
        // A failed write outside a transaction resets all cursors of the session.
        assert_eq!(cursor.put("a", "0").code(), Code::DUPLICATE_KEY);
        assert_eq!(cursor.get("a").unwrap().unwrap(), "100");
        other.next().unwrap();
        assert_eq!(other.key_str().unwrap(), "a");
    }

    fn own_writes_are_seen_within_it(arena) {
        let session = arena.session();
        let uri = account(arena, &session);
        session.begin("isolation=read-committed").unwrap();
        let (walk, write) = (session.cursor(&uri, "").unwrap(), session.cursor(&uri, "").unwrap());
        walk.next().unwrap();
        transfer(arena, &uri);
        write.put("aa", "1").unwrap();
        walk.next().unwrap();
        assert_eq!(walk.key_str().unwrap(), "aa");
        walk.next().unwrap();
        assert_eq!(walk.value_str().unwrap(), "200");
        session.rollback().unwrap();
    }

    fn the_end_of_a_transaction_ends_the_view_and_keeps_the_place(arena) {
        let session = arena.session();
        let uri = account(arena, &session);
        let cursor = session.cursor(&uri, "").unwrap();
        cursor.next().unwrap();
        transfer(arena, &uri);
        session.begin("isolation=read-committed").unwrap();
        cursor.next().unwrap();
        assert_eq!(cursor.value_str().unwrap(), "200", "from before the transaction");
        session.commit().unwrap();
        cursor.prev().unwrap();
        assert_eq!(cursor.value_str().unwrap(), "150");
        transfer(arena, &uri);
        session.begin("isolation=snapshot").unwrap();
        cursor.next().unwrap();
        assert_eq!(cursor.value_str().unwrap(), "300");
        session.commit().unwrap();
    }

    fn a_rollback_resets_every_cursor(arena) {
        let session = arena.session();
        let uri = account(arena, &session);
        let (one, two) = (session.cursor(&uri, "").unwrap(), session.cursor(&uri, "").unwrap());
        for writes in [false, true] {
            one.seek("b").unwrap();
            session.begin("isolation=snapshot").unwrap();
            two.seek("b").unwrap();
            if writes {
                two.change("a", "0").unwrap();
                two.seek("b").unwrap();
            }
            session.rollback().unwrap();
            assert_eq!(one.key_str().code(), Code::EINVAL);
            for cursor in [&one, &two] {
                cursor.next().unwrap();
                assert_eq!(cursor.key_str().unwrap(), "a", "{writes}");
            }
        }
    }

    fn the_sessions_reset_resets_every_cursor(arena) {
        let session = arena.session();
        let uri = account(arena, &session);
        let cursor = session.cursor(&uri, "").unwrap();
        cursor.seek("b").unwrap();
        transfer(arena, &uri);
        session.reset().unwrap();
        cursor.next().unwrap();
        assert_eq!(cursor.value_str().unwrap(), "150");
    }

    fn uncommitted_reads_have_no_view(arena) {
        let session = session(arena, "read-uncommitted");
        let uri = account(arena, &session);
        let cursor = session.cursor(&uri, "").unwrap();
        cursor.next().unwrap();
        let other = arena.session();
        other.begin("").unwrap();
        let write = other.cursor(&uri, "").unwrap();
        write.put("b", "uncommitted").unwrap();
        cursor.next().unwrap();
        assert_eq!(cursor.value_str().unwrap(), "uncommitted");
        other.rollback().unwrap();
    }

    /// A second removal of the same row through one cursor changes nothing, and the walk goes on.
    fn a_row_is_removed_twice(arena) {
        for config in ["", "overwrite=false"] {
            let session = arena.session();
            let uri = account(arena, &session);
            let cursor = session.cursor(&uri, config).unwrap();
            session.begin("isolation=snapshot").unwrap();
            cursor.put("aa", "1").unwrap();
            cursor.next().unwrap();
            cursor.next().unwrap();
            for _ in 0..2 {
                cursor.remove().unwrap();
            }
            cursor.next().unwrap();
            assert_eq!(cursor.key_str().unwrap(), "b", "{config}");
            session.rollback().unwrap();
        }
    }

    /// What a view held stays as it is for others.
    fn nothing_is_left_of_a_view(arena) {
        let session = arena.session();
        let uri = account(arena, &session);
        for _ in 0..3 {
            let cursor = session.cursor(&uri, "").unwrap();
            cursor.next().unwrap();
            cursor.next().unwrap();
            transfer(arena, &uri);
        }
        assert_eq!(session.cursor(&uri, "").unwrap().get("a").unwrap().unwrap(), "50");
    }

    /// WiredTiger counts a call down that it refuses in a prepared transaction.
    fn a_call_that_is_refused_while_prepared_leaves_no_view_behind(arena) {
        let session = arena.session();
        let uri = account(arena, &session);
        let cursor = session.cursor(&uri, "").unwrap();
        session.begin("isolation=snapshot").unwrap();
        cursor.put("c", "0").unwrap();
        session.prepare("prepare_timestamp=10").unwrap();
        assert_eq!(cursor.next().code(), Code::EINVAL);
        assert_eq!(cursor.next().code(), Code::EINVAL);
        session.rollback().unwrap();
        for expected in ["200", "150", "100"] {
            assert_eq!(cursor.get("a").unwrap().unwrap(), expected);
            cursor.reset().unwrap();
            transfer(arena, &uri);
        }
    }
}

on_helium! {
    /// One transaction's halves, on a native table and on ours, are seen both or neither.
    fn native_tables_are_seen_at_the_same_moment(arena) {
        let session = arena.session();
        let ours = account(arena, &session);
        session.create("table:native", FORMATS).unwrap();
        for first in [&ours[..], "table:native"] {
            let other = if first == ours { "table:native" } else { &ours };
            write_both(arena, &ours, "1");
            let (one, two) = (session.cursor(first, "").unwrap(), session.cursor(other, "").unwrap());
            assert_eq!(one.get("k").unwrap().unwrap(), "1");
            write_both(arena, &ours, "2");
            assert_eq!(two.get("k").unwrap().unwrap(), "1", "{other}");
            two.reset().unwrap();
            one.reset().unwrap();
            assert_eq!(two.get("k").unwrap().unwrap(), "2");
            write_both(arena, &ours, "3");
            assert_eq!(one.get("k").unwrap().unwrap(), "2", "{first}");
        }
    }
}

fn session<'a>(arena: &'a Arena, isolation: &str) -> Session<'a> {
    let config = format!("isolation={isolation}");
    arena.connection().session_with(&config).unwrap()
}

/// A table in which `a` and `b` have 200 each.
fn account(arena: &Arena, session: &Session<'_>) -> String {
    let uri = arena.create(session, "account", FORMATS);
    let cursor = session.cursor(&uri, "").unwrap();
    for key in ["a", "b"] {
        cursor.put(key, "200").unwrap();
    }
    uri
}

/// Moves 50 from `a` to `b`, in a session of its own.
fn transfer(arena: &Arena, uri: &str) {
    let session = arena.session();
    let cursor = session.cursor(uri, "").unwrap();
    session.begin("isolation=snapshot").unwrap();
    for (key, change) in [("a", -50), ("b", 50)] {
        let value: i32 = cursor.get(key).unwrap().unwrap().parse().unwrap();
        cursor.put(key, &(value + change).to_string()).unwrap();
    }
    session.commit().unwrap();
}

fn remove_all(arena: &Arena, uri: &str) {
    let session = arena.session();
    let cursor = session.cursor(uri, "").unwrap();
    for key in ["a", "b"] {
        cursor.take(key).unwrap();
    }
}

fn write_both(arena: &Arena, uri: &str, value: &str) {
    let session = arena.session();
    session.begin("isolation=snapshot").unwrap();
    for uri in [uri, "table:native"] {
        session.cursor(uri, "").unwrap().put("k", value).unwrap();
    }
    session.commit().unwrap();
}
