//! Indices and column groups over the data source, alone and mixed with native ones.

use wiredtiger_testkit::pack;

use crate::common::*;

const TABLE: &str = "key_format=S,value_format=SS,columns=(id,city,name)";

/// A table with an index over `city`.
fn with_index(arena: &Arena, session: &Session<'_>) -> (String, String) {
    let uri = arena.create(session, "t", TABLE);
    let index = index_uri(&uri, "city");
    session
        .create(&index, &arena.formats("columns=(city)"))
        .unwrap();
    (uri, index)
}

fn index_uri(table: &str, name: &str) -> String {
    format!("index:{}:{name}", table.strip_prefix("table:").unwrap())
}

fn put(
    session: &Session<'_>,
    uri: &str,
    id: &str,
    city: &str,
    name: &str,
) -> wiredtiger_testkit::Result<()> {
    let cursor = session.cursor(uri, "raw")?;
    cursor.set_key(&pack::string(id))?;
    cursor.set_value(&[pack::string(city), pack::string(name)].concat())?;
    cursor.insert()
}

fn remove(session: &Session<'_>, uri: &str, id: &str) {
    let cursor = session.cursor(uri, "raw").unwrap();
    cursor.set_key(&pack::string(id)).unwrap();
    cursor.remove().unwrap();
}

/// `city:id:name` for every row, in the index's order.
fn by_city(session: &Session<'_>, index: &str) -> Vec<String> {
    let cursor = session
        .cursor(&format!("{index}(city,id,name)"), "raw")
        .unwrap();
    cursor
        .rows()
        .unwrap()
        .into_iter()
        .map(|(_, value)| {
            let columns = String::from_utf8(value).unwrap();
            columns.trim_end_matches('\0').replace('\0', ":")
        })
        .collect()
}

macro_rules! on_tables {
    ($($(#[$doc:meta])* fn $name:ident($arena:ident) $body:block)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            fn run_on(mut arena: Arena) {
                let $arena = &mut arena;
                $body
            }

            #[test]
            fn native() {
                run_on(Arena::new(Kind::Native));
            }

            #[test]
            fn table() {
                run_on(Arena::new(Kind::Table));
            }
        }
    )*};
}

