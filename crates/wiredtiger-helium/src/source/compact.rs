//! `WT_SESSION.compact`: the items of an object next to each other, in key order.

use super::{HostHorizon, Source};
use crate::{error::Result, host::Host};
use heliumdb::{Datastore, Stats};
use std::time::Duration;

/// How long WiredTiger's oldest id is waited for, in steps.
const PATIENCE_STEPS: u32 = 100;
const PATIENCE_STEP: Duration = Duration::from_millis(10);

impl<H: Host> Source<H> {
    /// Moves the items of the object `uri` next to each other where they are scattered, and takes a
    /// checkpoint, behind which the room of what is dead is free again. Says what was done.
    pub fn compact(&self, session: H::Session, uri: &str) -> Result<()> {
        self.check()?;
        let object = self.enter(session, uri, true)?;
        let done = self.compact_datastore(&object.datastore);
        object.leave();
        let (moved, before, after) = done.map_err(|error| error.context(uri))?;
        self.tell(Some(session), || {
            format!(
                "compact: {moved} items of {uri} were moved into key order; its volume uses {} \
                 bytes of segments, {} before",
                after.used_bytes, before.used_bytes
            )
        });
        Ok(())
    }

    fn compact_datastore(&self, datastore: &Datastore) -> Result<(u64, Stats, Stats)> {
        let volume = datastore.volume();
        let before = volume.stats();
        self.settle_soon();
        let moved = datastore.compact()?;
        volume.checkpoint(&HostHorizon(&self.host))?;
        Ok((moved, before, volume.stats()))
    }

    /// Settles what is committed, unless a reader keeps it: items that have versions are not moved.
    fn settle_soon(&self) {
        let newest = self.pulse.hurry();
        for _ in 0..PATIENCE_STEPS {
            if self.host.oldest() > newest {
                break;
            }
            std::thread::sleep(PATIENCE_STEP);
        }
        self.settle();
    }
}
