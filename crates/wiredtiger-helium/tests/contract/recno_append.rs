//! Record-number keys, and cursors that number new items themselves.

use std::collections::BTreeSet;

use crate::common::*;

const FORMATS: &str = "key_format=r,value_format=S";

on_every_kind! {
    fn record_numbers_sort_as_numbers(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "").unwrap();
        let numbers = [1, 2, 63, 64, 255, 256, 8_255, 8_256, 65_536, 1_000_000];
        for number in numbers.iter().rev() {
            put(&cursor, *number, "v").unwrap();
        }
        assert_eq!(walk(&cursor), numbers);
        cursor.set_key_recno(100).unwrap();
        cursor.search_near().unwrap();
        assert!([64, 255].contains(&cursor.key_recno().unwrap()));
    }

    fn append_gives_the_next_number(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let append = session.cursor(&uri, "append").unwrap();
        for expected in 1..=5 {
            append.set_value_str("v").unwrap();
            append.insert().unwrap();
            assert_eq!(append.key_recno().unwrap(), expected);
        }
        let cursor = session.cursor(&uri, "").unwrap();
        put(&cursor, 10, "v").unwrap();
        append.set_value_str("v").unwrap();
        append.insert().unwrap();
        assert_eq!(append.key_recno().unwrap(), 11);
        assert_eq!(walk(&cursor), [1, 2, 3, 4, 5, 10, 11]);
    }

    /// Only what is there counts, not what was asked for (the seed's number 24).
    fn searching_a_large_number_does_not_move_the_end(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let append = session.cursor(&uri, "append").unwrap();
        append.set_value_str("v").unwrap();
        append.insert().unwrap();
        let cursor = session.cursor(&uri, "overwrite=false").unwrap();
        for number in [1_000_000, 2_000_000] {
            cursor.set_key_recno(number).unwrap();
            assert_eq!(cursor.search().code(), Code::NOTFOUND);
            cursor.set_key_recno(number).unwrap();
            let _ = cursor.search_near();
            cursor.set_key_recno(number).unwrap();
            cursor.set_value_str("v").unwrap();
            assert_eq!(cursor.update().code(), Code::NOTFOUND);
            cursor.set_key_recno(number).unwrap();
            assert_eq!(cursor.remove().code(), Code::NOTFOUND);
        }
        append.set_value_str("v").unwrap();
        append.insert().unwrap();
        assert_eq!(append.key_recno().unwrap(), 2);
    }

    fn append_goes_on_after_reopening(arena) {
        {
            let session = arena.session();
            let uri = arena.create(&session, "t", FORMATS);
            put(&session.cursor(&uri, "").unwrap(), 7, "v").unwrap();
        }
        arena.reopen();
        let session = arena.session();
        let append = session.cursor(&arena.uri("t"), "append").unwrap();
        append.set_value_str("v").unwrap();
        append.insert().unwrap();
        assert_eq!(append.key_recno().unwrap(), 8);
    }

    /// A number is given once: not again after a rollback, nor after its row was removed, nor in another life of the
    /// database. `expected` is what the appends of a script get.
    fn no_number_is_given_twice(arena) {
        for formats in [FORMATS, "key_format=r,value_format=8t"] {
            for (script, expected) in [
                // Rolled back: what was appended, and what was put further on.
                ("begin append rollback append", &[1, 2][..]),
                ("append append begin append append rollback append", &[1, 2, 3, 4, 5]),
                ("begin put:20 rollback append", &[21]),
                ("begin put:20 rollback reopen append", &[21]),
                ("begin put:20 rollback append reopen append", &[21, 22]),
                ("append begin append rollback reopen append", &[1, 2, 3]),
                ("put:5 begin put:9 rollback append begin put:7 rollback append", &[10, 11]),
                // Removed: the last row, several of them, all of them.
                ("append append append remove:3 append", &[1, 2, 3, 4]),
                ("append append append remove:3 reopen append", &[1, 2, 3, 4]),
                ("append append append remove:3 remove:2 reopen append", &[1, 2, 3, 4]),
                ("put:10 put:11 remove:10 remove:11 begin append rollback append", &[12, 13]),
                ("append append put:17 remove:17 reopen append", &[1, 2, 18]),
                ("append truncate append", &[1, 2]),
                ("append append append truncate reopen append reopen append", &[1, 2, 3, 4, 5]),
                ("append remove:1 append remove:2 reopen append remove:3 reopen append", &[1, 2, 3, 4]),
                // Written and removed in one transaction, and a removal that is rolled back.
                ("begin put:5 remove:5 commit append", &[6]),
                ("begin put:5 remove:5 commit reopen append", &[6]),
                ("begin put:5 remove:5 rollback reopen append", &[6]),
                ("append append begin remove:2 rollback append reopen append", &[1, 2, 3, 4]),
                // A number that nobody wrote.
                ("append remove:100 append reopen append", &[1, 2, 3]),
                // Checkpoints in between change nothing.
                ("append remove:1 checkpoint append remove:2 checkpoint reopen append", &[1, 2, 3]),
            ] {
                assert_eq!(run(arena, formats, script), expected, "{formats}: {script}");
            }
        }
    }

    fn several_sessions_append_without_meeting(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let arena = &*arena;
        let numbers: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let uri = &uri;
                    scope.spawn(move || {
                        let session = arena.session();
                        let append = session.cursor(uri, "append").unwrap();
                        (0..100)
                            .map(|_| {
                                append.set_value_str("v").unwrap();
                                append.insert().unwrap();
                                append.key_recno().unwrap()
                            })
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), 400, "a number was given twice");
        assert_eq!(walk(&session.cursor(&uri, "").unwrap()).len(), 400);
    }

    fn appended_rows_of_a_rolled_back_transaction_are_gone(arena) {
        let session = arena.snapshot_session();
        let uri = arena.create(&session, "t", FORMATS);
        let append = session.cursor(&uri, "append").unwrap();
        session.begin("").unwrap();
        append.set_value_str("v").unwrap();
        append.insert().unwrap();
        session.rollback().unwrap();
        let cursor = session.cursor(&uri, "").unwrap();
        assert!(walk(&cursor).is_empty());
        append.set_value_str("v").unwrap();
        append.insert().unwrap();
        assert_eq!(walk(&cursor).len(), 1);
    }

    fn a_key_that_was_set_is_ignored_by_append(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let append = session.cursor(&uri, "append").unwrap();
        append.set_key_recno(500).unwrap();
        append.set_value_str("v").unwrap();
        append.insert().unwrap();
        let found = walk(&session.cursor(&uri, "").unwrap());
        assert_eq!(found, [1]);
    }

    fn record_number_zero_is_refused(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "").unwrap();
        cursor.set_key_recno(0).unwrap();
        cursor.set_value_str("v").unwrap();
        assert_eq!(cursor.insert().code(), Code::EINVAL);
    }
}