on_tables! {
    fn an_index_follows_its_table(arena) {
        {
            let session = arena.session();
            let (uri, index) = with_index(arena, &session);
            for (id, city, name) in [("1", "Rome", "a"), ("2", "Bern", "b"), ("3", "Rome", "c")] {
                put(&session, &uri, id, city, name).unwrap();
            }
            assert_eq!(by_city(&session, &index), ["Bern:2:b", "Rome:1:a", "Rome:3:c"]);
            remove(&session, &uri, "1");
            assert_eq!(by_city(&session, &index), ["Bern:2:b", "Rome:3:c"]);
        }
        arena.reopen();
        let session = arena.session();
        let index = index_uri(&arena.uri("t"), "city");
        assert_eq!(by_city(&session, &index), ["Bern:2:b", "Rome:3:c"]);
    }

    /// The core leaves the old entry behind unless the data source helps it.
    fn an_insert_over_a_row_moves_its_index_entry(arena) {
        let session = arena.session();
        let (uri, index) = with_index(arena, &session);
        put(&session, &uri, "1", "Rome", "a").unwrap();
        put(&session, &uri, "1", "Bern", "a").unwrap();
        put(&session, &uri, "1", "Bern", "b").unwrap();
        assert_eq!(by_city(&session, &index), ["Bern:1:b"]);
        put(&session, &uri, "2", "Bern", "c").unwrap();
        assert_eq!(by_city(&session, &index), ["Bern:1:b", "Bern:2:c"]);
    }

    fn without_overwrite_the_row_stays(arena) {
        let session = arena.session();
        let (uri, index) = with_index(arena, &session);
        put(&session, &uri, "1", "Rome", "a").unwrap();
        let cursor = session.cursor(&uri, "raw,overwrite=false").unwrap();
        cursor.set_key(&pack::string("1")).unwrap();
        cursor.set_value(&[pack::string("Bern"), pack::string("b")].concat()).unwrap();
        assert_eq!(cursor.insert().code(), Code::DUPLICATE_KEY);
        drop(cursor);
        assert_eq!(by_city(&session, &index), ["Rome:1:a"]);
    }

    /// What an index has of a row is looked up in the transaction that the write is done in: who changes the row in between
    /// is a conflict. That it has begun shows where the write finds no row.
    fn a_write_begins_before_it_looks_for_the_old_row(arena) {
        for (config, missing) in [("raw", Code::OK), ("raw,overwrite=false", Code::NOTFOUND)] {
            let (session, other) = (arena.session(), arena.session());
            let (uri, _) = with_index(arena, &session);
            let (write, read) = (session.cursor(&uri, config).unwrap(), session.cursor(&uri, "raw").unwrap());
            // What the first write needs is opened.
            write.set_key(&pack::string("0")).unwrap();
            write.remove().code();
            put(&other, &uri, "1", "Rome", "a").unwrap();
            read.next().unwrap();
            put(&other, &uri, "2", "Bern", "b").unwrap();
            write.set_key(&pack::string("0")).unwrap();
            assert_eq!(write.remove().code(), missing);
            // The end of a transaction ends the session's view; a failed one resets its cursors.
            read.next().unwrap();
            let expected = if missing == Code::OK { "2" } else { "1" };
            assert_eq!(read.key().unwrap(), pack::string(expected), "{config}");
            session.reset().unwrap();
            drop((write, read));
            session.truncate(&uri).unwrap();
        }
    }

    fn an_index_is_filled_from_what_is_there(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", TABLE);
        for number in 0..300 {
            put(&session, &uri, &format!("{number:03}"), &format!("city {}", number % 7), "n").unwrap();
        }
        let index = index_uri(&uri, "city");
        session.create(&index, &arena.formats("columns=(city)")).unwrap();
        let rows = by_city(&session, &index);
        assert_eq!(rows.len(), 300);
        assert!(rows.is_sorted());
    }

    fn an_index_is_searched(arena) {
        let session = arena.session();
        let (uri, index) = with_index(arena, &session);
        for (id, city) in [("1", "Rome"), ("2", "Bern"), ("3", "Paris")] {
            put(&session, &uri, id, city, "n").unwrap();
        }
        let cursor = session.cursor(&format!("{index}(id)"), "raw").unwrap();
        cursor.set_key(&pack::string("Paris")).unwrap();
        cursor.search().unwrap();
        assert_eq!(cursor.value().unwrap(), pack::string("3"));
        cursor.set_key(&pack::string("Oslo")).unwrap();
        assert_eq!(cursor.search().code(), Code::NOTFOUND);
    }

    fn a_rollback_covers_table_and_index(arena) {
        let session = arena.snapshot_session();
        let (uri, index) = with_index(arena, &session);
        put(&session, &uri, "1", "Rome", "a").unwrap();
        session.begin("").unwrap();
        put(&session, &uri, "1", "Bern", "a").unwrap();
        put(&session, &uri, "2", "Oslo", "b").unwrap();
        session.rollback().unwrap();
        assert_eq!(by_city(&session, &index), ["Rome:1:a"]);
    }

    fn table_and_index_agree_under_concurrent_writers(arena) {
        let session = arena.session();
        let (uri, index) = with_index(arena, &session);
        let arena = &*arena;
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let uri = &uri;
                scope.spawn(move || {
                    let session = arena.snapshot_session();
                    for round in 0..60 {
                        let city = format!("city {}", (round * 7 + thread) % 5);
                        loop {
                            session.begin("").unwrap();
                            let answer = put(&session, uri, &(round % 10).to_string(), &city, "n");
                            match answer.code() {
                                Code::OK => break session.commit().unwrap(),
                                Code::ROLLBACK => session.rollback().unwrap(),
                                other => panic!("{other}"),
                            }
                        }
                    }
                });
            }
        });
        let entries = by_city(&session, &index);
        assert_eq!(entries.len(), 10, "{entries:?}");
        let mut rows: Vec<String> = session.cursor(&uri, "raw").unwrap().rows().unwrap().into_iter().map(|(key, value)| {
            let (id, columns) = (String::from_utf8(key).unwrap(), String::from_utf8(value).unwrap());
            let (city, name) = columns.split_once('\0').unwrap();
            format!("{city}:{}:{}", id.trim_end_matches('\0'), name.trim_end_matches('\0'))
        }).collect();
        rows.sort();
        assert_eq!(entries, rows);
    }

    fn column_groups_hold_their_columns(arena) {
        {
            let session = arena.session();
            let uri = arena.create(&session, "t", &format!("{TABLE},colgroups=(where,who)"));
            let name = uri.strip_prefix("table:").unwrap();
            for (group, column) in [("where", "city"), ("who", "name")] {
                session.create(&format!("colgroup:{name}:{group}"), &arena.formats(&format!("columns=({column})"))).unwrap();
            }
            put(&session, &uri, "1", "Rome", "a").unwrap();
            put(&session, &uri, "2", "Bern", "b").unwrap();
            put(&session, &uri, "1", "Oslo", "c").unwrap();
            remove(&session, &uri, "2");
        }
        arena.reopen();
        let session = arena.session();
        let rows = session.cursor(&arena.uri("t"), "raw").unwrap().rows().unwrap();
        assert_eq!(rows, [(pack::string("1"), [pack::string("Oslo"), pack::string("c")].concat())]);
        let projection = session.cursor(&format!("{}(name)", arena.uri("t")), "raw").unwrap();
        assert_eq!(projection.rows().unwrap(), [(pack::string("1"), pack::string("c"))]);
    }

    fn dropping_a_table_drops_its_parts(arena) {
        let session = arena.session();
        let (uri, index) = with_index(arena, &session);
        put(&session, &uri, "1", "Rome", "a").unwrap();
        session.drop(&uri, "").unwrap();
        assert!(session.cursor(&index, "").is_err());
        let (uri, index) = with_index(arena, &session);
        assert!(by_city(&session, &index).is_empty());
        assert!(session.cursor(&uri, "raw").unwrap().rows().unwrap().is_empty());
    }
}

