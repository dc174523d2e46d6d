//! Creating an object: catalog first, durable, then the metadata.
//!
//! CRASH: in between, the datastore is there without a metadata entry, in state
//! `Creating`; the next create of that name makes it anew. WiredTiger may still take the entry
//! back, or lose it with a crash, until its create is over: so the state stays until then, and
//! what is there without an entry in another state was in use.

use super::{
    Mounted, Name, Source,
    append::Append,
    attributes::{Attributes, State},
    find::{Creates, without_datastore},
    object::RECNO_FORMAT,
};
use crate::{
    config::{CreateOptions, Lookup},
    error::{Code, Error, Result},
    host::Host,
    metadata::{Entry, Identity, entry_text},
};
use heliumdb::{Datastore, DatastoreOptions, ErrorKind};
use std::sync::{Arc, atomic::Ordering};

impl<H: Host> Source<H> {
    /// Makes the object `uri`, or checks that it is as asked for if there is one already.
    pub fn create(
        &self,
        session: H::Session,
        uri: &str,
        config: &(impl Lookup + ?Sized),
    ) -> Result<()> {
        self.check()?;
        let name = Name::parse(uri)?;
        let mounted = self.mounted(&name)?;
        let options = CreateOptions::read(config).map_err(|error| error.context(uri))?;
        self.finish_without_checkpoints(session)?;
        let _schema = self.schema.lock();
        if let Some(entry) = self.entry(session, uri)?
            && !self.forget_if_stale(session, mounted, &name, &entry)?
        {
            if options.is_index && !self.host.has_index_in(session, uri)? {
                // The drop of an index was cut short: what was in it is in nobody's way.
                return self.create_again(session, mounted, &name, &entry, &options);
            }
            if options.exclusive {
                return Err(Code::Exists.into());
            }
            let datastore = self
                .find(session, mounted, &name, &entry, Creates::UnderWay)?
                .ok_or_else(|| without_datastore(uri, mounted, &entry))?;
            if !options.accept_formats(&entry.key_format, &entry.value_format) {
                return Err(Error::invalid(format!(
                    "{uri} exists with key_format={} and value_format={}, not {} and {}",
                    entry.key_format, entry.value_format, options.key_format, options.value_format
                )));
            }
            return self.truncate_if_asked(mounted, &entry, uri, &datastore, &options);
        }
        self.check_storage(session, &options)
            .map_err(|error| error.context(uri))?;
        // What was open under this name went away without our being told.
        self.retire(uri)?;
        let datastore = match self.orphan(session, mounted, &name)? {
            // Nobody's rows are in it: there are none, or they are made anew from a table's.
            Some(orphan) if options.is_index || orphan.is_empty() => {
                mounted.volume.drop_datastore(orphan.id())?;
                make(mounted, &name, &options)?
            }
            Some(orphan) => self.adopt(session, mounted, &name, &options, orphan)?,
            None => make(mounted, &name, &options)?,
        };
        self.publish(session, mounted, uri, &options, &datastore)
    }

    /// Refuses compressors, codes and encryptors that WiredTiger does not know, as its own tables do, and encryption,
    /// which there is none of here.
    fn check_storage(&self, session: H::Session, options: &CreateOptions) -> Result<()> {
        if options.storage.is_empty() {
            return Ok(());
        }
        let config = format!(
            "key_format=\"{}\",value_format=\"{}\"{}",
            options.key_format, options.value_format, options.storage
        );
        self.host.check_storage(session, &config)?;
        if options.encryptor.is_empty() {
            return Ok(());
        }
        let why = "what is on a Helium volume is not encrypted; use encryption=(name=none)";
        Err(Error::new(Code::Unsupported, why))
    }

    /// Makes the object `name` anew, in place of one that is nobody's.
    fn create_again(
        &self,
        session: H::Session,
        mounted: &Mounted,
        name: &Name<'_>,
        entry: &Entry,
        options: &CreateOptions,
    ) -> Result<()> {
        let uri = name.uri();
        self.retire(&uri)?;
        if let Some(left) = self.find(session, mounted, name, entry, Creates::UnderWay)? {
            mounted.volume.drop_datastore(left.id())?;
        }
        let datastore = make(mounted, name, options)?;
        self.publish(session, mounted, &uri, options, &datastore)
    }

    fn truncate_if_asked(
        &self,
        mounted: &Mounted,
        entry: &Entry,
        uri: &str,
        datastore: &Datastore,
        options: &CreateOptions,
    ) -> Result<()> {
        if options.truncate {
            self.retire(uri)?;
            empty(mounted, datastore, &entry.key_format)?;
        }
        Ok(())
    }

