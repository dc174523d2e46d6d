//! Between C and the rest of this crate.
//!
//! Invariant: this is the only place with unsafe code and with pointers of C. Every call
//! passes through [`guard`]: no panic leaves, and what goes wrong becomes one of `he.h`'s
//! codes, in the return value and in `errno`. Handles are numbers, never addresses. Memory
//! of C is read and written during the call that it was passed to and never after, and C
//! never frees memory of ours.
//!
//! Where versions of `he.h` differ, each has a function of its own; the plain names are
//! those of version 2.8.

mod about;
mod datastores;
mod guard;
mod items;
mod layouts;
mod pointers;
mod scans;
#[cfg(test)]
mod tests;
mod transactions;

/// All functions that C may call.
pub mod exports {
    pub use super::{about::*, datastores::*, items::*, layouts::*, scans::*, transactions::*};
}
