//! `WT_SESSION.compact`: the items of an object next to each other, in key order; and its volume as small as it can be.

use super::{HostHorizon, Source};
use crate::{
    error::{Code, Error, Result},
    host::Host,
};
use heliumdb::host::VolumeExt;
use heliumdb::{
    Datastore,
    upkeep::{Compaction, Stats},
};
use std::time::{Duration, Instant};

/// How long WiredTiger's oldest id is waited for, in steps.
const PATIENCE_STEPS: u32 = 100;
/// `ETIMEDOUT`.
const TIMED_OUT: i32 = 110;
const PATIENCE_STEP: Duration = Duration::from_millis(10);

impl<H: Host> Source<H> {
    /// Moves the items of the object `uri` next to each other where they are scattered, frees the room of what is dead
    /// on its volume, and cuts off what is free at the end of a file that grows. Says what was done. What takes
    /// longer than `seconds`, unless these are zero, is `ETIMEDOUT`; what was moved by then stays moved.
    pub fn compact(&self, session: H::Session, uri: &str, seconds: Option<u64>) -> Result<()> {
        self.check()?;
        let time = seconds
            .filter(|&seconds| seconds > 0)
            .map(Duration::from_secs);
        // One that is too far away is none.
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        let object = self.enter(session, uri, true)?;
        let done = self.compact_datastore(&object.datastore, deadline);
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

    fn compact_datastore(
        &self,
        datastore: &Datastore,
        deadline: Option<Instant>,
    ) -> Result<(u64, Stats, Stats)> {
        let volume = datastore.volume();
        let before = volume.stats();
        self.settle_soon(deadline);
        let Compaction { moved, is_done } = datastore.compact_until(deadline)?;
        let in_time = || deadline.is_none_or(|deadline| Instant::now() < deadline);
        let is_done = is_done && {
            volume.checkpoint_as_of(&HostHorizon(&self.host))?;
            in_time() && volume.compact(&mut |_| in_time())?
        };
        if !is_done {
            let why = format!("compact was not done in time: {moved} items were moved");
            return Err(Error::new(Code::Host(TIMED_OUT), why));
        }
        Ok((moved, before, volume.stats()))
    }

    /// Settles what is committed, unless a reader keeps it: items that have versions are not moved.
    fn settle_soon(&self, deadline: Option<Instant>) {
        let newest = self.pulse.hurry();
        let is_late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        for _ in 0..PATIENCE_STEPS {
            if self.host.oldest() > newest || is_late() {
                break;
            }
            std::thread::sleep(PATIENCE_STEP);
        }
        self.settle();
    }
}