on_helium! {
    /// What was committed when the process is killed counts, removed or not; native tables lose what their log had
    /// not written yet.
    fn nor_after_a_kill(arena) {
        for (script, expected) in [
            ("append append append remove:3 kill append", &[1, 2, 3, 4][..]),
            ("append append truncate kill append remove:3 kill append", &[1, 2, 3, 4]),
            ("begin append append remove:2 commit kill append", &[1, 2, 3]),
            ("append begin append rollback checkpoint kill append", &[1, 2, 3]),
        ] {
            assert_eq!(run(arena, FORMATS, script), expected, "{script}");
        }
    }

    /// A name that goes and comes back starts anew; another name changes nothing, and neither does emptying.
    fn a_number_belongs_to_its_table(arena) {
        let session = arena.session();
        for (change, rolls_back, expected) in
            [("rename", true, 4), ("empty", true, 4), ("empty", false, 3), ("drop", true, 1)]
        {
            let name = format!("{change}_{rolls_back}");
            let uri = arena.create(&session, &name, FORMATS);
            append(&session, &uri);
            append(&session, &uri);
            if rolls_back {
                session.begin("").unwrap();
                append(&session, &uri);
                session.rollback().unwrap();
            }
            let other = arena.uri("another");
            match change {
                "rename" => session.rename(&uri, &other).unwrap(),
                "empty" => session.create(&format!("helium:dev1/{name}"), &format!("{FORMATS},helium_o_truncate")).unwrap(),
                _ => {
                    session.drop(&uri, "").unwrap();
                    arena.create(&session, &name, FORMATS);
                }
            }
            let uri = if change == "rename" { &other } else { &uri };
            assert_eq!(append(&session, uri), expected, "{name}");
        }
    }
}

/// Runs a script on a new table; what its appends got.
fn run(arena: &mut Arena, formats: &str, script: &str) -> Vec<u64> {
    let mut found = Vec::new();
    {
        let session = arena.snapshot_session();
        let uri = arena.uri("t");
        if session.cursor(&uri, "").is_ok() {
            session.drop(&uri, "").unwrap();
        }
        arena.create(&session, "t", formats);
    }
    let words: Vec<_> = script.split(' ').collect();
    let mut killed: Option<Arena> = None;
    for life in words.split_inclusive(|word| ["reopen", "kill"].contains(word)) {
        {
            let arena = killed.as_ref().unwrap_or(arena);
            let session = arena.snapshot_session();
            for word in life {
                step(&session, &arena.uri("t"), word, &mut found);
            }
        }
        match life.last() {
            Some(&"reopen") => arena.reopen(),
            Some(&"kill") => killed = Some(killed.as_ref().unwrap_or(arena).killed()),
            _ => {}
        }
    }
    found
}

fn step(session: &Session<'_>, uri: &str, word: &str, found: &mut Vec<u64>) {
    let (what, number) = word.split_once(':').unwrap_or((word, "0"));
    let cursor = session.cursor(uri, "").unwrap();
    let number = number.parse().unwrap();
    match what {
        "append" => found.push(append(session, uri)),
        "put" => {
            cursor.set_key_recno(number).unwrap();
            set_value(&cursor);
            cursor.insert().unwrap();
        }
        "remove" => {
            cursor.set_key_recno(number).unwrap();
            cursor.remove().unwrap();
        }
        "begin" => session.begin("").unwrap(),
        "commit" => session.commit().unwrap(),
        "rollback" => session.rollback().unwrap(),
        "checkpoint" => session.checkpoint("").unwrap(),
        "truncate" => session.truncate(uri).unwrap(),
        "reopen" | "kill" => {}
        other => panic!("{other}"),
    }
}

fn append(session: &Session<'_>, uri: &str) -> u64 {
    let cursor = session.cursor(uri, "append").unwrap();
    set_value(&cursor);
    cursor.insert().unwrap();
    cursor.key_recno().unwrap()
}

fn set_value(cursor: &Cursor<'_>) {
    match cursor.value_format().as_str() {
        "S" => cursor.set_value_str("v").unwrap(),
        _ => cursor.set_value_bits(7).unwrap(),
    }
}

fn put(cursor: &Cursor<'_>, number: u64, value: &str) -> wiredtiger_testkit::Result<()> {
    cursor.set_key_recno(number)?;
    cursor.set_value_str(value)?;
    cursor.insert()
}

fn walk(cursor: &Cursor<'_>) -> Vec<u64> {
    cursor.reset().unwrap();
    let mut numbers = Vec::new();
    while cursor.next().found().unwrap() {
        numbers.push(cursor.key_recno().unwrap());
    }
    cursor.reset().unwrap();
    numbers
}
