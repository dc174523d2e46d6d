//! What a store takes on the disk, on the way that redb's own benchmark goes: a bulk load of random keys, writes one
//! by one and in batches, removal of half of the items, and whatever the store has for becoming small again.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use heliumdb::{Datastore, Durability, Volume, VolumeOptions};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::figures::{Place, mix};

const KEY_BYTES: usize = 24;
const VALUE_BYTES: usize = 150;
/// Of the items that are loaded in bulk, so many parts are written one by one, and in batches.
const SINGLE_PART: u64 = 5_000;
const BATCHES_PART: u64 = 50_000;
const BATCH_ITEMS: u64 = 1_000;

/// Keys and values.
pub type Items<'a> = &'a mut dyn Iterator<Item = (Vec<u8>, Vec<u8>)>;

/// A store whose space is measured. What a call did is durable when it returns.
pub trait Spacious {
    /// Name in the table.
    fn name(&self) -> &'static str;
    /// Writes all of them, together if the store can.
    fn write(&mut self, items: Items<'_>) -> Result<()>;
    /// Removes all of them, together if the store can.
    fn remove(&mut self, keys: &mut dyn Iterator<Item = Vec<u8>>) -> Result<()>;
    /// Becomes as small as it can.
    fn compact(&mut self) -> Result<()>;
    /// How many items it has.
    fn count(&self) -> Result<u64>;
}

/// Makes one in a folder.
pub type Make = fn(&Path) -> Result<Box<dyn Spacious>>;

/// Prints a table of them, with `items` loaded in bulk.
pub fn run(folder: Option<&Path>, items: u64, stores: &[Make]) -> Result<()> {
    println!(
        "| store | when | items | bytes of keys and values | bytes on the disk | for a byte of items | length of the files | took |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for make in stores {
        let place = Place::new(folder)?;
        measure(place.folder(), items, *make)?;
    }
    Ok(())
}

fn item(number: u64) -> (Vec<u8>, Vec<u8>) {
    let mut value = vec![0; VALUE_BYTES];
    SmallRng::seed_from_u64(number).fill(&mut value[..]);
    (key(number), value)
}

fn key(number: u64) -> Vec<u8> {
    let parts = [mix(number), mix(!number), number];
    let mut key: Vec<u8> = parts.iter().flat_map(|part| part.to_be_bytes()).collect();
    key.truncate(KEY_BYTES);
    key
}

fn measure(folder: &Path, items: u64, make: Make) -> Result<()> {
    let mut store = make(folder)?;
    let mut started = Instant::now();
    let mut say = |store: &dyn Spacious, when: &str| -> Result<()> {
        let took = started.elapsed();
        row(folder, store, when, took)?;
        started = Instant::now();
        Ok(())
    };
    store.write(&mut (0..items).map(item))?;
    say(store.as_ref(), "loaded")?;
    let singles = items..items + items / SINGLE_PART;
    for number in singles.clone() {
        store.write(&mut std::iter::once(item(number)))?;
    }
    let mut last = singles.end;
    for _ in 0..items / BATCHES_PART {
        store.write(&mut (last..last + BATCH_ITEMS).map(item))?;
        last += BATCH_ITEMS;
    }
    say(store.as_ref(), "written to")?;
    // In another order than that of their writing.
    let half = (0..last).filter(|number| mix(*number) & 1 == 0);
    store.remove(&mut half.map(key))?;
    say(store.as_ref(), "half removed")?;
    store.compact()?;
    say(store.as_ref(), "compacted")
}

fn row(folder: &Path, store: &dyn Spacious, when: &str, took: Duration) -> Result<()> {
    let items = store.count()?;
    let live = items * (KEY_BYTES + VALUE_BYTES) as u64;
    let (blocks, length) = taken(folder)?;
    println!(
        "| {} | {when} | {items} | {} MB | {} MB | {:.2} | {} MB | {:.1} s |",
        store.name(),
        live / 1_000_000,
        blocks / 1_000_000,
        blocks as f64 / live as f64,
        length / 1_000_000,
        took.as_secs_f64()
    );
    Ok(())
}

/// Bytes of blocks, and lengths, of all files in a folder.
fn taken(folder: &Path) -> Result<(u64, u64)> {
    let mut sums = (0, 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.metadata()?;
        let of = match found.is_dir() {
            true => taken(&entry.path())?,
            false => (found.blocks() * 512, found.len()),
        };
        sums = (sums.0 + of.0, sums.1 + of.1);
    }
    Ok(sums)
}

/// heliumdb: what is written together goes in by batches.
pub struct Helium {
    volume: Volume,
    store: Datastore,
}

impl Helium {
    /// A new volume in `folder`.
    pub fn create(folder: &Path) -> Result<Box<dyn Spacious>> {
        let url = format!("he://./{}", folder.join("volume").display());
        let volume = Volume::open(&url, &VolumeOptions::default())?;
        let store = volume.create_datastore(b"bench")?;
        Ok(Box::new(Self { volume, store }))
    }
}

impl Spacious for Helium {
    fn name(&self) -> &'static str {
        "heliumdb"
    }

    fn write(&mut self, items: Items<'_>) -> Result<()> {
        let mut batch = self.volume.batch();
        for (key, value) in items {
            batch.put(&self.store, &key, &value)?;
            if batch.len() as u64 == BATCH_ITEMS {
                batch.commit(Durability::Buffered)?;
            }
        }
        batch.commit(Durability::Buffered)?;
        Ok(self.volume.flush()?)
    }

    fn remove(&mut self, keys: &mut dyn Iterator<Item = Vec<u8>>) -> Result<()> {
        for key in keys {
            self.store.delete(&key)?;
        }
        Ok(self.volume.flush()?)
    }

    /// As `helium compact` does.
    fn compact(&mut self) -> Result<()> {
        Ok(self.volume.compact(&mut |_| true).map(|_| ())?)
    }

    fn count(&self) -> Result<u64> {
        Ok(self.store.len())
    }
}
