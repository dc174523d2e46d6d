//! Work in key order on heliumdb, LMDB and redb: see `helium_bench::order`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Parser;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, PutFlags, types::Bytes};
use helium_bench::order::{Helium, InOrder, Items, run};
use redb::{Durability, TableDefinition};

/// What to measure.
#[derive(Parser)]
struct Options {
    /// Items that are loaded.
    #[arg(long, default_value_t = 2_000_000)]
    items: u64,
    /// Runs, of which the median is shown.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Folder to work in; the system's temporary one by default.
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    run(
        options.folder.as_deref(),
        options.items,
        options.runs,
        &[Helium::create, Lmdb::create, Redb::create],
    )
}

const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("bench");
const CACHE_BYTES: usize = 1 << 30;

struct Redb(redb::Database);

impl Redb {
    fn create(folder: &Path) -> Result<Box<dyn InOrder>> {
        let database = redb::Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(folder.join("redb"))?;
        Ok(Box::new(Self(database)))
    }

    fn change<R>(
        &self,
        work: impl FnOnce(&mut redb::Table<'_, &[u8], &[u8]>) -> Result<R>,
    ) -> Result<R> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::None)?;
        let done = work(&mut transaction.open_table(TABLE)?)?;
        transaction.commit()?;
        Ok(done)
    }
}

impl InOrder for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn load(&mut self, items: Items<'_>) -> Result<()> {
        self.change(|table| {
            for (key, value) in items {
                table.insert(&key[..], &value[..])?;
            }
            Ok(())
        })
    }

    fn take(&mut self, items: u64) -> Result<u64> {
        self.change(|table| {
            let mut bytes = 0;
            for item in 0..items {
                let taken = match item % 2 {
                    0 => table.pop_first()?,
                    _ => table.pop_last()?,
                };
                bytes += taken.map_or(0, |(_, value)| value.value().len() as u64);
            }
            Ok(bytes)
        })
    }

    fn remove(&mut self, pick: fn(&[u8]) -> bool) -> Result<u64> {
        self.change(|table| {
            let mut removed = 0;
            table.retain(|key, _| {
                let goes = pick(key);
                removed += u64::from(goes);
                !goes
            })?;
            Ok(removed)
        })
    }
}

/// With what its documentation has for speed where nothing is synced; sorted items are appended.
struct Lmdb {
    env: Env,
    database: Database<Bytes, Bytes>,
}

impl Lmdb {
    fn create(folder: &Path) -> Result<Box<dyn InOrder>> {
        // SAFETY: the folder is new and no one else maps it.
        let env = unsafe {
            EnvOpenOptions::new()
                .map_size(64 << 30)
                .max_dbs(1)
                .flags(EnvFlags::NO_SYNC | EnvFlags::WRITE_MAP)
                .open(folder)?
        };
        let mut transaction = env.write_txn()?;
        let database = env.create_database(&mut transaction, Some("bench"))?;
        transaction.commit()?;
        Ok(Box::new(Self { env, database }))
    }
}

impl InOrder for Lmdb {
    fn name(&self) -> &'static str {
        "LMDB"
    }

    fn load(&mut self, items: Items<'_>) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        for (key, value) in items {
            self.database
                .put_with_flags(&mut transaction, PutFlags::APPEND, &key, &value)?;
        }
        Ok(transaction.commit()?)
    }

    fn take(&mut self, items: u64) -> Result<u64> {
        let mut transaction = self.env.write_txn()?;
        let mut bytes = 0;
        let mut key = Vec::new();
        for item in 0..items {
            let found = match item % 2 {
                0 => self.database.first(&transaction)?,
                _ => self.database.last(&transaction)?,
            };
            let Some((found, value)) = found else { break };
            bytes += value.to_vec().len() as u64;
            key.clear();
            key.extend_from_slice(found);
            self.database.delete(&mut transaction, &key)?;
        }
        transaction.commit()?;
        Ok(bytes)
    }

    fn remove(&mut self, pick: fn(&[u8]) -> bool) -> Result<u64> {
        let mut transaction = self.env.write_txn()?;
        let mut removed = 0;
        {
            let mut all = self.database.iter_mut(&mut transaction)?;
            while let Some(item) = all.next() {
                if pick(item?.0) {
                    // SAFETY: nothing of the item is used any more.
                    unsafe { all.del_current()? };
                    removed += 1;
                }
            }
        }
        transaction.commit()?;
        Ok(removed)
    }
}
