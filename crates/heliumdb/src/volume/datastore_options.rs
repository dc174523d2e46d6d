//! How a datastore is opened, and how it is kept if it is made now.

use super::Volume;
use crate::{
    catalog::Kind,
    datastore::Datastore,
    error::{Error, ErrorKind, Result},
    id::DatastoreId,
    options::setters,
};

/// Options of [`Volume::open_datastore`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatastoreOptions {
    /// Make it if it is not there.
    pub create: bool,
    /// Refuse it if it is there already.
    pub error_if_exists: bool,
    /// Remove all of its items. `Busy` if a transaction that is not resolved has written to it.
    pub truncate: bool,
    /// Refuse writes through the handle.
    pub read_only: bool,
    /// The owner's attributes, if it is made now.
    pub attributes: Vec<u8>,
    /// Compress values where that makes them shorter, if it is made or emptied now: for as long as
    /// it is not emptied again.
    pub compress: bool,
    /// Keep no order, and no keys in memory, if it is made or emptied now: for as long as it is not
    /// emptied again. The index then takes the same few bytes for an item however long its key
    /// is. What needs an order is `Unsupported`; [`Datastore::items`] walks through all items.
    pub unordered: bool,
}

setters!(DatastoreOptions {
    create: bool,
    error_if_exists: bool,
    truncate: bool,
    read_only: bool,
    compress: bool,
    unordered: bool,
});

impl DatastoreOptions {
    /// With these [attributes](field@Self::attributes).
    #[must_use]
    pub fn attributes(mut self, attributes: impl Into<Vec<u8>>) -> Self {
        self.attributes = attributes.into();
        self
    }

    /// What there is is opened, and nothing made.
    pub fn new() -> Self {
        Self::default()
    }

    fn kind(&self) -> Kind {
        Kind {
            compress: self.compress,
            unordered: self.unordered,
        }
    }
}

impl Volume {
    /// As [`Volume::truncate_datastore`]; from then on it is kept as `options` say, whose attributes
    /// it gets too.
    pub fn truncate_datastore_as(&self, id: DatastoreId, options: &DatastoreOptions) -> Result<()> {
        let attributes = Some(options.attributes.as_slice());
        self.shared()
            .catalog
            .truncate(id, Some(options.kind()), attributes)
    }

    /// Opens a datastore, or makes it, as `options` say.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let volume = heliumdb::Volume::open_or_create(dir.path().join("volume"))?;
    /// use heliumdb::DatastoreOptions;
    /// let options = DatastoreOptions::new().create(true).compress(true);
    /// let pages = volume.open_datastore("pages", &options)?;
    /// pages.put("home", "hello ".repeat(1_000))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_datastore(
        &self,
        name: impl AsRef<[u8]>,
        options: &DatastoreOptions,
    ) -> Result<Datastore> {
        let name = name.as_ref();
        if options.read_only && options.truncate {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "a datastore cannot be truncated and opened read-only at once",
            ));
        }
        let store = match self.datastore(name) {
            Ok(_) if options.error_if_exists => {
                return Err(Error::new(
                    ErrorKind::DatastoreExists,
                    format!(
                        "a datastore called '{}' exists already",
                        name.escape_ascii()
                    ),
                ));
            }
            Ok(store) => {
                if options.truncate {
                    let shared = self.shared();
                    shared
                        .catalog
                        .truncate(store.id(), Some(options.kind()), None)?;
                }
                store
            }
            Err(why) if why.kind() == ErrorKind::DatastoreNotFound && options.create => {
                let shared = self.shared();
                let made = shared
                    .catalog
                    .create(name, &options.attributes, options.kind());
                match made {
                    // Somebody else was faster.
                    Err(why)
                        if why.kind() == ErrorKind::DatastoreExists && !options.error_if_exists =>
                    {
                        self.datastore(name)?
                    }
                    made => self.handle_of(made?),
                }
            }
            Err(why) => return Err(why),
        };
        Ok(if options.read_only {
            store.read_only()
        } else {
            store
        })
    }
}
