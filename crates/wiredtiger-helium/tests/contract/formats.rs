//! Rows that another program wrote, of which key or value is not of the table's formats: an error that names the row,
//! and never bytes that somebody would unpack.

use wiredtiger_testkit::pack;

use crate::common::*;

/// A table of these formats with good rows around one with this key and value, which is written as bytes.
fn table_with<'session>(
    arena: &Arena,
    session: &'session Session<'_>,
    formats: &str,
    rows: &[(&[u8], &[u8])],
) -> (String, Cursor<'session>) {
    let uri = arena.create(session, "t", formats);
    let raw = session.cursor(&uri, "raw").unwrap();
    for (key, value) in rows {
        raw.set_key(key).unwrap();
        raw.set_value(value).unwrap();
        raw.insert().unwrap();
    }
    raw.reset().unwrap();
    (uri, raw)
}

/// What walks and searches answer at a row that is not as it has to be.
fn refused(arena: &Arena, cursor: &Cursor<'_>, names: &str) {
    arena.connection().take_events();
    assert_eq!(cursor.next().code(), Code::EIO);
    let said = arena.connection().errors().join("\n");
    assert!(said.contains(names) && said.contains(":dev1/t: "), "{said}");
    assert!(cursor.value().is_err(), "there is no value to unpack");
    assert_eq!(cursor.prev().code(), Code::EIO);
}

on_helium! {
    fn a_text_without_its_end_names_the_row(arena) {
        let session = arena.session();
        let formats = "key_format=S,value_format=S";
        for value in [&b""[..], b"no end"] {
            let (uri, raw) = table_with(arena, &session, formats, &[(b"key\xff\0", value)]);
            let cursor = session.cursor(&uri, "").unwrap();
            refused(arena, &cursor, "the value of the row \"key\\xff\\x00\" is not of the value_format S");
            // It can be looked at as bytes.
            raw.next().unwrap();
            assert_eq!(raw.value().unwrap(), value);
            // And it can be removed.
            let bytes = session.cursor(&uri, "raw").unwrap();
            bytes.set_key(b"key\xff\0").unwrap();
            bytes.remove().unwrap();
            assert_eq!(cursor.next().code(), Code::NOTFOUND);
            drop((raw, bytes, cursor));
            session.drop(&uri, "").unwrap();
        }
    }

    fn a_search_is_refused_too(arena) {
        let session = arena.session();
        let formats = "key_format=S,value_format=S";
        let (uri, _raw) = table_with(arena, &session, formats, &[(b"bad\0", b""), (b"good\0", b"v\0")]);
        let cursor = session.cursor(&uri, "").unwrap();
        assert_eq!(cursor.get("good").unwrap().as_deref(), Some("v"));
        assert_eq!(cursor.seek("bad").code(), Code::EIO);
        cursor.set_key_str("b").unwrap();
        assert_eq!(cursor.search_near().map(drop).code(), Code::EIO);
        // Writing over it needs no look at what was there.
        cursor.put("bad", "mended").unwrap();
        assert_eq!(cursor.list().unwrap(), ["bad=mended", "good=v"]);
    }

    fn a_key_that_is_none_names_its_row(arena) {
        let session = arena.session();
        let formats = "key_format=S,value_format=S";
        let (uri, _raw) = table_with(arena, &session, formats, &[(b"no end", b"v\0")]);
        let cursor = session.cursor(&uri, "").unwrap();
        refused(arena, &cursor, "the key of the row \"no end\" is not of the key_format S");
    }

    fn packed_fields_that_do_not_unpack_are_refused(arena) {
        let session = arena.session();
        let good = [pack::signed(7), pack::string("text"), vec![1, 2, 3]].concat();
        let longer_than_there_is = [pack::signed(7), b"text without end".to_vec()].concat();
        for (format, bad) in [
            ("iSu", &longer_than_there_is[..]),
            ("iSu", b""),
            ("Q", b"plain text"),
            ("i", b"\xe8\x01"),
            ("ui", b"\xe8\xff\xff\xff\xff\xff\xff\xff\xff"),
            ("5s", b"ab"),
            ("R", b"short"),
        ] {
            let formats = format!("key_format=S,value_format={format}");
            let (uri, _raw) = table_with(arena, &session, &formats, &[(b"k\0", bad)]);
            let cursor = session.cursor(&uri, "").unwrap();
            refused(arena, &cursor, &format!("row \"k\\x00\" is not of the value_format {format}"));
            drop((cursor, _raw));
            session.drop(&uri, "").unwrap();
        }
        let (uri, _raw) = table_with(arena, &session, "key_format=S,value_format=iSu", &[(b"k\0", &good)]);
        session.cursor(&uri, "").unwrap().next().unwrap();
    }

    /// Whoever cleans up does not have to look.
    fn what_is_not_as_it_has_to_be_can_be_truncated(arena) {
        let session = arena.session();
        let formats = "key_format=S,value_format=S";
        let rows: &[(&[u8], &[u8])] = &[(b"a\0", b""), (b"b\0", b"no end"), (b"c\0", b"v\0")];
        let (uri, raw) = table_with(arena, &session, formats, rows);
        session.truncate(&uri).unwrap();
        assert_eq!(raw.next().code(), Code::NOTFOUND);
    }
}

