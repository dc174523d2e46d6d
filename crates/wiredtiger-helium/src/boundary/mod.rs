//! Between WiredTiger's C interface and the rest of this crate.
//!
//! Invariant: this is the only place with unsafe code and with WiredTiger's types. Every
//! call from WiredTiger passes through [`guard`]: no panic leaves, null and stale pointers
//! are refused, every error becomes one of WiredTiger's and is printed through its error
//! handler if there is something to say.

mod close;
mod config;
mod cursor;
mod entry;
mod guard;
mod host;
mod inside;
mod library;
mod methods;
mod mover;
mod notify;
mod objects;
mod parts;
mod readers;
mod session;
mod walk;

pub use entry::{wiredtiger_extension_init, wiredtiger_extension_terminate};
