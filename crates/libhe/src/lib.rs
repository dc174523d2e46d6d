//! The Helium C interface, for programs written for `he.h`: versions 2.2, 2.8 and 3.x.
//!
//! C programs include one of the headers in `include/` and link with the library of this
//! crate; see `docs/libhe.md`. All C types, and all unsafe code, are in `boundary`; what is behind
//! it is ordinary Rust.

mod boundary;
mod code;
mod datastore;
mod env;
mod flags;
mod handle;
mod iterator;
mod limits;
mod open;
mod stats;
mod store;
mod transaction;
mod volumes;

pub use boundary::exports::*;
