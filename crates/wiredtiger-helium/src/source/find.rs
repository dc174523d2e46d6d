//! From a URI to an open object.

use super::{
    Mounted, Name, Object, Source,
    append::Everything,
    attributes::{Attributes, State},
};
use crate::{
    error::{Code, Error, Result},
    host::Host,
    metadata::Entry,
};
use heliumdb::host::DatastoreExt;
use heliumdb::{Datastore, ErrorKind, Position};
use std::sync::{Arc, atomic::Ordering};

/// Whether the create of an object that the metadata knows may still be under way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Creates {
    /// It may: the metadata's entry may yet be taken back.
    UnderWay,
    /// It is over: the entry is there to stay.
    Over,
}

impl<H: Host> Source<H> {
    /// The object `uri`, with its user counted; `fills_index` if the user is the one that
    /// fills an index that is being made. Anyone else waits until it is made.
    pub(super) fn enter(
        &self,
        session: H::Session,
        uri: &str,
        fills_index: bool,
    ) -> Result<Arc<Object>> {
        if let Some(object) = self.enter_open(uri)? {
            return Ok(object);
        }
        let creates = match fills_index || !self.is_being_made(session, uri)? {
            true => Creates::UnderWay,
            false if self.host.await_schema(session) => Creates::Over,
            false => Creates::UnderWay,
        };
        let name = Name::parse(uri)?;
        let mounted = self.mounted(&name)?;
        let _schema = self.schema.lock();
        if let Some(object) = self.enter_open(uri)? {
            return Ok(object);
        }
        let entry = self
            .entry(session, uri)?
            .ok_or_else(|| Error::from(Code::NoEntry))?;
        if self.is_stale(session, mounted, &name, &entry)? {
            return Err(Code::NoEntry.into());
        }
        let datastore = self
            .find(session, mounted, &name, &entry, creates)?
            .ok_or_else(|| without_datastore(uri, mounted, &entry))?;
        let object = Arc::new(Object::new(
            uri,
            datastore,
            &entry,
            Arc::clone(&mounted.numbers),
        ));
        object.enter();
        let mut objects = self.objects.lock();
        objects.insert(uri.to_owned(), Arc::clone(&object));
        Ok(object)
    }

    /// Whether the object `uri` is one of which it is not sure that the metadata keeps its entry.
    fn is_being_made(&self, session: H::Session, uri: &str) -> Result<bool> {
        if !self.unfinished.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let name = Name::parse(uri)?;
        let mounted = self.mounted(&name)?;
        let _schema = self.schema.lock();
        let identity = self.entry(session, uri)?.and_then(|entry| entry.identity);
        let datastore = identity.map(|identity| mounted.volume.datastore_by_id(identity.datastore));
        let Some(Ok(datastore)) = datastore else {
            return Ok(false);
        };
        Ok(State::of(&datastore.info()?) == Some(State::Creating))
    }

    fn enter_open(&self, uri: &str) -> Result<Option<Arc<Object>>> {
        let objects = self.objects.lock();
        let Some(object) = objects.get(uri) else {
            return Ok(None);
        };
        if object.is_filled() {
            return Err(Code::Busy.into());
        }
        // Counted under the registry's lock: see `retire`.
        object.enter();
        Ok(Some(Arc::clone(object)))
    }

    /// Has the last user of `object` fill it alone: it is empty, and nobody else uses it.
    pub(super) fn begin_filling(&self, object: &Object) -> Result<()> {
        let is_alone = {
            let _objects = self.objects.lock();
            object.begin_filling()
        };
        if !is_alone {
            return Err(Code::Busy.into());
        }
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let any = object
            .datastore
            .seek(&Everything, Position::First, &mut key, &mut value);
        match any {
            Ok(false) => return Ok(()),
            any => {
                object.end_filling();
                any?;
            }
        }
        let why = "a bulk cursor fills an empty object, and this one is not";
        Err(Error::new(Code::Busy, format!("{}: {why}", object.uri)))
    }

