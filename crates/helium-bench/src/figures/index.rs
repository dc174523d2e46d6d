//! Memory of the index for each item, as the store counts it and as the kernel does.

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use heliumdb::{DatastoreOptions, VolumeOptions};

use super::{
    Options, Place,
    setup::{STORE, mix},
};
use crate::process;

/// Small, so that the process's memory is the index and little else.
const WRITE_CACHE_BYTES: u64 = 16 << 20;

/// How much to measure.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Number of items.
    #[arg(long, default_value_t = 10_000_000)]
    items: u64,
    /// Only this kind of keys, without a head line.
    #[arg(long)]
    keys: Option<Keys>,
}

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Keys {
    /// 16 random bytes.
    Random,
    /// 16 bytes, random ones in key order.
    Sorted,
    /// 8-byte numbers, counted up.
    Counted,
    /// 64 bytes, of which the first 48 are the same in all.
    Prefixed,
    /// 64 random bytes.
    Long,
    /// The same, in an unordered datastore: its index has no keys.
    Unordered,
}

impl Keys {
    const fn title(self) -> &'static str {
        match self {
            Self::Random => "16 random bytes",
            Self::Sorted => "16 bytes, put in key order",
            Self::Counted => "8-byte numbers, put in order",
            Self::Prefixed => "64 bytes, the first 48 shared, 16 random",
            Self::Long => "64 random bytes",
            Self::Unordered => "64 random bytes, unordered: all of it",
        }
    }

    /// Makes the key of a number.
    fn make(self, number: u64, items: u64, key: &mut Vec<u8>) {
        key.clear();
        match self {
            Self::Random => key.extend(super::key(number)),
            Self::Sorted => {
                // Spread over the whole range, with random ends.
                let high = (u128::from(number) << 64) / u128::from(items);
                key.extend((high as u64).to_be_bytes());
                key.extend(mix(number).to_be_bytes());
            }
            Self::Counted => key.extend(number.to_be_bytes()),
            Self::Prefixed => {
                key.extend(b"https://shop.example.org/customers/orders/byday/");
                key.extend(super::key(number));
            }
            Self::Long | Self::Unordered => {
                (0..4).for_each(|i| key.extend(super::key(4 * number + i)))
            }
        }
    }
}

pub(super) fn run(options: &Options, arguments: &Arguments) -> Result<()> {
    let items = options.scaled(arguments.items);
    let Some(keys) = arguments.keys else {
        println!("{items} items; bytes for each:");
        println!();
        println!(
            "| keys | whole index | beyond the keys: as the store counts | without prefix compression | resident, as the kernel counts | after reopening |"
        );
        println!("|---|---|---|---|---|---|");
        for keys in Keys::value_variants() {
            let items = arguments.items.to_string();
            let Some(name) = keys.to_possible_value() else {
                continue;
            };
            options.run_again(&["index", "--items", &items, "--keys", name.get_name()])?;
        }
        return Ok(());
    };
    row(options, keys, items)
}

fn row(options: &Options, keys: Keys, items: u64) -> Result<()> {
    let place = Place::new(options.folder.as_deref())?;
    let mut how = VolumeOptions::default();
    how.write_cache_bytes = WRITE_CACHE_BYTES;
    // Segments would stay in memory that it does not use.
    how.read_cache_bytes = 0;
    let mut key = Vec::new();
    let before = process::resident_bytes()?;
    let volume = place.open(&how)?;
    let mut options = DatastoreOptions::default();
    options.create = true;
    options.unordered = keys == Keys::Unordered;
    let store = volume.open_datastore(STORE, &options)?;
    for number in 0..items {
        keys.make(number, items, &mut key);
        store.put(&key, b"")?;
    }
    volume.flush()?;
    ensure!(store.len() == items, "{} items", store.len());
    let own = if options.unordered { 0 } else { key.len() };
    let beyond = |bytes: u64| bytes as f64 / items as f64 - own as f64;
    let resident = process::resident_bytes()? - before;
    let counted = store.stats()?.index_bytes;
    let log = volume.stats().write_cache_bytes;
    let saved = store.index_prefix_bytes()?;
    volume.close()?;
    drop((store, volume));
    let store = place.open(&how)?.datastore(STORE)?;
    ensure!(store.len() == items, "{} items", store.len());
    println!(
        "| {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
        keys.title(),
        counted as f64 / items as f64,
        beyond(counted),
        beyond(counted + saved),
        beyond(resident.saturating_sub(log)),
        beyond(store.stats()?.index_bytes),
    );
    Ok(())
}
