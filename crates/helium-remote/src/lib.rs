//! Volumes that a server has open, on this or another machine: the client's end of `helium server`.
//!
//! [`Remote::open`] takes a URL, `he://host:port/volume`. Any number of threads may call it and its [`Datastore`]s; each call
//! uses a connection of its own, and connections are kept for the next one (`pool.rs`). A [`Transaction`] has one for
//! itself. A connection (`connection.rs`) sends requests and takes replies (`reply.rs`), one at a time.
//!
//! Invariants:
//! - Failures are the store's errors; those of the network say which one by [`network`].
//! - A read on a connection that was kept, and is cut off, is asked again once, on a new one. A write that was sent never is:
//!   whether it was done is not known, and its error is [`heliumdb::ErrorKind::OutcomeUnknown`]. What a server refused
//!   since it wants to hear again who this is was not done, and is asked again so.
//! - What comes is bounded, takes memory only as it comes, and is checked before it is indexed or gone through. Each part of
//!   an answer, and each connection, is waited for with a limit ([`Options`]); only looking up a host's name takes as
//!   long as the system lets it.
//! - What a process has connected is used by that process alone: in a fork of it every call is refused.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod address;
mod connection;
mod datastore;
mod failure;
mod items;
mod options;
mod pool;
mod range;
mod remote;
mod reply;
mod stream;
#[cfg(feature = "tls")]
mod tls;
mod transaction;

pub use address::{PORT, is_remote};
pub use datastore::Datastore;
pub use failure::{Network, network};
pub use items::When;
pub use options::{Options, TlsFiles};
pub use range::{Items, Walk};
pub use remote::{Details, Remote};
pub use transaction::Transaction;
