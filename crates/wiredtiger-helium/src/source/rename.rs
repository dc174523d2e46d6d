//! Renaming an object: catalog first, with the way back noted, then the metadata.
//!
//! CRASH: the datastore has either name and state `Renaming`; the metadata entry that
//! carries its id says which name is right, and if there are two, the new one ([`super::stale`]).

use super::{
    Mounted, Name, Source,
    attributes::{Attributes, State},
    find::{Creates, without_datastore},
};
use crate::{
    error::{Code, Error, Result},
    host::Host,
};
use heliumdb::Datastore;
use std::sync::atomic::Ordering;

impl<H: Host> Source<H> {
    /// Gives the object `uri` the name `new_uri`, which is on the same volume and free.
    pub fn rename(&self, session: H::Session, uri: &str, new_uri: &str) -> Result<()> {
        self.check()?;
        let (name, new_name) = (Name::parse(uri)?, Name::parse(new_uri)?);
        if name.volume != new_name.volume {
            return Err(Error::invalid(format!(
                "{uri} cannot be renamed to {new_uri}: that is another volume"
            )));
        }
        let mounted = self.mounted(&name)?;
        let _schema = self.schema.lock();
        let entry = self
            .entry(session, uri)?
            .ok_or_else(|| Error::from(Code::NoEntry))?;
        if self.forget_if_stale(session, mounted, &name, &entry)? {
            return Err(Code::NoEntry.into());
        }
        if let Some(taken) = self.entry(session, new_uri)?
            && !self.forget_if_stale(session, mounted, &new_name, &taken)?
        {
            return Err(Code::Exists.into());
        }
        self.retire(uri)?;
        let datastore = self
            .find(session, mounted, &name, &entry, Creates::Over)?
            .ok_or_else(|| without_datastore(uri, mounted, &entry))?;
        self.retire(new_uri)?;
        if self.orphan(session, mounted, &new_name)?.is_some() {
            return Err(Error::new(
                Code::Exists,
                format!(
                    "{new_uri} is on volume {} without being in the metadata",
                    mounted.name
                ),
            ));
        }
        let text = self.inherit(session, mounted, &name, &entry, &datastore)?;
        self.rename_datastore(mounted, &name, &new_name, &datastore)?;
        self.unfinished.store(true, Ordering::Relaxed);
        if let Err(error) = self.rename_entry(session, uri, new_uri, &text) {
            self.make_live(mounted, &name, &datastore, Creates::Over)?;
            return Err(error);
        }
        self.tell(Some(session), || format!("renamed {uri} to {new_uri}"));
        Ok(())
    }

    fn rename_datastore(
        &self,
        mounted: &Mounted,
        name: &Name<'_>,
        new_name: &Name<'_>,
        datastore: &Datastore,
    ) -> Result<()> {
        let info = datastore.info()?;
        if let Some(attributes) = Attributes::read(&info.attributes) {
            let renaming = attributes.in_state(State::Renaming {
                from: name.object.to_owned(),
            });
            let bytes = renaming.to_bytes();
            if bytes.len() > heliumdb::limits::ATTRIBUTES_BYTES_MAX {
                return Err(Error::invalid(format!(
                    "{} is too long a name to be renamed",
                    name.uri()
                )));
            }
            mounted.volume.set_attributes(info.id, &bytes)?;
        }
        let renamed = mounted
            .volume
            .rename_datastore(info.id, new_name.datastore());
        if renamed.is_err() {
            mounted.volume.set_attributes(info.id, &info.attributes)?;
        }
        Ok(renamed?)
    }

    fn rename_entry(
        &self,
        session: H::Session,
        uri: &str,
        new_uri: &str,
        text: &str,
    ) -> Result<()> {
        self.host.insert_metadata(session, new_uri, text)?;
        self.host.remove_metadata(session, uri).inspect_err(|_| {
            // If this fails as well, the first error says what is wrong.
            let _ = self.host.remove_metadata(session, new_uri);
        })
    }
}
