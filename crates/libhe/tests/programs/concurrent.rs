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
    let is_there = Command::new("valgrind").arg("--version").output();
    if !is_there.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: valgrind is not installed (cargo xtask setup)");
        return;
    }
    let folder = folder();
    let program = program("3.x", "concurrent", folder.path());
    done(
        Command::new("valgrind")
            .args(["--quiet", "--error-exitcode=9", "--fair-sched=yes"])
            .arg(program)
            .arg(folder.path())
            .arg(rounds(40)),
    );
}
