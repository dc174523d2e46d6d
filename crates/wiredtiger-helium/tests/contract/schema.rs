//! Making, removing and renaming objects: what is there, what is in use, what is refused.

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";

on_every_kind! {
    fn creating_again_changes_nothing(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "").unwrap();
        cursor.put("k", "v").unwrap();
        drop(cursor);
        session.create(&uri, &arena.formats(FORMATS)).unwrap();
        assert_eq!(session.cursor(&uri, "").unwrap().list().unwrap(), ["k=v"]);
    }

    fn exclusive_needs_a_new_name(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        session.cursor(&uri, "").unwrap().put("k", "v").unwrap();
        let exclusive = arena.formats(&format!("{FORMATS},exclusive=true"));
        assert_eq!(session.create(&uri, &exclusive).code(), Code::EEXIST);
        assert_eq!(session.cursor(&uri, "").unwrap().list().unwrap(), ["k=v"]);
        session.create(&arena.uri("u"), &exclusive).unwrap();
    }

    fn what_is_missing_is_missing(arena) {
        let session = arena.session();
        let uri = arena.uri("missing");
        assert_eq!(session.cursor(&uri, "").err().unwrap().code, Code::ENOENT);
        assert_eq!(session.drop(&uri, "").code(), Code::ENOENT);
        assert_eq!(session.drop(&uri, "force=true").code(), Code::OK);
        assert_eq!(session.rename(&uri, &arena.uri("other")).code(), Code::ENOENT);
        assert_eq!(session.verify(&uri).code(), Code::ENOENT);
        assert_eq!(session.cursor(&uri, "").err().unwrap().code, Code::ENOENT, "none came to be");
    }

    fn a_dropped_object_is_gone_and_its_name_free(arena) {
        let session = arena.session();
        for round in 0..3 {
            let uri = arena.create(&session, "t", FORMATS);
            let cursor = session.cursor(&uri, "").unwrap();
            assert!(cursor.list().unwrap().is_empty(), "rows came back");
            cursor.put("k", &round.to_string()).unwrap();
            drop(cursor);
            session.drop(&uri, "").unwrap();
            assert_eq!(session.cursor(&uri, "").err().unwrap().code, Code::ENOENT);
        }
    }

    fn an_object_in_use_cannot_be_dropped(arena) {
        let (one, two) = (arena.session(), arena.session());
        let uri = arena.create(&one, "t", FORMATS);
        let cursor = one.cursor(&uri, "").unwrap();
        cursor.put("k", "v").unwrap();
        assert_eq!(two.drop(&uri, "").code(), Code::EBUSY);
        assert_eq!(two.drop(&uri, "force=true").code(), Code::EBUSY);
        assert_eq!(two.rename(&uri, &arena.uri("other")).code(), Code::EBUSY);
        assert_eq!(cursor.list().unwrap(), ["k=v"]);
        cursor.close().unwrap();
        two.drop(&uri, "").unwrap();
    }

    fn a_renamed_object_keeps_its_rows(arena) {
        let (old, new) = (arena.uri("old"), arena.uri("new"));
        {
            let session = arena.session();
            arena.create(&session, "old", FORMATS);
            session.cursor(&old, "").unwrap().put("k", "v").unwrap();
            session.rename(&old, &new).unwrap();
            assert_eq!(session.cursor(&old, "").err().unwrap().code, Code::ENOENT);
            assert_eq!(session.cursor(&new, "").unwrap().list().unwrap(), ["k=v"]);
            session.cursor(&new, "").unwrap().put("l", "w").unwrap();
        }
        arena.reopen();
        let session = arena.session();
        assert_eq!(session.cursor(&old, "").err().unwrap().code, Code::ENOENT);
        assert_eq!(session.cursor(&new, "").unwrap().list().unwrap(), ["k=v", "l=w"]);
        arena.create(&session, "old", FORMATS);
        assert!(session.cursor(&old, "").unwrap().list().unwrap().is_empty());
    }

    fn rename_does_not_replace(arena) {
        let session = arena.session();
        let (a, b) = (arena.create(&session, "a", FORMATS), arena.create(&session, "b", FORMATS));
        session.cursor(&a, "").unwrap().put("a", "1").unwrap();
        session.cursor(&b, "").unwrap().put("b", "1").unwrap();
        assert_eq!(session.rename(&a, &b).code(), Code::EEXIST);
        assert_eq!(session.cursor(&a, "").unwrap().list().unwrap(), ["a=1"]);
        assert_eq!(session.cursor(&b, "").unwrap().list().unwrap(), ["b=1"]);
    }

    fn unknown_options_are_refused_by_name(arena) {
        let session = arena.session();
        let config = arena.formats(&format!("{FORMATS},no_such_option=1"));
        assert_eq!(session.create(&arena.uri("t"), &config).code(), Code::EINVAL);
        assert!(arena.connection().errors().iter().any(|text| text.contains("no_such_option")));
        assert_eq!(session.cursor(&arena.uri("t"), "").err().unwrap().code, Code::ENOENT);
    }

    fn bad_formats_are_refused(arena) {
        let session = arena.session();
        for formats in ["key_format=y", "value_format=8Q8"] {
            assert_eq!(session.create(&arena.uri("t"), &arena.formats(formats)).code(), Code::EINVAL, "{formats}");
        }
    }

    /// The seed keeps formats in 1,024 bytes (its number 30).
    fn long_formats_are_kept(arena) {
        let formats = format!("key_format=S,value_format={}", "i".repeat(2_000));
        {
            let session = arena.session();
            arena.create(&session, "t", &formats);
        }
        arena.reopen();
        let session = arena.session();
        let cursor = session.cursor(&arena.uri("t"), "").unwrap();
        assert_eq!(cursor.value_format(), "i".repeat(2_000));
        assert_eq!(cursor.key_format(), "S");
    }

    fn many_objects_live_side_by_side(arena) {
        let count = 150;
        {
            let session = arena.session();
            for number in 0..count {
                let uri = arena.create_on(1 + number % 2, &session, &format!("t{number}"), FORMATS);
                session.cursor(&uri, "").unwrap().put("k", &number.to_string()).unwrap();
            }
        }
        arena.reopen();
        let session = arena.session();
        for number in 0..count {
            let uri = arena.uri_on(1 + number % 2, &format!("t{number}"));
            let value = session.cursor(&uri, "").unwrap().get("k").unwrap();
            assert_eq!(value.unwrap(), number.to_string());
        }
    }

    fn objects_come_and_go_in_several_threads(arena) {
        let arena = &*arena;
        std::thread::scope(|scope| {
            for thread in 0..3 {
                scope.spawn(move || {
                    let session = arena.session();
                    for round in 0..20 {
                        let uri = arena.create(&session, &format!("t{thread}"), FORMATS);
                        let cursor = session.cursor(&uri, "").unwrap();
                        cursor.put("k", &round.to_string()).unwrap();
                        assert_eq!(cursor.list().unwrap(), [format!("k={round}")]);
                        drop(cursor);
                        drop_when_idle(&session, &uri);
                    }
                });
            }
        });
    }
}

