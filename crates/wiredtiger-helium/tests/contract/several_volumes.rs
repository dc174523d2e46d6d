//! Transactions over both volumes: all or nothing. And over native tables: one outcome, while
//! the process lives.

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";

on_every_kind! {
    fn a_commit_reaches_both_volumes(arena) {
        {
            let session = arena.snapshot_session();
            let (a, b) = both(arena, &session);
            session.begin("").unwrap();
            for round in 0..20 {
                a.put(&format!("k{round:02}"), "1").unwrap();
                b.put(&format!("k{round:02}"), "2").unwrap();
            }
            session.commit().unwrap();
        }
        arena.reopen();
        let session = arena.session();
        for (volume, value) in [(1, "1"), (2, "2")] {
            let cursor = session.cursor(&arena.uri_on(volume, "t"), "").unwrap();
            let expected: Vec<_> = (0..20).map(|round| format!("k{round:02}={value}")).collect();
            assert_eq!(cursor.list().unwrap(), expected);
        }
    }

    fn a_rollback_leaves_both_as_they_were(arena) {
        let session = arena.snapshot_session();
        let (a, b) = both(arena, &session);
        a.put("k", "old").unwrap();
        session.begin("").unwrap();
        a.change("k", "new").unwrap();
        b.put("k", "new").unwrap();
        session.rollback().unwrap();
        assert_eq!((a.list().unwrap(), b.list().unwrap()), (vec!["k=old".to_owned()], vec![]));
    }

    fn a_snapshot_covers_both_volumes(arena) {
        let (one, two) = (arena.snapshot_session(), arena.snapshot_session());
        let (a, b) = both(arena, &one);
        let read = two.cursor(&arena.uri_on(2, "t"), "").unwrap();
        two.begin("").unwrap();
        assert!(read.list().unwrap().is_empty());
        one.begin("").unwrap();
        a.put("k", "1").unwrap();
        b.put("k", "1").unwrap();
        one.commit().unwrap();
        assert!(read.list().unwrap().is_empty());
        assert!(two.cursor(&arena.uri_on(1, "t"), "").unwrap().list().unwrap().is_empty());
        two.commit().unwrap();
        assert_eq!(read.list().unwrap(), ["k=1"]);
    }

    fn a_conflict_on_one_volume_undoes_the_other(arena) {
        let (one, two) = (arena.snapshot_session(), arena.snapshot_session());
        let (a, b) = both(arena, &one);
        a.put("k", "0").unwrap();
        let other = two.cursor(&arena.uri_on(1, "t"), "").unwrap();
        one.begin("").unwrap();
        two.begin("").unwrap();
        other.change("k", "other").unwrap();
        b.put("k", "mine").unwrap();
        assert_eq!(a.change("k", "mine").code(), Code::ROLLBACK);
        one.rollback().unwrap();
        two.commit().unwrap();
        assert!(b.list().unwrap().is_empty());
        assert_eq!(a.list().unwrap(), ["k=other"]);
    }

    fn tables_of_wiredtiger_take_part(arena) {
        {
            let session = arena.snapshot_session();
            let (a, b) = both(arena, &session);
            session.create("table:plain", FORMATS).unwrap();
            let plain = session.cursor("table:plain", "").unwrap();
            for commit in [true, false] {
                session.begin("").unwrap();
                for cursor in [&a, &plain, &b] {
                    cursor.put(&commit.to_string(), "1").unwrap();
                }
                if commit { session.commit().unwrap() } else { session.rollback().unwrap() }
            }
        }
        arena.reopen();
        let session = arena.session();
        for uri in [arena.uri_on(1, "t"), arena.uri_on(2, "t"), "table:plain".to_owned()] {
            assert_eq!(session.cursor(&uri, "").unwrap().list().unwrap(), ["true=1"], "{uri}");
        }
    }

    fn the_same_name_on_both_volumes_is_two_objects(arena) {
        let session = arena.session();
        let (a, b) = both(arena, &session);
        a.put("k", "1").unwrap();
        b.put("k", "2").unwrap();
        assert_eq!((a.list().unwrap(), b.list().unwrap()), (vec!["k=1".to_owned()], vec!["k=2".to_owned()]));
        drop((a, b));
        session.drop(&arena.uri_on(1, "t"), "").unwrap();
        let left = session.cursor(&arena.uri_on(2, "t"), "").unwrap();
        assert_eq!(left.list().unwrap(), ["k=2"]);
    }
}

fn both<'session>(
    arena: &Arena,
    session: &'session Session<'_>,
) -> (Cursor<'session>, Cursor<'session>) {
    let open = |volume| {
        let uri = arena.create_on(volume, session, "t", FORMATS);
        session.cursor(&uri, "").unwrap()
    };
    (open(1), open(2))
}
