//! Reading, positions, record numbers, bit fields.

use super::sim::{Connection, code};
use crate::error::Code;
use std::cmp::Ordering::{Equal, Greater, Less};

const URI: &str = "helium:dev1/rows";

fn with_rows(rows: &[(&str, &str)]) -> Connection {
    let connection = Connection::open();
    connection.create(URI, "").expect("created");
    let mut table = connection.cursor(1, URI);
    for (key, value) in rows {
        table.insert(key, value).expect("inserted");
    }
    drop(table);
    connection
}

#[test]
fn items_are_found_in_order_from_wherever_the_cursor_stands() {
    let connection = with_rows(&[("b", "2"), ("a", "1"), ("c", "3"), ("", "0")]);
    let mut table = connection.cursor(1, URI);
    assert_eq!(table.keys(), " a b c");
    assert_eq!(table.get("b").expect("there"), "2");
    assert_eq!(table.next().expect("there").0, "c");
    assert_eq!(code(table.next()), Code::NotFound);
    assert_eq!(table.next().expect("starts again").0, "");
    table.cursor.reset();
    assert_eq!(table.previous().expect("the last").0, "c");
    assert_eq!(table.previous().expect("there").0, "b");
    assert_eq!(table.next().expect("turns round").0, "c");
    assert_eq!(code(table.get("x")), Code::NotFound);
    assert_eq!(
        table.next().expect("a failed search loses the position").0,
        ""
    );
}

#[test]
fn the_nearest_item_is_the_larger_one_if_there_is_one() {
    let connection = with_rows(&[("b", "2"), ("d", "4")]);
    let mut table = connection.cursor(1, URI);
    assert_eq!(table.near("b").expect("there"), (Equal, "b".into()));
    assert_eq!(table.near("c").expect("there"), (Greater, "d".into()));
    assert_eq!(table.near("a").expect("there"), (Greater, "b".into()));
    assert_eq!(table.near("e").expect("there"), (Less, "d".into()));
    assert_eq!(table.previous().expect("goes on from there").0, "b");
    let empty = with_rows(&[]);
    assert_eq!(code(empty.cursor(1, URI).near("a")), Code::NotFound);
}

#[test]
fn a_removed_item_keeps_its_place_for_the_cursor_that_stands_there() {
    let connection = with_rows(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let mut table = connection.cursor(1, URI);
    table.get("b").expect("there");
    table.remove_here().expect("removed");
    assert_eq!(table.next().expect("there").0, "c");
    assert_eq!(
        table.previous().expect("the removed one is not seen").0,
        "a"
    );
    assert_eq!(table.keys(), "a c");
}

#[test]
fn an_insert_leaves_the_cursor_nowhere_and_an_update_there() {
    let connection = with_rows(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let mut table = connection.cursor(1, URI);
    table.insert("b", "x").expect("inserted");
    assert_eq!(table.next().expect("there").0, "a");
    table.update_with("b", "y", true).expect("updated");
    assert_eq!(table.cursor.value(), b"y");
    assert_eq!(table.next().expect("there").0, "c");
}

#[test]
fn overwrite_false_checks_existence() {
    let connection = with_rows(&[("a", "1")]);
    let mut table = connection.cursor(1, URI);
    assert_eq!(code(table.insert_with("a", "x", false)), Code::DuplicateKey);
    assert_eq!(code(table.update_with("b", "x", false)), Code::NotFound);
    assert_eq!(code(table.remove_with("b", false)), Code::NotFound);
    table.remove_with("b", true).expect("overwrite forgives");
    assert_eq!(table.keys(), "a");
    table.insert_with("b", "2", false).expect("new");
    table.update_with("b", "3", false).expect("there");
    table.remove_with("a", false).expect("there");
    assert_eq!(table.all(), [("b".to_owned(), "3".to_owned())]);
}

#[test]
fn appended_items_get_the_next_number_and_only_success_counts() {
    let connection = Connection::open();
    connection.create(URI, "key_format=r").expect("created");
    let mut table = connection
        .cursor_with(1, URI, "append=true")
        .expect("opens");
    let mut numbered = connection.cursor(2, URI);
    table.insert("", "one").expect("appended");
    assert_eq!(table.cursor.recno(), 1);
    assert_eq!(code(numbered.get("1000000")), Code::NotFound);
    assert_eq!(code(numbered.remove_with("1000000", false)), Code::NotFound);
    assert_eq!(
        code(numbered.update_with("1000000", "x", false)),
        Code::NotFound
    );
    table.insert("", "two").expect("appended");
    assert_eq!(table.cursor.recno(), 2);

    connection.begin(1, heliumdb::Isolation::Snapshot);
    table.insert("", "three").expect("appended");
    assert_eq!(table.cursor.recno(), 3);
    connection.rollback(1);
    connection.begin(2, heliumdb::Isolation::Snapshot);
    numbered.insert("5000", "far").expect("inserted");
    connection.rollback(2);
    table.insert("", "farther").expect("appended");
    assert_eq!(table.cursor.recno(), 5001);

    numbered.insert("10", "ten").expect("inserted");
    table.insert("", "farthest").expect("appended");
    assert_eq!(numbered.keys(), "1 2 10 5001 5002");
    assert_eq!(code(numbered.insert("0", "none")), Code::Invalid);
}

#[test]
fn two_transactions_never_append_the_same_number() {
    let connection = Connection::open();
    connection.create(URI, "key_format=r").expect("created");
    let mut first = connection.cursor_with(1, URI, "append").expect("opens");
    let mut second = connection.cursor_with(2, URI, "append").expect("opens");
    connection.begin(1, heliumdb::Isolation::ReadCommitted);
    connection.begin(2, heliumdb::Isolation::ReadCommitted);
    first.insert("", "a").expect("appended");
    second.insert("", "b").expect("appended");
    connection.rollback(1);
    second.insert("", "c").expect("appended");
    connection.commit(2).expect("committed");
    let mut reader = connection.cursor(3, URI);
    assert_eq!(reader.keys(), "2 3");
}

#[test]
fn removing_a_bit_field_sets_it_to_zero() {
    let connection = Connection::open();
    for format in ["t", "8t"] {
        let uri = format!("helium:dev1/bits{format}");
        let config = format!("key_format=r,value_format={format}");
        connection.create(&uri, &config).expect("created");
        let mut table = connection.cursor(1, &uri);
        table.insert("1", "\u{1}").expect("inserted");
        table.remove_with("1", false).expect("removed");
        assert_eq!(table.get("1").expect("still there"), "\0");
        assert_eq!(code(table.remove_with("2", false)), Code::NotFound);
        table.remove_with("2", true).expect("overwrite forgives");
        assert_eq!(table.keys(), "1");
    }
}

#[test]
fn keys_have_a_limit() {
    let connection = with_rows(&[]);
    let mut table = connection.cursor(1, URI);
    let longest = "k".repeat(heliumdb::limits::KEY_BYTES_MAX);
    table.insert(&longest, "v").expect("fits");
    assert_eq!(table.get(&longest).expect("there"), "v");
    let too_long = format!("{longest}k");
    assert_eq!(code(table.insert(&too_long, "v")), Code::Invalid);
    assert_eq!(code(table.get(&too_long)), Code::Invalid);
}
