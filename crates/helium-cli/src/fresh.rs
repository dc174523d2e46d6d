//! Files that a command makes for a new volume: none is left behind if nothing comes of it.
//!
//! Invariant: only what was not there before the command began is ever removed, and, unless
//! the command itself has made a volume of it, only if there is no volume on it: another process may
//! have made one meanwhile.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use crate::volume;

/// What a superblock starts with, and the two places that it can be at (docs/format.md).
const MAGIC: &[u8] = b"heliumdb";
const BLOCK_BYTES: usize = 4096;

/// Files of a volume that were not there yet.
pub struct Fresh {
    files: Vec<PathBuf>,
    is_there: bool,
}

impl Fresh {
    /// Those of `volume` that are not there now.
    pub fn of(volume: &str) -> Self {
        // A name that means nothing is a failure of whoever opens it.
        let paths = heliumdb::device::paths(&volume::url(volume)).unwrap_or_default();
        let is_memory = |path: &Path| path.as_os_str().as_bytes().starts_with(b"_");
        let is_gone = |path: &Path| {
            fs::symlink_metadata(path).is_err_and(|why| why.kind() == ErrorKind::NotFound)
        };
        let has_bytes = |path: &PathBuf| {
            fs::metadata(path).is_ok_and(|found| !found.is_file() || found.len() > 0)
        };
        let is_there = !paths.is_empty() && paths.iter().all(has_bytes);
        let fresh = paths
            .into_iter()
            .filter(|path| !is_memory(path) && is_gone(path));
        Self {
            files: fresh.collect(),
            is_there,
        }
    }

    /// Whether all of the volume's files were there, with something in them.
    pub fn is_there(&self) -> bool {
        self.is_there
    }

    /// No volume was made: removes those that hold none.
    pub fn remove_blank(&self) {
        for path in self.files.iter().filter(|path| is_blank(path)) {
            remove(path);
        }
    }

    /// This command made a volume of them, which nobody is to take for a whole one.
    pub fn remove(&self) {
        self.files.iter().for_each(|path| remove(path));
    }
}

fn remove(path: &Path) {
    // What cannot be removed is in nobody's way but the user's, who hears of the failure anyway.
    let _ = fs::remove_file(path);
}

/// Whether a file certainly has no superblock.
fn is_blank(path: &Path) -> bool {
    let mut blocks = Vec::new();
    let read = File::open(path).and_then(|file| {
        let mut start = file.take(2 * BLOCK_BYTES as u64);
        start.read_to_end(&mut blocks)
    });
    read.is_ok()
        && !blocks
            .chunks(BLOCK_BYTES)
            .any(|block| block.starts_with(MAGIC))
}
