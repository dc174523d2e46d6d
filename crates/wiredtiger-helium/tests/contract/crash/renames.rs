//! A rename that is killed, at every write that it makes: the object has one of its names, with all of its rows.
//!
//! The library that stands in front of the C library's writes is made here. It counts from the removal of a file on, and kills
//! the process before the write that it was told.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::*;

const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
static int left;
static void hit(void) { if (left && __sync_sub_and_fetch(&left, 1) == 0) kill(getpid(), SIGKILL); }
#define BEFORE(type, name, parameters, arguments) \
    type name parameters { type (*next) parameters = (type (*) parameters)dlsym(RTLD_NEXT, #name); hit(); return next arguments; }
BEFORE(ssize_t, pwrite, (int fd, const void *bytes, size_t size, off_t at), (fd, bytes, size, at))
BEFORE(ssize_t, pwrite64, (int fd, const void *bytes, size_t size, off64_t at), (fd, bytes, size, at))
BEFORE(int, fsync, (int fd), (fd))
BEFORE(int, fdatasync, (int fd), (fd))
BEFORE(int, rename, (const char *from, const char *to), (from, to))
int unlink(const char *path) {
    int (*next)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
    if (strstr(path, "from-here-on")) left = atoi(getenv("KILL_AT"));
    return next(path);
}
"#;
/// Each change of the metadata is on its own in the log at once.
const OPTIONS: &str = "log=(enabled),transaction_sync=(enabled,method=none)";
const ROWS: usize = 9;
const NAMES: [&str; 2] = ["helium:dev1/old", "helium:dev1/new"];
/// A rename makes fewer writes than that.
const WRITES_MAX: u64 = 100;

#[test]
fn killed_at_any_write_a_rename_leaves_one_name() {
    let folder = tempfile::tempdir().unwrap();
    let Some(shim) = make_shim(folder.path()) else {
        eprintln!("skipped: there is no C compiler");
        return;
    };
    let mut left = [0, 0];
    for write in 1..WRITES_MAX {
        let base = folder.path().join(write.to_string());
        let status = Child::running("crash::renames::a_rename", &base)
            .env("LD_PRELOAD", shim.to_str().unwrap())
            .env("KILL_AT", &write.to_string())
            .try_start()
            .unwrap()
            .wait()
            .unwrap();
        let is_killed = status.signal() == Some(9);
        assert!(is_killed || status.success(), "write {write}: {status}");
        left[judge(&base, write)] += 1;
        if !is_killed {
            // Some before the new name was there, some behind.
            assert!(left[0] > 0 && left[1] > 1, "{left:?}");
            return;
        }
    }
    panic!("a rename makes no end of writes");
}

/// Which of the names there is.
fn judge(base: &Path, write: u64) -> usize {
    let arena = Arena::at(base, Kind::Object, OPTIONS);
    let session = arena.session();
    let there = NAMES.map(|name| match session.cursor(name, "") {
        Ok(cursor) => cursor.list().unwrap().len(),
        Err(error) => {
            assert_eq!(error.code, Code::ENOENT);
            0
        }
    });
    assert!(
        [[ROWS, 0], [0, ROWS]].contains(&there),
        "write {write}: {there:?}"
    );
    let metadata = session.cursor("metadata:", "").unwrap();
    let known = metadata.rows().unwrap().into_iter().map(|(name, _)| name);
    let known = known.filter(|name| name.starts_with(b"helium:")).count();
    assert_eq!(known, 1, "write {write}");
    let which = usize::from(there[0] == 0);
    // It is a name like any other, and so is the one that is free.
    session.rename(NAMES[which], NAMES[1 - which]).unwrap();
    session.create(NAMES[which], "exclusive").unwrap();
    which
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn a_rename() {
    let Some(base) = Child::folder() else { return };
    let arena = Arena::at(&base, Kind::Object, OPTIONS);
    let session = arena.session();
    session
        .create(NAMES[0], "key_format=S,value_format=S")
        .unwrap();
    let cursor = session.cursor(NAMES[0], "").unwrap();
    for number in 0..ROWS {
        cursor.put(&format!("k{number}"), "v").unwrap();
    }
    cursor.close().unwrap();
    session.checkpoint("").unwrap();
    let mark = base.join("from-here-on");
    std::fs::write(&mark, "").unwrap();
    std::fs::remove_file(&mark).unwrap();
    session.rename(NAMES[0], NAMES[1]).unwrap();
    // As it is: closing would write more.
    std::process::exit(0);
}

fn make_shim(folder: &Path) -> Option<PathBuf> {
    let (source, shim) = (folder.join("shim.c"), folder.join("shim.so"));
    std::fs::write(&source, SHIM).unwrap();
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-w", "-o"])
        .args([&shim, &source])
        .arg("-ldl");
    let status = compiler.status().ok()?;
    assert!(status.success());
    Some(shim)
}
