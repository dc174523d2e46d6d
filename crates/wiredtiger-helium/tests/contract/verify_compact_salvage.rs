//! `verify` that really reads, `compact` and `salvage` with a real answer.

use std::os::unix::fs::FileExt;

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";
/// `ETIMEDOUT`.
const TIMED_OUT: i32 = 110;

on_every_kind! {
    fn a_sound_object_verifies(arena) {
        let session = arena.session();
        let uri = filled(arena, &session, 1_000);
        session.verify(&uri).unwrap();
        let empty = arena.create(&session, "empty", FORMATS);
        session.verify(&empty).unwrap();
    }

    fn verify_needs_the_object_for_itself_or_works_beside_cursors(arena) {
        let session = arena.session();
        let uri = filled(arena, &session, 10);
        let cursor = session.cursor(&uri, "").unwrap();
        cursor.next().unwrap();
        let code = session.verify(&uri).code();
        assert!([Code::OK, Code::EBUSY].contains(&code), "{code}");
        assert_eq!(cursor.list().unwrap().len(), 10);
    }
}

on_helium! {
    /// Here it waits for a reader whose snapshot keeps what it would move.
    fn compact_takes_no_longer_than_it_may(arena) {
        let (session, reader) = (arena.session(), arena.session());
        let uri = arena.uri_on(1, "t");
        let object = match arena.kind() {
            Kind::Table => "helium:dev1/t",
            _ => &uri,
        };
        filled(arena, &session, 1_000);
        reader.begin("isolation=snapshot").unwrap();
        reader.cursor(&uri, "").unwrap().next().unwrap();
        session.cursor(&uri, "").unwrap().put("k", "v").unwrap();
        assert_eq!(session.compact_with(object, "timeout=1").code(), Code(TIMED_OUT));
        let said = arena.connection().errors().join("\n");
        assert!(said.contains("compact was not done in time"), "{said}");
        reader.rollback().unwrap();
        for timeout in ["timeout=0", "timeout=1000", ""] {
            session.compact_with(object, timeout).unwrap();
        }
    }

    /// What is free then goes back to the file system, and the file is shorter.
    fn compact_makes_the_file_shorter(arena) {
        const ROWS: usize = 1_000;
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "").unwrap();
        let value = "v".repeat(100_000);
        for row in 0..ROWS {
            cursor.put(&format!("{:05}", row * 7_919 % ROWS), &value).unwrap();
        }
        for row in (0..ROWS).filter(|row| row % 20 > 0) {
            cursor.set_key_str(&format!("{row:05}")).unwrap();
            cursor.remove().unwrap();
        }
        cursor.close().unwrap();
        session.checkpoint("force").unwrap();
        let path = arena.folder().join("dev1.helium");
        let length = || std::fs::metadata(&path).unwrap().len();
        let before = length();
        assert!(before > ROWS as u64 * 100_000, "{before}");
        session.compact("helium:dev1/t").unwrap();
        let after = length();
        assert!(after < before - 32 * (1 << 20), "{after} of {before} bytes");
        drop(session);
        arena.reopen();
        let session = arena.session();
        let rows = session.cursor(&arena.uri("t"), "").unwrap().list().unwrap();
        assert_eq!(rows.len(), ROWS / 20);
    }

    /// A flipped bit in a value is found by verify, and never returned by a read.
    fn a_flipped_bit_is_found(arena) {
        {
            let session = arena.session();
            let uri = arena.create(&session, "t", FORMATS);
            let cursor = session.cursor(&uri, "").unwrap();
            for number in 0..200 {
                cursor.put(&format!("k{number:03}"), &format!("<needle {number:03}>{}", "x".repeat(3_000))).unwrap();
            }
        }
        arena.close();
        let path = arena.folder().join("dev1.helium");
        flip_after(&path, b"<needle 100>");
        // Damage in the middle of the log is an error that names the place: when opening, or
        // where only a value is hurt, when reading and verifying.
        match Connection::open(&arena.home(), &arena.open_config()) {
            Err(error) => {
                let text = error.messages.join("\n");
                assert!(text.contains("dev1"), "{text}");
            }
            Ok(connection) => {
                let session = connection.session().unwrap();
                let uri = arena.uri("t");
                assert_ne!(session.verify(&uri).code(), Code::OK, "verify did not see it");
                let text = connection.errors().join("\n");
                assert!(text.contains("dev1"), "{text}");
                let cursor = session.cursor(&uri, "").unwrap();
                match cursor.get("k100") {
                    Ok(value) => panic!("a damaged value came back: {value:?}"),
                    Err(error) => assert_ne!(error.code, Code::NOTFOUND),
                }
                assert!(cursor.get("k099").unwrap().unwrap().starts_with("<needle 099>"));
            }
        }
        flip_after(&path, b"<needle 100>");
        arena.open();
    }
}

