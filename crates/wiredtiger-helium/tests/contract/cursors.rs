//! Walking, searching, duplicating, changing in place; options of `open_cursor`.

use std::cmp::Ordering;

use wiredtiger_testkit::{Change, pack};

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";

on_every_kind! {
    fn walks_in_byte_order_both_ways(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", "key_format=u,value_format=u");
        let cursor = session.cursor(&uri, "").unwrap();
        let mut keys: Vec<Vec<u8>> =
            vec![b"\0".to_vec(), b"\0\0".to_vec(), b"a".to_vec(), b"a\0".to_vec(), b"a\xff".to_vec(),
                 b"b".to_vec(), b"\x7f".to_vec(), b"\x80".to_vec(), b"\xff".to_vec(), b"\xff\xff".to_vec()];
        for key in keys.iter().rev() {
            cursor.set_key(key).unwrap();
            cursor.set_value(key).unwrap();
            cursor.insert().unwrap();
        }
        keys.sort();
        let rows: Vec<_> = keys.iter().map(|key| (key.clone(), key.clone())).collect();
        assert_eq!(cursor.rows().unwrap(), rows);
        let mut back = cursor.rows_back().unwrap();
        back.reverse();
        assert_eq!(back, rows);
    }

    fn an_empty_table_has_no_first_item(arena) {
        let session = arena.session();
        let cursor = letters(arena, &session, "");
        assert_eq!(cursor.next().code(), Code::NOTFOUND);
        assert_eq!(cursor.prev().code(), Code::NOTFOUND);
    }

    fn turns_round_in_the_middle(arena) {
        let session = arena.session();
        let cursor = letters(arena, &session, "abcde");
        let steps = "nnnpnppnnnn";
        let mut seen = String::new();
        for step in steps.chars() {
            if step == 'n' { cursor.next().unwrap() } else { cursor.prev().unwrap() }
            seen.push_str(&cursor.key_str().unwrap());
        }
        assert_eq!(seen, "abcbcbabcde");
    }

    fn past_the_end_the_walk_starts_anew(arena) {
        let session = arena.session();
        let cursor = letters(arena, &session, "ab");
        for _ in 0..2 {
            assert_eq!(cursor.next().code(), Code::OK);
            assert_eq!(cursor.next().code(), Code::OK);
            assert_eq!(cursor.next().code(), Code::NOTFOUND);
        }
        assert_eq!(cursor.prev().code(), Code::OK);
        assert_eq!(cursor.key_str().unwrap(), "b");
    }

    fn goes_on_from_where_a_search_went(arena) {
        let session = arena.session();
        let cursor = letters(arena, &session, "abcde");
        cursor.seek("c").unwrap();
        cursor.next().unwrap();
        assert_eq!(cursor.key_str().unwrap(), "d");
        cursor.seek("c").unwrap();
        cursor.prev().unwrap();
        assert_eq!(cursor.key_str().unwrap(), "b");
    }

    fn goes_on_from_an_update(arena) {
        let session = arena.session();
        let cursor = letters(arena, &session, "abcde");
        cursor.change("c", "new").unwrap();
        cursor.next().unwrap();
        assert_eq!(cursor.key_str().unwrap(), "d");
    }

    fn goes_on_from_a_removed_item(arena) {
        let session = arena.session();
        let cursor = letters(arena, &session, "abcde");
        cursor.seek("c").unwrap();
        cursor.remove().unwrap();
        cursor.next().unwrap();
        assert_eq!(cursor.key_str().unwrap(), "d");
        cursor.prev().unwrap();
        assert_eq!(cursor.key_str().unwrap(), "b");
    }

    fn removes_everything_while_walking(arena) {
        let session = arena.session();
        let cursor = letters(arena, &session, "abcdefgh");
        let mut removed = 0;
        while cursor.next().found().unwrap() {
            cursor.remove().unwrap();
            removed += 1;
        }
        assert_eq!(removed, 8);
        assert!(cursor.list().unwrap().is_empty());
    }

    fn a_walk_that_begins_anew_sees_what_came_up_and_skips_what_went(arena) {
        let (one, two) = (arena.session(), arena.session());
        let cursor = letters(arena, &one, "adg");
        let other = two.cursor(&arena.uri("t"), "").unwrap();
        cursor.next().unwrap();
        other.put("b", "new").unwrap();
        other.take("d").unwrap();
        // While it has a place it keeps its view, even at read-committed.
        cursor.next().unwrap();
        assert_eq!(cursor.key_str().unwrap(), "d");
        cursor.seek("a").unwrap();
        for expected in ["b", "g"] {
            cursor.next().unwrap();
            assert_eq!(cursor.key_str().unwrap(), expected);
        }
    }

    fn reset_gives_up_the_place_and_the_key(arena) {
        let session = arena.session();
        let cursor = letters(arena, &session, "abc");
        cursor.seek("b").unwrap();
        cursor.reset().unwrap();
        assert_eq!(cursor.key_str().code(), Code::EINVAL);
        cursor.next().unwrap();
        assert_eq!(cursor.key_str().unwrap(), "a");
    }

    fn a_search_without_a_key_is_refused(arena) {
        let session = arena.session();
        let cursor = letters(arena, &session, "abc");
        assert_eq!(cursor.search().code(), Code::EINVAL);
        assert_eq!(cursor.remove().code(), Code::EINVAL);
        cursor.set_key_str("a").unwrap();
        assert_eq!(cursor.insert().code(), Code::EINVAL, "no value");
    }

    fn a_duplicate_stands_where_the_first_stands(arena) {
        let session = arena.session();
        let cursor = letters(arena, &session, "abc");
        cursor.seek("b").unwrap();
        let second = session.duplicate(&cursor, "").unwrap();
        assert_eq!(second.key_str().unwrap(), "b");
        assert_eq!(cursor.compare(&second).unwrap(), Ordering::Equal);
        assert!(cursor.equals(&second).unwrap());
        second.next().unwrap();
        assert_eq!((cursor.key_str().unwrap(), second.key_str().unwrap()), ("b".into(), "c".into()));
        assert_eq!(cursor.compare(&second).unwrap(), Ordering::Less);
        assert!(!cursor.equals(&second).unwrap());
    }

    fn two_cursors_of_a_session_do_not_disturb_each_other(arena) {
        let session = arena.session();
        let first = letters(arena, &session, "abc");
        let second = session.cursor(&arena.uri("t"), "").unwrap();
        first.seek("a").unwrap();
        second.seek("c").unwrap();
        first.next().unwrap();
        second.prev().unwrap();
        assert!(first.equals(&second).unwrap());
    }

    /// Keys and values that WiredTiger hands out must stay good until the cursor moves.
    fn the_value_stays_good_while_others_change_it(arena) {
        let (one, two) = (arena.session(), arena.session());
        let uri = arena.create(&one, "t", FORMATS);
        let (cursor, other) = (one.cursor(&uri, "").unwrap(), two.cursor(&uri, "").unwrap());
        let long = "v".repeat(10_000);
        other.put("k", &long).unwrap();
        cursor.seek("k").unwrap();
        for round in 0..100 {
            other.put("k", &round.to_string()).unwrap();
        }
        assert_eq!(cursor.value_str().unwrap(), long);
        assert_eq!(cursor.key_str().unwrap(), "k");
    }

    fn modify_changes_parts_of_a_value(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", "key_format=S,value_format=u");
        let cursor = session.cursor(&uri, "").unwrap();
        cursor.set_key_str("k").unwrap();
        cursor.set_value(b"0123456789").unwrap();
        cursor.insert().unwrap();
        session.begin("isolation=snapshot").unwrap();
        cursor.set_key_str("k").unwrap();
        let changes = [
            Change { data: b"AB", offset: 2, size: 2 },
            Change { data: b"", offset: 5, size: 2 },
            Change { data: b"+++", offset: 8, size: 0 },
        ];
        cursor.modify(&changes).unwrap();
        session.commit().unwrap();
        cursor.set_key_str("k").unwrap();
        cursor.search().unwrap();
        assert_eq!(cursor.value().unwrap(), b"01AB4789+++");
        session.begin("isolation=snapshot").unwrap();
        cursor.set_key_str("missing").unwrap();
        assert_eq!(cursor.modify(&changes).code(), Code::NOTFOUND);
        session.rollback().unwrap();
    }

    /// A change of a part needs a row that nobody else changes meanwhile.
    fn modify_needs_snapshot_isolation(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", "key_format=S,value_format=u");
        let cursor = session.cursor(&uri, "").unwrap();
        cursor.set_key_str("k").unwrap();
        cursor.set_value(b"0123").unwrap();
        cursor.insert().unwrap();
        let changes = [Change { data: b"AB", offset: 1, size: 2 }];
        let modify = || {
            cursor.set_key_str("k").unwrap();
            cursor.modify(&changes).code()
        };
        let value = || {
            cursor.set_key_str("k").unwrap();
            cursor.search().unwrap();
            cursor.value().unwrap()
        };
        assert_eq!(modify(), Code::ENOTSUP, "outside of transactions");
        for level in ["read-uncommitted", "read-committed"] {
            session.begin(&format!("isolation={level}")).unwrap();
            assert_eq!(modify(), Code::ENOTSUP, "{level}");
            assert_eq!(value(), b"0123");
            session.commit().unwrap();
        }
        session.begin("isolation=snapshot").unwrap();
        assert_eq!(modify(), Code::OK);
        session.commit().unwrap();
        assert_eq!(value(), b"0AB3");
    }

    fn numbers_sort_as_numbers(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", "key_format=q,value_format=iS");
        let cursor = session.cursor(&uri, "raw").unwrap();
        let numbers = [i64::MIN, -100_000, -300, -70, -1, 0, 5, 63, 64, 300, 100_000, i64::MAX];
        let value = [pack::signed(-7), pack::string("text")].concat();
        for number in numbers.iter().rev() {
            cursor.set_key(&pack::signed(*number)).unwrap();
            cursor.set_value(&value).unwrap();
            cursor.insert().unwrap();
        }
        let expected: Vec<_> = numbers.map(|number| (pack::signed(number), value.clone())).into();
        assert_eq!(cursor.rows().unwrap(), expected);
    }

    fn keys_of_several_columns_sort_by_column(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", "key_format=Sq,value_format=S,columns=(name,number,text)");
        let cursor = session.cursor(&uri, "raw").unwrap();
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for name in ["a", "ab", "b"] {
            for number in [-5, 3, 200] {
                keys.push([pack::string(name), pack::signed(number)].concat());
            }
        }
        for key in keys.iter().rev() {
            cursor.set_key(key).unwrap();
            cursor.set_value(&pack::string("v")).unwrap();
            cursor.insert().unwrap();
        }
        let found: Vec<_> = cursor.rows().unwrap().into_iter().map(|(key, _)| key).collect();
        assert_eq!(found, keys);
    }

    fn a_cursor_is_reconfigured(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", "key_format=S,value_format=S");
        let cursor = session.cursor(&uri, "").unwrap();
        cursor.put("a", "1").unwrap();
        cursor.put("b", "2").unwrap();
        cursor.next().unwrap();
        cursor.reconfigure("overwrite=false").unwrap();
        assert!(cursor.key_str().is_err(), "it is reset");
        assert_eq!(cursor.put("a", "3").code(), Code::DUPLICATE_KEY);
        assert_eq!(cursor.take("c").code(), Code::NOTFOUND);
        cursor.reconfigure("append").unwrap();
        assert_eq!(cursor.put("b", "3").code(), Code::DUPLICATE_KEY, "what is not named stays");
        cursor.reconfigure("overwrite=true").unwrap();
        cursor.put("a", "3").unwrap();
        assert_eq!(cursor.list().unwrap(), ["a=3", "b=2"]);

        let uri = arena.create(&session, "numbered", "key_format=r,value_format=S");
        let cursor = session.cursor(&uri, "").unwrap();
        cursor.set_value_str("x").unwrap();
        assert!(cursor.insert().is_err(), "no number");
        for (config, expected) in [("append=true", 1), ("append", 2), ("append=7", 3)] {
            cursor.reconfigure(config).unwrap();
            cursor.set_value_str("x").unwrap();
            cursor.insert().unwrap();
            assert_eq!(cursor.key_recno().unwrap(), expected);
        }
        cursor.reconfigure("append=false,overwrite=false").unwrap();
        cursor.set_key_recno(2).unwrap();
        cursor.set_value_str("y").unwrap();
        assert_eq!(cursor.insert().code(), Code::DUPLICATE_KEY);
    }

    fn a_readonly_cursor_writes_nothing(arena) {
        let session = arena.session();
        drop(letters(arena, &session, "a"));
        let cursor = session.cursor(&arena.uri("t"), "readonly").unwrap();
        assert_eq!(cursor.get("a").unwrap().unwrap(), "a!");
        assert_ne!(cursor.put("b", "x").code(), Code::OK);
        assert_ne!(cursor.take("a").code(), Code::OK);
        assert_eq!(cursor.list().unwrap(), ["a=a!"]);
    }

    fn a_dump_cursor_shows_text(arena) {
        let session = arena.session();
        drop(letters(arena, &session, "ab"));
        let cursor = session.cursor(&arena.uri("t"), "dump=print").unwrap();
        cursor.next().unwrap();
        assert_eq!(cursor.key_str().unwrap(), "a\\00");
    }

    fn resetting_the_session_hurts_nobody(arena) {
        let session = arena.session();
        let cursor = letters(arena, &session, "abc");
        cursor.seek("a").unwrap();
        session.reset().unwrap();
        assert_eq!(cursor.list().unwrap(), ["a=a!", "b=b!", "c=c!"]);
    }
}

