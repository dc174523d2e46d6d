//! Bit fields: values of one to eight bits, where removing means setting to zero.
//!
//! A native table also shows a zero for every number below its last one; a data source
//! need not have such implicit items, and ours has none.

use crate::common::*;

on_every_kind! {
    /// `value_format=t` is one bit wide, without a digit (the seed's number 25).
    fn every_width_keeps_its_values(arena) {
        for (format, largest) in [("t", 1), ("1t", 1), ("3t", 7), ("4t", 15), ("8t", 255)] {
            let session = arena.session();
            let name = format!("bits_{format}");
            let uri = arena.create(&session, &name, &format!("key_format=r,value_format={format}"));
            let cursor = session.cursor(&uri, "").unwrap();
            for (number, bits) in [(1, largest), (2, 0), (3, largest)] {
                put(&cursor, number, bits);
            }
            for (number, bits) in [(1, largest), (2, 0), (3, largest)] {
                assert_eq!(get(&cursor, number), Some(bits), "{format} {number}");
            }
        }
    }

    /// Only record numbers make a table of bit fields: other keys make rows, which go away.
    fn under_other_keys_they_are_values_like_others(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "rows", "key_format=S,value_format=8t");
        let cursor = session.cursor(&uri, "overwrite=false").unwrap();
        let put = |key: &str| {
            cursor.set_key_str(key).unwrap();
            cursor.set_value_bits(7).unwrap();
            cursor.insert().unwrap();
        };
        for key in ["a", "b", "c"] {
            put(key);
        }
        cursor.take("b").unwrap();
        assert_eq!(cursor.seek("b").code(), Code::NOTFOUND);
        assert_eq!(cursor.take("b").code(), Code::NOTFOUND);
        assert_eq!(cursor.rows().unwrap().len(), 2);
        cursor.reset().unwrap();
        session.truncate(&uri).unwrap();
        assert!(cursor.rows().unwrap().is_empty());
    }

    fn removing_sets_to_zero(arena) {
        for format in ["t", "8t"] {
            let session = arena.session();
            let uri = arena.create(&session, &format!("b{format}"), &format!("key_format=r,value_format={format}"));
            let cursor = session.cursor(&uri, "").unwrap();
            for number in 1..=3 {
                put(&cursor, number, 1);
            }
            cursor.set_key_recno(2).unwrap();
            cursor.remove().unwrap();
            assert_eq!(get(&cursor, 2), Some(0), "{format}");
            let all: Vec<u8> = cursor.rows().unwrap().into_iter().map(|(_, value)| value[0]).collect();
            assert_eq!(all, [1, 0, 1], "{format}");
            let back: Vec<u8> = cursor.rows_back().unwrap().into_iter().map(|(_, value)| value[0]).collect();
            assert_eq!(back, [1, 0, 1], "{format}");
        }
    }

    fn a_removal_rolls_back(arena) {
        let session = arena.snapshot_session();
        let uri = arena.create(&session, "t", "key_format=r,value_format=8t");
        let cursor = session.cursor(&uri, "").unwrap();
        put(&cursor, 1, 7);
        session.begin("").unwrap();
        cursor.set_key_recno(1).unwrap();
        cursor.remove().unwrap();
        assert_eq!(get(&cursor, 1), Some(0));
        session.rollback().unwrap();
        assert_eq!(get(&cursor, 1), Some(7));
    }

    fn bits_outlive_a_restart(arena) {
        {
            let session = arena.session();
            let uri = arena.create(&session, "t", "key_format=r,value_format=6t");
            let append = session.cursor(&uri, "append").unwrap();
            for bits in 0..64 {
                append.set_value_bits(bits).unwrap();
                append.insert().unwrap();
            }
        }
        arena.reopen();
        let session = arena.session();
        let cursor = session.cursor(&arena.uri("t"), "").unwrap();
        for bits in 0..64 {
            assert_eq!(get(&cursor, u64::from(bits) + 1), Some(bits));
        }
    }
}

fn put(cursor: &Cursor<'_>, number: u64, bits: u8) {
    cursor.set_key_recno(number).unwrap();
    cursor.set_value_bits(bits).unwrap();
    cursor.insert().unwrap();
}

fn get(cursor: &Cursor<'_>, number: u64) -> Option<u8> {
    cursor.set_key_recno(number).unwrap();
    cursor
        .search()
        .found()
        .unwrap()
        .then(|| cursor.value_bits().unwrap())
}
