//! Keys and values at their limits, and one past them.

use crate::common::*;

const FORMATS: &str = "key_format=u,value_format=u";
const KEY_BYTES_MAX: usize = 131_072;
const VALUE_BYTES_MAX: usize = 16_777_215;

on_every_kind! {
    fn empty_values_are_values(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "").unwrap();
        cursor.set_key(b"k").unwrap();
        cursor.set_value(b"").unwrap();
        cursor.insert().unwrap();
        cursor.set_key(b"k").unwrap();
        cursor.search().unwrap();
        assert_eq!(cursor.value().unwrap(), b"");
        assert_eq!(cursor.rows().unwrap(), [(b"k".to_vec(), Vec::new())]);
    }

    fn values_of_many_sizes_come_back_whole(arena) {
        let sizes = [1, 15, 16, 17, 4_095, 4_096, 4_097, 65_535, 65_536, 262_144, 262_145, 1_048_577, 5_000_000];
        {
            let session = arena.session();
            let uri = arena.create(&session, "t", FORMATS);
            let cursor = session.cursor(&uri, "").unwrap();
            for size in sizes {
                insert(&cursor, size.to_string().as_bytes(), &pattern(size)).unwrap();
            }
            check(&cursor, &sizes);
        }
        arena.reopen();
        let session = arena.session();
        check(&session.cursor(&arena.uri("t"), "").unwrap(), &sizes);
    }

    fn long_keys_differ_in_their_last_byte(arena) {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for size in [0_usize, 100, 4_096, 65_535, 65_536, KEY_BYTES_MAX - 1] {
            for last in [b'a', b'b'] {
                keys.push([vec![b'k'; size], vec![last]].concat());
            }
        }
        {
            let session = arena.session();
            let uri = arena.create(&session, "t", FORMATS);
            let cursor = session.cursor(&uri, "").unwrap();
            for key in &keys {
                insert(&cursor, key, b"value").unwrap();
            }
        }
        arena.reopen();
        let session = arena.session();
        let cursor = session.cursor(&arena.uri("t"), "").unwrap();
        for key in &keys {
            cursor.set_key(key).unwrap();
            cursor.search().unwrap();
        }
        keys.sort();
        let found: Vec<_> = cursor.rows().unwrap().into_iter().map(|(key, _)| key).collect();
        assert!(found == keys, "{} of {} keys", found.len(), keys.len());
    }
}

on_helium! {
    fn one_byte_past_the_longest_key_is_refused(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "").unwrap();
        insert(&cursor, &vec![b'k'; KEY_BYTES_MAX], b"fits").unwrap();
        let refused = insert(&cursor, &vec![b'k'; KEY_BYTES_MAX + 1], b"does not");
        assert_eq!(refused.code(), Code::EINVAL);
        assert!(arena.connection().errors().iter().any(|text| text.contains("131072") || text.contains("131,072")),
            "{:?}", arena.connection().errors());
        cursor.set_key(&vec![b'k'; KEY_BYTES_MAX + 1]).unwrap();
        assert!(!cursor.search().found().unwrap_or(false));
        assert_eq!(cursor.rows().unwrap().len(), 1);
    }

    fn one_byte_past_the_longest_value_is_refused(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "").unwrap();
        let value = pattern(VALUE_BYTES_MAX + 1);
        insert(&cursor, b"fits", &value[..VALUE_BYTES_MAX]).unwrap();
        assert_eq!(insert(&cursor, b"too long", &value).code(), Code::EINVAL);
        assert!(arena.connection().errors().iter().any(|text| text.contains("16777215") || text.contains("16,777,215")),
            "{:?}", arena.connection().errors());
        let rows = cursor.rows().unwrap();
        assert_eq!(rows.len(), 1);
        assert!(rows[0].1 == value[..VALUE_BYTES_MAX]);
    }
}

fn check(cursor: &Cursor<'_>, sizes: &[usize]) {
    for size in sizes {
        cursor.set_key(size.to_string().as_bytes()).unwrap();
        cursor.search().unwrap();
        assert!(cursor.value().unwrap() == pattern(*size), "{size} bytes");
    }
}

fn insert(cursor: &Cursor<'_>, key: &[u8], value: &[u8]) -> wiredtiger_testkit::Result<()> {
    cursor.set_key(key)?;
    cursor.set_value(value)?;
    cursor.insert()
}

/// Bytes in which no block equals another.
fn pattern(size: usize) -> Vec<u8> {
    (0_u64..)
        .flat_map(|number| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes())
        .take(size)
        .collect()
}
