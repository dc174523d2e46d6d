//! Where reading commands read: in the volume, through another process that has it open, or from a server.
//!
//! Invariant: all show the same things in the same way; which of them it is, is said on standard error where it is
//! the second one, once. What is seen is of one moment.

use std::{
    ffi::OsStr,
    io::{self, Write},
    ops::Bound,
    os::unix::ffi::OsStrExt,
};

use helium_activity::{Remote, Walk, Wanted, figures, of_what_is_in_it};
use heliumdb::{Datastore, DatastoreInfo, ErrorKind, Item, Volume};
use serde_json::json;

use crate::{
    failure::{Failure, Result},
    json,
    output::Output,
    served, text,
    volume::{self, Access},
};

/// What to do about a volume that another process has open.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Through {
    /// Fail if another process has the volume open, instead of reading through that process
    #[arg(long)]
    no_through: bool,
}

/// What is read from.
pub enum Place<'a> {
    /// The volume, open here.
    Here(&'a Volume),
    /// Another process.
    There(Box<Remote>),
    /// A server, and what it shows.
    Served(helium_remote::Remote, Box<helium_remote::Transaction>),
}

/// A datastore of it.
pub struct Store {
    /// What the catalog says of it.
    pub info: DatastoreInfo,
    /// How many items it has now.
    pub items: u64,
    here: Option<Datastore>,
}

/// Items on their way.
pub type Items<'a> = Box<dyn Iterator<Item = heliumdb::Result<Item>> + 'a>;

/// Keys and lengths of values on their way.
pub type Lengths<'a> = Box<dyn Iterator<Item = heliumdb::Result<(Vec<u8>, u64)>> + 'a>;

/// Which items, and how.
pub struct Range {
    /// From here, up to there.
    pub bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>),
    /// The last one first.
    pub backward: bool,
    /// Values are not wanted.
    pub keys: bool,
    /// No more than so many.
    pub limit: u64,
}

