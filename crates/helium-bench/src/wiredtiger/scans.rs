//! Cold scans through WiredTiger, before and after `WT_SESSION::compact`, of an object of ours and of
//! a native table: what either keeps in memory when it is opened stays, all else comes from the
//! disk.

use std::{path::Path, time::Instant};

use anyhow::{Result, ensure};
use clap::Args;
use wiredtiger_testkit::{Cursor, Outcome};

use super::{
    database::{Database, Durability, Kind},
    rows::put,
};
use crate::{figures::key, process, run::human};

/// Items written by one transaction while loading.
const TRANSACTION_ITEMS: u64 = 100;
/// Small: what is scanned is not to be in it.
const CACHE_MIB: usize = 32;

/// How much to measure.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Number of items.
    #[arg(long, default_value_t = 1_000_000)]
    items: u64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 200)]
    value_bytes: usize,
}

/// Does it in a temporary folder in `folder`, with a part of the items.
pub fn run(folder: Option<&Path>, scale: f64, arguments: &Arguments) -> Result<()> {
    let items = ((arguments.items as f64 * scale) as u64).max(1000);
    println!(
        "{items} items with {} bytes, written in random order; {CACHE_MIB} MiB of cache; one run",
        arguments.value_bytes
    );
    println!();
    println!("| cold scan | items a second | MB/s of items | bytes from the disk for an item |");
    println!("|---|---|---|---|");
    for kind in [Kind::Helium, Kind::Native] {
        let folder = match folder {
            Some(folder) => tempfile::tempdir_in(folder)?,
            None => tempfile::tempdir()?,
        };
        let scans = Scans {
            folder: folder.path(),
            kind,
            items,
            value_bytes: arguments.value_bytes,
        };
        scans.load()?;
        scans.both_ways("as written")?;
        let seconds = scans.compact()?;
        scans.both_ways("compacted")?;
        println!("| {}: compact took {seconds:.1} s | | | |", kind.name());
    }
    Ok(())
}

struct Scans<'a> {
    folder: &'a Path,
    kind: Kind,
    items: u64,
    value_bytes: usize,
}

impl Scans<'_> {
    fn open(&self) -> Result<Database> {
        Database::open(self.folder, self.kind, Durability::Buffered, CACHE_MIB)
    }

    fn load(&self) -> Result<()> {
        let database = self.open()?;
        {
            let session = database.session()?;
            let cursor = database.cursor(&session, 0)?;
            let mut value = vec![7; self.value_bytes.max(16)];
            for first in (0..self.items).step_by(TRANSACTION_ITEMS as usize) {
                session.begin("")?;
                for number in first..(first + TRANSACTION_ITEMS).min(self.items) {
                    let key = key(number);
                    value[..16].copy_from_slice(&key);
                    put(&cursor, &key, &value)?;
                }
                session.commit()?;
            }
        }
        database.close()
    }

    fn compact(&self) -> Result<f64> {
        let database = self.open()?;
        let started = Instant::now();
        {
            let session = database.session()?;
            session.compact(&database.source(0))?;
        }
        let seconds = started.elapsed().as_secs_f64();
        database.close()?;
        Ok(seconds)
    }

    fn both_ways(&self, what: &str) -> Result<()> {
        self.scan(&format!("{what}, forward"), |cursor| cursor.next())?;
        self.scan(&format!("{what}, backward"), |cursor| cursor.prev())
    }

    fn scan(
        &self,
        what: &str,
        step: impl Fn(&Cursor<'_>) -> wiredtiger_testkit::Result<()>,
    ) -> Result<()> {
        let database = self.open()?;
        process::evict(self.folder)?;
        let (seconds, bytes) = {
            let session = database.session()?;
            let cursor = database.cursor(&session, 0)?;
            let (started, bytes) = (Instant::now(), process::device_bytes());
            let mut seen = 0;
            while step(&cursor).found()? {
                let first = cursor.key_with(|key| key.first_chunk::<16>().copied())?;
                let right = cursor.value_with(|value| value.first_chunk() == first.as_ref())?;
                ensure!(first.is_some() && right, "a wrong value");
                seen += 1;
            }
            ensure!(seen == self.items, "a scan saw {seen} items");
            (
                started.elapsed().as_secs_f64(),
                process::device_bytes() - bytes,
            )
        };
        database.close()?;
        let items = self.items as f64;
        println!(
            "| {}, {what} | {} | {:.0} | {:.0} |",
            self.kind.name(),
            human(items / seconds),
            items * (16 + self.value_bytes) as f64 / seconds / 1e6,
            bytes as f64 / items
        );
        Ok(())
    }
}
