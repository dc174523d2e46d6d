//! The door for whoever looks after volumes: copies, damage, space, figures.
//!
//! Copies are made by [`Volume::backup`](crate::Volume::backup) and [`Volume::restore`](crate::Volume::restore); what is readable of a
//! damaged volume, by a [`Salvage`]. [`Volume::verify`](crate::Volume::verify) finds damage, [`Volume::compact`](crate::Volume::compact)
//! makes a volume small, and [`Volume::stats`](crate::Volume::stats) says how it is.

pub use crate::{
    backup::{BackupFrom, BackupReport},
    checking::{Damage, VerifyReport},
    cleaner::Compaction,
    datastore::{Lengths, NewestItems},
    log::Latencies,
    progress::{Phase, Progress},
    salvage::{Salvage, SalvageReport, SalvagedDatastore, Unresolved},
    volume::{DatastoreStats, Metric, MetricKind, Stats},
};
