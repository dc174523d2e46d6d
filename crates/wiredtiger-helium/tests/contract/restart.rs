//! Closing and opening again, cleanly or by copying the files of a database that is open.

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";

on_every_kind! {
    fn rows_outlive_a_restart(arena) {
        for round in 0..4 {
            {
                let session = arena.session();
                let uri = arena.create(&session, "t", FORMATS);
                let cursor = session.cursor(&uri, "").unwrap();
                let expected: Vec<_> = (0..round).map(|old| format!("k{old}=v{old}")).collect();
                assert_eq!(cursor.list().unwrap(), expected);
                cursor.put(&format!("k{round}"), &format!("v{round}")).unwrap();
            }
            arena.reopen();
        }
    }

    fn updates_and_removals_outlive_a_restart(arena) {
        {
            let session = arena.session();
            let uri = arena.create(&session, "t", FORMATS);
            let cursor = session.cursor(&uri, "").unwrap();
            for number in 0..1_000 {
                cursor.put(&format!("k{number:04}"), "old").unwrap();
            }
            for number in (0..1_000).step_by(2) {
                cursor.change(&format!("k{number:04}"), "new").unwrap();
            }
            for number in (0..1_000).step_by(3) {
                cursor.take(&format!("k{number:04}")).unwrap();
            }
        }
        arena.reopen();
        let session = arena.session();
        let cursor = session.cursor(&arena.uri("t"), "").unwrap();
        let expected: Vec<_> = (0..1_000)
            .filter(|number| number % 3 != 0)
            .map(|number| format!("k{number:04}={}", if number % 2 == 0 { "new" } else { "old" }))
            .collect();
        assert_eq!(cursor.list().unwrap(), expected);
    }

    fn a_transaction_left_open_is_gone(arena) {
        {
            let session = arena.snapshot_session();
            let uri = arena.create(&session, "t", FORMATS);
            let cursor = session.cursor(&uri, "").unwrap();
            cursor.put("kept", "1").unwrap();
            session.begin("").unwrap();
            cursor.put("ghost", "1").unwrap();
            cursor.take("kept").unwrap();
            // WiredTiger closes both itself.
            std::mem::forget(cursor);
            std::mem::forget(session);
        }
        arena.reopen();
        let session = arena.session();
        assert_eq!(session.cursor(&arena.uri("t"), "").unwrap().list().unwrap(), ["kept=1"]);
    }

    /// Transaction ids start again at one: what was written under high ids must still be
    /// visible, and what is written under low ones newer.
    fn ids_starting_anew_confuse_nothing(arena) {
        {
            let session = arena.session();
            let uri = arena.create(&session, "t", FORMATS);
            let cursor = session.cursor(&uri, "").unwrap();
            for round in 0..500 {
                cursor.put("k", &round.to_string()).unwrap();
            }
            session.begin("isolation=snapshot").unwrap();
            cursor.put("k", "ghost").unwrap();
            session.rollback().unwrap();
        }
        arena.reopen();
        let (one, two) = (arena.session(), arena.snapshot_session());
        let cursor = one.cursor(&arena.uri("t"), "").unwrap();
        assert_eq!(cursor.get("k").unwrap().unwrap(), "499");
        two.begin("").unwrap();
        let snapshot = two.cursor(&arena.uri("t"), "").unwrap();
        assert_eq!(snapshot.get("k").unwrap().unwrap(), "499");
        cursor.put("k", "new").unwrap();
        assert_eq!(snapshot.get("k").unwrap().unwrap(), "499");
        two.commit().unwrap();
        assert_eq!(snapshot.get("k").unwrap().unwrap(), "new");
    }
}

on_helium! {
    /// Plain `wiredtiger_open` finds the extension by itself: it is in the base configuration.
    fn the_extension_comes_back_by_itself(arena) {
        {
            let session = arena.session();
            let uri = arena.create(&session, "t", FORMATS);
            session.cursor(&uri, "").unwrap().put("k", "v").unwrap();
        }
        arena.close();
        let connection = Connection::open(&arena.home(), "").unwrap();
        {
            let session = connection.session().unwrap();
            assert_eq!(session.cursor(&arena.uri("t"), "").unwrap().list().unwrap(), ["k=v"]);
        }
        connection.close().unwrap();
        arena.open();
    }

    /// A read-only database reads, and writes nothing at all.
    fn a_readonly_database_reads(arena) {
        {
            let session = arena.session();
            let uri = arena.create(&session, "t", FORMATS);
            session.cursor(&uri, "").unwrap().put("k", "v").unwrap();
        }
        arena.close();
        let config = arena.open_config().replace("create,", "readonly,");
        let connection = Connection::open(&arena.home(), &config).unwrap();
        {
            let session = connection.session().unwrap();
            let cursor = session.cursor(&arena.uri("t"), "").unwrap();
            assert_eq!(cursor.list().unwrap(), ["k=v"]);
            assert_ne!(cursor.put("l", "w").code(), Code::OK);
            session.verify(&arena.uri("t")).unwrap();
        }
        connection.close().unwrap();
        arena.open();
    }

    /// In a database in memory the volumes work; a checkpoint is WiredTiger's to refuse.
    fn a_database_in_memory_uses_its_volumes(arena) {
        arena.close();
        let folder = tempfile::tempdir().unwrap();
        let config = arena.open_config().replace("create,", "create,in_memory,");
        let connection = Connection::open(folder.path(), &config).unwrap();
        {
            let session = connection.session().unwrap();
            session.create("helium:dev1/m", FORMATS).unwrap();
            let cursor = session.cursor("helium:dev1/m", "").unwrap();
            cursor.put("k", "v").unwrap();
            assert_eq!(cursor.list().unwrap(), ["k=v"]);
        }
        connection.close().unwrap();
        arena.open();
    }

    /// Every thread of the extension is joined before WiredTiger unloads it.
    fn opening_and_closing_leaves_no_threads(arena) {
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().filter_map(|task| {
            std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
        }).filter(|name| name.contains("helium")).count();
        arena.close();
        // Other tests run beside this one and have threads of their own: count in a while
        // without them is not to be had, so only the sum over many rounds is judged.
        let before = threads();
        for _ in 0..20 {
            arena.open();
            arena.close();
        }
        let after = threads();
        assert!(after < before + 20, "{before} threads before, {after} after");
        arena.open();
    }
}
