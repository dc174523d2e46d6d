//! Checkpoints go over all volumes, beside everything else.

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";

on_every_kind! {
    fn rows_stay_while_checkpoints_come(arena) {
        {
            let session = arena.session();
            for volume in [1, 2] {
                let uri = arena.create_on(volume, &session, "t", FORMATS);
                let cursor = session.cursor(&uri, "").unwrap();
                for round in 0..10 {
                    cursor.put(&format!("k{round}"), "v").unwrap();
                    session.checkpoint("").unwrap();
                }
            }
            session.checkpoint("force=true").unwrap();
        }
        arena.reopen();
        let session = arena.session();
        for volume in [1, 2] {
            let cursor = session.cursor(&arena.uri_on(volume, "t"), "").unwrap();
            assert_eq!(cursor.list().unwrap().len(), 10);
        }
    }

    fn a_checkpoint_does_not_commit_what_is_open(arena) {
        {
            let (one, two) = (arena.snapshot_session(), arena.session());
            let uri = arena.create(&one, "t", FORMATS);
            let cursor = one.cursor(&uri, "").unwrap();
            cursor.put("kept", "old").unwrap();
            one.begin("").unwrap();
            cursor.put("ghost", "1").unwrap();
            cursor.change("kept", "new").unwrap();
            two.checkpoint("").unwrap();
            std::mem::forget(cursor);
            std::mem::forget(one);
        }
        arena.reopen();
        let session = arena.session();
        assert_eq!(session.cursor(&arena.uri("t"), "").unwrap().list().unwrap(), ["kept=old"]);
    }

    fn checkpoints_and_writers_run_side_by_side(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let arena = &*arena;
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let uri = &uri;
                scope.spawn(move || {
                    let session = arena.session();
                    let cursor = session.cursor(uri, "").unwrap();
                    for round in 0..200 {
                        cursor.put(&format!("{thread}/{round:03}"), "v").unwrap();
                    }
                });
            }
            for _ in 0..20 {
                session.checkpoint("").unwrap();
            }
        });
        assert_eq!(session.cursor(&uri, "").unwrap().list().unwrap().len(), 400);
    }

    fn a_snapshot_outlives_a_checkpoint(arena) {
        let (one, two) = (arena.session(), arena.snapshot_session());
        let uri = arena.create(&one, "t", FORMATS);
        let (write, read) = (one.cursor(&uri, "").unwrap(), two.cursor(&uri, "").unwrap());
        write.put("k", "old").unwrap();
        two.begin("").unwrap();
        assert_eq!(read.get("k").unwrap().unwrap(), "old");
        for round in 0..5 {
            write.put("k", &round.to_string()).unwrap();
            one.checkpoint("").unwrap();
        }
        assert_eq!(read.get("k").unwrap().unwrap(), "old");
        two.commit().unwrap();
        assert_eq!(read.get("k").unwrap().unwrap(), "4");
    }
}

on_helium! {
    /// WiredTiger cannot name a checkpoint while a data source has objects: said, not hidden.
    fn a_named_checkpoint_is_refused_by_wiredtiger(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        session.create("table:plain", FORMATS).unwrap();
        assert_eq!(session.checkpoint("name=first").code(), Code::EINVAL);
        session.checkpoint("name=first,target=(\"table:plain\")").unwrap();
        session.cursor(&uri, "").unwrap().put("k", "v").unwrap();
    }
}

/// WiredTiger's own checkpoint thread.
#[test]
fn the_checkpoint_server_works() {
    let mut arena = Arena::with(Kind::Object, "checkpoint=(wait=1)");
    {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        session.cursor(&uri, "").unwrap().put("k", "v").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2_500));
    }
    assert!(
        arena.connection().errors().is_empty(),
        "{:?}",
        arena.connection().errors()
    );
    arena.reopen();
    assert_eq!(
        arena
            .session()
            .cursor(&arena.uri("t"), "")
            .unwrap()
            .list()
            .unwrap(),
        ["k=v"]
    );
}
