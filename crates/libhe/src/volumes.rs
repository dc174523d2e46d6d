//! Which volumes this process has open, and how many handles each of their datastores has.
//!
//! Invariant: a volume is opened by one thread and closed by one, never both at once; while
//! it is open everybody shares it. It closes when its last handle is closed and the last call
//! that was under way on one is over: no call ever waits for another call.

use std::{
    collections::BTreeMap,
    mem,
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use heliumdb::process::PerProcess;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::{
    code::{During, Result, of},
    store,
};

type Key = Vec<PathBuf>;

enum Slot {
    /// Somebody opens it now.
    Opening,
    /// It is open, or, if no one holds it any more, about to be closed.
    Open(Weak<OpenVolume>),
}

/// The volumes of this process: what a fork inherits is its parent's, and it opens anew.
static OPEN: PerProcess<Open> = PerProcess::new();

#[derive(Default)]
struct Open {
    volumes: Mutex<BTreeMap<Key, Slot>>,
    changed: Condvar,
}

/// A volume that is open.
pub struct OpenVolume {
    key: Key,
    pub store: store::Volume,
    users: Mutex<Users>,
}

/// Who has which datastores open.
#[derive(Default)]
pub struct Users {
    datastores: BTreeMap<u32, Use>,
}

/// The handles of one datastore.
#[derive(Clone, Copy)]
pub struct Use {
    pub handles: usize,
    pub read_only: bool,
}

/// One handle's place among the users of a datastore, until [`Seat::leave`].
pub struct Seat {
    pub volume: Arc<OpenVolume>,
    datastore: u32,
    taken: AtomicBool,
}

/// The volume that a URL names: the one that is open, or else what `open` makes of it.
pub fn open(
    url: &str,
    open: impl FnOnce() -> Result<store::Volume>,
) -> Result<(Arc<OpenVolume>, bool)> {
    let key = key(url)?;
    let Open { volumes, changed } = OPEN.get();
    let mut volumes = volumes.lock();
    loop {
        match volumes.get(&key) {
            None => break,
            Some(Slot::Open(volume)) => {
                if let Some(volume) = volume.upgrade() {
                    return Ok((volume, false));
                }
            }
            Some(Slot::Opening) => {}
        }
        changed.wait(&mut volumes);
    }
    volumes.insert(key.clone(), Slot::Opening);
    drop(volumes);
    let opening = Opening(key);
    let volume = Arc::new(OpenVolume {
        key: opening.0.clone(),
        store: open()?,
        users: Mutex::default(),
    });
    opening.done(&volume);
    Ok((volume, true))
}

/// The volume that a URL names, if this process has it open.
pub fn find(url: &str) -> Result<Option<Arc<OpenVolume>>> {
    let volumes = OPEN.get().volumes.lock();
    Ok(match volumes.get(&key(url)?) {
        Some(Slot::Open(volume)) => volume.upgrade(),
        _ => None,
    })
}

/// The promise to open a volume; dropping it before that gives it up.
struct Opening(Key);

impl Opening {
    fn done(mut self, volume: &Arc<OpenVolume>) {
        let slot = Slot::Open(Arc::downgrade(volume));
        OPEN.get()
            .volumes
            .lock()
            .insert(mem::take(&mut self.0), slot);
        OPEN.get().changed.notify_all();
        mem::forget(self);
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        OPEN.get().volumes.lock().remove(&self.0);
        OPEN.get().changed.notify_all();
    }
}

impl OpenVolume {
    /// Looks at, and changes, who uses what. Opens and removals of the volume's datastores are
    /// done while this is held, so that they happen one after the other.
    pub fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock()
    }

    /// Closes the volume now if nobody else has it; says what came of it.
    pub fn release(self: Arc<Self>) -> Result<()> {
        match Arc::into_inner(self) {
            Some(volume) => volume.store.close().map_err(|why| of(&why, During::Write)),
            None => Ok(()),
        }
    }
}

impl Drop for OpenVolume {
    fn drop(&mut self) {
        if let Err(why) = self.store.close() {
            tracing::error!(%why, "closing a volume failed");
        }
        OPEN.get().volumes.lock().remove(&self.key);
        OPEN.get().changed.notify_all();
    }
}

impl Users {
    /// The handles of a datastore, if there are any.
    pub fn of(&self, datastore: u32) -> Option<Use> {
        self.datastores.get(&datastore).copied()
    }

    /// Whether no datastore of the volume has a handle.
    pub fn is_empty(&self) -> bool {
        self.datastores.is_empty()
    }

    /// Counts one more handle.
    pub fn sit(&mut self, volume: &Arc<OpenVolume>, datastore: u32, read_only: bool) -> Seat {
        let users = self.datastores.entry(datastore).or_insert(Use {
            handles: 0,
            read_only,
        });
        users.handles += 1;
        Seat {
            volume: volume.clone(),
            datastore,
            taken: AtomicBool::new(true),
        }
    }

    /// Counts one less; true if that was the last handle of the datastore.
    fn stand_up(&mut self, datastore: u32) -> bool {
        let Some(users) = self.datastores.get_mut(&datastore) else {
            return false;
        };
        users.handles -= 1;
        let was_last = users.handles == 0;
        if was_last {
            self.datastores.remove(&datastore);
        }
        was_last
    }
}

impl Seat {
    /// Gives the place up, once; true if it was the datastore's last.
    pub fn leave(&self) -> bool {
        self.gives_up() && self.volume.users().stand_up(self.datastore)
    }

    /// The same for who looks at the users already.
    pub fn leave_with(&self, users: &mut Users) -> bool {
        self.gives_up() && users.stand_up(self.datastore)
    }

    /// True once.
    fn gives_up(&self) -> bool {
        self.taken.swap(false, Ordering::AcqRel)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Device order does not matter, nor how the paths are written.
fn key(url: &str) -> Result<Key> {
    let paths = store::paths(url).map_err(|why| of(&why, During::Open))?;
    let mut key: Key = paths.iter().map(|path| canonical(path)).collect();
    key.sort();
    Ok(key)
}

/// Of a file that is not there yet, the path that it will have.
fn canonical(path: &Path) -> PathBuf {
    path.canonicalize()
        .or_else(|_| std::path::absolute(path).map(canonical_parent))
        .unwrap_or_else(|_| path.to_path_buf())
}

fn canonical_parent(path: PathBuf) -> PathBuf {
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}
