//! Transactions: who sees what, who may write, how it ends.

use super::sim::{Connection, code, volume};
use crate::error::{Code, Error};
use heliumdb::Isolation::{ReadCommitted, ReadUncommitted, Snapshot};

const URI: &str = "helium:dev1/rows";

fn open() -> Connection {
    let connection = Connection::open();
    connection.create(URI, "").expect("created");
    let mut table = connection.cursor(9, URI);
    table.insert("a", "old").expect("inserted");
    drop(table);
    connection
}

#[test]
fn each_isolation_level_sees_what_it_should() {
    let connection = open();
    let mut writer = connection.cursor(1, URI);
    let levels = [(2, Snapshot), (3, ReadCommitted), (4, ReadUncommitted)];
    for (session, level) in levels {
        connection.begin(session, level);
    }
    let mut readers = levels.map(|(session, _)| connection.cursor(session, URI));
    let mut seen = move || {
        readers
            .each_mut()
            .map(|reader| reader.get("a").expect("there"))
    };
    connection.begin(1, Snapshot);
    writer.insert("a", "new").expect("inserted");
    assert_eq!(writer.get("a").expect("its own"), "new");
    assert_eq!(seen(), ["old", "old", "new"]);
    connection.commit(1).expect("committed");
    assert_eq!(seen(), ["old", "new", "new"]);
}

#[test]
fn what_is_rolled_back_was_never_there() {
    let connection = open();
    let mut table = connection.cursor(1, URI);
    connection.begin(1, Snapshot);
    table.insert("a", "x").expect("inserted");
    table.insert("b", "x").expect("inserted");
    table.remove_with("a", false).expect("removed");
    connection.rollback(1);
    assert_eq!(table.all(), [("a".to_owned(), "old".to_owned())]);
    // The rolled back id looks visible from now on.
    connection.sim().move_oldest();
    connection.source.settle();
    assert_eq!(table.keys(), "a");
}

#[test]
fn the_first_updater_wins_and_the_loser_cannot_commit() {
    let connection = open();
    let mut first = connection.cursor(1, URI);
    let mut second = connection.cursor(2, URI);
    connection.begin(1, Snapshot);
    connection.begin(2, Snapshot);
    first.insert("a", "first").expect("inserted");
    second.insert("other", "second").expect("inserted");
    assert_eq!(code(second.insert("a", "second")), Code::Rollback);
    connection.commit(1).expect("committed");
    assert_eq!(code(connection.commit(2)), Code::Rollback);
    assert_eq!(first.get("a").expect("there"), "first");
    assert_eq!(first.keys(), "a");
}

#[test]
fn a_write_conflicts_with_what_was_committed_after_its_snapshot() {
    let connection = open();
    let mut first = connection.cursor(1, URI);
    let mut second = connection.cursor(2, URI);
    connection.begin(2, Snapshot);
    first.insert("a", "first").expect("committed by itself");
    assert_eq!(
        code(second.update_with("a", "second", true)),
        Code::Rollback
    );
    connection.rollback(2);
    second
        .update_with("a", "second", true)
        .expect("no snapshot");
}

#[test]
fn missing_and_duplicate_keys_do_not_fail_a_transaction() {
    let connection = open();
    let mut table = connection.cursor(1, URI);
    connection.begin(1, Snapshot);
    assert_eq!(code(table.insert_with("a", "x", false)), Code::DuplicateKey);
    assert_eq!(code(table.update_with("z", "x", false)), Code::NotFound);
    table.insert("b", "2").expect("inserted");
    connection.commit(1).expect("committed");
    assert_eq!(table.keys(), "a b");
}

#[test]
fn a_bad_key_fails_the_transaction() {
    let connection = open();
    let mut table = connection.cursor(1, URI);
    connection.begin(1, Snapshot);
    table.insert("b", "2").expect("inserted");
    let too_long = "k".repeat(heliumdb::limits::KEY_BYTES_MAX + 1);
    assert_eq!(code(table.insert(&too_long, "v")), Code::Invalid);
    assert!(connection.commit(1).is_err());
    assert_eq!(table.keys(), "a");
}