/// A checkpoint or another thread's schema operation may hold an object for a moment.
fn drop_when_idle(session: &Session<'_>, uri: &str) {
    for _ in 0..1_000 {
        match session.drop(uri, "").code() {
            Code::OK => return,
            Code::EBUSY => std::thread::sleep(std::time::Duration::from_millis(1)),
            other => panic!("drop {uri}: {other}"),
        }
    }
    panic!("{uri} stays busy");
}

on_helium! {
    /// The seed changes the formats of what is there (its number 20).
    fn other_formats_for_an_object_that_is_there_are_refused(arena) {
        {
            let session = arena.session();
            let uri = arena.create(&session, "t", FORMATS);
            session.cursor(&uri, "").unwrap().put("k", "v").unwrap();
            let answer = session.create(&uri, &arena.formats("key_format=r,value_format=u"));
            if arena.kind() == Kind::Object {
                assert!([Code::EEXIST, Code::EINVAL].contains(&answer.code()), "{}", answer.code());
            }
        }
        arena.reopen();
        let session = arena.session();
        let cursor = session.cursor(&arena.uri("t"), "").unwrap();
        assert_eq!((cursor.key_format(), cursor.value_format()), ("S".into(), "S".into()));
        assert_eq!(cursor.list().unwrap(), ["k=v"]);
    }

    /// The seed empties the object before it looks (its number 10).
    fn exclusive_and_truncate_destroy_nothing(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        session.cursor(&uri, "").unwrap().put("k", "v").unwrap();
        if arena.kind() == Kind::Object {
            let config = format!("{FORMATS},exclusive=true,helium_o_truncate=true");
            assert_eq!(session.create(&uri, &config).code(), Code::EEXIST);
        }
        assert_eq!(session.cursor(&uri, "").unwrap().list().unwrap(), ["k=v"]);
    }

    /// A transaction that is not resolved keeps its objects in use, open cursors or not.
    fn an_open_transaction_keeps_an_object_in_use(arena) {
        let (one, two) = (arena.snapshot_session(), arena.session());
        let uri = arena.create(&one, "t", FORMATS);
        one.begin("").unwrap();
        one.cursor(&uri, "").unwrap().put("k", "v").unwrap();
        assert_eq!(two.drop(&uri, "").code(), Code::EBUSY);
        assert_eq!(two.rename(&uri, &arena.uri("other")).code(), Code::EBUSY);
        one.commit().unwrap();
        assert_eq!(two.cursor(&uri, "").unwrap().list().unwrap(), ["k=v"]);
        two.drop(&uri, "").unwrap();
    }

    /// The other volume's name cannot be reached by renaming (the seed's number 14).
    fn an_object_cannot_be_renamed_to_another_volume(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        session.cursor(&uri, "").unwrap().put("k", "v").unwrap();
        assert_eq!(session.rename(&uri, &arena.uri_on(2, "t")).code(), Code::EINVAL);
        assert_eq!(session.cursor(&uri, "").unwrap().list().unwrap(), ["k=v"]);
        assert_eq!(session.cursor(&arena.uri_on(2, "t"), "").err().unwrap().code, Code::ENOENT);
    }

    /// No name of a user's object is one of ours (the seed's number 13).
    fn any_name_is_free(arena) {
        let names = ["t", "t.cache", "WiredTigerTxn", "WiredTigerInit", "WiredTiger.t", ".t", "helium", "catalog", "t t", "ö"];
        {
            let session = arena.session();
            for name in names {
                let uri = arena.create(&session, name, FORMATS);
                session.cursor(&uri, "").unwrap().put("name", name).unwrap();
            }
        }
        arena.reopen();
        let session = arena.session();
        for name in names {
            let list = session.cursor(&arena.uri(name), "").unwrap().list().unwrap();
            assert_eq!(list, [format!("name={name}")]);
        }
        session.drop(&arena.uri("t.cache"), "").unwrap();
        session.drop(&arena.uri("WiredTigerTxn"), "").unwrap();
        assert_eq!(session.cursor(&arena.uri("t"), "").unwrap().list().unwrap(), ["name=t"]);
    }
}

