//! Which volumes this process has open, is about to open, or is closing.
//!
//! The operating system's lock keeps other processes out; this keeps openers within the process on one
//! shared volume or, where they cannot share it, apart. Invariant: a volume is opened or closed by one
//! thread at a time; whoever comes meanwhile waits, and then joins those who have it or opens it
//! anew. Who waits has claimed nothing.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{Shared, lease::Lease};
use crate::{
    device::Identity,
    error::{Error, ErrorKind, Result},
    id::VolumeId,
    options::VolumeOptions,
    owing::Owing,
    process::PerProcess,
};

static OPEN: PerProcess<Open> = PerProcess::new();

#[derive(Default)]
struct Open {
    entries: Mutex<Vec<Entry>>,
    changed: Condvar,
}

struct Entry {
    number: u64,
    identity: Identity,
    /// `None` while somebody opens it.
    volume: Option<Holder>,
}

struct Holder {
    lease: Weak<Lease>,
    /// Does not keep it open.
    shared: Arc<Shared>,
}

/// A volume's entry, which goes when it is dropped.
pub(crate) struct Registration {
    number: u64,
}

/// What an opener gets.
pub(crate) enum Claim {
    /// The volume is open already.
    Joined(Arc<Lease>),
    /// The opener is the only one: others wait until it has opened the volume or given up. `None` for
    /// memory that its opener wants alone, of which there may be any number.
    Mine(Option<Registration>),
}

/// Claims all of `wanted` at one moment, so that of two who want the same ones in another order
/// neither waits for the other.
pub(crate) fn claim<'a>(
    wanted: impl Iterator<Item = (&'a str, &'a VolumeOptions)> + Clone,
) -> Result<Vec<Claim>> {
    let Open { entries, changed } = OPEN.get();
    let mut entries = entries.lock();
    loop {
        let mut found = Vec::new();
        for (url, options) in wanted.clone() {
            let identity = Identity::of(url)?;
            found.push(look(&entries, &identity, options)?.map(|seen| (identity, seen)));
        }
        let Some(found) = found.into_iter().collect::<Option<Vec<_>>>() else {
            changed.wait(&mut entries);
            continue;
        };
        let claims = found.into_iter().map(|(identity, seen)| match seen {
            Seen::Open(lease) => lease.upgrade().map(Claim::Joined),
            Seen::Nobody => Some(Claim::Mine(Some(enter(&mut entries, identity)))),
            Seen::Apart => Some(Claim::Mine(None)),
        });
        let claims: Vec<Option<Claim>> = claims.collect();
        if claims.iter().all(Option::is_some) {
            return Ok(claims.into_iter().flatten().collect());
        }
        // One of them was let go of just now. These may be the last handles of others, which close them.
        MutexGuard::unlocked(&mut entries, || drop(claims));
    }
}

/// The volumes with that id that are open, copies among them. That somebody knows one keeps it open for nobody.
pub(crate) fn all_with_id(id: VolumeId) -> Vec<Arc<Owing>> {
    let entries = OPEN.get().entries.lock();
    let open = entries.iter().filter_map(|entry| entry.volume.as_ref());
    let open = open.map(|holder| &holder.shared);
    let found = open.filter(|shared| shared.id() == id && !shared.access.is_closed());
    found.map(|shared| shared.owing.clone()).collect()
}

/// Who has a volume.
enum Seen {
    Open(Weak<Lease>),
    Nobody,
    /// Nobody can meet it.
    Apart,
}

/// Who has the volume, if `options` can be had with them; `None` if somebody opens or closes it.
fn look(entries: &[Entry], identity: &Identity, options: &VolumeOptions) -> Result<Option<Seen>> {
    if options.exclusive && identity.is_memory() {
        return Ok(Some(Seen::Apart));
    }
    let is_it = |entry: &&Entry| {
        let is_opening = entry.volume.is_none();
        entry.identity.is_same(identity) || is_opening && entry.identity.has_same_names(identity)
    };
    let Some(entry) = entries.iter().find(is_it) else {
        return Ok(Some(Seen::Nobody));
    };
    let Some(Holder { lease, shared }) = &entry.volume else {
        return Ok(None);
    };
    if shared.access.is_closed() || lease.strong_count() == 0 {
        return Ok(None);
    }
    match options.clamped().refused_beside(
        shared.access.options(),
        shared.id(),
        shared.log.is_unfinished_copy(),
    ) {
        Some(why) => Err(Error::new(
            ErrorKind::VolumeInUse,
            format!(
                "the volume {} is in use by this process (pid {}) already{why}",
                shared.access.url(),
                std::process::id()
            ),
        )),
        None => Ok(Some(Seen::Open(lease.clone()))),
    }
}

fn enter(entries: &mut Vec<Entry>, identity: Identity) -> Registration {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    entries.push(Entry {
        number,
        identity,
        volume: None,
    });
    Registration { number }
}

impl Registration {
    /// The volume is open: others may join. Its files are there now.
    pub(crate) fn opened(self, volume: &Arc<Lease>) {
        let Open { entries, changed } = OPEN.get();
        let mut entries = entries.lock();
        if let Some(entry) = entries.iter_mut().find(|e| e.number == self.number) {
            if let Ok(identity) = Identity::of(volume.access.url()) {
                entry.identity = identity;
            }
            entry.volume = Some(Holder {
                lease: Arc::downgrade(volume),
                shared: Arc::clone(&**volume),
            });
        }
        volume.register(self);
        drop(entries);
        changed.notify_all();
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Open { entries, changed } = OPEN.get();
        let mut entries = entries.lock();
        let known = entries.iter().position(|e| e.number == self.number);
        let gone = known.map(|known| entries.swap_remove(known));
        drop(entries);
        changed.notify_all();
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use crate::options::VolumeOptions;
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use crate::Volume;

    /// A close is held up half-way: who opens the volume meanwhile waits, and gets one that works.
    #[test]
    fn who_opens_beside_a_close_waits_for_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("he://{}", folder.path().join("volume").display());
        let options = VolumeOptions {
            background_thread: false,
            ..VolumeOptions::default()
        };
        for by_a_drop in [false, true] {
            let volume = Volume::open(&url, &options).unwrap();
            let shared = std::sync::Arc::clone(&**volume.shared());
            let held = shared.owing.hold();
            let is_open = AtomicBool::new(false);
            thread::scope(|scope| {
                let shared = &shared;
                let closing = scope.spawn(move || match by_a_drop {
                    true => drop(volume),
                    false => volume.close().unwrap(),
                });
                while !shared.access.is_closed() {
                    thread::yield_now();
                }
                let opening = scope.spawn(|| {
                    let volume = Volume::open(&url, &options);
                    is_open.store(true, Ordering::SeqCst);
                    volume
                });
                for _ in 0..10_000 {
                    thread::yield_now();
                }
                assert!(!is_open.load(Ordering::SeqCst), "it waits");
                drop(held);
                closing.join().unwrap();
                let volume = opening.join().unwrap().unwrap();
                volume.flush().unwrap();
                assert!(!std::sync::Arc::ptr_eq(&***volume.shared(), shared));
            });
        }
    }
}
