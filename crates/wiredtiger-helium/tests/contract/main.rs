//! The contract: what a program that uses WiredTiger may rely on, inside the real WiredTiger.
//!
//! Most tests run three times: on a native table, which proves the test, on a
//! `helium:` object, and on a `table:` of `type=helium`. Where WiredTiger documents
//! or shows another behaviour for data sources than for its own tables, the test
//! says so by asking `arena.is_native()`.
//!
//! Run one topic with `cargo test -p wiredtiger-helium --test contract bank::`, only
//! the native runs with `native`. Scale and seeds come from the environment:
//! `HELIUM_SEED`, `HELIUM_LOCKSTEP_STEPS`, `HELIUM_CRASH_ROUNDS`, `HELIUM_MEMORY_UPDATES`,
//! `HELIUM_MEMORY_KEYS`, `HELIUM_BANK_SECONDS`; `WIREDTIGER_ECHO=1` shows all messages.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod common;

mod activity;
mod bank;
mod bitfields;
mod bulk;
mod c_connector;
mod checkpoint;
mod config;
mod conflicts;
mod crash;
mod cursors;
mod failed;
mod forks;
mod formats;
mod in_memory;
mod indices_colgroups;
mod isolation;
mod joins;
mod limits;
mod lockstep;
mod memory_bound;
mod opening;
mod overwrite;
mod parts;
mod placed;
mod prepared;
mod reads;
mod recno_append;
mod restart;
mod schema;
mod search_near;
mod seed_faults;
mod several_volumes;
mod sizes;
mod sources;
mod storage;
mod threads;
mod truncate;
mod upkeep;
mod verify_compact_salvage;
mod views;
mod wt_utility;
