//! Chosen rows of the table on heliumdb alone, with the processor time of each operation: what is
//! compared before and after a change, and what a profiler is put on.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use helium_bench::{
    Engine,
    work::{ALL, Data, Work, measure},
};
use heliumdb::{Datastore, Position, Volume, VolumeOptions};

/// What to measure.
#[derive(Parser)]
struct Options {
    /// Number of items.
    #[arg(long, default_value_t = 2_000_000)]
    items: usize,
    /// Bytes of a value.
    #[arg(long, default_value_t = 200)]
    value_bytes: usize,
    /// Seconds that each row takes.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Rows after the load, by their numbers in the table, each as often as it is named.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,5,6,7,8,9,10,11")]
    rows: Vec<usize>,
    /// Load by single puts and not by batches of 100.
    #[arg(long)]
    single_puts: bool,
    /// Loads into as many volumes, one after the other.
    #[arg(long, default_value_t = 1)]
    loads: usize,
    /// Memory for segments, in MiB.
    #[arg(long, default_value_t = 256)]
    write_cache: u64,
    /// Memory for what is read, in MiB.
    #[arg(long, default_value_t = 768)]
    read_cache: u64,
    /// Folder to work in; the system's temporary one by default.
    #[arg(long)]
    folder: Option<std::path::PathBuf>,
}

struct Helium {
    volume: Volume,
    store: Datastore,
    single_puts: bool,
    items: usize,
}

impl Engine for Helium {
    fn name(&self) -> &'static str {
        "heliumdb"
    }
    fn load(&self, items: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        if self.single_puts {
            return items
                .iter()
                .try_for_each(|(key, value)| Ok(self.store.put(key, value)?));
        }
        let mut batch = self.volume.batch();
        for (key, value) in items {
            batch.put(&self.store, key, value)?;
        }
        Ok(batch.commit(heliumdb::Durability::Buffered)?)
    }
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        Ok(self.store.get_into(key, value)?)
    }
    fn scan(&self, from: &[u8], items: usize) -> Result<usize> {
        let mut seen = 0;
        self.store
            .visit(Position::AtOrAfter(from), &mut |_, value| {
                seen += 1;
                std::hint::black_box(value);
                seen < items
            })?;
        Ok(seen)
    }
    fn range(&self, from: &[u8], items: usize) -> Result<usize> {
        helium_bench::helium::range(&self.store, from, items)
    }
    fn update(&self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.store.put(key, value)?)
    }
    fn update_durably(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.store.put(key, value)?;
        Ok(self.volume.flush()?)
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    let data = Data::new(options.items, options.value_bytes);
    for load in 1..=options.loads {
        let folder = match &options.folder {
            Some(folder) => tempfile::tempdir_in(folder)?,
            None => tempfile::tempdir()?,
        };
        let mut how = VolumeOptions::default();
        how.write_cache_bytes = options.write_cache << 20;
        how.read_cache_bytes = options.read_cache << 20;
        let url = format!("he://./{}", folder.path().join("volume").display());
        let volume = Volume::open(&url, &how)?;
        let store = volume.create_datastore(b"bench")?;
        let engine = Helium {
            volume,
            store,
            single_puts: options.single_puts,
            items: options.items,
        };
        row(&engine, &data, 0, options.seconds)?;
        if load == options.loads {
            for &number in &options.rows {
                row(&engine, &data, number, options.seconds)?;
            }
        }
    }
    Ok(())
}

/// Does one row, and says how fast; the processor time is that of all of the process's threads.
fn row(engine: &Helium, data: &Data, number: usize, seconds: f64) -> Result<()> {
    let (title, work, threads) = ALL.get(number).context("no such row")?;
    let time = Duration::from_secs_f64(seconds);
    let (before, started) = (cpu_seconds()?, std::time::Instant::now());
    let rate = measure(engine, data, *work, *threads, time)?;
    let (cpu, elapsed) = (cpu_seconds()? - before, started.elapsed().as_secs_f64());
    let operations = match work {
        Work::Load => engine.items as f64,
        _ => rate * seconds,
    };
    println!(
        "{title:38} {:9.1} k/s, {:7.3} us of processor time each, {:4.2} cores",
        rate / 1e3,
        cpu / operations * 1e6,
        cpu / elapsed
    );
    Ok(())
}

/// Processor time that the process has used.
fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = stat.rsplit_once(')').context("the process's own state")?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || -> Result<f64> {
        Ok(fields
            .next()
            .context("a field of the process's state")?
            .parse()?)
    };
    // A tick is a hundredth of a second.
    Ok((ticks()? + ticks()?) / 100.0)
}
