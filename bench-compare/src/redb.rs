//! redb under measurement.

use std::path::Path;

use anyhow::Result;
use helium_bench::Engine;
use redb::{Database, Durability, ReadableDatabase, TableDefinition};

const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("bench");

pub struct Redb(Database);

impl Redb {
    pub fn create(folder: &Path) -> Result<Self> {
        let database = Database::builder()
            .set_cache_size(crate::CACHE_BYTES as usize)
            .create(folder.join("redb"))?;
        Ok(Self(database))
    }

    fn write<'a>(
        &self,
        items: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        durability: Durability,
    ) -> Result<()> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(durability)?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in items {
                table.insert(key, value)?;
            }
        }
        Ok(transaction.commit()?)
    }
}

impl Engine for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }
    fn load(&self, items: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        self.write(
            items.iter().map(|(k, v)| (&k[..], &v[..])),
            Durability::None,
        )
    }
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        value.clear();
        let found = table.get(key)?;
        if let Some(found) = &found {
            value.extend_from_slice(found.value());
        }
        Ok(found.is_some())
    }
    fn scan(&self, from: &[u8], items: usize) -> Result<usize> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        let mut seen = 0;
        for item in table.range(from..)?.take(items) {
            std::hint::black_box(item?.1.value());
            seen += 1;
        }
        Ok(seen)
    }
    fn update(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.write(std::iter::once((key, value)), Durability::None)
    }
    fn update_durably(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.write(std::iter::once((key, value)), Durability::Immediate)
    }
}
