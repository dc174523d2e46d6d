//! Reading a volume through the process that has it open.
//!
//! One end ([`serve`]) is a thread of that process for each reader, the other one ([`remote`]) the reader. Between them
//! are [frames](frame) on a [`mod@line`], which say what [`wire`] has: the reader asks, and is answered, one thing at a time.
//!
//! Invariants:
//! - A reader sees one moment, that at which it connected, for as long as it is connected; and nothing that is not
//!   committed.
//! - Neither end trusts the other: lengths are bounded before anything is allocated.
//! - A reader holds back no writer, and for no longer than its lease what others want to be rid of: what it sees is let
//!   go, and it is told so.

mod answer;
mod frame;
mod line;
mod remote;
mod serve;
mod views;
mod wire;

#[cfg(test)]
mod tests;

pub use answer::{figures, of_what_is_in_it};
pub(crate) use line::Line;
pub use remote::{Remote, RemoteDatastore, RemoteItems, Walk};
pub use serve::Limits;
pub(crate) use serve::Readers;
pub use views::{Reading, Views};
pub use wire::Wanted;

/// What the names of readers' sockets end with.
pub(crate) const ENDING: &str = "read";
