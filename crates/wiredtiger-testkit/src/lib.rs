//! A small safe wrapper of the real WiredTiger library, for tests and the demo.
//!
//! The library is found at run time, so that everything builds on a machine
//! without it. A [`Connection`] lends out [`Session`]s, one per thread, and these
//! lend out [`Cursor`]s; each closes itself. Every failure is an [`Error`] with
//! the [`Code`] that WiredTiger returned, and [`Outcome`] reads the code off a
//! result:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use wiredtiger_testkit::{Code, Connection, Outcome};
//!
//! let connection = Connection::open("/tmp/home".as_ref(), "create")?;
//! let session = connection.session()?;
//! session.create("table:t", "key_format=S,value_format=S")?;
//! let cursor = session.cursor("table:t", "overwrite=false")?;
//! cursor.set_key_str("apple")?;
//! cursor.set_value_str("red")?;
//! assert_eq!(cursor.insert().code(), Code::OK);
//! # Ok(())
//! # }
//! ```
//!
//! [`helium`] finds the project's extension and writes its configuration.

pub mod c_connector;
mod connection;
mod cursor;
mod error;
mod events;
pub mod helium;
mod library;
pub mod pack;
mod session;

pub use connection::Connection;
pub use cursor::{Change, Cursor, Row};
pub use error::{Code, Error, Outcome, Result};
pub use events::{Event, EventKind};
pub use library::Library;
pub use session::Session;
