//! The original connector, written for version 2.2, inside the real WiredTiger on our library.
//!
//! Its source is not part of this project: the test compiles it where it is found beside the
//! checkout, changed only where WiredTiger 3.2.1's extension interface is another than that of
//! its time, and skips where it, or WiredTiger, is not there.

use std::{fs, path::PathBuf};

use tempfile::TempDir;
use wiredtiger_testkit::{Code, Connection, Cursor, Outcome, Session, c_connector};

#[test]
fn the_original_connector_runs_on_the_library() {
    let folder = tempfile::tempdir().unwrap();
    let arena = match c_connector::compile(folder.path()) {
        Ok(extension) => Arena::new(folder, extension),
        Err(why) => {
            eprintln!("skipped: {why}");
            return;
        }
    };
    {
        let connection = arena.open();
        let session = connection.session().unwrap();
        fill(&session);
        look(&session);
        drop(session);
        connection.close().unwrap();
    }
    // What its own recovery makes of what it left behind.
    for _ in 0..2 {
        let connection = arena.open();
        let session = connection.session().unwrap();
        look(&session);
        drop(session);
        connection.close().unwrap();
    }
    go_on(&arena);
}

/// Creates, inserts, updates, removes, commits and rolls back.
fn fill(session: &Session<'_>) {
    session
        .create("helium:dev1/rows", "key_format=S,value_format=S")
        .unwrap();
    session
        .create(
            "helium:dev1/squeezed",
            "key_format=S,value_format=S,helium_o_compress=1",
        )
        .unwrap();
    let rows = session.cursor("helium:dev1/rows", "").unwrap();
    let squeezed = session.cursor("helium:dev1/squeezed", "").unwrap();
    for number in 0..500 {
        put(&rows, &format!("key{number:04}"), &format!("value{number}"));
    }
    put(&squeezed, "long", &"x".repeat(100_000));
    // Overwritten in a transaction.
    session.begin("").unwrap();
    rows.set_key_str("key0001").unwrap();
    rows.set_value_str("updated").unwrap();
    rows.update().unwrap();
    rows.set_key_str("key0002").unwrap();
    rows.remove().unwrap();
    put(&rows, "key9999", "committed");
    session.commit().unwrap();
    // And what never was.
    session.begin("").unwrap();
    put(&rows, "key0003", "rolled back");
    put(&rows, "key8888", "rolled back");
    rows.set_key_str("key0004").unwrap();
    rows.remove().unwrap();
    session.rollback().unwrap();
    // Without overwriting, a duplicate and a missing key are told.
    let strict = session
        .cursor("helium:dev1/rows", "overwrite=false")
        .unwrap();
    strict.set_key_str("key0001").unwrap();
    strict.set_value_str("again").unwrap();
    assert_ne!(strict.insert().code(), Code::OK);
    strict.set_key_str("key0002").unwrap();
    strict.set_value_str("again").unwrap();
    assert_ne!(strict.update().code(), Code::OK);
}

fn put(cursor: &Cursor<'_>, key: &str, value: &str) {
    cursor.set_key_str(key).unwrap();
    cursor.set_value_str(value).unwrap();
    cursor.insert().unwrap();
}

/// Searches and scans, both ways.
fn look(session: &Session<'_>) {
    let mut expected: Vec<(String, String)> = (0..500)
        .map(|number| (format!("key{number:04}"), format!("value{number}")))
        .collect();
    expected[1].1 = "updated".to_owned();
    expected.push(("key9999".to_owned(), "committed".to_owned()));
    expected.remove(2);
    let cursor = session.cursor("helium:dev1/rows", "").unwrap();
    let mut found = Vec::new();
    while cursor.next().found().unwrap() {
        found.push((cursor.key_str().unwrap(), cursor.value_str().unwrap()));
    }
    assert_eq!(found, expected);
    cursor.reset().unwrap();
    found.clear();
    while cursor.prev().found().unwrap() {
        found.push((cursor.key_str().unwrap(), cursor.value_str().unwrap()));
    }
    expected.reverse();
    assert_eq!(found, expected);
    for (key, value) in [
        ("key0001", Some("updated")),
        ("key0002", None),
        ("key8888", None),
    ] {
        cursor.set_key_str(key).unwrap();
        let is_there = cursor.search().found().unwrap();
        assert_eq!(is_there, value.is_some(), "{key}");
        if is_there {
            assert_eq!(cursor.value_str().unwrap(), value.unwrap());
        }
    }
    let squeezed = session.cursor("helium:dev1/squeezed", "").unwrap();
    squeezed.set_key_str("long").unwrap();
    squeezed.search().unwrap();
    assert_eq!(squeezed.value_str().unwrap().len(), 100_000);
}

/// The rest of its methods, on what is there.
fn go_on(arena: &Arena) {
    let connection = arena.open();
    let session = connection.session().unwrap();
    session.checkpoint("").unwrap();
    session
        .rename("helium:dev1/squeezed", "helium:dev1/other")
        .unwrap();
    session.truncate("helium:dev1/other").unwrap();
    {
        let other = session.cursor("helium:dev1/other", "").unwrap();
        assert!(!other.next().found().unwrap());
    }
    session.drop("helium:dev1/rows", "").unwrap();
    session
        .create("helium:dev1/rows", "key_format=r,value_format=S")
        .unwrap();
    let appending = session.cursor("helium:dev1/rows", "append").unwrap();
    for expected in 1..=10 {
        appending.set_value_str("appended").unwrap();
        appending.insert().unwrap();
        assert_eq!(appending.key_recno().unwrap(), expected);
    }
    drop(appending);
    drop(session);
    connection.close().unwrap();
}

/// A database with one volume.
struct Arena {
    folder: TempDir,
    extension: PathBuf,
}

impl Arena {
    fn new(folder: TempDir, extension: PathBuf) -> Self {
        let device = fs::File::create(folder.path().join("dev1")).unwrap();
        device.set_len(1 << 30).unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        Self { folder, extension }
    }

    fn open(&self) -> Connection {
        let config = format!(
            "create,extensions=[\"{}\"=[config=[helium_verbose=0,dev1=[helium_devices=\"he://./{}\",\
             helium_env_read_cache_size=64M,helium_env_write_cache_size=64M]]]]",
            self.extension.display(),
            self.folder.path().join("dev1").display(),
        );
        Connection::open(&self.folder.path().join("home"), &config).unwrap()
    }
}
