//! The data source of one connection: its volumes, its objects, its transactions.
//!
//! Invariant: the id in the metadata says which datastore an object is; what the catalog
//! calls it follows. All schema operations hold one lock; opening an object that is open
//! already does not.

mod append;
mod attributes;
mod compact;
mod create;
mod drop;
mod figures;
mod find;
mod format;
mod inherit;
mod maintain;
pub(crate) mod names;
mod numbers;
mod object;
mod parts;
mod rename;
mod salvage;
mod stale;
mod unfinished;

pub use names::Name;
pub use object::Object;
pub use parts::renamable;

use crate::{
    config::{ConnectionOptions, CursorOptions, Lookup, Verbosity, VolumeConfig},
    cursor::Cursor,
    error::{Code, Error, Result},
    host::Host,
    migration::{self, Place},
    nudge::Pulse,
    transactions::{Outcome, SessionState, SessionView, Transactions},
};
use helium_activity::{Publisher, Reading, Views};
use heliumdb::host::VolumeExt;
use heliumdb::{
    Durability, ErrorKind, Volume,
    host::{TxnId, WriteSet},
    process::Owner,
};
use numbers::Numbers;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// A volume under the name by which URIs know it.
struct Mounted {
    name: String,
    volume: Volume,
    /// What is kept of record numbers.
    numbers: Arc<Numbers>,
    /// Nothing is written to it.
    is_read_only: bool,
    /// Tells others what goes on in it, until it is closed.
    publisher: Mutex<Option<Publisher>>,
    /// Bytes logged when a checkpoint of it was last taken here.
    checkpointed: AtomicU64,
}

impl Mounted {
    fn new(config: &VolumeConfig, volume: Volume) -> Self {
        Self {
            name: config.name.clone(),
            publisher: Mutex::new(publish(&volume, Reading::Not)),
            numbers: Arc::new(Numbers::new(volume.clone())),
            volume,
            is_read_only: config.options.read_only,
            checkpointed: AtomicU64::new(0),
        }
    }
}

/// Tells others of a volume, and lets them read as `reading` says.
fn publish(volume: &Volume, reading: Reading) -> Option<Publisher> {
    // Nobody else can look if this fails; that is no reason not to work.
    Publisher::start_for_library(volume, "WiredTiger", reading).ok()
}

/// The data source of one connection.
pub struct Source<H: Host> {
    host: H,
    verbosity: Verbosity,
    volumes: Vec<Mounted>,
    /// Held by every operation that changes what objects there are.
    schema: Mutex<()>,
    /// Objects that have been opened, by URI.
    objects: Mutex<HashMap<String, Arc<Object>>>,
    transactions: Transactions<H>,
    pulse: Pulse,
    /// Some object's state in the catalog may be other than live.
    unfinished: AtomicBool,
    /// A panic was caught: nothing more is tried.
    broken: AtomicBool,
    owner: Owner,
    /// Through whose eyes other processes read, once the application uses the connection.
    views: Mutex<Option<Arc<dyn Views>>>,
    /// There are such eyes.
    has_views: AtomicBool,
}

