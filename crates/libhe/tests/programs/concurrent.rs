//! Many threads on handles that others close: as it is, and under valgrind, which finds every
//! use of memory that is not ours any more.

use std::process::Command;

use crate::build::{done, folder, program};

fn rounds(default: u32) -> String {
    std::env::var("HELIUM_ROUNDS").unwrap_or_else(|_| default.to_string())
}

#[test]
fn handles_are_closed_under_other_threads() {
    let folder = folder();
    let program = program("3.x", "concurrent", folder.path());
    done(Command::new(program).arg(folder.path()).arg(rounds(3_000)));
}

#[test]
fn valgrind_finds_nothing() {
    let folder = folder();
    let program = program("3.x", "concurrent", folder.path());
    if let Some(mut valgrind) = valgrind() {
        done(valgrind.arg(program).arg(folder.path()).arg(rounds(40)));
    }
}

/// Else the test above would show nothing.
#[test]
fn valgrind_finds_what_the_library_writes_where_it_must_not() {
    let folder = folder();
    let program = program("3.x", "faulty", folder.path());
    if let Some(mut valgrind) = valgrind() {
        let output = valgrind.arg(program).arg(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(FAULTS), "{said}");
        assert!(said.contains("Invalid write"), "{said}");
    }
}

/// What valgrind ends with if it found something.
const FAULTS: i32 = 9;

fn valgrind() -> Option<Command> {
    let is_there = Command::new("valgrind").arg("--version").output();
    if !is_there.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: valgrind is not installed (cargo xtask setup)");
        return None;
    }
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--quiet", "--fair-sched=yes"])
        .arg(format!("--error-exitcode={FAULTS}"));
    Some(valgrind)
}
