//! What heliumdb, LMDB and redb take on the disk for the same items, on the way that redb's own benchmark goes.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Parser;
use heed::{CompactionOption, Database, Env, EnvOpenOptions, types::Bytes};
use helium_bench::space::{Helium, Items, Spacious, run};
use redb::{ReadableDatabase, ReadableTableMetadata, TableDefinition};

/// What to measure.
#[derive(Parser)]
struct Options {
    /// Items that are loaded in bulk.
    #[arg(long, default_value_t = 5_000_000)]
    items: u64,
    /// Folder to work in; the system's temporary one by default.
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    run(
        options.folder.as_deref(),
        options.items,
        &[Helium::create, Lmdb::create, Redb::create],
    )
}

const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("bench");

struct Redb(redb::Database);

impl Redb {
    fn create(folder: &Path) -> Result<Box<dyn Spacious>> {
        let database = redb::Database::builder().create(folder.join("redb"))?;
        Ok(Box::new(Self(database)))
    }
}

impl Spacious for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn write(&mut self, items: Items<'_>) -> Result<()> {
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in items {
                table.insert(&key[..], &value[..])?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn remove(&mut self, keys: &mut dyn Iterator<Item = Vec<u8>>) -> Result<()> {
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for key in keys {
                table.remove(&key[..])?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn compact(&mut self) -> Result<()> {
        // It says whether it did anything.
        while self.0.compact()? {}
        Ok(())
    }

    fn count(&self) -> Result<u64> {
        Ok(self.0.begin_read()?.open_table(TABLE)?.len()?)
    }
}

/// LMDB becomes small by being copied: the copy takes its place.
struct Lmdb {
    folder: PathBuf,
    opened: Option<(Env, Database<Bytes, Bytes>)>,
}

impl Lmdb {
    fn create(folder: &Path) -> Result<Box<dyn Spacious>> {
        let mut lmdb = Self {
            folder: folder.to_owned(),
            opened: None,
        };
        lmdb.open()?;
        Ok(Box::new(lmdb))
    }

    fn open(&mut self) -> Result<()> {
        // SAFETY: the folder is this program's, and nobody else maps what is in it.
        let env = unsafe {
            EnvOpenOptions::new()
                .map_size(32 << 30)
                .max_dbs(1)
                .open(&self.folder)?
        };
        let mut transaction = env.write_txn()?;
        let database = env.create_database(&mut transaction, Some("bench"))?;
        transaction.commit()?;
        self.opened = Some((env, database));
        Ok(())
    }

    fn opened(&self) -> Result<&(Env, Database<Bytes, Bytes>)> {
        let opened = self.opened.as_ref();
        opened.ok_or_else(|| anyhow::anyhow!("it is closed"))
    }
}

impl Spacious for Lmdb {
    fn name(&self) -> &'static str {
        "LMDB"
    }

    fn write(&mut self, items: Items<'_>) -> Result<()> {
        let (env, database) = self.opened()?;
        let mut transaction = env.write_txn()?;
        for (key, value) in items {
            database.put(&mut transaction, &key, &value)?;
        }
        Ok(transaction.commit()?)
    }

    fn remove(&mut self, keys: &mut dyn Iterator<Item = Vec<u8>>) -> Result<()> {
        let (env, database) = self.opened()?;
        let mut transaction = env.write_txn()?;
        for key in keys {
            database.delete(&mut transaction, &key)?;
        }
        Ok(transaction.commit()?)
    }

    fn compact(&mut self) -> Result<()> {
        let copy = self.folder.join("copy");
        let (env, _) = self.opened()?;
        env.copy_to_path(&copy, CompactionOption::Enabled)?;
        if let Some((env, _)) = self.opened.take() {
            env.prepare_for_closing().wait();
        }
        std::fs::rename(copy, self.folder.join("data.mdb"))?;
        self.open()
    }

    fn count(&self) -> Result<u64> {
        let (env, database) = self.opened()?;
        let transaction = env.read_txn()?;
        Ok(database.len(&transaction)?)
    }
}
