//! Putting a copy of another volume into a new one.
//!
//! Invariant: a copy is a volume only once it is whole. While it is being filled, and if that fails, nobody gets a
//! datastore of it, and no other open takes it for a volume.

use super::{Volume, load};
use crate::{
    error::{Error, ErrorKind, Result},
    id::VolumeId,
    limits::COPY_EPOCHS,
};

/// A volume that a copy is being put into; it is none that can be finished if this is dropped before its time.
pub(crate) struct Filling<'a> {
    target: &'a Volume,
    is_sound: bool,
}

impl<'a> Filling<'a> {
    /// Nothing of the copy is written before this returns. `source` is the volume that is copied, and an
    /// epoch that none of its own is above.
    pub(crate) fn begin(target: &'a Volume, source: VolumeId, epoch: u64) -> Result<Self> {
        let shared = target.shared();
        shared.access.check_writable()?;
        // Nobody makes a datastore in it that would pass for one of the copy's.
        let _alone = shared.catalog.alone()?;
        let filling = Self::alone(target)?;
        load::check_empty(target)?;
        let keeps_id = source == shared.id();
        shared.owing.set_new_copy(keeps_id);
        if keeps_id {
            let epoch = epoch.saturating_add(COPY_EPOCHS);
            shared.log.begin_epochs_above(epoch)?;
        }
        shared.log.begin_copy()?;
        Ok(filling)
    }

    /// As [`Filling::begin`], for what comes piece by piece: a copy that was begun so goes on.
    pub(crate) fn go_on(target: &'a Volume) -> Result<Self> {
        let shared = target.shared();
        shared.access.check_writable()?;
        if shared.access.options().volume_id.is_some() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "{}: a copy that keeps its volume's id needs what that decided for other volumes, which this has not",
                    shared.access.url()
                ),
            ));
        }
        let _alone = shared.catalog.alone()?;
        let filling = Self::alone(target)?;
        if !shared.log.is_unfinished_copy() {
            load::check_empty(target)?;
            shared.log.begin_copy()?;
        }
        Ok(filling)
    }

    fn alone(target: &'a Volume) -> Result<Self> {
        let shared = target.shared();
        if !shared.copy_mark.begin() {
            return Err(Error::new(
                ErrorKind::Busy,
                format!("{}: another copy is being put into it", shared.access.url()),
            ));
        }
        Ok(Self {
            target,
            is_sound: false,
        })
    }

    /// There is more to come.
    pub(crate) fn pause(mut self) {
        self.is_sound = true;
    }

    /// Decisions of the volume that is copied, which others may still ask for, as its decisions tree has
    /// them. They are the copy's only when that is opened again: what became of them meanwhile, nobody here knows.
    pub(crate) fn keep_decisions(&self, records: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        let shared = self.target.shared();
        let each = records
            .iter()
            .map(|(key, value)| (&key[..], Some(&value[..])));
        let items: Vec<_> = each.collect();
        match items.is_empty() {
            true => Ok(()),
            // Only buffered where the device has no room: then the copy is not finished either.
            false => shared
                .records
                .write(shared.decisions.tree(), &items, false)
                .map(drop),
        }
    }

    /// The copy is whole: it is a volume, durably, when this returns.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.target.flush()?;
        self.target.shared().log.finish_copy()?;
        self.is_sound = true;
        Ok(())
    }
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        self.target.shared().copy_mark.end(!self.is_sound);
    }
}

impl Volume {
    /// Says that all of the copy has been put into this volume by [`Volume::restore`]: it is a volume, durably, when
    /// this returns. Nothing is done to one that holds no copy, or a whole one; one of which a part failed to come is
    /// refused.
    pub fn finish_copy(&self) -> Result<()> {
        let shared = self.shared();
        shared.access.check_writable()?;
        if !shared.log.is_unfinished_copy() {
            return Ok(());
        }
        if shared.copy_mark.has_failed() {
            return shared.access.check_whole();
        }
        Filling::alone(self)?.finish()
    }
}
