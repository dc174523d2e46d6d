//! A volume on a server.

use std::{fmt, sync::Arc};

use heliumdb::{DatastoreId, DatastoreInfo, DatastoreOptions, Error, ErrorKind, Result};

use crate::{
    Options, Transaction,
    address::Address,
    connection::{Connection, Effect},
    datastore::Datastore,
    failure,
    pool::Pool,
    reply::Reply,
};

/// A volume that a server has open. Clones are of the same volume, and use the same connections.
#[derive(Clone)]
pub struct Remote {
    pub(crate) pool: Arc<Pool>,
    name: Arc<str>,
    id: Arc<str>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({})", self.url())
    }
}

/// A datastore as a server tells of it.
#[derive(Clone, Debug)]
pub struct Details {
    /// What the catalog says of it.
    pub info: DatastoreInfo,
    /// How many items it has now.
    pub items: u64,
}

impl Remote {
    /// Connects to the server that `url` names, as in `he://localhost:41000/fruit`: the volume is as `HE.VOLUMES` there calls
    /// it, or the first one if none is named.
    pub fn open(url: &str, options: &Options) -> Result<Self> {
        let pool = Pool::new(Address::of(url)?, options.clone())?;
        let (connection, _) = pool.take()?;
        let (name, id) = connection.volume.clone();
        pool.give_back(connection);
        Ok(Self {
            pool: Arc::new(pool),
            name: name.into(),
            id: id.into(),
        })
    }

    /// Its URL, with the name that the server has for it.
    pub fn url(&self) -> String {
        format!("he://{}/{}", self.pool.address, self.name)
    }

    /// Its id, as that of a volume that is open here.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn ask_for(&self, words: &[&[u8]]) -> Result<()> {
        self.pool.with(Effect::Writes, |connection| {
            connection.ask_for(words, Effect::Writes)
        })
    }

    /// All datastores that the user may see, in order of their names.
    pub fn datastores(&self) -> Result<Vec<Details>> {
        self.pool.with(Effect::None, details)
    }

    /// The datastore of that name, which need not be there.
    pub fn datastore(&self, name: &[u8]) -> Datastore {
        Datastore::new(self.pool.clone(), name)
    }

    /// Makes a datastore, which must not be there. What `options` say of opening one means nothing here.
    pub fn create_datastore(&self, name: &[u8], options: &DatastoreOptions) -> Result<()> {
        let mut words = vec![&b"HE.CREATE"[..], name];
        if options.compress {
            words.push(b"COMPRESS");
        }
        if options.unordered {
            words.push(b"UNORDERED");
        }
        if !options.attributes.is_empty() {
            words.extend([&b"ATTRIBUTES"[..], &options.attributes]);
        }
        self.ask_for(&words).map_err(of_datastore)
    }

    /// Removes a datastore and its items.
    pub fn drop_datastore(&self, name: &[u8]) -> Result<()> {
        self.ask_for(&[b"HE.DROP", name])?;
        self.sync()
    }

    /// Gives a datastore another name.
    pub fn rename_datastore(&self, name: &[u8], new: &[u8]) -> Result<()> {
        self.ask_for(&[b"HE.RENAME", name, new])
            .map_err(of_datastore)?;
        self.sync()
    }

    /// Begins a transaction, which sees one moment from here on.
    pub fn begin(&self) -> Result<Transaction> {
        Transaction::begin(self.pool.clone())
    }

    /// Returns when all that was written to the volume before is on the medium.
    pub fn sync(&self) -> Result<()> {
        self.ask_for(&[b"HE.SYNC"])
    }

    /// Takes a checkpoint.
    pub fn checkpoint(&self) -> Result<()> {
        self.work(&[b"HE.CHECKPOINT"])
    }

    /// Has the server copy the volume to a new one of that name in its folder for backups.
    pub fn backup(&self, name: &str) -> Result<()> {
        self.work(&[b"HE.BACKUP", name.as_bytes()])
    }

    fn work(&self, words: &[&[u8]]) -> Result<()> {
        let options = &self.pool.options;
        self.pool.with(Effect::Writes, |connection| {
            connection.be_patient(options.work)?;
            let done = connection.ask_for(words, Effect::Writes);
            connection.be_patient(options.answer).and(done)
        })
    }

    /// Figures of the volume, by their names.
    pub fn figures(&self) -> Result<Vec<(String, u64)>> {
        self.pool.with(Effect::None, |connection| {
            let Reply::Array(parts) = connection.ask(&[b"HE.STATS"], Effect::None)? else {
                return Err(connection.misunderstood());
            };
            let figure = |pair: &[Reply]| match pair {
                [Reply::Bulk(name), Reply::Integer(figure)] => {
                    let name = String::from_utf8_lossy(name).into_owned();
                    Some((name, u64::try_from(*figure).ok()?))
                }
                _ => None,
            };
            let figures: Option<_> = parts.chunks(2).map(figure).collect();
            figures.ok_or_else(|| connection.misunderstood())
        })
    }
}

pub(crate) fn details(connection: &mut Connection) -> Result<Vec<Details>> {
    let words = [&b"HE.DATASTORES"[..], b"DETAILS"];
    let Reply::Array(parts) = connection.ask(&words, Effect::None)? else {
        return Err(connection.misunderstood());
    };
    let all: Option<_> = parts.into_iter().map(detail).collect();
    all.ok_or_else(|| connection.misunderstood())
}

fn detail(part: Reply) -> Option<Details> {
    let Reply::Array(fields) = part else {
        return None;
    };
    let [name, id, items, compress, unordered, attributes] = fields.try_into().ok()?;
    let number = |reply| match reply {
        Reply::Integer(number) => u64::try_from(number).ok(),
        _ => None,
    };
    let bytes = |reply| match reply {
        Reply::Bulk(bytes) => Some(bytes),
        _ => None,
    };
    let id = u32::try_from(number(id)?).ok()?;
    let mut info = DatastoreInfo::new(DatastoreId(id), bytes(name)?);
    info.compress = number(compress)? != 0;
    info.unordered = number(unordered)? != 0;
    info.attributes = bytes(attributes)?;
    Some(Details {
        info,
        items: number(items)?,
    })
}

/// What is there already is a datastore, where one is made.
fn of_datastore(why: Error) -> Error {
    match why.kind() {
        ErrorKind::ItemExists if failure::network(&why).is_none() => {
            why.with_kind(ErrorKind::DatastoreExists)
        }
        _ => why,
    }
}