    /// Takes `uri` out of the registry, as if nobody had opened it.
    #[cfg(test)]
    pub fn forget(&self, uri: &str) {
        self.objects.lock().remove(uri);
    }

    /// Takes `uri` out of the registry, if nothing uses it.
    pub(super) fn retire(&self, uri: &str) -> Result<()> {
        let mut objects = self.objects.lock();
        if objects.get(uri).is_some_and(|object| object.is_busy()) {
            return Err(Code::Busy.into());
        }
        let retired = objects.remove(uri);
        drop(objects);
        match retired.map_or(Ok(()), |object| object.keep_last_number()) {
            // It went away without our being told.
            Err(error) if error.code() == Code::NoEntry => Ok(()),
            kept => kept,
        }
    }

    /// The volume that `name` is on.
    pub(super) fn mounted(&self, name: &Name<'_>) -> Result<&Mounted> {
        let mut volumes = self.volumes.iter();
        volumes
            .find(|mounted| mounted.name == name.volume)
            .ok_or_else(|| {
                Error::invalid(format!(
                    "'{}': no volume is called {}",
                    name.uri(),
                    name.volume
                ))
            })
    }

    /// The metadata entry of `uri`.
    pub(super) fn entry(&self, session: H::Session, uri: &str) -> Result<Option<Entry>> {
        let text = self.host.metadata(session, uri)?;
        text.map(|text| Entry::read(&text))
            .transpose()
            .map_err(|error| error.context(uri))
    }

    /// The datastore that `entry` means, with whatever was half done to it taken back: an
    /// object that the metadata knows is in use, once its create is over, and has the name under
    /// which it is known.
    pub(super) fn find(
        &self,
        session: H::Session,
        mounted: &Mounted,
        name: &Name<'_>,
        entry: &Entry,
        creates: Creates,
    ) -> Result<Option<Datastore>> {
        let volume = &mounted.volume;
        let found = match entry.identity {
            Some(identity) if identity.volume != volume.id() => return Ok(None),
            Some(identity) => volume.datastore_by_id(identity.datastore),
            None => match self.inherited(mounted, name)? {
                Some(datastore) => Ok(datastore),
                None => return Ok(None),
            },
        };
        let datastore = match found {
            Err(error) if error.kind() == ErrorKind::DatastoreNotFound => return Ok(None),
            found => found?,
        };
        if !self.has_old_entry(session, mounted, name, &datastore)? {
            self.make_live(mounted, name, &datastore, creates)?;
        }
        Ok(Some(datastore))
    }

    /// Gives the datastore the name and the state that the metadata says it has.
    pub(super) fn make_live(
        &self,
        mounted: &Mounted,
        name: &Name<'_>,
        datastore: &Datastore,
        creates: Creates,
    ) -> Result<()> {
        let info = datastore.info()?;
        let wanted = name.datastore();
        if info.name != wanted {
            mounted.volume.rename_datastore(info.id, &wanted)?;
        }
        let Some(attributes) = Attributes::read(&info.attributes) else {
            // Made by the C connector: it has no states.
            return Ok(());
        };
        match attributes.state {
            State::Live => Ok(()),
            State::Creating if creates == Creates::UnderWay => Ok(()),
            _ => {
                let live = attributes.in_state(State::Live).to_bytes();
                Ok(mounted.volume.set_attributes(info.id, &live)?)
            }
        }
    }
}

/// The metadata has an object that its volume does not.
pub(super) fn without_datastore(uri: &str, mounted: &Mounted, entry: &Entry) -> Error {
    let (name, url, id) = (&mounted.name, mounted.volume.url(), mounted.volume.id());
    if let Some(identity) = entry.identity.filter(|identity| identity.volume != id) {
        return Error::new(
            Code::NoEntry,
            format!(
                "{uri} is on the volume {}, and volume {name} ({url}) is another one, {id}: bring back the one that the \
                 database was made with; or it can be dropped",
                identity.volume
            ),
        );
    }
    Error::new(
        Code::NoEntry,
        format!(
            "{uri} is in the metadata, but volume {} ({}) does not hold it; \
             it can be dropped",
            name, url
        ),
    )
}
