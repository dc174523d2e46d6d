//! WiredTiger data source that keeps tables on Helium volumes.
//!
//! The shared library of this crate is loaded as a WiredTiger extension; see
//! `docs/wiredtiger.md` for its use. All unsafe code and all of WiredTiger's types are in
//! `boundary`; what is behind it is ordinary Rust and runs in tests without WiredTiger.

mod boundary;
mod config;
mod cursor;
mod error;
mod host;
mod metadata;
mod migration;
mod nudge;
mod source;
#[cfg(test)]
mod tests;
mod transactions;

use wiredtiger_abi::recno;

pub use boundary::{wiredtiger_extension_init, wiredtiger_extension_terminate};
