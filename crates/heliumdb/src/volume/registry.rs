//! Which volumes this process has open.
//!
//! The operating system's lock keeps other processes out; this keeps two openers within the
//! process either on one shared volume or, if one of them wants it alone, apart.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use super::Shared;
use crate::{
    error::{Error, ErrorKind, Result},
    process::PerProcess,
};

/// The volumes open by URL, under the canonical paths of their devices.
static OPEN: PerProcess<Mutex<BTreeMap<Key, Holder>>> = PerProcess::new();

type Key = Vec<PathBuf>;

struct Holder {
    volume: Weak<Shared>,
    exclusive: bool,
}

/// A volume's entry, which goes when it is dropped.
pub(super) struct Registration {
    key: Key,
}

impl Drop for Registration {
    fn drop(&mut self) {
        OPEN.get().lock().remove(&self.key);
    }
}

/// The volume on `paths`, if this process has it open and both sides are willing to share it.
pub(super) fn find(paths: &[PathBuf], exclusive: bool) -> Result<Option<Arc<Shared>>> {
    let open = OPEN.get().lock();
    let Some(holder) = open.get(&key(paths)) else {
        return Ok(None);
    };
    let Some(volume) = holder.volume.upgrade() else {
        return Ok(None);
    };
    if exclusive || holder.exclusive {
        return Err(Error::new(
            ErrorKind::VolumeInUse,
            format!(
                "the volume {} is in use by this process (pid {}) already",
                volume.url,
                std::process::id()
            ),
        ));
    }
    Ok(Some(volume))
}

/// Enters a volume that was just opened; the operating system's lock says that it is the only one.
pub(super) fn register(paths: &[PathBuf], volume: &Arc<Shared>) {
    let key = key(paths);
    let holder = Holder {
        volume: Arc::downgrade(volume),
        exclusive: volume.options.exclusive,
    };
    OPEN.get().lock().insert(key.clone(), holder);
    *volume.registration.lock() = Some(Registration { key });
}

/// Device order does not matter, nor how the paths are written.
fn key(paths: &[PathBuf]) -> Key {
    let mut key: Key = paths.iter().map(|path| canonical(path)).collect();
    key.sort();
    key
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize()
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_path_buf())
}
