//! An ordered, transactional, log-structured key/value store for flash.
//!
//! A [`Volume`] is made of one or more files, block devices or stretches of memory
//! and holds named [`Datastore`]s of ordered items. Data is only ever appended to
//! a log; an index in memory maps keys to places in it. See `ARCHITECTURE.md` for
//! the map of the code and `docs/format.md` for the bytes.
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "tests have files, threads and times of their own"
    )
)]

mod backup;
mod bell;
mod cache;
mod chance;
mod cleaner;
mod clock;
mod codec;
pub mod device;

mod error;
mod format;
mod host;
mod id;
mod index;
pub mod limits;
mod location;
mod log;
mod memory;
mod options;
pub mod printable;
pub mod process;
mod progress;
mod read;
mod salvage;
mod scratch;
mod threads;
mod transaction;
mod tree;
mod version;
mod volume;

pub use backup::{BackupFrom, BackupReport};
#[doc(hidden)]
pub use chance::Chance;
pub use cleaner::Compaction;
#[doc(hidden)]
pub use clock::Clock;
pub use error::{Error, ErrorKind, Result};
pub use id::{DatastoreId, VolumeId};
pub use log::Latencies;
pub use options::VolumeOptions;
pub use progress::{Phase, Progress};
pub use read::{Item, Position, ReadAhead, Wanted};
pub use salvage::{Salvage, SalvageReport, SalvagedDatastore, Unresolved};
pub use transaction::{
    Durability, Savepoint, Transaction,
    native::{Readable, SeekDirection, Snapshot, SnapshotRange, Txn, TxnOptions, WriteBatch},
};
pub use version::{Change, Horizon, Isolation, Mode, TxnId, TxnSnapshot, View};
pub use volume::{
    Damage, Datastore, DatastoreInfo, DatastoreOptions, DatastoreStats, Items, Keys, Lengths,
    Metric, MetricKind, NewestItems, Range, Stats, VerifyReport, Volume, open_all,
    open_all_devices,
};
