//! Dropping an object: a reversible state in the catalog, then the metadata.
//!
//! CRASH: the datastore stays, in state `Dropping`. If the metadata entry is there too,
//! the drop did not happen; else it did, and the next checkpoint removes the datastore.

use super::{
    Name, Source,
    attributes::{Attributes, State},
    find::Creates,
};
use crate::{
    error::{Code, Error, Result},
    host::Host,
};
use std::sync::atomic::Ordering;

impl<H: Host> Source<H> {
    /// Removes the object `uri`.
    pub fn drop_object(&self, session: H::Session, uri: &str) -> Result<()> {
        self.check()?;
        let name = Name::parse(uri)?;
        let mounted = self.mounted(&name)?;
        let _schema = self.schema.lock();
        let entry = self
            .entry(session, uri)?
            .ok_or_else(|| Error::from(Code::NoEntry))?;
        if self.forget_if_stale(session, mounted, &name, &entry)? {
            return Err(Code::NoEntry.into());
        }
        self.retire(uri)?;
        let Some(datastore) = self.find(session, mounted, &name, &entry, Creates::UnderWay)? else {
            self.tell(Some(session), || {
                format!("{uri}: volume {} does not hold it", mounted.name)
            });
            return self.host.remove_metadata(session, uri);
        };
        self.inherit(session, mounted, &name, &entry, &datastore)?;
        let info = datastore.info()?;
        let attributes = match Attributes::read(&info.attributes) {
            Some(attributes) => attributes,
            None => Attributes::new(&entry.key_format, &entry.value_format)?,
        };
        let dropping = attributes.in_state(State::Dropping);
        mounted
            .volume
            .set_attributes(info.id, dropping.to_bytes())?;
        self.unfinished.store(true, Ordering::Relaxed);
        if let Err(error) = self.host.remove_metadata(session, uri) {
            mounted.volume.set_attributes(info.id, &info.attributes)?;
            return Err(error);
        }
        self.tell(Some(session), || format!("dropped {uri}"));
        Ok(())
    }
}
