//! The same work on heliumdb and on other stores, in turns, in one run.
//!
//! Each engine is used as its documentation says it is fastest for the work at hand, with a
//! 1 GiB cache where it takes one, and syncs what it promises to sync.

mod fjall;
mod lmdb;
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;

use anyhow::Result;
use clap::Parser;
use helium_bench::{
    helium::Helium,
    run::{Options, run},
};

/// Cache that each engine may use, in bytes.
const CACHE_BYTES: u64 = 1 << 30;

fn main() -> Result<()> {
    run(
        &Options::parse(),
        &[
            ("heliumdb", |folder| Ok(Box::new(Helium::create(folder)?))),
            ("LMDB", |folder| Ok(Box::new(lmdb::Lmdb::create(folder)?))),
            ("redb", |folder| Ok(Box::new(redb::Redb::create(folder)?))),
            ("fjall", |folder| {
                Ok(Box::new(fjall::Fjall::create(folder)?))
            }),
            #[cfg(feature = "rocksdb")]
            ("RocksDB", |folder| {
                Ok(Box::new(rocksdb::Rocks::create(folder)?))
            }),
        ],
    )
}
