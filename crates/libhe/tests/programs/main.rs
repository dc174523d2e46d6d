//! C programs on the library, one set for each version of the header.
//!
//! What they check is in `tests/c`; run one set with
//! `cargo test -p libhe --test programs v2_8`. `HELIUM_ROUNDS` is how long the concurrent
//! one runs.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod activity;
mod build;
mod concurrent;
mod connector;
mod limits;
mod linking;
mod long_keys;
mod refusals;

use build::{done, folder, program};
use std::process::Command;

fn passes(version: &str, name: &str) {
    let folder = folder();
    let program = program(version, name, folder.path());
    done(Command::new(program).arg(folder.path()));
}

#[test]
fn v2_2() {
    passes("2.2", "v2_2");
}

#[test]
fn v2_8() {
    passes("2.8", "v2_8");
}

#[test]
fn v2_12() {
    passes("2.12", "v2_12");
}

#[test]
fn v3_8() {
    passes("3.8", "v3_8");
}

#[test]
fn v3_x() {
    passes("3.x", "v3_x");
}

#[test]
fn walks_are_of_one_moment_and_show_copies() {
    passes("3.x", "moments");
}

#[test]
fn one_process_per_volume_and_commits_are_of_the_volume() {
    passes("2.8", "two_processes");
}

#[test]
fn forks_closed_descriptors_and_threads_at_their_end() {
    passes("2.8", "processes");
}
