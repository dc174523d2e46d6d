//! `overwrite=true` and `overwrite=false` decide what insert, update and remove do with a key
//! that is there, and with one that is not.

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";

on_every_kind! {
    fn without_overwrite_an_insert_needs_a_new_key(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "overwrite=false").unwrap();
        assert_eq!(cursor.put("k", "1").code(), Code::OK);
        assert_eq!(cursor.put("k", "2").code(), Code::DUPLICATE_KEY);
        assert_eq!(cursor.get("k").unwrap().unwrap(), "1");
    }

    fn without_overwrite_update_and_remove_need_the_key(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "overwrite=false").unwrap();
        assert_eq!(cursor.change("k", "1").code(), Code::NOTFOUND);
        assert_eq!(cursor.take("k").code(), Code::NOTFOUND);
        cursor.put("k", "1").unwrap();
        assert_eq!(cursor.change("k", "2").code(), Code::OK);
        assert_eq!(cursor.get("k").unwrap().unwrap(), "2");
        assert_eq!(cursor.take("k").code(), Code::OK);
        assert_eq!(cursor.take("k").code(), Code::NOTFOUND);
        assert!(cursor.list().unwrap().is_empty());
    }

    fn with_overwrite_anything_goes(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "").unwrap();
        cursor.put("a", "1").unwrap();
        cursor.put("a", "2").unwrap();
        cursor.change("b", "1").unwrap();
        assert_eq!(cursor.take("c").code(), Code::OK, "3.2.1: removing what is not there succeeds");
        assert_eq!(cursor.list().unwrap(), ["a=2", "b=1"]);
    }

    fn an_update_that_finds_no_row_keeps_what_it_was_to_write(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "overwrite=false").unwrap();
        cursor.put("k", "1").unwrap();
        cursor.next().unwrap();
        // Of the row on which it stands.
        cursor.set_key_str("missing").unwrap();
        assert_eq!(cursor.update().code(), Code::NOTFOUND);
        assert_eq!(cursor.key_str().unwrap(), "missing");
        assert_eq!(cursor.value_str().unwrap(), "1");
    }

    fn a_removed_key_is_new_again(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "overwrite=false").unwrap();
        cursor.put("k", "1").unwrap();
        cursor.take("k").unwrap();
        cursor.put("k", "2").unwrap();
        assert_eq!(cursor.list().unwrap(), ["k=2"]);
    }

    fn a_key_removed_in_the_same_transaction_is_new_again(arena) {
        let session = arena.snapshot_session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "overwrite=false").unwrap();
        cursor.put("k", "1").unwrap();
        session.begin("").unwrap();
        cursor.take("k").unwrap();
        assert_eq!(cursor.change("k", "x").code(), Code::NOTFOUND);
        cursor.put("k", "2").unwrap();
        assert_eq!(cursor.put("k", "3").code(), Code::DUPLICATE_KEY);
        session.commit().unwrap();
        assert_eq!(cursor.list().unwrap(), ["k=2"]);
    }

    /// The answers NOTFOUND and DUPLICATE_KEY leave a transaction usable.
    fn a_plain_no_does_not_spoil_the_transaction(arena) {
        let session = arena.snapshot_session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "overwrite=false").unwrap();
        cursor.put("k", "1").unwrap();
        session.begin("").unwrap();
        cursor.put("l", "1").unwrap();
        assert_eq!(cursor.put("k", "2").code(), Code::DUPLICATE_KEY);
        assert_eq!(cursor.take("m").code(), Code::NOTFOUND);
        session.commit().unwrap();
        assert_eq!(cursor.list().unwrap(), ["k=1", "l=1"]);
    }

    fn what_one_transaction_inserted_another_replaces_after_its_commit(arena) {
        let (one, two) = (arena.session(), arena.session());
        let uri = arena.create(&one, "t", FORMATS);
        let first = one.cursor(&uri, "overwrite=false").unwrap();
        let second = two.cursor(&uri, "overwrite=false").unwrap();
        first.put("k", "1").unwrap();
        assert_eq!(second.put("k", "2").code(), Code::DUPLICATE_KEY);
        second.change("k", "2").unwrap();
        first.take("k").unwrap();
        assert_eq!(second.change("k", "3").code(), Code::NOTFOUND);
    }
}
