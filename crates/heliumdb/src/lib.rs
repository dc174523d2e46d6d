//! An ordered, transactional, log-structured key/value store for flash.
//!
//! A [`Volume`] is made of one or more files, block devices or stretches of memory
//! and holds named [`Datastore`]s of ordered items. Data is only ever appended to
//! a log; an index in memory maps keys to places in it. See `ARCHITECTURE.md` for
//! the map of the code and `docs/format.md` for the bytes.
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("users.he");
//! use heliumdb::{Readable, Volume};
//!
//! let volume = Volume::open_or_create(&path)?;
//! let users = volume.open_or_create_datastore("users")?;
//! users.put("ada", "1815")?;
//! users.put("bob", "1990")?;
//! assert_eq!(users.get("ada")?.as_deref(), Some(&b"1815"[..]));
//!
//! // In order, from any key, both ways.
//! for item in users.range("a".."b") {
//!     let (name, born) = item?;
//!     println!("{} was born in {}", name.escape_ascii(), born.escape_ascii());
//! }
//!
//! // A transaction over any datastores: run again after a conflict, durable when it returns.
//! volume.transact(|txn| {
//!     let born = txn.get(&users, "bob")?.unwrap_or_default();
//!     txn.put(&users, "robert", &born)?;
//!     txn.delete(&users, "bob")
//! })?;
//!
//! // The state of one moment, whatever is written meanwhile.
//! let snapshot = volume.snapshot()?;
//! users.delete("ada")?;
//! assert!(snapshot.contains_key(&users, "ada")?);
//!
//! // Writes outside transactions are durable now.
//! volume.flush()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `docs/tasks.md` shows what programs do most, beside redb and fjall.
//!
//! Two more doors are for fewer: [`host`] for programs that keep transactions of their own and embed the store, as its
//! WiredTiger data source does, and [`upkeep`] for whoever looks after volumes.
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "tests have files, threads and times of their own"
    )
)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod access;
mod backup;
mod bell;
mod cache;
mod catalog;
mod chance;
mod checking;
mod checkpoint;
mod cleaner;
mod clock;
mod codec;
mod datastore;
pub mod device;
mod enough;
mod error;
mod format;
mod ground;
pub mod host;
mod id;
mod index;
pub mod limits;
mod location;
mod log;
mod memory;
mod options;
mod owing;
mod peers;
#[doc(hidden)]
pub mod printable;
#[doc(hidden)]
pub mod process;
mod progress;
mod read;
mod salvage;
mod scratch;
mod shared;
mod threads;
mod transaction;
mod tree;
pub mod upkeep;
mod version;
mod volume;
mod write;

pub use catalog::DatastoreInfo;
pub use datastore::{Datastore, Keys, Range};
pub use error::{Error, ErrorKind, Result};
pub use id::{DatastoreId, VolumeId};
pub use options::VolumeOptions;
pub use read::{Item, Position};
pub use transaction::{
    Durability, Savepoint,
    native::{
        ExtractIf, Readable, Snapshot, SnapshotRange, Transaction, TransactionOptions, WriteBatch,
    },
};
pub use version::Isolation;
pub use volume::{DatastoreOptions, Volume};