#[test]
fn truncate_on_create_empties_an_object() {
    let arena = Arena::new(Kind::Object);
    let session = arena.session();
    let uri = arena.create(&session, "t", FORMATS);
    session.cursor(&uri, "").unwrap().put("k", "v").unwrap();
    session
        .create(&uri, &format!("{FORMATS},helium_o_truncate=true"))
        .unwrap();
    assert!(session.cursor(&uri, "").unwrap().list().unwrap().is_empty());
}

#[test]
fn compression_is_an_option_of_an_object() {
    let arena = Arena::new(Kind::Object);
    let session = arena.session();
    for (name, option) in [("yes", "true"), ("no", "false"), ("one", "1")] {
        let uri = arena.create(
            &session,
            name,
            &format!("{FORMATS},helium_o_compress={option}"),
        );
        session
            .cursor(&uri, "")
            .unwrap()
            .put("k", &"v".repeat(10_000))
            .unwrap();
        assert_eq!(
            session
                .cursor(&uri, "")
                .unwrap()
                .get("k")
                .unwrap()
                .unwrap()
                .len(),
            10_000
        );
    }
    let bad = session.create(
        "helium:dev1/bad",
        &format!("{FORMATS},helium_o_compress=perhaps"),
    );
    assert_eq!(bad.code(), Code::EINVAL);
}

#[test]
fn collators_are_refused() {
    let arena = Arena::new(Kind::Object);
    let session = arena.session();
    let answer = session.create("helium:dev1/t", &format!("{FORMATS},collator=reverse"));
    assert_eq!(answer.code(), Code::EINVAL);
}

/// Every form of a wrong URI is refused alike, when creating and when opening.
#[test]
fn wrong_uris_are_refused() {
    let arena = Arena::new(Kind::Object);
    let session = arena.session();
    for uri in [
        "helium:",
        "helium:dev1",
        "helium:dev1/",
        "helium:/t",
        "helium:/",
        "helium:dev3/t",
        "helium:t",
    ] {
        assert_eq!(session.create(uri, FORMATS).code(), Code::EINVAL, "{uri}");
        let opened = session.cursor(uri, "").err().unwrap().code;
        assert!(
            [Code::EINVAL, Code::ENOENT].contains(&opened),
            "{uri}: {opened}"
        );
    }
    let nested = session.create("helium:dev1/a/b", FORMATS).code();
    assert!([Code::OK, Code::EINVAL].contains(&nested), "{nested}");
    assert_eq!(
        session.cursor("helium:dev1/a/b", "").is_ok(),
        nested == Code::OK
    );
    assert!(
        arena
            .connection()
            .errors()
            .iter()
            .any(|text| text.contains("dev3"))
    );
}

/// `source=` names the object of a table whose own name has no volume.
#[test]
fn a_table_may_name_its_source() {
    let mut arena = Arena::new(Kind::Object);
    {
        let session = arena.session();
        session
            .create(
                "table:t",
                &format!("{FORMATS},type=helium,source=\"helium:dev2/rows\""),
            )
            .unwrap();
        session
            .cursor("table:t", "")
            .unwrap()
            .put("k", "v")
            .unwrap();
        assert_eq!(
            session
                .cursor("helium:dev2/rows", "")
                .unwrap()
                .list()
                .unwrap(),
            ["k=v"]
        );
    }
    arena.reopen();
    let session = arena.session();
    assert_eq!(
        session.cursor("table:t", "").unwrap().list().unwrap(),
        ["k=v"]
    );
    session.drop("table:t", "").unwrap();
    assert_eq!(
        session.cursor("helium:dev2/rows", "").err().unwrap().code,
        Code::ENOENT
    );
}

/// A table whose source would have no volume in its name is refused, with a message.
#[test]
fn a_table_without_a_volume_is_refused() {
    let arena = Arena::new(Kind::Object);
    let session = arena.session();
    let answer = session.create("table:t", &format!("{FORMATS},type=helium"));
    assert_eq!(answer.code(), Code::EINVAL);
    assert!(!arena.connection().errors().is_empty());
    assert!(session.cursor("table:t", "").is_err());
}
