//! Figures of checkpoints and recovery: ten million items in a file.
//!
//! `cargo test --release -p heliumdb --test store -- --ignored --nocapture reopening`

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use heliumdb::{Volume, VolumeOptions};

const ITEMS: u64 = 10_000_000;
const REPLAYED_BYTES: u64 = 256 << 20;

fn key(number: u64) -> [u8; 16] {
    let mix = |x: u64| (x ^ x >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (a, b) = (mix(number + 1), mix(mix(number + 77)));
    let mut key = [0; 16];
    key[..8].copy_from_slice(&a.to_be_bytes());
    key[8..].copy_from_slice(&b.to_be_bytes());
    key
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    println!("{what}: {:.2} s", start.elapsed().as_secs_f64());
    done
}

#[test]
#[ignore = "takes minutes, and 4 GB of disk"]
fn reopening() {
    let items = std::env::var("HELIUM_ITEMS").map_or(ITEMS, |n| n.parse().unwrap());
    let folder =
        tempfile::tempdir_in(std::env::var("HELIUM_FIGURES_DIR").unwrap_or(".".into())).unwrap();
    let url = format!("he://./{}", folder.path().join("volume").display());
    let mut options = VolumeOptions::default();
    let volume = Volume::open(&url, &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    timed("load", || {
        for number in 0..items {
            store.put(key(number), [number as u8; 200]).unwrap();
        }
        volume.flush().unwrap();
    });
    timed("clean close", || volume.close().unwrap());
    drop((store, volume));
    options.checkpoint_log_bytes = Some(u64::MAX);
    let volume = timed("reopen after a clean close", || {
        Volume::open(&url, &options).unwrap()
    });
    let store = volume.datastore(b"store").unwrap();
    println!(
        "{} bytes of index, {} of pages, {} items replayed",
        volume.stats().index_bytes,
        volume.stats().checkpoint_bytes,
        volume.stats().recovered_items
    );
    for number in 0..REPLAYED_BYTES / 240 {
        store.put(key(number * 7919 % items), [1; 200]).unwrap();
    }
    // Without a checkpoint: what a kill leaves.
    volume.close().unwrap();
    drop((store, volume));
    let volume = timed("reopen with 256 MiB of log to replay", || {
        Volume::open(&url, &options).unwrap()
    });
    println!("{} items replayed", volume.stats().recovered_items);
    let store = volume.datastore(b"store").unwrap();
    let done = AtomicBool::new(false);
    let (count, worst, synced) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut count, mut worst, mut synced) = (0u64, Duration::ZERO, Duration::ZERO);
            while !done.load(Ordering::Relaxed) {
                let start = Instant::now();
                store.put(key(count * 104_729 % items), [2; 200]).unwrap();
                worst = worst.max(start.elapsed());
                count += 1;
                if count.is_multiple_of(1000) {
                    let start = Instant::now();
                    volume.flush().unwrap();
                    synced = synced.max(start.elapsed());
                }
            }
            (count, worst, synced)
        });
        timed("checkpoint with one writer", || {
            volume.checkpoint().unwrap()
        });
        done.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    println!("meanwhile {count} writes, the longest {worst:?}, the longest flush {synced:?}");
    volume.close().unwrap();
}
