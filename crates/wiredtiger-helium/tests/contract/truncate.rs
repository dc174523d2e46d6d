//! Truncation, of all and of a range: a transaction like any other.

use wiredtiger_testkit::Row;

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";

on_every_kind! {
    fn empties_a_table(arena) {
        let session = arena.session();
        let uri = filled(arena, &session);
        session.truncate(&uri).unwrap();
        assert!(keys(&session, &uri).is_empty());
        session.cursor(&uri, "").unwrap().put("new", "1").unwrap();
        assert_eq!(keys(&session, &uri), "new");
    }

    fn removes_a_range_with_its_ends(arena) {
        let session = arena.session();
        let uri = filled(arena, &session);
        range(&session, &uri, Some("c"), Some("f")).unwrap();
        assert_eq!(keys(&session, &uri), "abghij");
    }

    fn removes_from_or_up_to_a_key(arena) {
        let session = arena.session();
        let uri = filled(arena, &session);
        range(&session, &uri, None, Some("b")).unwrap();
        assert_eq!(keys(&session, &uri), "cdefghij");
        range(&session, &uri, Some("h"), None).unwrap();
        assert_eq!(keys(&session, &uri), "cdefg");
    }

    fn a_range_between_keys_takes_what_lies_inside(arena) {
        let session = arena.session();
        let uri = filled(arena, &session);
        range(&session, &uri, Some("bb"), Some("dd")).unwrap();
        assert_eq!(keys(&session, &uri), "abefghij");
        range(&session, &uri, Some("x"), Some("z")).unwrap();
        assert_eq!(keys(&session, &uri), "abefghij", "an empty range");
    }

    fn a_range_the_wrong_way_round_is_refused(arena) {
        let session = arena.session();
        let uri = filled(arena, &session);
        assert_eq!(range(&session, &uri, Some("f"), Some("c")).code(), Code::EINVAL);
        assert_eq!(keys(&session, &uri), "abcdefghij");
    }

    fn rolls_back(arena) {
        let session = arena.snapshot_session();
        let uri = filled(arena, &session);
        session.begin("").unwrap();
        range(&session, &uri, Some("c"), Some("f")).unwrap();
        assert_eq!(keys(&session, &uri), "abghij");
        session.rollback().unwrap();
        assert_eq!(keys(&session, &uri), "abcdefghij");
    }

    fn a_snapshot_does_not_see_it(arena) {
        let (one, two) = (arena.session(), arena.snapshot_session());
        let uri = filled(arena, &one);
        two.begin("").unwrap();
        assert_eq!(keys(&two, &uri), "abcdefghij");
        range(&one, &uri, Some("a"), Some("z")).unwrap();
        assert_eq!(keys(&two, &uri), "abcdefghij");
        two.commit().unwrap();
        assert!(keys(&two, &uri).is_empty());
    }

    fn respects_what_others_are_changing(arena) {
        let (one, two) = (arena.snapshot_session(), arena.snapshot_session());
        let uri = filled(arena, &one);
        two.begin("").unwrap();
        let cursor = two.cursor(&uri, "").unwrap();
        cursor.change("d", "mine").unwrap();
        one.begin("").unwrap();
        assert_eq!(range(&one, &uri, Some("c"), Some("f")).code(), Code::ROLLBACK);
        one.rollback().unwrap();
        two.commit().unwrap();
        assert_eq!(cursor.get("d").unwrap().unwrap(), "mine");
        assert_eq!(keys(&two, &uri), "abcdefghij");
    }

    fn stays_truncated_after_reopening(arena) {
        {
            let session = arena.session();
            let uri = filled(arena, &session);
            session.truncate(&uri).unwrap();
        }
        arena.reopen();
        assert!(keys(&arena.session(), &arena.uri("t")).is_empty());
    }

    fn of_a_missing_object_fails(arena) {
        let session = arena.session();
        assert_eq!(session.truncate(&arena.uri("missing")).code(), Code::ENOENT);
    }
}

