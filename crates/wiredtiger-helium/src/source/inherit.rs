//! Objects that the C connector made, when they are to be renamed or dropped.
//!
//! What settles a rename or drop that was cut short goes by the ids in the metadata entry and the state in
//! the catalog, and such objects have neither. Invariant: they have both before anything else is
//! done to them.
//!
//! CRASH: WiredTiger may undo all that was done to the metadata, the ids too, and not what was done to
//! the catalog. An entry without ids then means the datastore of its name, or the one that a rename took
//! that name from.

use super::{
    Mounted, Name, Source,
    attributes::{Attributes, State},
};
use crate::{
    error::{Code, Error, Result},
    host::Host,
    metadata::{Entry, Identity, with_identity},
};
use heliumdb::{Datastore, ErrorKind};

impl<H: Host> Source<H> {
    /// The metadata entry of the object `name`, with the ids of its `datastore`, which has a state.
    pub(super) fn inherit(
        &self,
        session: H::Session,
        mounted: &Mounted,
        name: &Name<'_>,
        entry: &Entry,
        datastore: &Datastore,
    ) -> Result<String> {
        let uri = name.uri();
        let text = self.host.metadata(session, &uri)?;
        let text = text.ok_or_else(|| Error::from(Code::NoEntry))?;
        if entry.identity.is_some() {
            return Ok(text);
        }
        let info = datastore.info()?;
        if Attributes::read(&info.attributes).is_none() {
            let attributes = Attributes::new(&entry.key_format, &entry.value_format)?;
            let live = attributes.in_state(State::Live).to_bytes();
            mounted.volume.set_attributes(info.id, &live)?;
        }
        let identity = Identity {
            volume: mounted.volume.id(),
            datastore: info.id,
        };
        let text = with_identity(identity, &text);
        self.host.insert_metadata(session, &uri, &text)?;
        Ok(text)
    }

    /// The datastore that an entry without ids means.
    pub(super) fn inherited(
        &self,
        mounted: &Mounted,
        name: &Name<'_>,
    ) -> Result<Option<Datastore>> {
        let volume = &mounted.volume;
        match volume.datastore(name.datastore()) {
            Err(error) if error.kind() == ErrorKind::DatastoreNotFound => {}
            found => return Ok(Some(found?)),
        }
        let mut all = volume.datastores().into_iter();
        let renamed = all.find(|info| {
            let state = Attributes::read(&info.attributes).map(|attributes| attributes.state);
            matches!(state, Some(State::Renaming { from }) if from == name.object)
        });
        let renamed = renamed.map(|info| volume.datastore_by_id(info.id));
        Ok(renamed.transpose()?)
    }
}
