//! Volumes that a program using WiredTiger has open, read by the command in another process.

use wiredtiger_testkit::{Connection, Cursor, helium};

use crate::harness::{Place, Ran};

/// A database with the volume `v` of `place`, which becomes `dev1`.
fn database(place: &Place) -> Connection {
    let home = place.path("home");
    std::fs::create_dir_all(&home).expect("the test's own folder");
    let volume = helium::Volume::file("dev1", &place.path("v"));
    let extension = helium::extensions(&[volume]).expect("it is built");
    Connection::open(&home, &format!("create,{extension}")).expect("open")
}

fn put(cursor: &Cursor<'_>, key: &str, value: &str) {
    cursor.set_key_str(key).expect("a key");
    cursor.set_value_str(value).expect("a value");
    cursor.insert().expect("an insert");
}

/// What it printed; it has said through whom it reads.
#[track_caller]
fn through(ran: Ran) -> String {
    let by = format!("process {} (", std::process::id());
    let is_told = ran.err.contains(&by) && ran.err.contains("(WiredTiger)) has the volume open");
    assert!(ran.code == Some(0) && is_told, "{}", ran.err);
    String::from_utf8(ran.out).expect("text")
}

/// A string as WiredTiger keeps it, with a zero at its end.
fn hex(text: &str) -> String {
    let bytes = text.bytes().chain([0]);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

const STORE: &str = "WiredTiger.t";

#[test]
fn what_is_committed_is_read_through_the_program() {
    let place = Place::new();
    let connection = database(&place);
    let session = connection.session().expect("a session");
    session
        .create("helium:dev1/t", "key_format=S,value_format=S")
        .expect("an object");
    let cursor = session.cursor("helium:dev1/t", "").expect("a cursor");
    (0..2_000).for_each(|number| put(&cursor, &format!("k{number:04}"), "committed"));
    session.begin("isolation=snapshot").expect("a transaction");
    put(&cursor, "k0001", "open");
    put(&cursor, "new", "open");
    let there = |arguments: &[&str]| through(place.helium(arguments));
    assert_eq!(
        there(&["get", "-x", "v", STORE, &hex("k0001")]).trim_end(),
        hex("committed")
    );
    assert!(there(&["ls", "v"]).contains(STORE));
    let scanned = there(&["scan", "v", STORE, "--keys"]);
    assert_eq!(scanned.lines().count(), 2_000, "{scanned}");
    there(&["backup", "v", "copy"]);
    let dump = there(&["dump", "v", STORE]);
    // Nobody else writes.
    let refused = place.helium(["put", "v", STORE, "k", "v"]);
    refused.fails(5, &["in use by process"]);
    session.commit().expect("a commit");
    assert_eq!(
        there(&["get", "-x", "v", STORE, &hex("new")]).trim_end(),
        hex("open")
    );
    drop(cursor);
    drop(session);
    connection.close().expect("a close");
    // The copy is of the moment before, and opens by itself.
    assert_eq!(place.helium(["dump", "copy", STORE]).text(), dump);
    let value = place.helium(["get", "-x", "v", STORE, &hex("new")]);
    assert_eq!(value.text().trim_end(), hex("open"));
}
