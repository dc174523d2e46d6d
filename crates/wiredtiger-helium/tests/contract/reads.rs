//! Walks that are after keys alone ask no device.

use std::collections::HashMap;

use tempfile::TempDir;
use wiredtiger_testkit::helium;

use crate::common::*;

const ROWS: usize = 4_000;
/// More than fits into the caches.
const VALUE_BYTES: usize = 4_000;

/// A database with one volume, opened anew, so that all values are on the device.
struct Cold {
    connection: Connection,
    _folder: TempDir,
}

impl Cold {
    fn new(make: impl FnOnce(&Session<'_>)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let caches = "helium_read_cache=1MB,helium_write_cache=16MB";
            let volume = volume(1, folder.path()).with(caches);
            let extension = helium::extensions_with(&[volume], "helium_verbose=1").unwrap();
            Connection::open(folder.path(), &format!("create,{extension}")).unwrap()
        };
        let connection = open();
        make(&connection.session().unwrap());
        connection.close().unwrap();
        Self {
            connection: open(),
            _folder: folder,
        }
    }

    /// How often devices are read for `work`.
    fn reads(&self, work: impl FnOnce(&Session<'_>)) -> u64 {
        let session = self.connection.session().unwrap();
        let before = self.device_reads(&session);
        work(&session);
        self.device_reads(&session) - before
    }

    fn device_reads(&self, session: &Session<'_>) -> u64 {
        session.checkpoint("").unwrap();
        let events = self.connection.take_events();
        let said = events.iter().rev();
        let mut said =
            said.filter_map(|event| event.text.split_once("statistics of volume dev1: "));
        let pairs = said
            .next()
            .unwrap()
            .1
            .split(',')
            .map(|pair| pair.split_once('=').unwrap());
        let figures: HashMap<_, _> = pairs.collect();
        figures["device_reads"].parse().unwrap()
    }
}

fn fill(session: &Session<'_>, uri: &str) {
    let cursor = session.cursor(uri, "raw").unwrap();
    session.begin("").unwrap();
    for number in 0..ROWS {
        let value = format!("{number}{}\0", "x".repeat(VALUE_BYTES));
        cursor
            .set_key(format!("k{number:05}\0").as_bytes())
            .unwrap();
        cursor.set_value(value.as_bytes()).unwrap();
        cursor.insert().unwrap();
    }
    session.commit().unwrap();
}

fn walk(session: &Session<'_>, uri: &str) -> usize {
    let cursor = session.cursor(uri, "").unwrap();
    std::iter::from_fn(|| cursor.next().found().unwrap().then_some(())).count()
}

const URI: &str = "helium:dev1/t";

#[test]
fn a_truncation_reads_no_values() {
    let make = |session: &Session<'_>| {
        session.create(URI, "key_format=S,value_format=S").unwrap();
        fill(session, URI);
    };
    let cold = Cold::new(make);
    let walked = cold.reads(|session| {
        let cursor = session.cursor(URI, "").unwrap();
        let mut rows = 0;
        while cursor.next().found().unwrap() {
            cursor.value_str().unwrap();
            rows += 1;
        }
        assert_eq!(rows, ROWS);
    });
    let truncated = cold.reads(|session| {
        let (start, stop) = (
            session.cursor(URI, "").unwrap(),
            session.cursor(URI, "").unwrap(),
        );
        start.set_key_str("k01000").unwrap();
        stop.set_key_str("k02999").unwrap();
        session.truncate_range(Some(&start), Some(&stop)).unwrap();
    });
    let emptied = cold.reads(|session| session.truncate(URI).unwrap());
    let session = cold.connection.session().unwrap();
    assert_eq!(walk(&session, URI), 0);
    // Reads of a walk bring many values each; a truncation may look at the ends of its range.
    assert!(
        walked > 20 && truncated < 10 && emptied < 5,
        "{walked} {truncated} {emptied}"
    );
}

#[test]
fn rows_without_values_are_not_read() {
    let make = |session: &Session<'_>| {
        session
            .create("helium:dev1/keys", "key_format=S,value_format=")
            .unwrap();
        let cursor = session.cursor("helium:dev1/keys", "raw").unwrap();
        session.begin("").unwrap();
        for number in 0..ROWS {
            cursor
                .set_key(format!("{}{number}\0", "k".repeat(1_000)).as_bytes())
                .unwrap();
            cursor.set_value(b"").unwrap();
            cursor.insert().unwrap();
        }
        session.commit().unwrap();
    };
    let cold = Cold::new(make);
    let reads = cold.reads(|session| assert_eq!(walk(session, "helium:dev1/keys"), ROWS));
    assert_eq!(reads, 0);
}

/// All that an index has to say is in its keys.
#[test]
fn entries_of_an_index_are_not_read() {
    let make = |session: &Session<'_>| {
        let config = "key_format=S,value_format=S,columns=(k,a),source=\"helium:dev1/t\"";
        session.create("table:t", config).unwrap();
        session
            .create("index:t:i", "columns=(a),source=\"helium:dev1/i\"")
            .unwrap();
        fill(session, "table:t");
    };
    let cold = Cold::new(make);
    let reads = cold.reads(|session| assert_eq!(walk(session, "helium:dev1/i"), ROWS));
    assert_eq!(reads, 0);
}
