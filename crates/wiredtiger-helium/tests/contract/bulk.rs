//! Bulk cursors: into what is empty, alone, in order, and outside of transactions.

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";

on_every_kind! {
    /// In the order of keys, and nothing but insertions.
    fn a_bulk_cursor_fills_a_table(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let bulk = session.cursor(&uri, "bulk=true").unwrap();
        bulk.put("b", "1").unwrap();
        for key in ["a", "b"] {
            assert_eq!(bulk.put(key, "2").code(), Code::EINVAL, "{key}");
        }
        if !arena.is_native() {
            let said = arena.connection().errors().join("\n");
            assert!(said.contains("\"a\\x00\"") && said.contains("\"b\\x00\""), "{said}");
        }
        bulk.put("c", "3").unwrap();
        for answer in [bulk.next(), bulk.prev(), bulk.seek("b"), bulk.take("b"), bulk.change("b", "4")] {
            assert_eq!(answer.code(), Code::ENOTSUP);
        }
        bulk.close().unwrap();
        assert_eq!(session.cursor(&uri, "").unwrap().list().unwrap(), ["b=1", "c=3"]);
    }

    /// Whatever is set.
    fn a_bulk_cursor_does_nothing_else(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let bulk = session.cursor(&uri, "bulk").unwrap();
        let near = bulk.search_near().map(drop);
        for answer in [bulk.search(), near, bulk.update(), bulk.remove(), bulk.next(), bulk.prev()] {
            assert_eq!(answer.code(), Code::ENOTSUP);
        }
        bulk.reset().unwrap();
    }

    /// Key and value stay set behind an insertion, so that one value does for many keys.
    fn a_bulk_cursor_keeps_its_value(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let bulk = session.cursor(&uri, "bulk").unwrap();
        bulk.put("a", "1").unwrap();
        bulk.set_key_str("b").unwrap();
        bulk.insert().unwrap();
        bulk.close().unwrap();
        assert_eq!(session.cursor(&uri, "").unwrap().list().unwrap(), ["a=1", "b=1"]);
    }

    /// A transaction that is running has no part in it.
    fn what_a_bulk_cursor_inserts_is_not_rolled_back(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let other = arena.create(&session, "other", FORMATS);
        let beside = session.cursor(&other, "").unwrap();
        session.begin("isolation=snapshot").unwrap();
        beside.put("x", "1").unwrap();
        let bulk = session.cursor(&uri, "bulk").unwrap();
        bulk.put("a", "1").unwrap();
        session.rollback().unwrap();
        bulk.put("b", "2").unwrap();
        session.begin("isolation=snapshot").unwrap();
        bulk.put("c", "3").unwrap();
        bulk.close().unwrap();
        session.rollback().unwrap();
        assert_eq!(session.cursor(&uri, "").unwrap().list().unwrap(), ["a=1", "b=2", "c=3"]);
        assert!(session.cursor(&other, "").unwrap().list().unwrap().is_empty());
    }

    /// Not even one that began before.
    fn a_snapshot_sees_what_was_filled_since(arena) {
        let (session, other) = (arena.session(), arena.session());
        let uri = arena.create(&session, "t", FORMATS);
        let beside = arena.create(&session, "beside", FORMATS);
        other.begin("isolation=snapshot").unwrap();
        assert_eq!(other.cursor(&beside, "").unwrap().next().code(), Code::NOTFOUND);
        let bulk = session.cursor(&uri, "bulk").unwrap();
        bulk.put("a", "1").unwrap();
        bulk.close().unwrap();
        assert_eq!(other.cursor(&uri, "").unwrap().list().unwrap(), ["a=1"]);
    }

    /// What it fills is empty, and nobody else's meanwhile.
    fn a_bulk_cursor_is_alone(arena) {
        let (session, other) = (arena.session(), arena.session());
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = other.cursor(&uri, "").unwrap();
        assert_eq!(session.cursor(&uri, "bulk").map(drop).code(), Code::EBUSY);
        cursor.close().unwrap();
        let bulk = session.cursor(&uri, "bulk").unwrap();
        assert_eq!(other.cursor(&uri, "").map(drop).code(), Code::EBUSY);
        assert_eq!(other.cursor(&uri, "bulk").map(drop).code(), Code::EBUSY);
        bulk.put("a", "1").unwrap();
        bulk.close().unwrap();
        let refused = session.cursor(&uri, "bulk").map(drop).code();
        if arena.is_native() {
            assert_eq!(refused, Code::EINVAL);
        } else {
            assert_eq!(refused, Code::EBUSY);
            let said = arena.connection().errors().join("\n");
            assert!(said.contains("fills an empty object, and this one is not"), "{said}");
        }
        assert_eq!(other.cursor(&uri, "").unwrap().list().unwrap(), ["a=1"]);
    }

    fn a_bulk_cursor_goes_by_record_numbers(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", "key_format=r,value_format=S");
        let bulk = session.cursor(&uri, "bulk").unwrap();
        let put = |number| {
            bulk.set_key_recno(number).unwrap();
            bulk.set_value_str("v").unwrap();
            bulk.insert().code()
        };
        assert_eq!([5, 3, 5, 300].map(put), [Code::OK, Code::EINVAL, Code::EINVAL, Code::OK]);
        bulk.close().unwrap();
        let cursor = session.cursor(&uri, "").unwrap();
        cursor.next().unwrap();
        assert_eq!(cursor.key_recno().unwrap(), 5);
        cursor.next().unwrap();
        assert_eq!(cursor.key_recno().unwrap(), 300);
    }
}

on_helium! {
    /// Closed, it is as durable as a commit.
    fn what_was_filled_survives_a_kill(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        session.checkpoint("").unwrap();
        let bulk = session.cursor(&uri, "bulk").unwrap();
        for number in 0..1_000 {
            bulk.put(&format!("k{number:04}"), "v").unwrap();
        }
        bulk.close().unwrap();
        let later = arena.killed();
        let session = later.session();
        assert_eq!(session.cursor(&uri, "").unwrap().list().unwrap().len(), 1_000);
    }

    /// Numbers go on behind what was filled.
    fn numbers_go_on_behind_what_was_filled(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", "key_format=r,value_format=S");
        let bulk = session.cursor(&uri, "bulk,append").unwrap();
        for _ in 0..3 {
            bulk.set_value_str("v").unwrap();
            bulk.insert().unwrap();
        }
        bulk.close().unwrap();
        let cursor = session.cursor(&uri, "append").unwrap();
        cursor.set_value_str("v").unwrap();
        cursor.insert().unwrap();
        assert_eq!(cursor.key_recno().unwrap(), 4);
    }
}
