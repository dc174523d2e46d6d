//! Volumes and their datastores.
//!
//! [`open`] brings a volume up, through [`recover`]; [`catalog`] keeps its datastores, each
//! with a [`tree`] of items; [`handle`] and [`datastore`] are what users hold, [`ahead`] what a
//! cursor keeps from call to call.

mod ahead;
mod catalog;
mod checkpoint;
mod compound;
mod count;
mod damage;
mod damaged;
mod datastore;
mod datastore_options;
mod dead;
mod delete_range;
mod direct;
mod doubts;
pub(crate) mod filling;
pub(crate) mod gate;
mod handle;
mod items;
mod keys;
mod lease;
mod lengths;
pub(crate) mod load;
mod lost;
pub(crate) mod lost_decisions;
mod maintenance;
mod numbers;
mod open;
pub(crate) mod outcomes;
mod owing;
pub(crate) mod pending;
mod range;
mod recover;
mod registry;
mod replay;
mod scrub;
mod seeing;
mod shared;
mod state;
mod stats;
mod step;
pub(crate) mod tree;
mod verify;

pub use ahead::ReadAhead;
pub(crate) use catalog::{Descriptor, Kind, SeenDatastore, descriptor as catalog_keys};
pub(crate) use checkpoint::Cancelling;
pub use damage::Damage;
pub(crate) use datastore::start;
pub use datastore::{Datastore, Item, Position};
pub use datastore_options::DatastoreOptions;
pub(crate) use delete_range::is_done;
pub(crate) use direct::check_lengths;
pub use handle::{DatastoreInfo, Volume};
pub use items::{Items, NewestItems};
pub use keys::{Keys, Wanted};
pub(crate) use lease::Lease;
pub use lengths::Lengths;
pub(crate) use maintenance::background_step;
pub use open::{open_all, open_all_devices};
pub(crate) use owing::{Deciding, opened_since};
pub use range::Range;
pub(crate) use shared::{Keeper, Shared};
pub use stats::{DatastoreStats, Metric, MetricKind, Stats};
pub use verify::VerifyReport;
