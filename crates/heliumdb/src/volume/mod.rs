//! Volumes and their datastores.
//!
//! [`open`] brings a volume up, through [`recover`]; [`handle`] and [`datastore`] are what users hold. How items are read is
//! in [`crate::read`], whose door is [`reading`].

mod compound;
mod damage;
mod damaged;
mod datastore;
mod datastore_options;
mod delete_range;
mod direct;
mod doubts;
pub(crate) mod ends;
pub(crate) mod filling;
mod handle;
mod items;
mod lease;
pub(crate) mod load;
mod lost;
mod maintenance;
mod numbers;
mod open;
pub(crate) mod outcomes;
mod owing;
mod range;
mod reading;
mod recover;
mod registry;
mod replay;
mod scrub;
mod shared;
mod stats;
mod verify;

pub use damage::Damage;
pub use datastore::Datastore;
pub use datastore_options::DatastoreOptions;
pub(crate) use delete_range::is_done;
pub use handle::Volume;
pub use items::{Items, Lengths, NewestItems};
pub(crate) use lease::Lease;
pub(crate) use maintenance::background_step;
pub use open::{open_all, open_all_devices};
pub(crate) use owing::{Deciding, opened_since};
pub use range::{Keys, Range};
pub(crate) use shared::Shared;
pub use stats::{DatastoreStats, Metric, MetricKind, Stats};
pub use verify::VerifyReport;
