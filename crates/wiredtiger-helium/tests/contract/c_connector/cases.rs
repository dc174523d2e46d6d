//! The C connector killed at chosen moments: its files are copied while it is open. A commit of it is in
//! them when it returns, of the first volume at least, where its outcomes are.

use super::{Database, Which};
use crate::common::*;

const ROWS: &str = "helium:dev1/rows";
const MORE: &str = "helium:dev2/rows";
const FORMATS: &str = "key_format=S,value_format=S";

fn rows(connection: &Connection, uri: &str) -> Vec<String> {
    let session = connection.session().unwrap();
    session.cursor(uri, "").unwrap().list().unwrap()
}

/// Committed, rolled back and running transactions on top of settled rows.
#[test]
fn what_committed_is_there_and_nothing_else() {
    let Some(database) = Database::new() else {
        return;
    };
    let connection = database.open(Which::C);
    {
        let session = connection.session().unwrap();
        session.create(ROWS, FORMATS).unwrap();
        let cursor = session.cursor(ROWS, "").unwrap();
        for key in ["kept", "changed", "removed", "running", "back"] {
            cursor.put(key, "settled").unwrap();
        }
    }
    // A clean close settles them.
    connection.close().unwrap();
    let connection = database.open(Which::C);
    let (one, two) = (
        connection.session_with("isolation=snapshot").unwrap(),
        connection.session_with("isolation=snapshot").unwrap(),
    );
    let (first, second) = (one.cursor(ROWS, "").unwrap(), two.cursor(ROWS, "").unwrap());
    two.begin("").unwrap();
    second.put("running", "ghost").unwrap();
    second.put("new and running", "ghost").unwrap();
    second.take("kept").unwrap();
    one.begin("").unwrap();
    for value in ["once", "twice"] {
        first.put("changed", value).unwrap();
    }
    first.take("removed").unwrap();
    first.put("new", "committed").unwrap();
    first.put("short-lived", "committed").unwrap();
    one.commit().unwrap();
    first.take("short-lived").unwrap();
    one.begin("").unwrap();
    first.put("changed", "ghost").unwrap();
    first.put("new and back", "ghost").unwrap();
    first.take("back").unwrap();
    first.put("removed", "ghost").unwrap();
    one.rollback().unwrap();
    // So that what was rolled back is in the files too.
    first.put("last", "committed").unwrap();
    let killed = database.killed();
    drop((first, second));
    drop((one, two));
    connection.close().unwrap();
    let expected = [
        "back=settled",
        "changed=twice",
        "kept=settled",
        "last=committed",
        "new=committed",
        "running=settled",
    ];
    for which in [Which::Ours, Which::C, Which::Ours] {
        let connection = killed.open(which);
        let told = connection.take_events();
        assert_eq!(rows(&connection, ROWS), expected, "{which:?}: {told:?}");
        connection.close().unwrap();
    }
}

/// The C connector's own recovery loses the rows of all volumes but one.
#[test]
fn several_volumes_keep_their_rows() {
    let Some(database) = Database::new() else {
        return;
    };
    let connection = database.open(Which::C);
    let session = connection.session().unwrap();
    for uri in [ROWS, MORE] {
        session.create(uri, FORMATS).unwrap();
        let cursor = session.cursor(uri, "").unwrap();
        for number in 0..100 {
            cursor.put(&format!("k{number:02}"), "v").unwrap();
        }
    }
    // Its commits make the first volume durable, its checkpoint the last.
    session.checkpoint("").unwrap();
    let killed = database.killed();
    let alone = database.killed();
    drop(session);
    connection.close().unwrap();
    let expected: Vec<_> = (0..100).map(|number| format!("k{number:02}=v")).collect();
    // The second volume cannot do without the outcomes on the first.
    let refused = alone.try_open(Which::Ours, &["dev2"]).err().unwrap();
    let told = refused.messages.join("\n");
    assert!(
        told.contains("WiredTigerTxn") && told.contains("dev2"),
        "{told}"
    );
    for database in [killed, alone] {
        let connection = database.open(Which::Ours);
        for uri in [ROWS, MORE] {
            assert_eq!(rows(&connection, uri), expected, "{uri}");
        }
        connection.close().unwrap();
    }
}

/// Numbers go on where they were, and a bit field that was removed is zero.
#[test]
fn record_numbers_and_bit_fields_come_over() {
    let Some(database) = Database::new() else {
        return;
    };
    let (numbered, bits) = ("helium:dev1/numbered", "helium:dev1/bits");
    let connection = database.open(Which::C);
    let session = connection.session().unwrap();
    session
        .create(numbered, "key_format=r,value_format=S")
        .unwrap();
    session
        .create(bits, "key_format=r,value_format=8t")
        .unwrap();
    let cursor = session.cursor(numbered, "append").unwrap();
    for number in 1..=10_000u64 {
        cursor.set_value_str(&number.to_string()).unwrap();
        cursor.insert().unwrap();
    }
    let field = session.cursor(bits, "").unwrap();
    for number in 1..=100u64 {
        field.set_key_recno(number).unwrap();
        field.set_value_bits(number as u8).unwrap();
        field.insert().unwrap();
    }
    field.set_key_recno(50).unwrap();
    field.remove().unwrap();
    let killed = database.killed();
    drop((cursor, field));
    drop(session);
    connection.close().unwrap();
    let connection = killed.open(Which::Ours);
    let session = connection.session().unwrap();
    let cursor = session.cursor(numbered, "append").unwrap();
    let mut count = 0u64;
    while cursor.next().found().unwrap() {
        count += 1;
        assert_eq!(cursor.key_recno().unwrap(), count);
        assert_eq!(cursor.value_str().unwrap(), count.to_string());
    }
    assert_eq!(count, 10_000);
    cursor.set_value_str("next").unwrap();
    cursor.insert().unwrap();
    assert_eq!(cursor.key_recno().unwrap(), 10_001);
    let field = session.cursor(bits, "").unwrap();
    for number in 1..=100u64 {
        field.set_key_recno(number).unwrap();
        field.search().unwrap();
        let expected = if number == 50 { 0 } else { number as u8 };
        assert_eq!(field.value_bits().unwrap(), expected);
    }
    drop((cursor, field));
    drop(session);
    connection.close().unwrap();
}
