//! Failed updates, writes that meet a conflict, reservations, and walks that are tried again behind a prepared row.

use wiredtiger_testkit::{Result, pack};

use super::{Kind, Log, STEPS, Table, compare, set};
use crate::common::*;

/// In which transaction something is done: in none, or in one of that configuration.
const TRANSACTIONS: [&str; 4] = [
    "",
    "isolation=read-uncommitted",
    "isolation=read-committed",
    "isolation=snapshot",
];

/// Does something with cursors of either kind in each transaction, which keeps nothing of it.
fn with_cursors(table: &Table, work: impl Fn(&str, &Cursor<'_>)) {
    for config in ["raw", "raw,overwrite=false"] {
        for transaction in TRANSACTIONS {
            let session = table.arena.session();
            let cursor = session.cursor(&table.uri, config).unwrap();
            if !transaction.is_empty() {
                session.begin(transaction).unwrap();
            }
            work(&format!("{config} {transaction}"), &cursor);
            if !transaction.is_empty() {
                session.rollback().unwrap();
            }
        }
    }
}

#[test]
fn an_update_of_a_missing_key() {
    compare(|table, log| {
        let log = std::cell::RefCell::new(log);
        with_cursors(table, |how, cursor| {
            let note = |what: &str, answer| {
                log.borrow_mut()
                    .note(&format!("{how} {what}"), cursor, answer);
            };
            table.aim_with(cursor, "b", "9");
            note("update", cursor.update());
            note("next", cursor.next());
            table.aim_with(cursor, "f", "9");
            note("update from there", cursor.update());
            note("next", cursor.next());
            table.aim(cursor, "f");
            note("remove", cursor.remove());
            table.aim(cursor, "c");
            note("search", cursor.search());
            table.aim(cursor, "f");
            note("update with what was there", cursor.update());
            note("search", cursor.search());
            note("prev", cursor.prev());
            for key in ["f", "b"] {
                table.aim(cursor, key);
                note("remove", cursor.remove());
                note("again", cursor.remove());
                note("next", cursor.next());
            }
        });
    });
}

#[test]
fn an_insert_and_a_removal() {
    compare(|table, log| {
        let log = std::cell::RefCell::new(log);
        with_cursors(table, |how, cursor| {
            let note = |what: &str, answer| {
                log.borrow_mut()
                    .note(&format!("{how} {what}"), cursor, answer);
            };
            for what in ["insert", "insert again"] {
                table.aim_with(cursor, "d", "9");
                note(what, cursor.insert());
                note("next", cursor.next());
            }
            table.aim_with(cursor, "d", "7");
            note("update", cursor.update());
            note("next", cursor.next());
            table.aim(cursor, "d");
            note("remove", cursor.remove());
            note("next", cursor.next());
            note("next", cursor.next());
            note("remove where it stands", cursor.remove());
            note("next", cursor.next());
            table.aim_with(cursor, "c", "3");
            note("insert what was removed", cursor.insert());
        });
    });
}

#[test]
fn a_reservation() {
    compare(|table, log| {
        let log = std::cell::RefCell::new(log);
        with_cursors(table, |how, cursor| {
            let note = |what: &str, answer| {
                log.borrow_mut()
                    .note(&format!("{how} {what}"), cursor, answer);
            };
            table.aim(cursor, "c");
            note("reserve", cursor.reserve());
            note("next", cursor.next());
            note("reserve where it stands", cursor.reserve());
            note("prev", cursor.prev());
            table.aim(cursor, "d");
            note("reserve what is missing", cursor.reserve());
            note("next", cursor.next());
            table.aim_with(cursor, "d", "9");
            note("reserve what is missing, with a value", cursor.reserve());
            table.aim_with(cursor, "d", "9");
            note("insert", cursor.insert());
            table.aim(cursor, "d");
            note("reserve what was inserted", cursor.reserve());
            table.aim(cursor, "d");
            note("remove", cursor.remove());
            table.aim(cursor, "d");
            note("reserve what was removed", cursor.reserve());
            table.aim_with(cursor, "c", "7");
            note("reserve with a value", cursor.reserve());
            table.aim_with(cursor, "c", "7");
            note("update", cursor.update());
        });
    });
}

/// Another transaction has the row; or only its reservation.
#[test]
fn a_write_that_meets_a_conflict() {
    type Write = fn(&Cursor<'_>) -> Result<()>;
    let writes: [(&str, Write); 4] = [
        ("insert", |c| c.insert()),
        ("update", |c| c.update()),
        ("remove", |c| c.remove()),
        ("reserve", |c| c.reserve()),
    ];
    compare(|table, log| {
        let other = table.arena.session();
        let theirs = other.cursor(&table.uri, "raw").unwrap();
        let has_it = [("updated", writes[1].1), ("reserved", writes[3].1)];
        for (by, take) in has_it {
            other.begin("isolation=snapshot").unwrap();
            set(&theirs, "c", "9");
            take(&theirs).unwrap();
            for (name, write) in writes {
                for stands in [false, true] {
                    let session = table.arena.session();
                    let cursor = session.cursor(&table.uri, "raw").unwrap();
                    session.begin("isolation=snapshot").unwrap();
                    cursor.set_key(&pack::string("c")).unwrap();
                    if stands {
                        cursor.search().unwrap();
                    }
                    if !stands || name == "insert" {
                        set(&cursor, "c", "8");
                    }
                    let how = format!("{by}, {name}, {stands}");
                    let code = log.note(&how, &cursor, write(&cursor));
                    assert_eq!(code, Code::ROLLBACK, "{how}");
                    log.note("next", &cursor, cursor.next());
                    session.rollback().unwrap();
                }
            }
            other.rollback().unwrap();
        }
    });
}

/// A walk that meets what is prepared goes on from where it was, either way, when it is tried again; and so does one by an index.
#[test]
fn a_walk_that_is_tried_again() {
    compare(|table, log| {
        for isolation in TRANSACTIONS {
            for (way, step) in STEPS {
                for (name, place) in table.places() {
                    let (session, other) = (table.arena.session(), table.arena.session());
                    let theirs = other.cursor(&table.uri, "raw").unwrap();
                    let cursor = session.cursor(&place, "raw").unwrap();
                    other.begin("isolation=snapshot").unwrap();
                    set(&theirs, "d", "2b");
                    theirs.insert().unwrap();
                    set(&theirs, "c", "2c");
                    theirs.update().unwrap();
                    other.prepare("prepare_timestamp=10").unwrap();
                    if !isolation.is_empty() {
                        session.begin(isolation).unwrap();
                    }
                    let mut walk = |steps, what: &str| {
                        let what = format!("{isolation} {name} {way} {what}");
                        let codes = (0..steps).map(|_| log.note(&what, &cursor, step(&cursor)));
                        codes.collect::<Vec<_>>()
                    };
                    let met = walk(4, "before");
                    assert!(met[1..].contains(&Code::PREPARE_CONFLICT), "{met:?}");
                    other.rollback().unwrap();
                    let rest = walk(6, "behind");
                    assert!(rest.contains(&Code::NOTFOUND), "{rest:?}");
                    if !isolation.is_empty() {
                        session.rollback().unwrap();
                    }
                }
            }
        }
    });
}

/// Where a cursor stands is no matter to who has set another key. (Native ones mix up their column groups there.)
#[test]
fn another_key_is_the_one_that_is_written() {
    for (shape, groups, indices) in super::SHAPES {
        let table = Table::new(Kind::Table, groups, indices);
        {
            let session = table.arena.session();
            let cursor = session.cursor(&table.uri, "raw").unwrap();
            cursor.next().unwrap();
            set(&cursor, "e", "5");
            cursor.update().unwrap();
            cursor.set_key(&pack::string("c")).unwrap();
            cursor.remove().unwrap();
            cursor.next().unwrap();
            set(&cursor, "b", "4");
            cursor.update().unwrap();
            set(&cursor, "f", "6");
            cursor.insert().unwrap();
        }
        let mut log = Log::default();
        log.note_rows(&table);
        let rows = log
            .0
            .iter()
            .filter_map(|line| line.strip_prefix("table next: OK "));
        let rows: Vec<_> = rows.collect();
        assert_eq!(
            rows,
            ["a. 4.x.", "b. 4.x.", "e. 5.x.", "f. 6.x.", "g. 1.x."],
            "{shape}"
        );
    }
}
