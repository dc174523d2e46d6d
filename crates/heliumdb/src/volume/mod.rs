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
mod options;
mod outcomes;
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
pub use items::Items;
pub use keys::{Keys, Wanted};
pub(crate) use lease::Lease;
pub use lengths::Lengths;
pub(crate) use maintenance::background_step;
pub use open::{open_all, open_all_devices};
pub use options::VolumeOptions;
pub(crate) use owing::{Deciding, opened_since};
pub use range::Range;
pub(crate) use shared::{
    CATALOG_TREE, CHECKPOINT_TREE, DECISIONS_TREE, INTERNAL_TREES_END, Keeper, Shared,
    USER_IDS_START,
};
pub use stats::{DatastoreStats, Metric, MetricKind, Stats};
pub use verify::VerifyReport;

use std::{fmt, str::FromStr};

use crate::error::{Error, ErrorKind, Result};

/// A volume's unique id, made when it is formatted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VolumeId(pub [u8; 16]);

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for VolumeId {
    type Err = Error;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self> {
        let is_like_one = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let id = u128::from_str_radix(text, 16).ok().filter(|_| is_like_one);
        id.map(|id| Self(id.to_be_bytes())).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("{text:?} is not the id of a volume, which has 32 hexadecimal digits"),
            )
        })
    }
}

impl fmt::Debug for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VolumeId({self})")
    }
}

/// A datastore's id: never reused within its volume.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct DatastoreId(pub u32);
