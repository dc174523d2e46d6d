//! A prepared transaction is not committed: readers are told, not shown.

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";

/// One session with a prepared update of `k` (from 0 to 1) and insert of `new`.
fn with_prepared(arena: &Arena, check: impl Fn(&str, &Session, &Session)) {
    let (one, two) = (arena.snapshot_session(), arena.snapshot_session());
    let uri = arena.create(&one, "t", FORMATS);
    let cursor = one.cursor(&uri, "").unwrap();
    cursor.put("a", "0").unwrap();
    cursor.put("k", "0").unwrap();
    one.begin("").unwrap();
    cursor.change("k", "1").unwrap();
    cursor.put("new", "1").unwrap();
    one.prepare("prepare_timestamp=10").unwrap();
    check(&uri, &one, &two);
}

fn commit(session: &Session<'_>) {
    session.timestamp("commit_timestamp=11").unwrap();
    session
        .commit_with("commit_timestamp=11,durable_timestamp=12")
        .unwrap();
}

on_every_kind! {
    fn readers_of_a_prepared_row_get_a_conflict(arena) {
        with_prepared(arena, |uri, one, two| {
            for isolation in ["snapshot", "read-committed"] {
                two.begin(&format!("isolation={isolation}")).unwrap();
                let read = two.cursor(uri, "").unwrap();
                for key in ["k", "new"] {
                    assert_eq!(read.seek(key).code(), Code::PREPARE_CONFLICT, "{isolation} {key}");
                }
                assert_eq!(read.get("a").unwrap().unwrap(), "0", "{isolation}");
                assert_eq!(read.next().code(), Code::PREPARE_CONFLICT, "{isolation}");
                drop(read);
                two.rollback().unwrap();
            }
            one.rollback().unwrap();
        });
    }

    fn readers_of_what_is_not_committed_get_one_too(arena) {
        with_prepared(arena, |uri, one, two| {
            let other = arena.session();
            let write = other.cursor(uri, "").unwrap();
            other.begin("isolation=read-committed").unwrap();
            write.put("b", "uncommitted").unwrap();
            two.begin("isolation=read-uncommitted").unwrap();
            let read = two.cursor(uri, "").unwrap();
            for key in ["k", "new"] {
                assert_eq!(read.seek(key).code(), Code::PREPARE_CONFLICT, "{key}");
            }
            assert_eq!(read.get("b").unwrap().unwrap(), "uncommitted");
            one.rollback().unwrap();
            assert_eq!(read.get("k").unwrap().unwrap(), "0");
            assert_eq!(read.get("new").unwrap(), None);
            two.rollback().unwrap();
            other.rollback().unwrap();
        });
    }

    /// A walk that met a prepared row goes on when it is tried again.
    fn a_walk_that_is_tried_again_goes_on(arena) {
        with_prepared(arena, |uri, one, two| {
            let read = two.cursor(uri, "").unwrap();
            two.begin("isolation=read-committed").unwrap();
            read.next().unwrap();
            for _ in 0..3 {
                assert_eq!(read.next().code(), Code::PREPARE_CONFLICT);
            }
            one.rollback().unwrap();
            read.next().unwrap();
            assert_eq!(read.key_str().unwrap(), "k");
            assert_eq!(read.next().code(), Code::NOTFOUND);
            two.rollback().unwrap();
        });
    }

    fn whoever_ignores_prepared_rows_sees_what_was_and_writes_nothing(arena) {
        with_prepared(arena, |uri, one, two| {
            for isolation in ["snapshot", "read-committed", "read-uncommitted"] {
                two.begin(&format!("isolation={isolation},ignore_prepare=true")).unwrap();
                let read = two.cursor(uri, "").unwrap();
                assert_eq!(read.list().unwrap(), ["a=0", "k=0"], "{isolation}");
                assert_eq!(read.put("a", "1").code(), Code::ENOTSUP, "{isolation}");
                drop(read);
                two.rollback().unwrap();
            }
            one.rollback().unwrap();
        });
    }

    /// What has to be there is looked for before a write is refused.
    fn whoever_ignores_prepared_rows_is_told_what_is_missing(arena) {
        with_prepared(arena, |uri, one, two| {
            two.begin("isolation=snapshot,ignore_prepare=true").unwrap();
            let write = two.cursor(uri, "").unwrap();
            assert_eq!([write.take("none").code(), write.take("a").code()], [Code::OK, Code::ENOTSUP]);
            assert_eq!([write.hold("none").code(), write.hold("a").code()], [Code::NOTFOUND, Code::ENOTSUP]);
            assert_eq!(write.change("none", "1").code(), Code::ENOTSUP);
            let strict = two.cursor(uri, "overwrite=false").unwrap();
            assert_eq!(
                [strict.change("none", "1").code(), strict.change("a", "1").code()],
                [Code::NOTFOUND, Code::ENOTSUP]
            );
            assert_eq!([strict.take("none").code(), strict.take("a").code()], [Code::NOTFOUND, Code::ENOTSUP]);
            drop((write, strict));
            two.rollback().unwrap();
            // Whoever forces it may write.
            two.begin("isolation=snapshot,ignore_prepare=force").unwrap();
            let write = two.cursor(uri, "").unwrap();
            write.put("a", "1").unwrap();
            drop(write);
            two.commit().unwrap();
            one.rollback().unwrap();
        });
    }

    fn a_snapshot_writer_of_a_prepared_row_is_rolled_back(arena) {
        with_prepared(arena, |uri, one, two| {
            two.begin("").unwrap();
            let write = two.cursor(uri, "").unwrap();
            assert_eq!(write.change("k", "2").code(), Code::ROLLBACK);
            drop(write);
            two.rollback().unwrap();
            one.rollback().unwrap();
        });
    }

    fn a_prepared_transaction_rolls_back(arena) {
        with_prepared(arena, |uri, one, two| {
            one.rollback().unwrap();
            assert_eq!(two.cursor(uri, "").unwrap().list().unwrap(), ["a=0", "k=0"]);
        });
    }
}