#[test]
fn without_notification_nothing_is_written() {
    let connection = open();
    let mut table = connection.cursor(1, URI);
    connection.begin(1, Snapshot);
    connection.sim().set_failing("notify", true);
    assert!(table.insert("b", "2").is_err());
    connection.sim().set_failing("notify", false);
    connection.commit(1).expect("there is nothing in it");
    assert_eq!(table.keys(), "a");
}

#[test]
fn a_commit_that_the_host_cannot_log_is_taken_back() {
    let connection = open();
    let mut table = connection.cursor(1, URI);
    let mut other = connection.cursor(2, URI);
    connection.begin(1, Snapshot);
    table.insert("a", "new").expect("inserted");
    table.insert("b", "new").expect("inserted");
    let log = || Err(Error::new(Code::Io, "the log is broken"));
    assert_eq!(code(connection.commit_with(1, log)), Code::Io);
    assert_eq!(other.all(), [("a".to_owned(), "old".to_owned())]);
    other
        .insert("b", "other")
        .expect("there is no conflict left");
    assert_eq!(table.keys(), "a b");
}

#[test]
fn an_outlived_cursor_does_not_end_its_transaction() {
    let connection = open();
    connection.begin(1, Snapshot);
    connection
        .cursor(1, URI)
        .insert("b", "2")
        .expect("inserted");
    let mut other = connection.cursor(2, URI);
    assert_eq!(other.keys(), "a");
    connection.commit(1).expect("committed");
    assert_eq!(other.keys(), "a b");
    connection.begin(1, Snapshot);
    connection
        .cursor(1, URI)
        .insert("c", "3")
        .expect("inserted");
    let log = || Err(Error::new(Code::Io, "the log is broken"));
    assert!(connection.commit_with(1, log).is_err());
    assert_eq!(other.keys(), "a b");
}

#[test]
fn prepared_writes_make_others_wait_or_fail() {
    let connection = open();
    let mut writer = connection.cursor(1, URI);
    let mut reader = connection.cursor(2, URI);
    connection.begin(1, Snapshot);
    writer.insert("a", "prepared").expect("inserted");
    connection.prepare(1);
    assert_eq!(code(reader.get("a")), Code::PrepareConflict);
    connection.begin(2, ReadUncommitted);
    assert_eq!(reader.get("a").expect("sees everything"), "prepared");
    connection.rollback(2);
    connection.begin(2, Snapshot);
    let refused = code(reader.insert("a", "x"));
    assert!(matches!(refused, Code::Rollback | Code::PrepareConflict));
    connection.rollback(2);
    connection.commit(1).expect("committed");
    assert_eq!(reader.get("a").expect("resolved"), "prepared");
}

#[test]
fn a_reserved_item_conflicts_and_does_not_change() {
    let connection = open();
    let mut first = connection.cursor(1, URI);
    let mut second = connection.cursor(2, URI);
    connection.begin(1, Snapshot);
    assert_eq!(code(first.reserve("missing")), Code::NotFound);
    first.reserve("a").expect("reserved");
    connection.begin(2, Snapshot);
    assert_eq!(code(second.insert("a", "x")), Code::Rollback);
    connection.rollback(2);
    connection.commit(1).expect("committed");
    assert_eq!(second.get("a").expect("there"), "old");
    second.insert("a", "new").expect("free again");
}

#[test]
fn one_transaction_covers_objects_and_volumes() {
    let volumes = [volume("dev1"), volume("dev2")].join(",");
    let connection = Connection::open_with(&volumes);
    let uris = ["helium:dev1/a", "helium:dev1/b", "helium:dev2/a"];
    for uri in uris {
        connection.create(uri, "").expect("created");
    }
    let mut tables = uris.map(|uri| connection.cursor(1, uri));
    for (commits, expected) in [(false, ""), (true, "k")] {
        connection.begin(1, Snapshot);
        for table in &mut tables {
            table.insert("k", "v").expect("inserted");
        }
        if commits {
            connection.commit(1).expect("committed");
        } else {
            connection.rollback(1);
        }
        for table in &mut tables {
            assert_eq!(table.keys(), expected);
        }
    }
}
