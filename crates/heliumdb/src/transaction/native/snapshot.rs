//! Read-only snapshots: the volume as it was at one moment.

use std::{fmt, sync::Arc};

use super::{
    eyes::Eyes,
    read::{Readable, check_volume, sealed::Look},
};
use crate::{
    datastore::Datastore,
    error::{Error, ErrorKind, Result},
    shared::Lease,
    version::{Isolation, TxnId, View},
    write::{Hold, Keeper},
};

/// The committed state of all datastores of a volume at one moment: see [`crate::Volume::snapshot`].
/// Clones share it, and threads may. Read it through [`Readable`].
///
/// What it sees cannot be freed: old versions of items that change meanwhile stay in memory as
/// long as a snapshot needs them, at some fifty bytes each, and their values in the log.
#[derive(Clone)]
pub struct Snapshot {
    volume: Arc<Lease>,
    hold: Hold,
}

impl Snapshot {
    pub(crate) fn new(volume: &Arc<Lease>) -> Result<Self> {
        volume.access.check_open()?;
        volume.writing.claim(Keeper::Native)?;
        Ok(Self {
            volume: volume.clone(),
            hold: volume.writing.native.take(),
        })
    }

    /// Its eyes, to look at `volume`, which must be its own.
    pub(crate) fn eyes_on(&self, volume: &Arc<Lease>) -> Result<Eyes<'_>> {
        if !Arc::ptr_eq(&self.volume, volume) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "the snapshot is one of another volume",
            ));
        }
        Ok(Eyes::of(0, Isolation::Snapshot, &self.hold))
    }
}

impl Look for Snapshot {
    fn look(&self) -> Result<Eyes<'_>> {
        Ok(Eyes::of(0, Isolation::Snapshot, &self.hold))
    }

    fn check(&self, datastore: &Datastore) -> Result<()> {
        check_volume(&self.volume, datastore)
    }
}

impl Readable for Snapshot {}

/// For what takes any keeper's view.
impl View for Snapshot {
    fn own(&self) -> TxnId {
        0
    }

    fn isolation(&self) -> Isolation {
        Isolation::Snapshot
    }

    fn moment(&self) -> u64 {
        self.hold.moment()
    }

    fn sees(&self, id: TxnId) -> bool {
        self.hold.sees(id)
    }

    fn sees_all_below(&self, id: TxnId) -> bool {
        self.hold.sees_all_below(id)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot(of {})", self.volume.id())
    }
}
