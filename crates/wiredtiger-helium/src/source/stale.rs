//! Metadata entries that a rename cut short left behind.
//!
//! A rename writes the new entry and then removes the old one, and a kill can come between
//! the two. Both then name one datastore, which has the new name and state `Renaming`.
//! Invariant: as long as both are there, the new one is right, and the old one is treated as
//! gone. What changes the metadata anyway removes it; opening a cursor never does.

use super::{
    Mounted, Name, Source,
    attributes::{Attributes, State},
};
use crate::{error::Result, host::Host, metadata::Entry};
use heliumdb::{Datastore, ErrorKind};

impl<H: Host> Source<H> {
    /// Whether the metadata entry of `name` is what a rename left of the old name.
    pub(super) fn is_stale(
        &self,
        session: H::Session,
        mounted: &Mounted,
        name: &Name<'_>,
        entry: &Entry,
    ) -> Result<bool> {
        let Some(identity) = entry.identity else {
            return Ok(false);
        };
        let datastore = match mounted.volume.datastore_by_id(identity.datastore) {
            Err(error) if error.kind() == ErrorKind::DatastoreNotFound => return Ok(false),
            found => found?,
        };
        let info = datastore.info()?;
        let is_from = Attributes::read(&info.attributes).is_some_and(|attributes| {
            matches!(attributes.state, State::Renaming { from } if from == name.object)
        });
        match Name::of_datastore(&mounted.name, &info.name) {
            Some(new_name) if is_from && new_name != *name => {
                self.is_known_as(session, mounted, &new_name, &datastore)
            }
            _ => Ok(false),
        }
    }

    /// Removes the metadata entry of `name` if it is stale; says whether it was.
    pub(super) fn forget_if_stale(
        &self,
        session: H::Session,
        mounted: &Mounted,
        name: &Name<'_>,
        entry: &Entry,
    ) -> Result<bool> {
        let stale = self.is_stale(session, mounted, name, entry)?;
        if stale {
            self.host.remove_metadata(session, &name.uri())?;
        }
        Ok(stale)
    }

    /// Whether the datastore, which is called `name`, still has the entry of its old name too.
    pub(super) fn has_old_entry(
        &self,
        session: H::Session,
        mounted: &Mounted,
        name: &Name<'_>,
        datastore: &Datastore,
    ) -> Result<bool> {
        match self.old_name(datastore)? {
            Some(from) if from != name.object => {
                let old_name = Name {
                    object: &from,
                    ..*name
                };
                self.is_known_as(session, mounted, &old_name, datastore)
            }
            _ => Ok(false),
        }
    }

    fn old_name(&self, datastore: &Datastore) -> Result<Option<String>> {
        let attributes = Attributes::read(&datastore.info()?.attributes);
        Ok(attributes.and_then(|attributes| match attributes.state {
            State::Renaming { from } => Some(from),
            _ => None,
        }))
    }
}
