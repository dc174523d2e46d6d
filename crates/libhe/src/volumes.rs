//! Which volumes this process has open, and how many handles each of their datastores has.
//!
//! Invariant: a volume is opened by one thread and closed by one, never both at once; while
//! it is open everybody shares it. It closes when its last handle is closed and the last call
//! that was under way on one is over: no call ever waits for another call.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use heliumdb::{device::Identity, process::PerProcess};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::{
    code::{During, Result, of},
    store,
};

/// A volume by what tells its files from others: one that was put in another's place, under the same
/// path, is another volume.
struct Entry {
    number: u64,
    identity: Identity,
    slot: Slot,
}

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
    volumes: Mutex<Vec<Entry>>,
    changed: Condvar,
}

/// A volume that is open.
pub struct OpenVolume {
    number: u64,
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
    let Open { volumes, changed } = OPEN.get();
    let mut volumes = volumes.lock();
    let identity = loop {
        // Anew each time: it may have been made meanwhile, or another one put in its place.
        let identity = identify(url)?;
        match find_in(&volumes, &identity) {
            None => break identity,
            Some(Slot::Open(volume)) => {
                if let Some(volume) = volume.upgrade() {
                    return Ok((volume, false));
                }
            }
            Some(Slot::Opening) => {}
        }
        changed.wait(&mut volumes);
    };
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    volumes.push(Entry {
        number,
        identity,
        slot: Slot::Opening,
    });
    drop(volumes);
    let opening = Opening(number);
    let volume = Arc::new(OpenVolume {
        number,
        store: open()?,
        users: Mutex::default(),
    });
    opening.done(url, &volume);
    Ok((volume, true))
}

/// The volume that a URL names, if this process has it open.
pub fn find(url: &str) -> Result<Option<Arc<OpenVolume>>> {
    let identity = identify(url)?;
    let volumes = OPEN.get().volumes.lock();
    Ok(match find_in(&volumes, &identity) {
        Some(Slot::Open(volume)) => volume.upgrade(),
        _ => None,
    })
}

fn identify(url: &str) -> Result<Identity> {
    Identity::of(url).map_err(|why| of(&why, During::Open))
}

/// The files of one that is being made may not be there yet: it goes by its names.
fn find_in<'a>(volumes: &'a [Entry], identity: &Identity) -> Option<&'a Slot> {
    let is_it = |entry: &&Entry| {
        let is_opening = matches!(entry.slot, Slot::Opening);
        entry.identity.is_same(identity) || is_opening && entry.identity.has_same_names(identity)
    };
    volumes.iter().find(is_it).map(|entry| &entry.slot)
}

/// The volume is not open, nor about to be.
fn forget(number: u64) {
    let Open { volumes, changed } = OPEN.get();
    volumes.lock().retain(|entry| entry.number != number);
    changed.notify_all();
}

/// The promise to open a volume; dropping it before that gives it up.
struct Opening(u64);

impl Opening {
    fn done(self, url: &str, volume: &Arc<OpenVolume>) {
        let Open { volumes, changed } = OPEN.get();
        let mut volumes = volumes.lock();
        if let Some(entry) = volumes.iter_mut().find(|entry| entry.number == self.0) {
            entry.slot = Slot::Open(Arc::downgrade(volume));
            // Its files are there now.
            if let Ok(identity) = Identity::of(url) {
                entry.identity = identity;
            }
        }
        drop(volumes);
        changed.notify_all();
        std::mem::forget(self);
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        forget(self.0);
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
        forget(self.number);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{env::Env, store::Opening};

    fn opened(url: &str) -> (Arc<OpenVolume>, bool) {
        let opening = Opening {
            create: true,
            ..Opening::default()
        };
        let made = || {
            let made = store::Volume::open(url, opening, &Env::default());
            made.map_err(|why| of(&why, During::Open))
        };
        open(url, made).unwrap()
    }

    #[test]
    fn a_file_in_the_place_of_an_open_one_is_another_volume() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["volume", "other"].map(|name| folder.path().join(name));
        let [url, other] = paths.each_ref().map(|p| format!("he://{}", p.display()));
        let (old, is_new) = opened(&url);
        assert!(is_new);
        let (again, is_new) = opened(&url);
        assert!(!is_new && Arc::ptr_eq(&old, &again));
        opened(&other).0.release().unwrap();
        std::fs::rename(&paths[1], &paths[0]).unwrap();
        assert!(find(&url).unwrap().is_none(), "nobody has this one open");
        let (new, is_new) = opened(&url);
        assert!(is_new && !Arc::ptr_eq(&old, &new));
        let found = find(&url).unwrap().unwrap();
        assert!(Arc::ptr_eq(&found, &new));
    }
}