    /// The datastore that has the object's name though the metadata does not know it. What
    /// is left of an unfinished create, drop or rename is cleared away first.
    pub(super) fn orphan(
        &self,
        session: H::Session,
        mounted: &Mounted,
        name: &Name<'_>,
    ) -> Result<Option<Datastore>> {
        let volume = &mounted.volume;
        let datastore = match volume.datastore(name.datastore()) {
            Err(error) if error.kind() == ErrorKind::DatastoreNotFound => return Ok(None),
            found => found?,
        };
        let info = datastore.info()?;
        let Some(attributes) = Attributes::read(&info.attributes) else {
            if datastore.is_empty() {
                // The C connector was killed while it made it.
                volume.drop_datastore(info.id)?;
                return Ok(None);
            }
            return Ok(Some(datastore));
        };
        match attributes.state {
            State::Live => return Ok(Some(datastore)),
            State::Creating | State::Dropping => volume.drop_datastore(info.id)?,
            State::Renaming { from } => {
                let old_name = Name {
                    object: &from,
                    ..*name
                };
                if !self.is_known_as(session, mounted, &old_name, &datastore)? {
                    return Ok(Some(datastore));
                }
                self.make_live(mounted, &old_name, &datastore, Creates::Over)?;
            }
        }
        Ok(None)
    }

    /// Whether the metadata's entry for `name` means this datastore.
    pub(super) fn is_known_as(
        &self,
        session: H::Session,
        mounted: &Mounted,
        name: &Name<'_>,
        datastore: &Datastore,
    ) -> Result<bool> {
        let identity = Identity {
            volume: mounted.volume.id(),
            datastore: datastore.id(),
        };
        let Some(entry) = self.entry(session, &name.uri())? else {
            return Ok(false);
        };
        if entry.identity.is_some() {
            return Ok(entry.identity == Some(identity));
        }
        let inherited = self.inherited(mounted, name)?;
        Ok(inherited.is_some_and(|inherited| inherited.id() == datastore.id()))
    }

    /// Takes over a datastore that no metadata entry leads to, if that is what the caller
    /// can want: its rows are somebody's.
    fn adopt(
        &self,
        session: H::Session,
        mounted: &Mounted,
        name: &Name<'_>,
        options: &CreateOptions,
        orphan: Datastore,
    ) -> Result<Datastore> {
        let info = orphan.info()?;
        let uri = name.uri();
        let refusal = |why: &str| {
            Error::new(
                Code::Exists,
                format!(
                    "{uri} is on volume {} without being in the metadata, {why}",
                    mounted.name
                ),
            )
        };
        let attributes = Attributes::read(&info.attributes)
            .ok_or_else(|| refusal("and was not made by this data source"))?;
        if options.exclusive {
            return Err(refusal("and exclusive was asked for"));
        }
        let formats = (&attributes.key_format, &attributes.value_format);
        if formats != (&options.key_format, &options.value_format) {
            let has = format!(
                "with key_format={} and value_format={}",
                formats.0, formats.1
            );
            return Err(refusal(&has));
        }
        self.tell(Some(session), || {
            format!("{uri} was on volume {} already: adopted", mounted.name)
        });
        if options.truncate {
            empty(mounted, &orphan, &attributes.key_format)?;
        }
        Ok(orphan)
    }

    fn publish(
        &self,
        session: H::Session,
        mounted: &Mounted,
        uri: &str,
        options: &CreateOptions,
        datastore: &Datastore,
    ) -> Result<()> {
        let identity = Identity {
            volume: mounted.volume.id(),
            datastore: datastore.id(),
        };
        // Its state is settled when it is first opened, or at a checkpoint.
        self.unfinished.store(true, Ordering::Relaxed);
        self.host
            .insert_metadata(session, uri, &entry_text(identity, options))?;
        self.tell(Some(session), || {
            format!("created {uri} as datastore {}", identity.datastore.0)
        });
        Ok(())
    }
}

/// Removes all items at once. Their record numbers are not given again.
fn empty(mounted: &Mounted, datastore: &Datastore, key_format: &str) -> Result<()> {
    if key_format == RECNO_FORMAT {
        Append::new(Arc::clone(&mounted.numbers)).keep(datastore, u64::MAX)?;
    }
    Ok(mounted.volume.truncate_datastore(datastore.id())?)
}

fn make(mounted: &Mounted, name: &Name<'_>, options: &CreateOptions) -> Result<Datastore> {
    let attributes = Attributes::new(&options.key_format, &options.value_format)?;
    let mut how = DatastoreOptions::default();
    how.create = true;
    how.error_if_exists = true;
    how.compress = options.compress;
    how.attributes = attributes.to_bytes();
    Ok(mounted.volume.open_datastore(name.datastore(), &how)?)
}
