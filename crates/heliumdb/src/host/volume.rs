//! What the embedding program tells a volume of its transactions.

use super::sealed::Sealed;
use crate::{
    Datastore, DatastoreInfo, Result, Volume,
    version::{Horizon, View},
};

/// What a [`Volume`] has besides for programs that keep their transactions themselves.
pub trait VolumeExt: Sealed {
    /// As [`Volume::checkpoint`], told by `horizon` which transactions can still be cancelled.
    fn checkpoint_as_of(&self, horizon: &dyn Horizon) -> Result<()>;

    /// Settles versions that `horizon` says everyone can see; returns how many chains turned
    /// back into plain items. Call it now and then, from any thread. Of a volume that keeps its
    /// transactions itself the volume knows better, and does this by itself.
    fn settle(&self, horizon: &dyn Horizon) -> usize;

    /// The datastores that `view` sees, as they were called then, each through a handle that has its items of then
    /// whatever becomes of it.
    fn datastores_of(&self, view: &dyn View) -> Vec<(DatastoreInfo, Datastore)>;

    /// The id that the next datastore gets.
    fn next_datastore_id(&self) -> u32;
}

impl VolumeExt for Volume {
    fn checkpoint_as_of(&self, horizon: &dyn Horizon) -> Result<()> {
        self.shared().checkpoints.take(horizon)
    }

    fn settle(&self, horizon: &dyn Horizon) -> usize {
        self.shared().settle(horizon)
    }

    fn datastores_of(&self, view: &dyn View) -> Vec<(DatastoreInfo, Datastore)> {
        self.datastores_shown_to(view)
    }

    fn next_datastore_id(&self) -> u32 {
        self.coming_datastore_id()
    }
}
