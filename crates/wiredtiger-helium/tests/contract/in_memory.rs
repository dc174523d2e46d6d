//! Databases that are in memory (`in_memory=true`), with tables on volumes.

use tempfile::TempDir;
use wiredtiger_testkit::helium::{self, Volume};

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";
const URI: &str = "helium:dev1/t";

fn open(folder: &TempDir, volume: Volume) -> Connection {
    let extension = helium::extensions(&[volume]).unwrap();
    let config = format!("create,in_memory=true,{extension}");
    Connection::open(folder.path(), &config).unwrap()
}

fn in_memory() -> Volume {
    Volume::devices("dev1", &["he://./_268435456"])
}

#[test]
fn tables_work_as_ever() {
    let folder = tempfile::tempdir().unwrap();
    let connection = open(&folder, in_memory());
    let session = connection.session().unwrap();
    session.create(URI, FORMATS).unwrap();
    let cursor = session.cursor(URI, "").unwrap();
    cursor.put("a", "1").unwrap();
    session.begin("isolation=snapshot").unwrap();
    cursor.put("b", "2").unwrap();
    session.rollback().unwrap();
    assert_eq!(cursor.list().unwrap(), ["a=1"]);
    cursor.close().unwrap();
    session.rename(URI, "helium:dev1/u").unwrap();
    session.truncate("helium:dev1/u").unwrap();
    session.compact("helium:dev1/u").unwrap();
    session.drop("helium:dev1/u", "").unwrap();
    // As for WiredTiger's own tables.
    session.create(URI, FORMATS).unwrap();
    for answer in [
        session.checkpoint(""),
        session.verify(URI),
        session.salvage(URI),
    ] {
        assert_eq!(answer.code(), Code::ENOTSUP);
    }
}

/// There are no checkpoints that would free it.
#[test]
fn the_room_of_what_is_dropped_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let connection = open(&folder, in_memory());
    let session = connection.session().unwrap();
    let value = "x".repeat(1 << 20);
    // Several times what there is room for.
    for round in 0..16 {
        let uri = format!("helium:dev1/t{round}");
        session.create(&uri, FORMATS).unwrap();
        let cursor = session.cursor(&uri, "").unwrap();
        for number in 0..32 {
            let put = cursor.put(&format!("k{number}"), &value);
            put.unwrap_or_else(|why| panic!("round {round}: {why:?}"));
        }
        cursor.close().unwrap();
        session.drop(&uri, "").unwrap();
    }
}

/// The database forgets its tables, volumes that are files do not forget their rows.
#[test]
fn rows_on_files_are_there_for_who_makes_the_table_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = || volume(1, folder.path());
    let connection = open(&folder, file());
    let session = connection.session().unwrap();
    session.create(URI, FORMATS).unwrap();
    session.cursor(URI, "").unwrap().put("a", "1").unwrap();
    session.close().unwrap();
    connection.close().unwrap();
    let connection = open(&folder, file());
    let session = connection.session().unwrap();
    assert_eq!(session.cursor(URI, "").map(drop).code(), Code::ENOENT);
    let exclusive = format!("{FORMATS},exclusive");
    assert_eq!(session.create(URI, &exclusive).code(), Code::EEXIST);
    session.create(URI, FORMATS).unwrap();
    assert_eq!(session.cursor(URI, "").unwrap().list().unwrap(), ["a=1"]);
}
