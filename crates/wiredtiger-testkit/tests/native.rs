//! The wrapper against WiredTiger's own tables. Skipped with a sentence where it is not installed.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::cmp::Ordering;
use std::path::PathBuf;

use wiredtiger_testkit::{Change, Code, Connection, Library, Outcome, pack};

#[test]
fn strings_go_in_and_come_out() {
    let Some(home) = Home::new("strings") else {
        return;
    };
    let connection = home.open();
    let session = connection.session().unwrap();
    session
        .create("table:t", "key_format=S,value_format=S")
        .unwrap();
    let cursor = session.cursor("table:t", "overwrite=false").unwrap();
    for (key, value) in [("b", "2"), ("a", "1")] {
        cursor.set_key_str(key).unwrap();
        cursor.set_value_str(value).unwrap();
        cursor.insert().unwrap();
    }
    assert_eq!(
        cursor.insert().code(),
        Code::EINVAL,
        "insert clears the key"
    );
    cursor.set_key_str("a").unwrap();
    cursor.set_value_str("3").unwrap();
    assert_eq!(cursor.insert().code(), Code::DUPLICATE_KEY);
    let forward = cursor.rows().unwrap();
    assert_eq!(
        forward,
        [
            (b"a".to_vec(), b"1".to_vec()),
            (b"b".to_vec(), b"2".to_vec())
        ]
    );
    let mut back = cursor.rows_back().unwrap();
    back.reverse();
    assert_eq!(back, forward);
    cursor.set_key_str("aa").unwrap();
    assert_ne!(cursor.search_near().unwrap(), Ordering::Equal);
    cursor.set_key_str("zz").unwrap();
    assert!(!cursor.search().found().unwrap());
    assert_eq!(
        cursor.set_key(b"x").code(),
        Code::EINVAL,
        "not a raw cursor"
    );
    cursor.close().unwrap();
    session.close().unwrap();
    connection.close().unwrap();
}

#[test]
fn record_numbers_pack_as_wiredtiger_packs_them() {
    let Some(home) = Home::new("recno") else {
        return;
    };
    let connection = home.open();
    let session = connection.session().unwrap();
    session
        .create("table:t", "key_format=r,value_format=u")
        .unwrap();
    let cursor = session.cursor("table:t", "").unwrap();
    let raw = session.cursor("table:t", "raw").unwrap();
    for number in [
        1,
        63,
        64,
        65,
        8255,
        8256,
        8257,
        100_000,
        u64::from(u32::MAX),
    ] {
        cursor.set_key_recno(number).unwrap();
        cursor.set_value(b"v").unwrap();
        cursor.insert().unwrap();
        raw.set_key(&pack::unsigned(number)).unwrap();
        raw.search().unwrap();
        assert_eq!(raw.key().unwrap(), pack::unsigned(number));
        assert_eq!(pack::unpack_unsigned(&pack::unsigned(number)), Some(number));
    }
}

#[test]
fn signed_numbers_pack_in_order() {
    let Some(home) = Home::new("signed") else {
        return;
    };
    let connection = home.open();
    let session = connection.session().unwrap();
    session
        .create("table:t", "key_format=q,value_format=u")
        .unwrap();
    let cursor = session.cursor("table:t", "raw").unwrap();
    let numbers = [
        i64::MIN,
        -9_000,
        -8_257,
        -8_256,
        -65,
        -64,
        -1,
        0,
        1,
        63,
        64,
        9_000,
        i64::MAX,
    ];
    for number in numbers {
        cursor.set_key(&pack::signed(number)).unwrap();
        cursor.set_value(b"v").unwrap();
        cursor.insert().unwrap();
    }
    let keys: Vec<_> = cursor
        .rows()
        .unwrap()
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(keys, numbers.map(pack::signed));
}

#[test]
fn transactions_conflict_and_modify_applies() {
    let Some(home) = Home::new("transactions") else {
        return;
    };
    let connection = home.open();
    let (one, two) = (connection.session().unwrap(), connection.session().unwrap());
    one.create("table:t", "key_format=u,value_format=u")
        .unwrap();
    let (first, second) = (
        one.cursor("table:t", "").unwrap(),
        two.cursor("table:t", "").unwrap(),
    );
    first.set_key(b"k").unwrap();
    first.set_value(b"value").unwrap();
    first.insert().unwrap();
    one.begin("isolation=snapshot").unwrap();
    two.begin("isolation=snapshot").unwrap();
    first.set_key(b"k").unwrap();
    first
        .modify(&[Change {
            data: b"V",
            offset: 0,
            size: 1,
        }])
        .unwrap();
    second.set_key(b"k").unwrap();
    second.set_value(b"other").unwrap();
    assert_eq!(second.update().code(), Code::ROLLBACK);
    two.rollback().unwrap();
    one.commit().unwrap();
    second.set_key(b"k").unwrap();
    second.search().unwrap();
    assert_eq!(second.value().unwrap(), b"Value");
}

#[test]
fn sessions_work_in_threads_of_their_own() {
    let Some(home) = Home::new("threads") else {
        return;
    };
    let connection = home.open();
    connection
        .session()
        .unwrap()
        .create("table:t", "key_format=S,value_format=u")
        .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let session = connection.session().unwrap();
            scope.spawn(move || {
                let cursor = session.cursor("table:t", "").unwrap();
                for row in 0..100 {
                    cursor.set_key_str(&format!("{thread}/{row}")).unwrap();
                    cursor.set_value(&[1; 10]).unwrap();
                    cursor.insert().unwrap();
                }
            });
        }
    });
    let session = connection.session().unwrap();
    assert_eq!(
        session.cursor("table:t", "").unwrap().rows().unwrap().len(),
        400
    );
}

#[test]
fn errors_are_collected() {
    let Some(home) = Home::new("errors") else {
        return;
    };
    let refused = Connection::open(&home.0, "create,no_such_key=1")
        .err()
        .unwrap();
    assert_eq!(refused.code, Code::EINVAL);
    assert!(
        refused
            .messages
            .iter()
            .any(|text| text.contains("no_such_key"))
    );
    let connection = home.open();
    let session = connection.session().unwrap();
    assert_eq!(session.create("table:t", "wrong=1").code(), Code::EINVAL);
    assert!(
        connection
            .errors()
            .iter()
            .any(|text| text.contains("wrong"))
    );
}

/// A folder of its own for a database, removed at the end.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Option<Self> {
        if let Err(why) = Library::load() {
            eprintln!("skipped: {why}");
            return None;
        }
        let folder = std::env::temp_dir().join(format!("testkit-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Some(Self(folder))
    }

    fn open(&self) -> Connection {
        Connection::open(&self.0, "create").unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}