on_every_kind! {
    /// Another session takes the last row, the first one or all of the range away in the middle of
    /// it. No other row is touched.
    fn stays_within_its_range_beside_others(arena) {
        for isolation in ["read-uncommitted", "read-committed", "snapshot"] {
            for begins in [false, true] {
                for taken in ["f", "d", "de", "def"] {
                    for comparison in [1, 2] {
                        let session = arena.connection().session_with(&format!("isolation={isolation}")).unwrap();
                        let uri = filled(arena, &session);
                        beside(arena, &session, &uri, begins, taken, comparison);
                        let rows = keys(&arena.session(), &uri);
                        let outside = rows.replace(['d', 'e', 'f'], "");
                        // Read uncommitted, a native table may lose all that follows.
                        if !arena.is_native() || isolation != "read-uncommitted" {
                            assert_eq!(outside, "abcghij", "{isolation} {begins} {taken} {comparison}");
                        }
                    }
                }
            }
        }
    }

    /// The same with several sources at once: column groups and an index go together.
    fn stays_within_its_range_in_all_sources(arena) {
        if arena.kind() == Kind::Object {
            return;
        }
        for isolation in ["read-committed", "snapshot"] {
            for (taken, comparison) in [("f", 1), ("f", 2), ("d", 2), ("def", 2)] {
                let config = format!("isolation={isolation}");
                let session = arena.connection().session_with(&config).unwrap();
                let uri = with_index(arena, &session);
                beside(arena, &session, &uri, false, taken, comparison);
                let name = uri.strip_prefix("table:").unwrap();
                let rows = raw_keys(&arena.session(), &uri);
                let indexed = raw_keys(&arena.session(), &format!("index:{name}:i"));
                assert_eq!(rows, indexed, "{isolation} {taken} {comparison}");
                assert_eq!(rows.replace(['d', 'e', 'f'], ""), "abcghij", "{isolation} {taken}");
            }
        }
    }

    /// The row at which it is to end is gone before it begins, or was never there.
    fn ends_before_the_next_row(arena) {
        let session = arena.session();
        let uri = filled(arena, &session);
        let (start, stop) = (session.cursor(&uri, "").unwrap(), session.cursor(&uri, "").unwrap());
        start.seek("c").unwrap();
        stop.seek("d").unwrap();
        arena.session().cursor(&uri, "").unwrap().take("d").unwrap();
        session.truncate_range(Some(&start), Some(&stop)).unwrap();
        assert_eq!(keys(&session, &uri), "abefghij");
        range(&session, &uri, Some("cc"), Some("dd")).unwrap();
        range(&session, &uri, Some("e"), Some("e")).unwrap();
        range(&session, &uri, None, Some("aa")).unwrap();
        assert_eq!(keys(&session, &uri), "bfghij");
    }
}

/// Truncates from `d` to `f` while another session takes rows away, behind WiredTiger's first or
/// second comparison of the range's ends: before it searches them, and before it removes anything.
fn beside(
    arena: &Arena,
    session: &Session<'_>,
    uri: &str,
    begins: bool,
    taken: &str,
    comparison: usize,
) {
    let other = arena.session();
    let mut take = || {
        let cursor = other.cursor(uri, "").unwrap();
        for key in taken.chars() {
            cursor.take(&key.to_string()).unwrap();
        }
    };
    let (start, stop) = (
        session.cursor(uri, "").unwrap(),
        session.cursor(uri, "").unwrap(),
    );
    start.set_key_str("d").unwrap();
    stop.set_key_str("f").unwrap();
    if begins {
        session.begin("").unwrap();
    }
    let truncated = start.at_comparison(comparison, &mut take, || {
        session.truncate_range(Some(&start), Some(&stop))
    });
    assert!(
        [Code::OK, Code::ROLLBACK].contains(&truncated.code()),
        "{truncated:?}"
    );
    match truncated {
        _ if !begins => {}
        Ok(()) => session.commit().unwrap(),
        Err(_) => session.rollback().unwrap(),
    }
}

/// Ranges of record numbers and of bit fields beside another session that removes or changes rows of them
/// in the middle of it: what is answered, and what is there afterwards, is as on native tables.
#[test]
fn record_numbers_go_as_on_native_tables() {
    let expected = numbered_beside(&Arena::new(Kind::Native));
    for kind in [Kind::Object, Kind::Table] {
        for (found, expected) in numbered_beside(&Arena::new(kind)).iter().zip(&expected) {
            assert_eq!(found, expected, "{kind:?}");
        }
    }
}

/// A description of each case, how it ended, and the rows that were left.
fn numbered_beside(arena: &Arena) -> Vec<(String, Code, Vec<Row>)> {
    let mut found = Vec::new();
    for value_format in ["S", "8t"] {
        for isolation in ["read-committed", "snapshot"] {
            for begins in [false, true] {
                for rows in [&[6][..], &[4], &[4, 5], &[4, 5, 6]] {
                    for changes in [false, true] {
                        for comparison in [1, 2] {
                            if (isolation, begins, comparison) == ("snapshot", false, 1) {
                                // Ours runs in a transaction that begins before the first look.
                                continue;
                            }
                            let case = format!(
                                "{value_format} {isolation} {begins} {rows:?} {changes} {comparison}"
                            );
                            let session = arena
                                .connection()
                                .session_with(&format!("isolation={isolation}"))
                                .unwrap();
                            let uri = numbered(arena, &session, value_format);
                            let mut disturb = || {
                                let other = arena.session();
                                let cursor = other.cursor(&uri, "").unwrap();
                                for &row in rows {
                                    cursor.set_key_recno(row).unwrap();
                                    set_value(&cursor, 9);
                                    if changes {
                                        cursor.update()
                                    } else {
                                        cursor.remove()
                                    }
                                    .unwrap();
                                }
                            };
                            let code =
                                numbered_range(&session, &uri, begins, comparison, &mut disturb);
                            let observer = arena.session();
                            let left = observer.cursor(&uri, "").unwrap().rows().unwrap();
                            found.push((case, code, left));
                        }
                    }
                }
            }
        }
    }
    found
}