impl<H: Host> Source<H> {
    /// Opens the volumes.
    pub fn open(host: H, options: ConnectionOptions) -> Result<Self> {
        let owner = Owner::here()?;
        let wanted: Vec<_> = options
            .volumes
            .iter()
            .map(|volume| (volume.url.clone(), volume.options.clone()))
            .collect();
        let volumes = heliumdb::host::open_all(&wanted).map_err(|error| {
            let culprit = culprit(&options.volumes, &error.to_string());
            not_opened(error, &options.volumes).context(culprit)
        })?;
        let configs = options.volumes.iter();
        let mounted = configs.clone().zip(volumes);
        let source = Self {
            host,
            verbosity: options.verbosity,
            volumes: mounted
                .map(|(config, volume)| Mounted::new(config, volume))
                .collect(),
            schema: Mutex::new(()),
            objects: Mutex::default(),
            transactions: Transactions::new(options.durability),
            pulse: Pulse::default(),
            // WiredTiger's recovery has not run yet: who is an orphan shows later.
            unfinished: AtomicBool::new(true),
            broken: AtomicBool::new(false),
            owner,
            views: Mutex::new(None),
            has_views: AtomicBool::new(false),
        };
        for mounted in &source.volumes {
            source.tell(None, || {
                let stats = mounted.volume.stats();
                format!(
                    "volume {} on {}: recovery read {} items and discarded {} bytes",
                    mounted.name,
                    mounted.volume.url(),
                    stats.recovered_items,
                    stats.discarded_bytes
                )
            });
        }
        source.migrate()?;
        for (config, mounted) in configs.zip(&source.volumes) {
            if config.clean && !mounted.is_read_only {
                let cleaned = mounted.volume.clean();
                cleaned.map_err(|error| Error::from(error).context(&mounted.name))?;
            }
        }
        Ok(source)
    }

    /// Other processes may read through `views`, from the first cursor on that the application opens.
    pub fn may_be_read(&self, views: Arc<dyn Views>) {
        *self.views.lock() = Some(views);
        self.has_views.store(true, Ordering::Release);
    }

    /// The application uses the connection: it is open.
    fn let_read(&self) {
        if !self.has_views.swap(false, Ordering::AcqRel) {
            return;
        }
        let Some(views) = self.views.lock().take() else {
            return;
        };
        for mounted in &self.volumes {
            let mut publisher = mounted.publisher.lock();
            // Others find a volume once.
            *publisher = None;
            *publisher = publish(&mounted.volume, Reading::Through(Arc::clone(&views)));
        }
    }

    /// Nobody else looks any more when this returns.
    pub fn end_publishing(&self) {
        self.has_views.store(false, Ordering::Release);
        for mounted in &self.volumes {
            mounted.publisher.lock().take();
        }
    }

    /// Takes over what the C connector left on the volumes.
    fn migrate(&self) -> Result<()> {
        let places: Vec<_> = self
            .volumes
            .iter()
            .map(|mounted| Place {
                name: &mounted.name,
                volume: &mounted.volume,
                is_read_only: mounted.is_read_only,
            })
            .collect();
        migration::migrate(&places, &mut |text| self.tell(None, || text.to_owned()))
    }

    /// Opens a cursor on the object `uri`.
    pub fn open_cursor(
        self: &Arc<Self>,
        session: H::Session,
        uri: &str,
        config: &(impl Lookup + ?Sized),
    ) -> Result<Cursor<H>> {
        self.check()?;
        if self.has_views.load(Ordering::Relaxed) {
            self.let_read();
        }
        let options = CursorOptions::read(config).map_err(|error| error.context(uri))?;
        let object = self.enter(session, uri, options.fills_index)?;
        if options.bulk
            && let Err(error) = self.begin_filling(&object)
        {
            object.leave();
            return Err(error);
        }
        Ok(Cursor::new(Arc::clone(self), object, session, options))
    }

    /// Makes what was written to the object outside of transactions as durable as a commit is.
    pub fn make_durable(&self, object: &Object) -> Result<()> {
        match self.transactions.durability() {
            Durability::Synced => Ok(object.datastore.volume().flush()?),
            Durability::Buffered => Ok(()),
        }
    }

    /// WiredTiger's word that a transaction ends.
    pub fn resolve(&self, session: H::Session, id: TxnId, committed: bool) -> Result<()> {
        if committed {
            self.check()?;
        }
        if let Outcome::Committed { id, writes } =
            self.transactions.resolve(session, id, committed)?
        {
            self.pulse.committed(id, writes);
        }
        Ok(())
    }