/// What has the entries of an index may be left behind where a drop is cut short, and the index not be known any
/// more. An index of that name is filled from the table alone, and one that is there is left alone.
#[test]
fn an_index_is_not_filled_over_old_entries() {
    let arena = Arena::new(Kind::Table);
    let session = arena.session();
    let uri = arena.create(&session, "t", TABLE);
    put(&session, &uri, "1", "Rome", "a").unwrap();
    for (name, source) in [("city", None), ("other", Some("helium:dev2/elsewhere"))] {
        let made = source.unwrap_or("helium:dev1/t_city_idx");
        session
            .create(made, "key_format=SS,value_format=u")
            .unwrap();
        {
            let left = session.cursor(made, "raw").unwrap();
            left.set_key(&[pack::string("Oslo"), pack::string("9")].concat())
                .unwrap();
            left.set_value(b"").unwrap();
            left.insert().unwrap();
        }
        let index = index_uri(&uri, name);
        let source = source.map_or(String::new(), |source| format!(",source=\"{source}\""));
        let config = arena.formats(&format!("columns=(city){source}"));
        session.create(&index, &config).unwrap();
        assert_eq!(by_city(&session, &index), ["Rome:1:a"], "{name}");
        put(&session, &uri, "2", "Bern", "b").unwrap();
        session.create(&index, &config).unwrap();
        assert_eq!(
            by_city(&session, &index),
            ["Bern:2:b", "Rome:1:a"],
            "{name}"
        );
        remove(&session, &uri, "2");
    }
}

/// A table in two column groups, one of ours and one native, with an index of each sort.
#[test]
fn parts_may_be_mixed_with_native_ones() {
    let mut arena = Arena::new(Kind::Table);
    {
        let session = arena.session();
        session
            .create(
                "table:m",
                "key_format=S,value_format=SS,columns=(id,city,name),colgroups=(ours,plain)",
            )
            .unwrap();
        session
            .create(
                "colgroup:m:ours",
                "columns=(city),type=helium,source=\"helium:dev1/m_ours\"",
            )
            .unwrap();
        session
            .create("colgroup:m:plain", "columns=(name)")
            .unwrap();
        session.create("index:m:city", "columns=(city)").unwrap();
        session
            .create(
                "index:m:name",
                "columns=(name),type=helium,source=\"helium:dev2/m_name\"",
            )
            .unwrap();
        put(&session, "table:m", "1", "Rome", "a").unwrap();
        put(&session, "table:m", "2", "Bern", "b").unwrap();
        session.begin("isolation=snapshot").unwrap();
        put(&session, "table:m", "3", "Oslo", "c").unwrap();
        session.rollback().unwrap();
        put(&session, "table:m", "1", "Paris", "d").unwrap();
    }
    arena.reopen();
    let session = arena.session();
    assert_eq!(by_city(&session, "index:m:city"), ["Bern:2:b", "Paris:1:d"]);
    let names = session
        .cursor("index:m:name(id)", "raw")
        .unwrap()
        .rows()
        .unwrap();
    assert_eq!(
        names.into_iter().map(|(_, id)| id).collect::<Vec<_>>(),
        [pack::string("2"), pack::string("1")]
    );
}

/// `join:` needs nothing of a data source but ordinary cursors; the wrapper has no call for it,
/// so the index cursors that it is made of are what is tested here.
#[test]
fn two_indices_of_one_table_agree() {
    let arena = Arena::new(Kind::Table);
    let session = arena.session();
    let (uri, by_city_index) = with_index(&arena, &session);
    let by_name_index = index_uri(&uri, "name");
    session
        .create(&by_name_index, &arena.formats("columns=(name)"))
        .unwrap();
    for number in 0..50 {
        put(
            &session,
            &uri,
            &number.to_string(),
            &format!("c{}", number % 3),
            &format!("n{}", number % 4),
        )
        .unwrap();
    }
    let mut one = by_city(&session, &by_city_index);
    let mut two = by_city(&session, &by_name_index);
    one.sort();
    two.sort();
    assert_eq!(one.len(), 50);
    assert_eq!(one, two);
}
