//! A fork of a program with an open database: whatever it calls is refused, closing included, and the parent loses
//! nothing by it.
//!
//! In a process of its own: the child of a fork has the thread that forked and no other.
#![expect(unsafe_code, reason = "forks")]

use std::ffi::c_int;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::common::*;

unsafe extern "C" {
    fn fork() -> c_int;
    fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn _exit(status: c_int) -> !;
}

const FORMATS: &str = "key_format=S,value_format=S";

#[test]
fn a_fork_is_refused_and_takes_nothing_away() {
    for kind in [Kind::Object, Kind::Table] {
        let folder = tempfile::tempdir().unwrap();
        Child::running("forks::parent", folder.path())
            .env("HELIUM_KIND", kind.name())
            .finish();
        let arena = Arena::at(folder.path(), kind, "");
        assert_eq!(rows(&arena), ["a=1", "b=2", "c=3", "d=4"]);
    }
}

#[test]
#[ignore = "the process of the test above"]
fn parent() {
    let Some(folder) = Child::folder() else {
        return;
    };
    let kind = std::env::var("HELIUM_KIND").unwrap();
    let arena = Arena::at(&folder, Kind::named(&kind).unwrap(), "");
    let session = arena.session();
    let uri = arena.create(&session, "t", FORMATS);
    let (idle, writer) = (arena.session(), arena.snapshot_session());
    let cursor = session.cursor(&uri, "").unwrap();
    cursor.put("a", "1").unwrap();
    let walk = idle.cursor(&uri, "").unwrap();
    walk.next().unwrap();
    writer.begin("").unwrap();
    let write = writer.cursor(&uri, "").unwrap();
    write.put("b", "2").unwrap();

    in_fork(|| {
        let refused = |answer: wiredtiger_testkit::Result<()>| {
            assert_eq!(answer.code(), Code::EINVAL);
        };
        refused(cursor.put("x", "fork"));
        refused(cursor.seek("a"));
        refused(cursor.next());
        refused(cursor.take("a"));
        refused(walk.next());
        refused(write.put("y", "fork"));
        refused(writer.commit());
        refused(session.checkpoint("force"));
        refused(session.cursor(&uri, "").map(drop));
        refused(session.create(&arena.uri("other"), &arena.formats(FORMATS)));
        let said = arena.connection().errors().join("\n");
        assert!(said.contains("fork"), "{said}");
        // SAFETY: the fork ends without using what this takes away.
        refused(unsafe { std::ptr::read(arena.connection()) }.close());
    });
    // The parent goes on where it was.
    walk.reset().unwrap();
    write.put("c", "3").unwrap();
    writer.commit().unwrap();
    cursor.put("d", "4").unwrap();
    in_fork(|| {
        // The volume is the parent's; another database can be made.
        let mut config = arena.open_config();
        let other = folder.join("other");
        fs::create_dir_all(&other).unwrap();
        assert!(Connection::open(&other, &config).is_err());
        config = config.replace(".helium", ".other");
        let connection = Connection::open(&other, &config).unwrap();
        let session = connection.session().unwrap();
        session.create("helium:dev1/t", FORMATS).unwrap();
        session
            .cursor("helium:dev1/t", "")
            .unwrap()
            .put("k", "v")
            .unwrap();
        drop(session);
        connection.close().unwrap();
    });
    assert_eq!(rows(&arena), ["a=1", "b=2", "c=3", "d=4"]);
}

fn rows(arena: &Arena) -> Vec<String> {
    let session = arena.session();
    let cursor = session.cursor(&arena.uri("t"), "").unwrap();
    cursor.list().unwrap()
}

/// Runs `work` in a fork of this process, and fails as it fails.
#[track_caller]
fn in_fork(work: impl FnOnce()) {
    // SAFETY: the child uses what a copy of this process may use: its own memory and descriptors.
    let process = unsafe { fork() };
    assert!(process >= 0, "fork");
    if process == 0 {
        let ended = catch_unwind(AssertUnwindSafe(work));
        // SAFETY: ends the child at once, without what the parent would do at its end.
        unsafe { _exit(c_int::from(ended.is_err())) };
    }
    let mut status = 0;
    // SAFETY: the child is ours, and the status a number.
    assert_eq!(unsafe { waitpid(process, &mut status, 0) }, process);
    assert_eq!(status, 0, "the fork failed, see above");
}
