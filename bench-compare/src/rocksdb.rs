//! RocksDB under measurement.

use std::path::Path;

use anyhow::Result;
use helium_bench::Engine;
use rocksdb::{BlockBasedOptions, Cache, DB, DBCompressionType, Options, WriteBatch, WriteOptions};

pub struct Rocks {
    database: DB,
    durable: WriteOptions,
}

impl Rocks {
    /// What its tuning guide names for gets and synced writes: a Bloom filter in full, a log that is
    /// written in place of an old one (so that a sync changes no metadata), pipelined writes, and
    /// background work on all cores. No compression, as with the others.
    pub fn create(folder: &Path) -> Result<Self> {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&Cache::new_lru_cache(crate::CACHE_BYTES as usize));
        blocks.set_bloom_filter(10.0, false);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&blocks);
        options.set_compression_type(DBCompressionType::None);
        options.increase_parallelism(std::thread::available_parallelism()?.get() as i32);
        options.set_recycle_log_file_num(4);
        options.set_enable_pipelined_write(true);
        let mut durable = WriteOptions::default();
        durable.set_sync(true);
        Ok(Self {
            database: DB::open(&options, folder.join("rocksdb"))?,
            durable,
        })
    }
}

impl Engine for Rocks {
    fn name(&self) -> &'static str {
        "RocksDB"
    }
    fn load(&self, items: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        let mut batch = WriteBatch::default();
        for (key, value) in items {
            batch.put(key, value);
        }
        Ok(self.database.write(batch)?)
    }
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        value.clear();
        let found = self.database.get_pinned(key)?;
        if let Some(found) = &found {
            value.extend_from_slice(found);
        }
        Ok(found.is_some())
    }
    fn scan(&self, from: &[u8], items: usize) -> Result<usize> {
        let mut iterator = self.database.raw_iterator();
        iterator.seek(from);
        let mut seen = 0;
        while seen < items && iterator.valid() {
            std::hint::black_box(iterator.value());
            iterator.next();
            seen += 1;
        }
        iterator.status()?;
        Ok(seen)
    }
    fn update(&self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.database.put(key, value)?)
    }
    fn update_durably(&self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.database.put_opt(key, value, &self.durable)?)
    }
}
