//! Settling what creates, drops and renames left in the catalog.
//!
//! Invariant: done at checkpoints only, when WiredTiger's own recovery is over and no drop
//! or rename is under way, so that the metadata is right about what happened. A create may be
//! under way, and the metadata show an entry that it takes back or loses with a crash: so the
//! checkpoint waits for those creates whose objects it finds, and then looks again.

use super::{
    Mounted, Name, Source,
    attributes::{Attributes, State},
    find::Creates,
};
use crate::{error::Result, host::Host};
use heliumdb::{DatastoreId, DatastoreInfo, ErrorKind, VolumeId};
use std::sync::atomic::Ordering;

impl<H: Host> Source<H> {
    /// Settles the state of every object whose state is not live; true if space was given up.
    pub(super) fn finish(&self, session: H::Session) -> Result<bool> {
        if !self.unfinished.swap(false, Ordering::Relaxed) {
            return Ok(false);
        }
        let made = self.being_made();
        let are_over = made.is_empty() || self.host.await_schema(session);
        let _schema = self.schema.lock();
        let mut has_removed = false;
        for mounted in &self.volumes {
            for info in mounted.volume.datastores() {
                let creates = match are_over && made.contains(&(mounted.volume.id(), info.id)) {
                    true => Creates::Over,
                    false => Creates::UnderWay,
                };
                let finished = self.finish_one(session, mounted, &info, creates);
                if !matches!(finished, Ok(true)) {
                    self.unfinished.store(true, Ordering::Relaxed);
                }
                finished?;
                let still_there = mounted.volume.datastore_by_id(info.id);
                has_removed |= still_there.is_err();
            }
        }
        Ok(has_removed)
    }

    /// Settles it before something is made, where there are no checkpoints: nothing else is under way then that could be
    /// taken back, but for making other parts of the same table.
    pub(super) fn finish_without_checkpoints(&self, session: H::Session) -> Result<()> {
        if self.unfinished.load(Ordering::Relaxed)
            && !self.host.takes_checkpoints(session)
            && self.finish(session)?
        {
            for mounted in &self.volumes {
                self.checkpoint_one(session, mounted, true)?;
            }
        }
        Ok(())
    }

    /// The objects that are being made, or were.
    fn being_made(&self) -> Vec<(VolumeId, DatastoreId)> {
        let _schema = self.schema.lock();
        let mut made = Vec::new();
        for mounted in &self.volumes {
            let infos = mounted.volume.datastores().into_iter();
            let infos = infos.filter(|info| State::of(info) == Some(State::Creating));
            made.extend(infos.map(|info| (mounted.volume.id(), info.id)));
        }
        made
    }

    /// Settles one; false if it has to wait.
    fn finish_one(
        &self,
        session: H::Session,
        mounted: &Mounted,
        info: &DatastoreInfo,
        creates: Creates,
    ) -> Result<bool> {
        let Some(name) = Name::of_datastore(&mounted.name, &info.name) else {
            return Ok(true);
        };
        let Some(attributes) = Attributes::read(&info.attributes) else {
            return Ok(true);
        };
        if attributes.state == State::Live {
            return Ok(true);
        }
        let datastore = mounted.volume.datastore_by_id(info.id)?;
        let is_known = self.is_known_as(session, mounted, &name, &datastore)?;
        match attributes.state {
            State::Creating if creates == Creates::UnderWay || !is_known => return Ok(false),
            State::Dropping if !is_known => return self.remove(mounted, info),
            State::Renaming { from } if !is_known => {
                let old_name = Name {
                    object: &from,
                    ..name
                };
                let is_known = self.is_known_as(session, mounted, &old_name, &datastore)?;
                let name = if is_known { &old_name } else { &name };
                self.make_live(mounted, name, &datastore, creates)?;
            }
            State::Renaming { from } => {
                let old_name = Name {
                    object: &from,
                    ..name
                };
                if self.has_old_entry(session, mounted, &name, &datastore)? {
                    self.host.remove_metadata(session, &old_name.uri())?;
                }
                self.make_live(mounted, &name, &datastore, creates)?;
            }
            _ => self.make_live(mounted, &name, &datastore, creates)?,
        }
        Ok(true)
    }

    fn remove(&self, mounted: &Mounted, info: &DatastoreInfo) -> Result<bool> {
        match mounted.volume.drop_datastore(info.id) {
            Err(error) if error.kind() == ErrorKind::Busy => Ok(false),
            removed => removed.map(|()| true).map_err(Into::into),
        }
    }
}
