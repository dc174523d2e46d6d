//! The door for programs that embed the store and keep transactions of their own, as the WiredTiger data source does.
//!
//! Such a program gives the ids of its transactions itself, and says who sees what: each [`WriteSet`] writes as an id, and
//! each read goes through a [`View`]. It tells volumes how far its transactions have come ([`Horizon`]), so that
//! versions which nobody needs any more can settle. What it calls beside what any program does is in the traits
//! [`DatastoreExt`] and [`VolumeExt`].
//!
//! Invariant: a volume's transactions are kept by the volume itself or from here, never both: who comes second is refused.

mod datastore;
mod volume;

pub use datastore::DatastoreExt;
pub use volume::VolumeExt;

#[doc(hidden)]
pub use crate::{chance::Chance, clock::Clock};
pub use crate::{
    datastore::Items,
    read::{ReadAhead, Wanted},
    transaction::{WriteSet, native::SeekDirection},
    version::{Change, Horizon, Mode, TxnId, TxnSnapshot, View},
    volume::{open_all, open_all_devices},
};

mod sealed {
    /// What only this crate's types are.
    pub trait Sealed {}

    impl Sealed for crate::Datastore {}
    impl Sealed for crate::Volume {}
}
