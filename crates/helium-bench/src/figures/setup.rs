//! Where a mode works, and on what: keys and values that are computed and not kept, so that they
//! are not in the memory that is measured.

use std::path::{Path, PathBuf};

use anyhow::Result;
use heliumdb::{Datastore, Volume, VolumeOptions};
use tempfile::TempDir;

use crate::process;

/// A file for a volume, gone at the end.
pub struct Place {
    folder: TempDir,
}

impl Place {
    /// In a new folder in `folder`, or in the system's temporary one.
    pub fn new(folder: Option<&Path>) -> Result<Self> {
        let folder = match folder {
            Some(folder) => TempDir::new_in(folder)?,
            None => TempDir::new()?,
        };
        Ok(Self { folder })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The volume's file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("volume")
    }

    /// Opens, or makes, the volume.
    pub fn open(&self, options: &VolumeOptions) -> Result<Volume> {
        open(&self.path(), options)
    }

    /// Takes the volume out of the page cache.
    pub fn evict(&self) -> Result<()> {
        process::evict(&self.path())
    }

    /// Opens the volume with nothing of it in memory but the index, and its datastore: the write
    /// cache is as small as can be.
    pub fn open_cold(&self, read_cache_bytes: u64) -> Result<(Volume, Datastore)> {
        let mut options = VolumeOptions::default();
        options.write_cache_bytes = 0;
        options.read_cache_bytes = read_cache_bytes;
        let volume = self.open(&options)?;
        let store = volume.datastore(STORE)?;
        self.evict()?;
        Ok((volume, store))
    }
}

/// Name of the datastores.
pub const STORE: &[u8] = b"items";

/// Opens, or makes, a volume in a file.
pub fn open(path: &Path, options: &VolumeOptions) -> Result<Volume> {
    Ok(Volume::open(
        &format!("he://./{}", path.display()),
        options,
    )?)
}

/// A permutation of the numbers that looks random.
pub fn mix(number: u64) -> u64 {
    let x = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// The random 16-byte key of a number.
pub fn key(number: u64) -> [u8; 16] {
    (u128::from(mix(number)) << 64 | u128::from(mix(!number))).to_be_bytes()
}

/// Writes `items` items in random order, with values that begin with their keys: so who reads
/// one knows whether it is the right one.
pub fn fill(store: &Datastore, items: u64, value_bytes: usize) -> Result<()> {
    let mut value = vec![7; value_bytes.max(16)];
    for number in 0..items {
        let key = key(number);
        value[..16].copy_from_slice(&key);
        store.put(key, &value)?;
    }
    Ok(())
}

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
