//! The client beside a real server, and beside ends that are none.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod failures;
mod harness;
mod items;
mod retries;
mod road;
mod tls;
mod transactions;
