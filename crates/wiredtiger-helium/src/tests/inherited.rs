//! Objects that the C connector made: they are used, renamed and dropped like others, and what a
//! crash leaves of that is settled though neither the catalog nor the metadata had ids or states.

use super::sim::{Connection, code};
use crate::error::Code;
use heliumdb::{DatastoreOptions, Volume, VolumeOptions};
use tempfile::TempDir;

const URI: &str = "helium:dev1/rows";
const OTHER: &str = "helium:dev1/other";
const ENTRY: &str = "wiredtiger_helium_version=(major=1,minor=0),key_format=S,value_format=S,\
                     helium_o_compress=0";

/// A connection to a volume on which the C connector was killed.
struct Inheritance {
    connection: Connection,
    // Behind the connection: the volume is closed before its file goes.
    _folder: TempDir,
}

fn open() -> Inheritance {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("he://./{}", folder.path().join("volume").display());
    let volume = Volume::open(&url, &VolumeOptions::default()).expect("made");
    let make = |name: &str| {
        volume
            .open_datastore(
                name,
                &DatastoreOptions::new()
                    .create(true)
                    .attributes(b"he.h 1 00"),
            )
            .expect("made")
    };
    make("WiredTiger.WiredTigerInit");
    let rows = make("WiredTiger.rows");
    rows.put(b"a", b"1").expect("put");
    // Inserted by transaction 5, which committed.
    let cache = make("WiredTiger.rows.cache");
    let record = b"\x01\0\0\0\x05\0\0\0\0\0\0\0 \x01\0\0\x002";
    cache.put(b"b", record).expect("put");
    let outcomes = make("WiredTiger.WiredTigerTxn");
    outcomes.put(5u64.to_le_bytes(), b"C").expect("put");
    volume.close().expect("closed");
    let config = format!("helium_verbose=1,dev1=[helium_devices=\"{url}\"]");
    let connection = Connection::open_with(&config);
    connection.sim().set_entry(URI, Some(ENTRY.to_owned()));
    Inheritance {
        connection,
        _folder: folder,
    }
}

#[test]
fn its_rows_are_there_and_others_come_to_them() {
    let inheritance = open();
    let connection = &inheritance.connection;
    assert!(connection.sim().messages().contains("took over"));
    let mut table = connection.cursor(1, URI);
    assert_eq!(table.keys(), "a b");
    assert_eq!(table.get("b").expect("there"), "2");
    table.insert("c", "3").expect("inserted");
    table.remove_with("a", true).expect("removed");
    assert_eq!(table.keys(), "b c");
    // Nothing but a rename or drop changes the entry.
    assert_eq!(connection.sim().entry(URI).as_deref(), Some(ENTRY));
    let again = connection.create(URI, "key_format=S,value_format=S");
    again.expect("is there");
    assert_eq!(code(connection.create(URI, "key_format=r")), Code::Invalid);
}

#[test]
fn renamed_it_keeps_its_rows() {
    let inheritance = open();
    let connection = &inheritance.connection;
    connection.source.rename(0, URI, OTHER).expect("renamed");
    assert_eq!(connection.sim().entry(URI), None);
    assert_eq!(connection.cursor(1, OTHER).keys(), "a b");
    // The C connector finds its formats where they were.
    let entry = connection.sim().entry(OTHER).expect("there");
    assert!(entry.ends_with(ENTRY), "{entry}");
    connection.create(URI, "").expect("the old name is free");
    assert_eq!(connection.cursor(1, URI).keys(), "");
}

#[test]
fn a_rename_that_the_host_undoes_did_not_happen() {
    for by_checkpoint in [false, true] {
        let inheritance = open();
        let connection = &inheritance.connection;
        connection.source.rename(0, URI, OTHER).expect("renamed");
        connection.sim().set_entry(OTHER, None);
        connection.sim().set_entry(URI, Some(ENTRY.to_owned()));
        if by_checkpoint {
            connection.source.checkpoint(0, false).expect("flushed");
        }
        assert_eq!(connection.cursor(1, URI).keys(), "a b");
        connection.create(OTHER, "").expect("the new name is free");
        assert_eq!(connection.cursor(1, OTHER).keys(), "");
    }
}

#[test]
fn a_drop_that_the_host_undoes_did_not_happen() {
    for by_checkpoint in [false, true] {
        let inheritance = open();
        let connection = &inheritance.connection;
        connection.source.drop_object(0, URI).expect("dropped");
        connection.sim().set_entry(URI, Some(ENTRY.to_owned()));
        if by_checkpoint {
            connection.source.checkpoint(0, false).expect("flushed");
        }
        assert_eq!(connection.cursor(1, URI).keys(), "a b");
        // And one that happens, does.
        connection.source.drop_object(0, URI).expect("dropped");
        connection.source.checkpoint(0, false).expect("finished");
        connection.create(URI, "key_format=r").expect("free");
        assert_eq!(connection.cursor(1, URI).keys(), "");
    }
}

#[test]
fn what_it_was_making_is_made_anew() {
    let inheritance = open();
    let connection = &inheritance.connection;
    // Rows without metadata have formats that nobody knows.
    connection.sim().set_entry(URI, None);
    let refused = connection.create(URI, "key_format=S,value_format=S");
    assert_eq!(code(refused), Code::Exists);
    // Without rows it is a create that was cut short.
    connection.sim().set_entry(URI, Some(ENTRY.to_owned()));
    let mut table = connection.cursor(1, URI);
    for key in ["a", "b"] {
        table.remove_with(key, true).expect("removed");
    }
    drop(table);
    connection.sim().move_oldest();
    connection.source.settle();
    connection.sim().set_entry(URI, None);
    let made = connection.create(URI, "key_format=i,exclusive=true");
    made.expect("nothing is in the way");
    assert_eq!(connection.cursor(1, URI).keys(), "");
}
