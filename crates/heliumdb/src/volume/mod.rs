//! Volumes: the top of the store, what its users hold.
//!
//! [`open`] brings a volume up, through [`recover`]; [`handle`] is what users hold. What is open is in [`crate::shared`], and
//! its datastores are [`crate::datastore`]s.

mod datastore_options;
mod doubts;
pub(crate) mod filling;
mod handle;
pub(crate) mod load;
mod numbers;
mod open;
pub(crate) mod outcomes;
mod recover;
mod replay;
mod stats;
mod verify;

pub use datastore_options::DatastoreOptions;
pub use handle::Volume;
pub use open::{open_all, open_all_devices};
pub use stats::{DatastoreStats, Metric, MetricKind, Stats};
