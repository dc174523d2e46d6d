//! heliumdb under measurement.

use std::path::Path;

use anyhow::Result;
use heliumdb::{Datastore, Position, Volume, VolumeOptions};

use crate::Engine;

/// One file volume with one datastore.
pub struct Helium {
    volume: Volume,
    datastore: Datastore,
}

impl Helium {
    /// A new volume in `folder`.
    pub fn create(folder: &Path) -> Result<Self> {
        let url = format!("he://./{}", folder.join("volume").display());
        let volume = Volume::open(&url, &VolumeOptions::default())?;
        let datastore = volume.create_datastore(b"bench")?;
        Ok(Self { volume, datastore })
    }
}

/// Reads up to `items` items from `from` on with an iterator; returns how many there were.
pub fn range(datastore: &Datastore, from: &[u8], items: usize) -> Result<usize> {
    let mut seen = 0;
    for item in datastore.range(from..).take(items) {
        std::hint::black_box(item?);
        seen += 1;
    }
    Ok(seen)
}

impl Engine for Helium {
    fn name(&self) -> &'static str {
        "heliumdb"
    }

    fn load(&self, items: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        for (key, value) in items {
            self.datastore.put(key, value)?;
        }
        Ok(())
    }

    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        Ok(self.datastore.get_into(key, value)?)
    }

    fn scan(&self, from: &[u8], items: usize) -> Result<usize> {
        let mut seen = 0;
        self.datastore
            .visit(Position::AtOrAfter(from), &mut |_, value| {
                seen += 1;
                std::hint::black_box(value);
                seen < items
            })?;
        Ok(seen)
    }

    fn range(&self, from: &[u8], items: usize) -> Result<usize> {
        range(&self.datastore, from, items)
    }

    fn update(&self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.datastore.put(key, value)?)
    }

    fn update_durably(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.datastore.put(key, value)?;
        Ok(self.volume.flush()?)
    }
}
