//! What reads cost, counted: walks that are after keys alone ask no device, and who looks for the first row passes what was
//! removed before it in steps whose number does not grow with it.

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

    /// The same with [`ROWS`] rows of texts in one object.
    fn with_rows() -> Self {
        Self::new(|session| {
            session.create(URI, "key_format=S,value_format=S").unwrap();
            fill(session, URI);
        })
    }

    /// The same rows in a table, with an index `index:t:i` of their values.
    fn with_index() -> Self {
        Self::new(|session| {
            let config = "key_format=S,value_format=S,columns=(k,a),source=\"helium:dev1/t\"";
            session.create("table:t", config).unwrap();
            session
                .create("index:t:i", "columns=(a),source=\"helium:dev1/i\"")
                .unwrap();
            fill(session, "table:t");
        })
    }

    /// How often devices are read for `work`.
    fn reads(&self, work: impl FnOnce(&Session<'_>)) -> u64 {
        let session = self.connection.session().unwrap();
        let before = self.device_reads(&session);
        work(&session);
        self.device_reads(&session) - before
    }

    fn device_reads(&self, session: &Session<'_>) -> u64 {
        self.figure(session, "device_reads")
    }

    /// A figure of the volume's.
    fn figure(&self, session: &Session<'_>, name: &str) -> u64 {
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
        figures[name].parse().unwrap()
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
    let cold = Cold::with_rows();
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
    let cold = Cold::with_index();
    let reads = cold.reads(|session| assert_eq!(walk(session, "helium:dev1/i"), ROWS));
    assert_eq!(reads, 0);
}

/// Rows are looked up for columns that their keys do not have.
#[test]
fn a_cursor_on_an_index_reads_no_rows_for_keys() {
    let cold = Cold::with_index();
    let keys = cold.reads(|session| assert_eq!(walk(session, "index:t:i(k)"), ROWS));
    let rows = cold.reads(|session| assert_eq!(walk(session, "index:t:i(a)"), ROWS));
    assert!(keys == 0 && rows > 20, "{keys} {rows}");
}

/// Nobody asks for them.
#[test]
fn a_walk_for_keys_reads_no_values() {
    let cold = Cold::with_rows();
    let reads = cold.reads(|session| {
        for in_transaction in [false, true] {
            if in_transaction {
                session.begin("isolation=snapshot").unwrap();
            }
            let cursor = session.cursor(URI, "").unwrap();
            assert_eq!(walk(session, URI), ROWS);
            cursor.set_key_str("k02000x").unwrap();
            cursor.search_near().unwrap();
            for expected in ["k02001", "k02000", "k01999"] {
                assert_eq!(cursor.key_str().unwrap(), expected);
                cursor.prev().unwrap();
            }
            if in_transaction {
                session.rollback().unwrap();
            }
        }
    });
    assert_eq!(reads, 0);
}

/// Who has asked for a value is given those that follow many at a time.
#[test]
fn a_walk_for_values_reads_them_together() {
    let cold = Cold::with_rows();
    let reads = cold.reads(|session| {
        let cursor = session.cursor(URI, "").unwrap();
        for number in 0..ROWS {
            cursor.next().unwrap();
            assert!(
                cursor
                    .value_str()
                    .unwrap()
                    .starts_with(&format!("{number}x"))
            );
        }
    });
    assert!(reads < ROWS as u64 / 4, "{reads}");
}

/// What the session does between a step and the question for its value: the view that it had ends, or the row is another one.
type Happens = fn(&Session<'_>, usize);

const HAPPENS: [(&str, Happens); 8] = [
    ("nothing", |_, _| {}),
    ("an update", |session, number| {
        put(session, URI, &key(number));
    }),
    ("an update on a native table", |session, number| {
        put(session, "table:native", &key(number));
    }),
    ("a removal", |session, number| {
        let cursor = session.cursor(URI, "").unwrap();
        cursor.set_key_str(&key(number)).unwrap();
        cursor.remove().unwrap();
    }),
    ("a truncation", |session, number| {
        let (start, stop) = (
            session.cursor(URI, "").unwrap(),
            session.cursor(URI, "").unwrap(),
        );
        start.set_key_str(&key(number)).unwrap();
        stop.set_key_str(&key(number + 1)).unwrap();
        session.truncate_range(Some(&start), Some(&stop)).unwrap();
    }),
    (
        "a transaction ends, and the next one writes",
        |session, number| {
            let _ = session.commit();
            session.begin("isolation=snapshot").unwrap();
            put(session, URI, &key(number));
            session.commit().unwrap();
        },
    ),
    ("an object is made", |session, number| {
        session.create(&format!("table:made{number}"), "").unwrap();
    }),
    ("another cursor looks", |session, number| {
        let cursor = session.cursor(URI, "").unwrap();
        cursor.set_key_str(&key(number + 1)).unwrap();
        cursor.search().unwrap();
        cursor.reset().unwrap();
    }),
];

fn put(session: &Session<'_>, uri: &str, key: &str) {
    session.cursor(uri, "").unwrap().put(key, "new").unwrap();
}

/// A value is that of the row that the step came to, whenever it is asked for.
#[test]
fn a_value_is_what_the_step_found() {
    let cold = Cold::with_rows();
    let other = cold.connection.session().unwrap();
    other
        .create("table:native", "key_format=S,value_format=S")
        .unwrap();
    let mut place = (1..ROWS).step_by(8);
    let isolations = ["", "read-uncommitted", "read-committed", "snapshot"];
    for isolation in isolations {
        for (what, happens) in HAPPENS {
            let number = place.next().unwrap();
            let session = cold.connection.session().unwrap();
            if !isolation.is_empty() {
                session.begin(&format!("isolation={isolation}")).unwrap();
            }
            let cursor = session.cursor(URI, "").unwrap();
            cursor.set_key_str(&key(number - 1)).unwrap();
            cursor.search().unwrap();
            cursor.next().unwrap();
            assert_eq!(cursor.key_str().unwrap(), key(number));
            happens(&session, number);
            let value = cursor.value_str().unwrap();
            assert!(
                value.starts_with(&format!("{number}x")),
                "{what}, {isolation}: {}",
                &value[..value.len().min(9)]
            );
        }
    }
}

/// What others do is not seen, below snapshot isolation neither: the walk has one view.
#[test]
fn others_change_no_value_that_a_step_found() {
    let cold = Cold::with_rows();
    let session = cold.connection.session().unwrap();
    let other = cold.connection.session().unwrap();
    let cursor = session.cursor(URI, "").unwrap();
    for number in 0..3 {
        cursor.next().unwrap();
        put(&other, URI, &key(number));
    }
    assert!(cursor.value_str().unwrap().starts_with("2x"));
    cursor.reset().unwrap();
    cursor.next().unwrap();
    assert_eq!(cursor.value_str().unwrap(), "new");
}

/// An update without a value of its own writes the one that was found, though nobody has asked for it.
#[test]
fn what_was_found_is_written_back() {
    let cold = Cold::with_rows();
    let session = cold.connection.session().unwrap();
    let cursor = session.cursor(URI, "").unwrap();
    cursor.next().unwrap();
    cursor.next().unwrap();
    cursor.set_key_str("k00000").unwrap();
    cursor.update().unwrap();
    cursor.set_key_str("k00000").unwrap();
    cursor.search().unwrap();
    assert!(cursor.value_str().unwrap().starts_with("1x"));
    cursor.next().unwrap();
    cursor.set_value_str("set").unwrap();
    assert_eq!(cursor.value_str().unwrap(), "set", "what was set meanwhile");
}

/// What another program wrote is looked at when somebody asks for it.
#[test]
fn a_row_of_another_format_is_refused_when_it_is_asked_for() {
    let cold = Cold::new(|session| {
        session.create(URI, "key_format=S,value_format=S").unwrap();
        let cursor = session.cursor(URI, "raw").unwrap();
        cursor.set_key(b"bad\0").unwrap();
        cursor
            .set_value("no end".repeat(VALUE_BYTES).as_bytes())
            .unwrap();
        cursor.insert().unwrap();
        fill(session, URI);
    });
    let session = cold.connection.session().unwrap();
    let cursor = session.cursor(URI, "").unwrap();
    cursor.next().unwrap();
    assert_eq!(cursor.key_str().unwrap(), "bad");
    for _ in 0..2 {
        assert_eq!(cursor.value_str().code(), Code::EIO);
    }
    // An update without a value of its own has none to write.
    assert_eq!(cursor.update().code(), Code::EIO);
    cursor.next().unwrap();
    assert!(cursor.value_str().unwrap().starts_with("0x"));
    assert!(
        cold.connection
            .take_events()
            .iter()
            .any(|event| event.text.contains("\"bad"))
    );
}

fn key(number: usize) -> String {
    format!("k{number:05}")
}

/// Whether others hold a snapshot that has the rows, or the transaction itself has removed them.
#[test]
fn a_queue_passes_what_was_taken_from_it_in_few_steps() {
    const TURNS: u64 = 4_000;
    let cold = Cold::with_rows();
    let sessions = [(); 3].map(|()| cold.connection.session().unwrap());
    let [held, queue, aside] = &sessions;
    let passed = |work: &dyn Fn()| {
        let before = cold.figure(aside, "passed_slots");
        work();
        cold.figure(aside, "passed_slots") - before
    };
    let take_all_but_one = || {
        let cursor = queue.cursor(URI, "").unwrap();
        for _ in 1..TURNS {
            cursor.next().unwrap();
            cursor.remove().unwrap();
            cursor.reset().unwrap();
        }
        cursor.next().unwrap();
        assert_eq!(cursor.key_str().unwrap(), format!("k{:05}", TURNS - 1));
    };
    // Each row twice, and what a walk passes before it looks for more.
    let most = 2 * TURNS + TURNS * 40;
    queue.begin("").unwrap();
    let own = passed(&take_all_but_one);
    queue.rollback().unwrap();
    assert!(own < most, "{own} for its own");

    held.begin("isolation=snapshot").unwrap();
    let reader = held.cursor(URI, "").unwrap();
    reader.next().unwrap();
    let others = passed(&take_all_but_one);
    assert!(others < most, "{others} beside a snapshot");
    for config in ["isolation=snapshot", "isolation=read-committed"] {
        let first = passed(&|| {
            queue.begin(config).unwrap();
            assert_eq!(walk(queue, URI), 1);
            queue.rollback().unwrap();
        });
        assert!(first < 100, "{first} at {config}");
    }
    // Who holds it sees them all.
    assert_eq!(walk(held, URI), ROWS);
    held.rollback().unwrap();
}
