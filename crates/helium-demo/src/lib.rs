//! The main job, end to end: tables on two volumes inside the real WiredTiger, killed and recovered.
//!
//! The program loads Debian's package database into tables on two volumes, starts
//! itself as a worker whose threads move files between them in transactions, kills
//! it with SIGKILL, opens the database again, and checks that every transaction the
//! worker had acknowledged is there and none is there by half. Several times.

mod acks;
mod check;
mod columns;
mod dataset;
mod image;
mod job;
mod load;
mod options;
mod progress;
mod recovery;
mod report;
mod round;
mod scan;
mod schema;
mod work;
mod worker;

pub use options::run;

/// The examples in the README are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
