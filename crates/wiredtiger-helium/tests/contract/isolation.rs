//! What a transaction sees of others: everything, what is committed, or what was committed
//! when it began. Fixed schedules, one thread.

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";

on_every_kind! {
    fn read_uncommitted_sees_the_newest_update(arena) {
        let (writer, reader) = (arena.snapshot_session(), arena.session());
        let uri = arena.create(&writer, "t", FORMATS);
        let write = writer.cursor(&uri, "").unwrap();
        let read = reader.cursor(&uri, "").unwrap();
        write.put("k", "old").unwrap();
        reader.begin("isolation=read-uncommitted").unwrap();
        writer.begin("").unwrap();
        write.change("k", "new").unwrap();
        assert_eq!(read.get("k").unwrap().unwrap(), "new");
        writer.rollback().unwrap();
        assert_eq!(read.get("k").unwrap().unwrap(), "old");
        reader.commit().unwrap();
    }

    fn read_uncommitted_sees_uncommitted_inserts_and_removes_in_scans(arena) {
        let (writer, reader) = (arena.snapshot_session(), arena.session());
        let uri = arena.create(&writer, "t", FORMATS);
        let write = writer.cursor(&uri, "").unwrap();
        let read = reader.cursor(&uri, "").unwrap();
        write.put("a", "1").unwrap();
        reader.begin("isolation=read-uncommitted").unwrap();
        writer.begin("").unwrap();
        write.put("b", "2").unwrap();
        write.take("a").unwrap();
        assert_eq!(read.list().unwrap(), ["b=2"]);
        writer.rollback().unwrap();
        assert_eq!(read.list().unwrap(), ["a=1"]);
        reader.commit().unwrap();
    }

    fn read_committed_sees_each_commit_as_it_comes(arena) {
        let (writer, reader) = (arena.snapshot_session(), arena.session());
        let uri = arena.create(&writer, "t", FORMATS);
        let write = writer.cursor(&uri, "").unwrap();
        let read = reader.cursor(&uri, "").unwrap();
        write.put("k", "old").unwrap();
        reader.begin("isolation=read-committed").unwrap();
        writer.begin("").unwrap();
        write.change("k", "new").unwrap();
        write.put("l", "new").unwrap();
        assert_eq!(read.list().unwrap(), ["k=old"]);
        writer.commit().unwrap();
        // A native cursor keeps its snapshot while it has a place.
        read.reset().unwrap();
        assert_eq!(read.list().unwrap(), ["k=new", "l=new"]);
        reader.commit().unwrap();
    }

    fn a_snapshot_stays_as_it_was(arena) {
        let (writer, reader) = (arena.session(), arena.snapshot_session());
        let uri = arena.create(&writer, "t", FORMATS);
        let write = writer.cursor(&uri, "").unwrap();
        let read = reader.cursor(&uri, "").unwrap();
        for key in ["a", "b", "c"] {
            write.put(key, "old").unwrap();
        }
        reader.begin("").unwrap();
        assert_eq!(read.list().unwrap(), ["a=old", "b=old", "c=old"]);
        for round in 0..50 {
            write.put("a", &round.to_string()).unwrap();
        }
        write.take("b").unwrap();
        write.put("bb", "new").unwrap();
        assert_eq!(read.list().unwrap(), ["a=old", "b=old", "c=old"]);
        assert_eq!(read.list_back().unwrap(), ["c=old", "b=old", "a=old"]);
        assert_eq!(read.get("bb").unwrap(), None);
        reader.commit().unwrap();
        assert_eq!(read.list().unwrap(), ["a=49", "bb=new", "c=old"]);
    }

    fn a_transaction_sees_its_own_changes(arena) {
        for isolation in ["read-uncommitted", "read-committed", "snapshot"] {
            let session = arena.session();
            let uri = arena.create(&session, "t", FORMATS);
            let cursor = session.cursor(&uri, "").unwrap();
            cursor.put("a", "old").unwrap();
            session.begin(&format!("isolation={isolation}")).unwrap();
            cursor.change("a", "mine").unwrap();
            cursor.put("b", "mine").unwrap();
            assert_eq!(cursor.list().unwrap(), ["a=mine", "b=mine"], "{isolation}");
            cursor.take("a").unwrap();
            assert_eq!(cursor.list().unwrap(), ["b=mine"], "{isolation}");
            session.rollback().unwrap();
            assert_eq!(cursor.list().unwrap(), ["a=old"], "{isolation}");
        }
    }

    fn rolled_back_changes_are_gone_for_everyone(arena) {
        let (one, two) = (arena.snapshot_session(), arena.session());
        let uri = arena.create(&one, "t", FORMATS);
        let cursor = one.cursor(&uri, "").unwrap();
        cursor.put("kept", "1").unwrap();
        one.begin("").unwrap();
        cursor.put("ghost", "1").unwrap();
        cursor.change("kept", "2").unwrap();
        cursor.take("kept").unwrap();
        one.rollback().unwrap();
        for isolation in ["read-uncommitted", "read-committed", "snapshot"] {
            two.begin(&format!("isolation={isolation}")).unwrap();
            assert_eq!(two.cursor(&uri, "").unwrap().list().unwrap(), ["kept=1"], "{isolation}");
            two.commit().unwrap();
        }
    }

    fn closing_a_session_rolls_its_transaction_back(arena) {
        let (one, two) = (arena.snapshot_session(), arena.session());
        let uri = arena.create(&one, "t", FORMATS);
        let cursor = one.cursor(&uri, "").unwrap();
        one.begin("").unwrap();
        cursor.put("ghost", "1").unwrap();
        drop(cursor);
        one.close().unwrap();
        assert!(two.cursor(&uri, "").unwrap().list().unwrap().is_empty());
    }

    fn one_transaction_covers_several_tables(arena) {
        let (one, two) = (arena.snapshot_session(), arena.session());
        let (a, b) = (arena.create(&one, "a", FORMATS), arena.create(&one, "b", FORMATS));
        for end in [true, false] {
            one.begin("").unwrap();
            one.cursor(&a, "").unwrap().put(&end.to_string(), "1").unwrap();
            one.cursor(&b, "").unwrap().put(&end.to_string(), "1").unwrap();
            if end { one.commit().unwrap() } else { one.rollback().unwrap() }
        }
        for uri in [a, b] {
            assert_eq!(two.cursor(&uri, "").unwrap().list().unwrap(), ["true=1"]);
        }
    }

    /// Hermitage's G1a to G2: lost updates and skewed reads are impossible under a snapshot.
    fn a_snapshot_has_no_skewed_reads(arena) {
        let (one, two) = (arena.snapshot_session(), arena.snapshot_session());
        let uri = arena.create(&one, "t", FORMATS);
        let (first, second) = (one.cursor(&uri, "").unwrap(), two.cursor(&uri, "").unwrap());
        first.put("x", "10").unwrap();
        first.put("y", "20").unwrap();
        one.begin("").unwrap();
        two.begin("").unwrap();
        assert_eq!(first.get("x").unwrap().unwrap(), "10");
        second.change("x", "12").unwrap();
        second.change("y", "18").unwrap();
        two.commit().unwrap();
        assert_eq!(first.get("y").unwrap().unwrap(), "20");
        assert_eq!(first.change("y", "0").code(), Code::ROLLBACK, "its update would be lost");
        one.rollback().unwrap();
    }

    /// A commit takes no position away; a rollback takes all.
    fn a_cursor_goes_on_after_the_end_of_a_transaction(arena) {
        let session = arena.snapshot_session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "").unwrap();
        for key in ["a", "b", "c", "d"] {
            cursor.put(key, "1").unwrap();
        }
        session.begin("").unwrap();
        cursor.seek("a").unwrap();
        session.commit().unwrap();
        cursor.next().unwrap();
        assert_eq!(cursor.key_str().unwrap(), "b");
        session.begin("").unwrap();
        cursor.next().unwrap();
        session.rollback().unwrap();
        cursor.next().unwrap();
        assert_eq!(cursor.key_str().unwrap(), "a");
    }
}
