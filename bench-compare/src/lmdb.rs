//! LMDB under measurement, through heed.

use std::{ops::Bound, path::Path};

use anyhow::Result;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, types::Bytes};
use helium_bench::Engine;

/// LMDB syncs per environment or not at all: unsynced work runs with NOSYNC, and WRITEMAP, which its documentation
/// has for speed; durable work syncs by hand after each commit.
pub struct Lmdb {
    env: Env,
    database: Database<Bytes, Bytes>,
}

impl Lmdb {
    pub fn create(folder: &Path) -> Result<Self> {
        // SAFETY: the folder is new and no one else maps it.
        let env = unsafe {
            EnvOpenOptions::new()
                .map_size(32 << 30)
                .max_dbs(1)
                .flags(EnvFlags::NO_SYNC | EnvFlags::WRITE_MAP)
                .open(folder)?
        };
        let mut transaction = env.write_txn()?;
        let database = env.create_database(&mut transaction, Some("bench"))?;
        transaction.commit()?;
        Ok(Self { env, database })
    }

    fn write<'a>(&self, items: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        for (key, value) in items {
            self.database.put(&mut transaction, key, value)?;
        }
        Ok(transaction.commit()?)
    }
}

impl Engine for Lmdb {
    fn name(&self) -> &'static str {
        "LMDB"
    }
    fn load(&self, items: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        self.write(items.iter().map(|(k, v)| (&k[..], &v[..])))
    }
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        let transaction = self.env.read_txn()?;
        value.clear();
        let found = self.database.get(&transaction, key)?;
        if let Some(found) = found {
            value.extend_from_slice(found);
        }
        Ok(found.is_some())
    }
    fn scan(&self, from: &[u8], items: usize) -> Result<usize> {
        let transaction = self.env.read_txn()?;
        let bounds = (Bound::Included(from), Bound::Unbounded);
        let mut seen = 0;
        for item in self.database.range(&transaction, &bounds)?.take(items) {
            std::hint::black_box(item?.1);
            seen += 1;
        }
        Ok(seen)
    }
    fn update(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.write(std::iter::once((key, value)))
    }
    fn update_durably(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.write(std::iter::once((key, value)))?;
        Ok(self.env.force_sync()?)
    }
}
