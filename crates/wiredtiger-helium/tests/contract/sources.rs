//! Tables whose parts were given sources of their own, renamed.

use crate::common::*;

const COLUMNS: &str = "key_format=S,value_format=SS,columns=(k,a,b)";

fn rows(session: &Session<'_>, uri: &str) -> usize {
    let cursor = session.cursor(uri, "").unwrap();
    std::iter::from_fn(|| cursor.next().found().unwrap().then_some(())).count()
}

fn fill(session: &Session<'_>, uri: &str) {
    let raw = session.cursor(uri, "raw").unwrap();
    for number in 0..9 {
        raw.set_key(format!("k{number}\0").as_bytes()).unwrap();
        raw.set_value(format!("a{number}\0b\0").as_bytes()).unwrap();
        raw.insert().unwrap();
    }
}

/// Simple ones, column groups, indices; with a type and without; there and back, and over a restart.
#[test]
fn tables_over_named_sources_are_renamed() {
    let mut arena = Arena::new(Kind::Object);
    {
        let session = arena.session();
        let create = |uri: &str, config: &str| session.create(uri, config).unwrap();
        create(
            "table:s",
            &format!("{COLUMNS},source=\"helium:dev1/simple\""),
        );
        create("index:s:i", "columns=(a),source=\"helium:dev1/by_a\"");
        create(
            "table:h",
            &format!("type=helium,{COLUMNS},source=\"helium:dev2/typed\""),
        );
        create("table:g", &format!("{COLUMNS},colgroups=(x,y)"));
        create("colgroup:g:x", "columns=(a),source=\"helium:dev1/x\"");
        create("colgroup:g:y", "columns=(b),source=\"helium:dev2/y\"");
        create("index:g:i", "columns=(b,a)");
        for table in ["s", "h", "g"] {
            let (uri, new) = (format!("table:{table}"), format!("table:{table}{table}"));
            fill(&session, &uri);
            let cursor = session.cursor(&uri, "").unwrap();
            assert_eq!(session.rename(&uri, &new).code(), Code::EBUSY);
            cursor.close().unwrap();
            session.rename(&uri, &new).unwrap();
            assert_eq!(session.cursor(&uri, "").map(drop).code(), Code::ENOENT);
            assert_eq!(rows(&session, &new), 9);
        }
        assert_eq!(rows(&session, "index:ss:i"), 9);
        assert_eq!(rows(&session, "index:gg:i"), 9);
        // The objects are called after their tables.
        for object in [
            "dev1/simple:ss",
            "dev1/by_a:ss_i_idx",
            "dev2/typed:hh",
            "dev2/y:gg_y",
        ] {
            assert_eq!(rows(&session, &format!("helium:{object}")), 9, "{object}");
        }
        // What the name belongs to is free again.
        create("helium:dev1/simple", "exclusive");
        session.rename("table:ss", "table:s").unwrap();
        session.rename("table:gg", "table:other").unwrap();
    }
    arena.reopen();
    let session = arena.session();
    for uri in [
        "table:s",
        "index:s:i",
        "table:hh",
        "table:other",
        "index:other:i",
    ] {
        assert_eq!(rows(&session, uri), 9, "{uri}");
    }
    fill(&session, "table:other");
    for table in ["table:s", "table:hh", "table:other"] {
        session.drop(table, "").unwrap();
    }
}

/// A table that WiredTiger has named itself stays on its volume, as ever.
#[test]
fn other_tables_are_renamed_as_ever() {
    let arena = Arena::new(Kind::Table);
    let session = arena.session();
    let uri = arena.create(&session, "t", COLUMNS);
    session
        .create("index:dev1/t:i", "type=helium,columns=(a)")
        .unwrap();
    fill(&session, &uri);
    assert_eq!(session.rename(&uri, "table:dev2/t").code(), Code::EINVAL);
    session.rename(&uri, "table:dev1/u").unwrap();
    for uri in [
        "table:dev1/u",
        "index:dev1/u:i",
        "helium:dev1/u",
        "helium:dev1/u_i_idx",
    ] {
        assert_eq!(rows(&session, uri), 9, "{uri}");
    }
    assert_eq!(
        session.rename("table:none", "table:some").code(),
        Code::ENOENT
    );
    session.create("table:native", COLUMNS).unwrap();
    session.rename("table:native", "table:renamed").unwrap();
}