on_helium! {
    /// Timestamps order native rows; to a data source they mean nothing, so commits just count.
    fn a_prepared_transaction_commits(arena) {
        with_prepared(arena, |uri, one, two| {
            commit(one);
            assert_eq!(two.cursor(uri, "").unwrap().list().unwrap(), ["a=0", "k=1", "new=1"]);
        });
    }

    fn a_snapshot_from_before_the_prepare_still_reads(arena) {
        let (one, two) = (arena.snapshot_session(), arena.snapshot_session());
        let uri = arena.create(&one, "t", FORMATS);
        let (write, read) = (one.cursor(&uri, "").unwrap(), two.cursor(&uri, "").unwrap());
        write.put("k", "0").unwrap();
        one.begin("").unwrap();
        write.change("k", "1").unwrap();
        two.begin("").unwrap();
        assert_eq!(read.get("k").unwrap().unwrap(), "0");
        one.prepare("prepare_timestamp=10").unwrap();
        // The old snapshot lists the writer as running: WiredTiger hides its id, whatever it
        // is now. Either the old value or the conflict is right, the new value is not.
        match read.get("k") {
            Ok(value) => assert_eq!(value.unwrap(), "0"),
            Err(error) => assert_eq!(error.code, Code::PREPARE_CONFLICT),
        }
        commit(&one);
        assert_eq!(read.get("k").unwrap().unwrap(), "0", "the snapshot is older than the commit");
        two.rollback().unwrap();
    }

    /// A program that dies leaves nothing of a transaction that it only prepared.
    fn a_prepared_transaction_does_not_outlive_the_database(arena) {
        {
            let one = arena.snapshot_session();
            let uri = arena.create(&one, "t", FORMATS);
            let cursor = one.cursor(&uri, "").unwrap();
            cursor.put("a", "0").unwrap();
            one.begin("").unwrap();
            cursor.put("b", "0").unwrap();
            one.prepare("prepare_timestamp=10").unwrap();
            std::mem::forget(cursor);
            std::mem::forget(one);
        }
        arena.reopen();
        let session = arena.session();
        let cursor = session.cursor(&arena.uri("t"), "").unwrap();
        assert_eq!(cursor.list().unwrap(), ["a=0"]);
    }
}