/// Truncates from 4 to 6.
fn numbered_range(
    session: &Session<'_>,
    uri: &str,
    begins: bool,
    comparison: usize,
    disturb: &mut dyn FnMut(),
) -> Code {
    let [start, stop] = [4, 6].map(|number| {
        let cursor = session.cursor(uri, "").unwrap();
        cursor.set_key_recno(number).unwrap();
        cursor
    });
    if begins {
        session.begin("").unwrap();
    }
    let truncated = start.at_comparison(comparison, disturb, || {
        session.truncate_range(Some(&start), Some(&stop))
    });
    match truncated {
        _ if !begins => {}
        Ok(()) => session.commit().unwrap(),
        Err(_) => session.rollback().unwrap(),
    }
    truncated.code()
}

/// A table with the rows 1 to 10, made anew; every other one is zero.
fn numbered(arena: &Arena, session: &Session<'_>, value_format: &str) -> String {
    let formats = format!("key_format=r,value_format={value_format}");
    let uri = arena.create(session, &format!("numbered_{value_format}"), &formats);
    let cursor = session.cursor(&uri, "").unwrap();
    for number in 1..=10 {
        cursor.set_key_recno(number).unwrap();
        set_value(&cursor, if number % 2 == 0 { 0 } else { 1 });
        cursor.insert().unwrap();
    }
    uri
}

fn set_value(cursor: &Cursor<'_>, value: u8) {
    if cursor.value_format() == "S" {
        cursor.set_value_str(&value.to_string()).unwrap();
    } else {
        cursor.set_value_bits(value).unwrap();
    }
}

on_helium! {
    /// A truncation inside a transaction that rolls back leaves other sessions' rows alone.
    fn of_everything_rolls_back(arena) {
        let session = arena.snapshot_session();
        let uri = filled(arena, &session);
        session.begin("").unwrap();
        match session.truncate(&uri).code() {
            Code::OK => session.rollback().unwrap(),
            code => {
                assert_eq!(code, Code::EINVAL, "refused inside a transaction");
                session.rollback().unwrap();
            }
        }
        assert_eq!(keys(&session, &uri), "abcdefghij");
    }
}

/// A table with two column groups, and an index over a column that is as the key is.
fn with_index(arena: &Arena, session: &Session<'_>) -> String {
    let uri = arena.uri("wide");
    let name = uri.strip_prefix("table:").unwrap();
    if session.cursor(&uri, "").is_err() {
        let columns = "key_format=S,value_format=SS,columns=(k,a,b),colgroups=(x,y)";
        session.create(&uri, &arena.formats(columns)).unwrap();
        for (part, columns) in [("x", "a"), ("y", "b")] {
            let config = arena.formats(&format!("columns=({columns})"));
            session
                .create(&format!("colgroup:{name}:{part}"), &config)
                .unwrap();
        }
        let config = arena.formats("columns=(a)");
        session.create(&format!("index:{name}:i"), &config).unwrap();
    }
    let cursor = session.cursor(&uri, "raw").unwrap();
    for letter in 'a'..='j' {
        cursor.set_key(format!("{letter}\0").as_bytes()).unwrap();
        cursor
            .set_value(format!("{letter}\0{letter}\0").as_bytes())
            .unwrap();
        cursor.insert().unwrap();
    }
    uri
}

fn filled(arena: &Arena, session: &Session<'_>) -> String {
    let uri = arena.create(session, "t", FORMATS);
    let cursor = session.cursor(&uri, "").unwrap();
    for letter in 'a'..='j' {
        cursor.put(&letter.to_string(), "v").unwrap();
    }
    uri
}

fn keys(session: &Session<'_>, uri: &str) -> String {
    let rows = session.cursor(uri, "").unwrap().rows().unwrap();
    rows.into_iter()
        .map(|(key, _)| String::from_utf8(key).unwrap())
        .collect()
}

/// The first letters of all keys.
fn raw_keys(session: &Session<'_>, uri: &str) -> String {
    let rows = session.cursor(uri, "raw").unwrap().rows().unwrap();
    rows.into_iter()
        .map(|(key, _)| char::from(key[0]))
        .collect()
}

fn range(
    session: &Session<'_>,
    uri: &str,
    start: Option<&str>,
    stop: Option<&str>,
) -> wiredtiger_testkit::Result<()> {
    let at = |key: Option<&str>| {
        key.map(|key| {
            let cursor = session.cursor(uri, "").unwrap();
            cursor.set_key_str(key).unwrap();
            cursor
        })
    };
    session.truncate_range(at(start).as_ref(), at(stop).as_ref())
}