/// Lets `work` read the volume, here or through the process that has it open.
pub fn with<R>(
    name: &str,
    through: Through,
    output: Output,
    work: impl FnOnce(Place<'_>) -> Result<R>,
) -> Result<R> {
    if served::is_served(name) {
        let remote = served::open(name, false)?;
        let moment = Box::new(remote.begin()?);
        return work(Place::Served(remote, moment)).map_err(|why| why.naming(name));
    }
    let mut work = Some(work);
    let mut here = |open: &Volume| match work.take() {
        Some(work) => work(Place::Here(open)),
        None => Err(Failure::new(crate::failure::Code::Failed, "read already")),
    };
    let failed = match volume::with(name, Access::Read, &mut here) {
        Err(why) if why.is_of(ErrorKind::VolumeInUse) && !through.no_through => why,
        done => return done,
    };
    let Some(work) = work.take() else {
        return Err(failed);
    };
    let Some(remote) = Remote::open(&volume::url(name))? else {
        return Err(failed);
    };
    say(&remote, output);
    work(Place::There(Box::new(remote)))
}

fn say(remote: &Remote, output: Output) {
    let (process, command) = (remote.process(), text::plain(remote.command()));
    // Where nobody can hear it, it is as true.
    let _ = match output.json {
        true => {
            let said = json!({"through": {"process": process, "command": command}});
            writeln!(io::stderr(), "{}", json::line(&said))
        }
        false => writeln!(
            io::stderr(),
            "helium: process {process} ({command}) has the volume open: this reads through it"
        ),
    };
}

impl Store {
    /// Bytes of memory that its index takes, where that is known.
    pub fn index_bytes(&self) -> Result<Option<u64>> {
        let stats = self.here.as_ref().map(Datastore::stats).transpose()?;
        Ok(stats.map(|stats| stats.index_bytes))
    }
}

impl Place<'_> {
    /// The URL it is open by.
    pub fn url(&self) -> String {
        match self {
            Self::Here(open) => open.url().to_owned(),
            Self::There(remote) => remote.url(),
            Self::Served(remote, _) => remote.url(),
        }
    }

    /// The volume's id.
    pub fn id(&self) -> String {
        match self {
            Self::Here(open) => open.id().to_string(),
            Self::There(remote) => remote.id().to_string(),
            Self::Served(remote, _) => remote.id().to_owned(),
        }
    }

    /// Figures of the volume, by their names.
    pub fn figures(&mut self) -> Result<Vec<(String, u64)>> {
        match self {
            Self::Here(open) => Ok(figures(open)),
            Self::There(remote) => Ok(remote.figures()?),
            Self::Served(remote, _) => {
                let all = remote.figures()?;
                let all = all.iter().map(|(name, figure)| (name.as_str(), *figure));
                Ok(of_what_is_in_it(all))
            }
        }
    }

    /// All datastores, in order of their names.
    pub fn stores(&mut self) -> Result<Vec<Store>> {
        let open = match self {
            Self::Here(open) => open,
            Self::There(remote) => {
                let all = remote.datastores()?.into_iter();
                let store = |found: helium_activity::RemoteDatastore| Store {
                    info: found.info,
                    items: found.items,
                    here: None,
                };
                return Ok(all.map(store).collect());
            }
            Self::Served(_, moment) => {
                let all = moment.datastores()?.into_iter();
                let store = |found: helium_remote::Details| Store {
                    info: found.info,
                    items: found.items,
                    here: None,
                };
                return Ok(all.map(store).collect());
            }
        };
        let all = open.datastores().into_iter();
        let store = |info: DatastoreInfo| {
            let here = open.datastore_by_id(info.id)?;
            Ok(Store {
                items: here.len(),
                info,
                here: Some(here),
            })
        };
        all.map(store).collect()
    }

    /// The datastore of that name; the sentence says which ones there are.
    pub fn store(&mut self, name: &OsStr) -> Result<Store> {
        let mut all = self.stores()?;
        let found = all
            .iter()
            .position(|store| store.info.name == name.as_bytes());
        if let Some(found) = found {
            return Ok(all.swap_remove(found));
        }
        let infos: Vec<_> = all.into_iter().map(|store| store.info).collect();
        Err(volume::no_datastore(&infos, name))
    }

    /// The value of a key.
    pub fn get(&mut self, store: &Store, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match (self, &store.here) {
            (Self::There(remote), _) => Ok(remote.get(store.info.id, key)?),
            (Self::Served(_, moment), _) => Ok(moment.get(&store.info.name, key)?),
            (_, Some(here)) => Ok(here.get(key)?),
            (_, None) => Ok(None),
        }
    }

    /// All items, in the order in which they are kept.
    pub fn items<'a>(&'a mut self, store: &'a Store) -> Items<'a> {
        match (self, &store.here) {
            (Self::There(remote), _) => Box::new(remote.items(&store.info)),
            (Self::Served(_, moment), _) => {
                Box::new(moment.range(&store.info.name, helium_remote::Walk::all()))
            }
            (_, Some(here)) => Box::new(here.items()),
            (_, None) => Box::new(std::iter::empty()),
        }
    }

    /// The keys of all items, and how long their values are. Through another process values come whole.
    pub fn lengths<'a>(&'a mut self, store: &'a Store) -> Lengths<'a> {
        match (&*self, &store.here) {
            (Self::Here(_), Some(here)) => Box::new(here.lengths()),
            _ => {
                let items = self.items(store);
                Box::new(items.map(|found| found.map(|(key, value)| (key, value.len() as u64))))
            }
        }
    }

    /// Items in order; values are empty where only keys are wanted.
    pub fn range<'a>(&'a mut self, store: &'a Store, range: Range) -> Items<'a> {
        let most = usize::try_from(range.limit).unwrap_or(usize::MAX);
        let here = match (self, &store.here) {
            (Self::There(remote), _) => {
                let (low, high) = range.bounds;
                let walk = Walk {
                    low,
                    high,
                    backward: range.backward,
                    wanted: match range.keys {
                        true => Wanted::Keys,
                        false => Wanted::Items,
                    },
                    most: range.limit,
                };
                return Box::new(remote.range(store.info.id, walk));
            }
            (Self::Served(_, moment), _) => {
                let (low, high) = range.bounds;
                let walk = helium_remote::Walk {
                    low,
                    high,
                    backward: range.backward,
                    keys: range.keys,
                    most: range.limit,
                };
                return Box::new(moment.range(&store.info.name, walk));
            }
            (_, Some(here)) => here,
            (_, None) => return Box::new(std::iter::empty()),
        };
        let items = here.range(range.bounds);
        let bare = |key: heliumdb::Result<Vec<u8>>| key.map(|key| (key, Vec::new()));
        match (range.keys, range.backward) {
            (true, false) => Box::new(items.keys().map(bare).take(most)),
            (true, true) => Box::new(items.keys().rev().map(bare).take(most)),
            (false, false) => Box::new(items.take(most)),
            (false, true) => Box::new(items.rev().take(most)),
        }
    }

    /// Tells others of what goes on in the volume while `command` works, if it is open here.
    pub fn publish(&self, command: &str) -> Option<helium_activity::Publisher> {
        match self {
            Self::Here(open) => volume::publish(open, command),
            Self::There(_) | Self::Served(..) => None,
        }
    }
}
