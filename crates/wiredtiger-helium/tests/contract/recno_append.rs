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