    /// Through whose eyes an operation of the session looks.
    pub fn view(&self, session: H::Session, state: &SessionState) -> SessionView<'_, H> {
        SessionView::new(&self.host, &self.transactions, session, state.own())
    }

    /// Runs one write of the session's transaction.
    pub fn write<T>(
        &self,
        session: H::Session,
        state: &SessionState,
        object: &Arc<Object>,
        write: impl FnOnce(&mut WriteSet, &SessionView<'_, H>) -> Result<T>,
    ) -> Result<T> {
        self.transactions
            .write(&self.host, session, state, object, write)
    }

    /// What the caller is told of a write that the store refused. Where the store has no
    /// memory for more versions, the caller waits a moment for settling to catch up.
    pub fn write_refused(&self, session: H::Session, error: heliumdb::Error) -> Error {
        if error.kind() == ErrorKind::VersionBudget && self.pulse.relieve() {
            self.host.error(
                Some(session),
                &format!("{error}; a reader may be holding an old snapshot"),
            );
        }
        error.into()
    }

    /// Whether anything can still be done; not after a panic.
    pub fn check(&self) -> Result<()> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(Error::new(
                Code::Panic,
                "an operation panicked earlier; close the connection and open it again",
            ));
        }
        Ok(())
    }

    /// Refuses to do anything in a fork of the process that opened the connection.
    pub fn check_process(&self) -> Result<()> {
        Ok(self.owner.check()?)
    }

    /// Has everything from now on refused.
    pub fn mark_broken(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// What it needs of WiredTiger.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// How much is told.
    pub fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Who is writing.
    pub fn transactions(&self) -> &Transactions<H> {
        &self.transactions
    }

    /// What sets the settling thread going.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Turns versions that everyone can see into plain items.
    pub fn settle(&self) {
        let horizon = HostHorizon(&self.host);
        for mounted in &self.volumes {
            mounted.volume.settle(&horizon);
        }
        self.transactions.forget_older(self.host.oldest());
    }

    /// Bytes of memory that unsettled versions use.
    #[cfg(test)]
    pub fn version_bytes(&self) -> u64 {
        let volumes = self.volumes.iter();
        volumes.map(|mounted| mounted.volume.version_bytes()).sum()
    }

    fn tell(&self, session: Option<H::Session>, text: impl FnOnce() -> String) {
        if self.verbosity >= Verbosity::Objects {
            self.host.message(session, &text());
        }
    }
}

/// An error of the system keeps its number. What is missing of a database that was there before comes with what to
/// do about it.
fn not_opened(error: heliumdb::Error, volumes: &[VolumeConfig]) -> Error {
    let source = std::error::Error::source(&error);
    let system = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    let number = system.and_then(std::io::Error::raw_os_error);
    let is_missing = system.is_some_and(|why| why.kind() == std::io::ErrorKind::NotFound);
    let text = error.to_string();
    if is_missing && !volumes.iter().all(|volume| volume.options.create) {
        return Error::new(
            Code::NoEntry,
            format!(
                "{text}; the database was made before, so that the volume is missing: bring it back, or if it is to be a \
                 new one say so with helium_o_volume_create=true"
            ),
        );
    }
    match (Error::from(error), number) {
        (error, Some(number)) if error.code() == Code::Io => Error::new(Code::Host(number), text),
        (error, _) => error,
    }
}

/// Which volume could not be opened, or which ones were to be opened together. One volume's name may begin as
/// another's does: the longest that the message has is the one.
fn culprit(volumes: &[VolumeConfig], message: &str) -> String {
    let named = volumes
        .iter()
        .filter(|volume| message.contains(&volume.url));
    let named = named.max_by_key(|volume| volume.url.len());
    let suspects = named.map_or(volumes, std::slice::from_ref);
    let names: Vec<_> = suspects.iter().map(|volume| volume.name.as_str()).collect();
    match names[..] {
        [name] => format!("volume {name}"),
        _ => format!("one of the volumes {}", names.join(", ")),
    }
}

/// What the connection's transactions may still need.
struct HostHorizon<'a, H>(&'a H);

impl<H: Host> heliumdb::host::Horizon for HostHorizon<'_, H> {
    fn oldest(&self) -> TxnId {
        self.0.oldest()
    }
}