/// A dump of bytes shows them, and one that has to unpack them says what is wrong.
#[test]
fn a_dump_of_bytes_shows_the_row() {
    let arena = Arena::new(Kind::Object);
    let session = arena.session();
    let formats = "key_format=S,value_format=S";
    let (uri, _raw) = table_with(&arena, &session, formats, &[(b"k\0", b"no end")]);
    for dump in ["dump=print", "dump=hex"] {
        session.cursor(&uri, dump).unwrap().next().unwrap();
    }
    assert_eq!(
        session.cursor(&uri, "dump=json").unwrap().next().code(),
        Code::EIO
    );
}

/// Another program wrote it, while the database was closed.
#[test]
fn a_row_that_the_store_was_given_is_refused() {
    let mut arena = Arena::new(Kind::Object);
    let uri = arena.create(&arena.session(), "t", "key_format=S,value_format=S");
    arena.session().checkpoint("").unwrap();
    arena.close();
    {
        let url = format!("he://{}", arena.folder().join("dev1.helium").display());
        let volume = heliumdb::Volume::open(&url, &Default::default()).unwrap();
        let store = volume.datastore(b"WiredTiger.t").unwrap();
        store.put(b"key", b"value").unwrap();
        volume.flush().unwrap();
    }
    arena.open();
    let session = arena.session();
    let cursor = session.cursor(&uri, "").unwrap();
    refused(
        &arena,
        &cursor,
        "the key of the row \"key\" is not of the key_format S",
    );
}

/// WiredTiger's own cursors unpack what they get from a table's parts, of raw cursors too.
#[test]
fn parts_of_tables_are_looked_at_whatever_the_cursor() {
    let arena = Arena::new(Kind::Object);
    let session = arena.session();
    session
        .create(
            "table:t",
            "key_format=S,value_format=SS,columns=(k,a,b),colgroups=(x,y)",
        )
        .unwrap();
    for (part, column) in [("x", "a"), ("y", "b")] {
        let config = format!("columns=({column}),source=\"helium:dev1/{part}\"");
        session
            .create(&format!("colgroup:t:{part}"), &config)
            .unwrap();
    }
    for (part, value) in [("x", &b"v\0"[..]), ("y", b"no end")] {
        let raw = session
            .cursor(&format!("helium:dev1/{part}"), "raw")
            .unwrap();
        raw.set_key(b"k\0").unwrap();
        raw.set_value(value).unwrap();
        raw.insert().unwrap();
    }
    for options in ["", "raw", "dump=print"] {
        let cursor = session.cursor("table:t", options).unwrap();
        assert_eq!(cursor.next().code(), Code::EIO, "{options}");
    }
    let said = arena.connection().errors().join("\n");
    assert!(
        said.contains("helium:dev1/y: the value of the row \"k\\x00\""),
        "{said}"
    );
}
