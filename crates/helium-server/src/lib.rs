//! Serves Helium volumes to other processes and machines, in the protocol of Redis (RESP 2 and 3).
//!
//! [`Server::start`] takes open volumes and listens. A connection (`connection.rs`) cuts requests out of what comes
//! (`resp`), has them done in a thread that may wait for devices (`visit.rs`, `work.rs`, `commands`), with a sync that it
//! shares with all others (`group.rs`), and sends the replies. `docs/server.md` is what users are told.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod clients;
mod commands;
mod connection;
mod counts;
mod cursors;
mod glob;
mod group;
mod http;
mod items;
pub mod limits;
mod metrics;
mod moment;
mod number;
mod options;
mod refusal;
mod resp;
mod server;
mod session;
mod shared;
mod slowest;
mod status;
mod tls;
mod users;
mod visit;
mod volumes;
mod walk;
mod watch;
mod work;

pub use options::{Durability, Options};
pub use server::{Named, Server};
pub use tokio_rustls::TlsAcceptor;
pub use users::{Users, hash as hash_password};

pub use tls::acceptor as tls_acceptor;

/// The port that a server listens on unless it is told otherwise.
pub const PORT: u16 = 41_000;

/// The version of Redis whose words the server speaks, for clients that ask.
const REDIS_VERSION: &str = "7.0.15";