on_helium! {
    /// Implemented or refused, never silently something else.
    fn a_random_cursor_is_random_or_refused(arena) {
        let session = arena.session();
        let cursor = letters(arena, &session, "abcdefghijklmnopqrstuvwxyz");
        drop(cursor);
        match session.cursor(&arena.uri("t"), "next_random=true") {
            Err(error) => assert_eq!(error.code, Code::ENOTSUP),
            Ok(cursor) => {
                let seen: std::collections::BTreeSet<_> = (0..200)
                    .map(|_| {
                        cursor.next().unwrap();
                        cursor.key_str().unwrap()
                    })
                    .collect();
                assert!(seen.len() > 5, "not random: {seen:?}");
            }
        }
    }

    fn a_cursor_on_a_checkpoint_is_frozen_or_refused(arena) {
        let session = arena.session();
        let cursor = letters(arena, &session, "a");
        session.checkpoint("").unwrap();
        cursor.put("b", "later").unwrap();
        match session.cursor(&arena.uri("t"), "checkpoint=WiredTigerCheckpoint") {
            Err(error) => assert_eq!(error.code, Code::ENOTSUP),
            Ok(frozen) => assert_eq!(frozen.list().unwrap(), ["a=a!"]),
        }
    }

}

/// A table with an item per letter.
fn letters<'session>(arena: &Arena, session: &'session Session<'_>, all: &str) -> Cursor<'session> {
    let uri = arena.create(session, "t", FORMATS);
    let cursor = session.cursor(&uri, "").unwrap();
    for letter in all.chars() {
        cursor
            .put(&letter.to_string(), &format!("{letter}!"))
            .unwrap();
    }
    cursor.reset().unwrap();
    cursor
}
