//! Verify, checkpoint, terminate.

use super::{HostHorizon, Mounted, Object, Source};
use crate::{
    error::{Code, Error, Result},
    host::Host,
    recno,
};
use heliumdb::host::DatastoreExt;
use heliumdb::host::VolumeExt;
use heliumdb::{ErrorKind, upkeep::VerifyReport};
use std::sync::{Arc, atomic::Ordering};

/// What was logged since the last checkpoint is little up to this, in bytes, and up to this part of
/// the checkpoint: replaying it takes no longer than reading the checkpoint does.
const LITTLE_BYTES: u64 = 1 << 20;
const LITTLE_PART: u64 = 16;

impl<H: Host> Source<H> {
    /// Reads every item of the object `uri` and checks order, checksum and owner.
    pub fn verify(&self, session: H::Session, uri: &str) -> Result<()> {
        let report = self.read_everything(session, uri)?;
        self.tell(Some(session), || {
            format!(
                "verified {uri}: {} items, {} bytes",
                report.items, report.bytes
            )
        });
        Ok(())
    }

    /// Makes everything on all volumes durable, and takes a checkpoint of each volume of which
    /// recovery would have more than a little to replay, or of all if `is_forced`.
    pub fn checkpoint(&self, session: H::Session, is_forced: bool) -> Result<()> {
        self.check()?;
        let has_finished = self.finish(session)?;
        let mut result = self.keep_last_numbers();
        for mounted in &self.volumes {
            let taken = self.checkpoint_one(session, mounted, is_forced || has_finished);
            // The others are made durable whatever becomes of one.
            result = result.and(taken.map_err(|error| error.context(&mounted.name)));
        }
        result
    }

    pub(super) fn checkpoint_one(
        &self,
        session: H::Session,
        mounted: &Mounted,
        is_forced: bool,
    ) -> Result<()> {
        mounted.volume.flush()?;
        if mounted.is_read_only {
            return Ok(());
        }
        let stats = mounted.volume.stats();
        let logged = stats.user_bytes + stats.cleaner_bytes;
        let new = logged.saturating_sub(mounted.checkpointed.load(Ordering::Relaxed));
        if is_forced || new > LITTLE_BYTES + stats.checkpoint_bytes / LITTLE_PART {
            match mounted.volume.checkpoint_as_of(&HostHorizon(&self.host)) {
                Ok(()) => mounted.checkpointed.store(logged, Ordering::Relaxed),
                // All is durable without one.
                Err(error) if error.kind() == ErrorKind::VolumeFull => self.host.error(
                    Some(session),
                    &format!("volume {}: no checkpoint was taken: {error}", mounted.name),
                ),
                Err(error) => return Err(error.into()),
            }
        }
        self.tell_figures(Some(session), mounted);
        Ok(())
    }

    fn keep_last_numbers(&self) -> Result<()> {
        let objects: Vec<_> = self.objects.lock().values().cloned().collect();
        let mut result = Ok(());
        for object in objects {
            let kept = object.keep_last_number();
            result = result.and(kept.map_err(|error| error.context(&object.uri)));
        }
        result
    }

    /// Closes the volumes. Nothing is left to be done with this data source.
    pub fn terminate(&self) -> Result<()> {
        self.objects.lock().clear();
        let mut result = Ok(());
        for mounted in &self.volumes {
            self.tell_figures(None, mounted);
            mounted.publisher.lock().take();
            let closed = mounted
                .volume
                .close()
                .map_err(|error| Error::from(error).context(&mounted.name));
            // The others are closed whatever becomes of one.
            result = result.and(closed);
        }
        result
    }

    fn read_everything(&self, session: H::Session, uri: &str) -> Result<VerifyReport> {
        self.check()?;
        let object = self.enter(session, uri, true)?;
        let report = verify_object(&object);
        object.leave();
        report.map_err(|error| error.context(uri))
    }
}

fn verify_object(object: &Arc<Object>) -> Result<VerifyReport> {
    let datastore = &object.datastore;
    if object.has_recnos {
        let mut key = Vec::new();
        let mut value = Vec::new();
        for end in [heliumdb::Position::First, heliumdb::Position::Last] {
            let everything = super::append::Everything;
            let found = datastore.seek(&everything, end, &mut key, &mut value)?;
            if found && recno::unpack(&key).is_none() {
                return Err(Error::new(Code::Io, "a key is not a record number"));
            }
        }
    }
    Ok(datastore.verify(&mut |_| ())?)
}