/// The table path does not dispatch compact to a data source: ENOTSUP is WiredTiger's own.
#[test]
fn compact_has_a_real_answer() {
    let arena = Arena::new(Kind::Object);
    let session = arena.session();
    let uri = filled(&arena, &session, 1_000);
    let code = session.compact(&uri).code();
    assert!([Code::OK, Code::ENOTSUP].contains(&code), "{code}");
    assert_eq!(
        session.cursor(&uri, "").unwrap().list().unwrap().len(),
        1_000
    );
    assert_eq!(session.compact("helium:dev1/missing").code(), Code::ENOENT);
}

#[test]
fn salvage_has_a_real_answer() {
    let arena = Arena::new(Kind::Object);
    let session = arena.session();
    let uri = filled(&arena, &session, 1_000);
    let code = session.salvage(&uri).code();
    assert!([Code::OK, Code::ENOTSUP].contains(&code), "{code}");
    assert_eq!(
        session.cursor(&uri, "").unwrap().list().unwrap().len(),
        1_000
    );
}

/// Programs that ask for nothing see nothing on their standard output.
#[test]
fn silence_is_the_default() {
    let arena = Arena::new(Kind::Object);
    let session = arena.session();
    let uri = filled(&arena, &session, 10);
    session.compact(&uri).unwrap();
    session.salvage(&uri).unwrap();
    session.verify(&uri).unwrap();
    session.checkpoint("force").unwrap();
    session.drop(&uri, "").unwrap();
    let said = arena.connection().events();
    assert!(said.is_empty(), "{said:?}");
}

/// What WiredTiger does not offer for data sources at all.
#[test]
fn alter_and_upgrade_are_not_supported() {
    let arena = Arena::with(Kind::Object, "statistics=(fast)");
    let session = arena.session();
    let uri = filled(&arena, &session, 1);
    assert_eq!(session.alter(&uri, "").code(), Code::ENOTSUP);
    assert_eq!(session.upgrade(&uri).code(), Code::ENOTSUP);
    assert_eq!(
        session
            .cursor(&format!("statistics:{uri}"), "")
            .err()
            .unwrap()
            .code,
        Code::ENOTSUP
    );
}

fn filled(arena: &Arena, session: &Session<'_>, count: u32) -> String {
    let uri = arena.create(session, "t", FORMATS);
    let cursor = session.cursor(&uri, "").unwrap();
    session.begin("").unwrap();
    for number in 0..count {
        cursor.put(&format!("k{number:06}"), "value").unwrap();
    }
    session.commit().unwrap();
    uri
}

/// Flips a bit well behind a mark in a file.
fn flip_after(path: &std::path::Path, mark: &[u8]) {
    let bytes = std::fs::read(path).unwrap();
    let found = bytes.windows(mark.len()).position(|window| window == mark);
    let place = found.expect("the value is not in the file as it is") + mark.len() + 1_000;
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(&[bytes[place] ^ 0x10], place as u64)
        .unwrap();
    file.sync_all().unwrap();
}
