//! A transaction in which a call failed can only be rolled back, whoever's call it was: its commit
//! answers EINVAL and keeps nothing, and it goes on until it is rolled back.

use crate::common::*;
use wiredtiger_testkit::Result;

const FORMATS: &str = "key_format=S,value_format=S";
const NATIVE: &str = "table:native";

type Failing = fn(&Arena, &Session<'_>, &str) -> Result<()>;

/// Calls that fail in a running transaction.
const FAILING: [(&str, Failing, Code); 6] = [
    ("a conflict on a native table", conflicts, Code::ROLLBACK),
    ("a drop of a table in use", drops, Code::EBUSY),
    (
        "a second begin",
        |_, session, _| session.begin(""),
        Code::EINVAL,
    ),
    ("a write without a key", writes_nothing, Code::EINVAL),
    ("a search without a key", searches_nothing, Code::EINVAL),
    (
        "a checkpoint in a transaction",
        |_, session, _| session.checkpoint(""),
        Code::EINVAL,
    ),
];

on_every_kind! {
    fn a_commit_after_a_failed_call_keeps_nothing(arena) {
        let session = arena.session();
        let uri = prepared_tables(arena, &session);
        let cursor = session.cursor(&uri, "").unwrap();
        for (what, fail, expected) in FAILING {
            session.begin("isolation=snapshot").unwrap();
            cursor.put("k", what).unwrap();
            cursor.put("new", what).unwrap();
            assert_eq!(fail(arena, &session, &uri).code(), expected, "{what}");
            for _ in 0..2 {
                assert_eq!(session.commit().code(), Code::EINVAL, "{what}");
            }
            session.rollback().unwrap();
            assert_eq!(session.rollback().code(), Code::EINVAL, "{what}: it was over");
            assert_eq!(cursor.list().unwrap(), ["k=before"], "{what}");
        }
        cursor.put("k", "after").unwrap();
        assert_eq!(cursor.list().unwrap(), ["k=after"]);
    }

    /// Nor is it prepared.
    fn nor_is_it_prepared(arena) {
        let session = arena.session();
        let uri = prepared_tables(arena, &session);
        let cursor = session.cursor(&uri, "").unwrap();
        session.begin("isolation=snapshot").unwrap();
        cursor.put("k", "lost").unwrap();
        assert_eq!(session.begin("").code(), Code::EINVAL);
        assert_eq!(session.prepare("prepare_timestamp=10").code(), Code::EINVAL);
        session.rollback().unwrap();
        assert_eq!(cursor.list().unwrap(), ["k=before"]);
    }

    /// What is not found, or found already, is an answer and no failure.
    fn an_answer_is_no_failure(arena) {
        let session = arena.session();
        let uri = prepared_tables(arena, &session);
        let cursor = session.cursor(&uri, "overwrite=false").unwrap();
        session.begin("isolation=snapshot").unwrap();
        cursor.put("new", "1").unwrap();
        assert_eq!(cursor.put("k", "1").code(), Code::DUPLICATE_KEY);
        assert_eq!(cursor.change("missing", "1").code(), Code::NOTFOUND);
        assert_eq!(cursor.get("missing").unwrap(), None);
        assert_eq!(session.cursor(&arena.uri("missing"), "").code(), Code::ENOENT);
        session.commit().unwrap();
        assert_eq!(cursor.list().unwrap(), ["k=before", "new=1"]);
    }

    /// Nothing was changed, so that there is nothing to refuse.
    fn a_transaction_without_changes_commits(arena) {
        let session = arena.session();
        let uri = prepared_tables(arena, &session);
        let cursor = session.cursor(&uri, "overwrite=false").unwrap();
        session.begin("isolation=snapshot").unwrap();
        assert_eq!(cursor.take("missing").code(), Code::NOTFOUND);
        assert_eq!(session.begin("").code(), Code::EINVAL);
        session.commit().unwrap();
    }
}

/// Two tables, of which the native one is for conflicts.
fn prepared_tables(arena: &Arena, session: &Session<'_>) -> String {
    let uri = arena.create(session, "t", FORMATS);
    session.create(NATIVE, FORMATS).unwrap();
    for uri in [&uri, NATIVE] {
        session.cursor(uri, "").unwrap().put("k", "before").unwrap();
    }
    uri
}

fn conflicts(arena: &Arena, session: &Session<'_>, _uri: &str) -> Result<()> {
    let other = arena.session();
    other
        .cursor(NATIVE, "")
        .unwrap()
        .put("k", "theirs")
        .unwrap();
    session.cursor(NATIVE, "").unwrap().put("k", "mine")
}

fn drops(_arena: &Arena, session: &Session<'_>, uri: &str) -> Result<()> {
    session.drop(uri, "")
}

fn writes_nothing(_arena: &Arena, session: &Session<'_>, uri: &str) -> Result<()> {
    let cursor = session.cursor(uri, "").unwrap();
    cursor.set_value_str("v").unwrap();
    cursor.insert()
}

fn searches_nothing(_arena: &Arena, session: &Session<'_>, uri: &str) -> Result<()> {
    session.cursor(uri, "").unwrap().search()
}
