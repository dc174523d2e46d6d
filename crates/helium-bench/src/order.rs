//! Writing in key order and taking out of it, each in one transaction: a load of sorted items, taking from both ends in turns, and
//! removing what a function picks. What these cost is the commit's too, which is not synced.

use std::{path::Path, time::Instant};

use anyhow::{Result, ensure};
use heliumdb::{Datastore, Durability, TransactionOptions, Volume, VolumeOptions};

use crate::figures::{Place, median, mix};

const KEY_BYTES: usize = 24;
const VALUE_BYTES: usize = 150;
/// Of so many items one is taken from the ends.
const TAKEN_PART: u64 = 10;
/// The versions of a transaction of ten million items.
const VERSION_BUDGET_BYTES: u64 = 8 << 30;

/// Keys and values, sorted.
pub type Items<'a> = &'a mut dyn Iterator<Item = ([u8; KEY_BYTES], [u8; VALUE_BYTES])>;

/// A store that is worked on in order. Each call is one transaction, committed and not synced.
pub trait InOrder {
    /// Name in the table.
    fn name(&self) -> &'static str;
    /// Writes all of them.
    fn load(&mut self, items: Items<'_>) -> Result<()>;
    /// Takes so many items, the first and the last one in turns; bytes of their values.
    fn take(&mut self, items: u64) -> Result<u64>;
    /// Removes the items whose keys `pick` says yes of; how many that were.
    fn remove(&mut self, pick: fn(&[u8]) -> bool) -> Result<u64>;
}

/// Makes one in a folder.
pub type Make = fn(&Path) -> Result<Box<dyn InOrder>>;

/// Does all work on each store in turns, and prints the medians of so many runs.
pub fn run(folder: Option<&Path>, items: u64, runs: usize, stores: &[Make]) -> Result<()> {
    let mut keys: Vec<_> = (0..items).map(key).collect();
    keys.sort_unstable();
    let mut names = Vec::new();
    let mut rates = vec![[const { Vec::new() }; ROWS.len()]; stores.len()];
    for _ in 0..runs {
        names.clear();
        for (make, rates) in stores.iter().zip(&mut rates) {
            let place = Place::new(folder)?;
            let mut store = make(place.folder())?;
            names.push(store.name());
            for (rate, of_run) in rates.iter_mut().zip(measure(store.as_mut(), &keys)?) {
                rate.push(of_run);
            }
        }
    }
    println!("| thousand items a second | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    for (row, title) in ROWS.iter().enumerate() {
        let medians = rates.iter().map(|rates| median(rates[row].clone()));
        let medians: Vec<_> = medians.map(|rate| format!("{:.0}", rate / 1e3)).collect();
        println!("| {title} | {} |", medians.join(" | "));
    }
    Ok(())
}

const ROWS: [&str; 3] = [
    "sorted load",
    "take the first, take the last, in turns",
    "remove every second one by a function",
];

/// Items a second in each row.
fn measure(store: &mut dyn InOrder, keys: &[[u8; KEY_BYTES]]) -> Result<[f64; ROWS.len()]> {
    let rate = |items: u64, started: Instant| items as f64 / started.elapsed().as_secs_f64();
    let items = keys.len() as u64;
    let started = Instant::now();
    store.load(&mut keys.iter().map(|key| (*key, [key[0]; VALUE_BYTES])))?;
    let loaded = rate(items, started);
    let started = Instant::now();
    let taken = items / TAKEN_PART;
    let bytes = store.take(taken)?;
    let took = rate(taken, started);
    ensure!(bytes == taken * VALUE_BYTES as u64, "{bytes} bytes taken");
    let left = &keys[(taken / 2 + taken % 2) as usize..(items - taken / 2) as usize];
    let picked = left.iter().filter(|key| is_picked(&key[..])).count() as u64;
    let started = Instant::now();
    let removed = store.remove(is_picked)?;
    let rates = [loaded, took, rate(removed, started)];
    ensure!(removed == picked, "{removed} removed of {picked}");
    Ok(rates)
}

fn is_picked(key: &[u8]) -> bool {
    key.last().is_some_and(|byte| byte % 2 == 0)
}

fn key(number: u64) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    let parts = [mix(number), mix(!number), number];
    for (to, part) in key.chunks_exact_mut(8).zip(parts) {
        to.copy_from_slice(&part.to_be_bytes());
    }
    key
}

/// One file volume with one datastore.
pub struct Helium {
    volume: Volume,
    datastore: Datastore,
}

impl Helium {
    /// A new volume in `folder`.
    pub fn create(folder: &Path) -> Result<Box<dyn InOrder>> {
        let url = format!("he://./{}", folder.join("volume").display());
        let mut options = VolumeOptions::default();
        options.version_budget_bytes = VERSION_BUDGET_BYTES;
        let volume = Volume::open(&url, &options)?;
        let datastore = volume.create_datastore("bench")?;
        Ok(Box::new(Self { volume, datastore }))
    }

    fn begin(&self) -> Result<heliumdb::Transaction> {
        let options = TransactionOptions::new().durability(Durability::Buffered);
        Ok(self.volume.begin_with(options)?)
    }
}

impl InOrder for Helium {
    fn name(&self) -> &'static str {
        "heliumdb"
    }

    fn load(&mut self, items: Items<'_>) -> Result<()> {
        let mut transaction = self.begin()?;
        for (key, value) in items {
            transaction.put(&self.datastore, key, value)?;
        }
        Ok(transaction.commit()?)
    }

    fn take(&mut self, items: u64) -> Result<u64> {
        let mut transaction = self.begin()?;
        let mut bytes = 0;
        for item in 0..items {
            let taken = match item % 2 {
                0 => transaction.pop_first(&self.datastore)?,
                _ => transaction.pop_last(&self.datastore)?,
            };
            bytes += taken.map_or(0, |(_, value)| value.len() as u64);
        }
        transaction.commit()?;
        Ok(bytes)
    }

    fn remove(&mut self, pick: fn(&[u8]) -> bool) -> Result<u64> {
        let mut transaction = self.begin()?;
        let removed = transaction.retain(&self.datastore, |key, _| !pick(key))?;
        transaction.commit()?;
        Ok(removed)
    }
}
