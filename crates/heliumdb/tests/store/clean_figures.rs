//! What cleaning costs: run with
//! `cargo test --release -p heliumdb --test store clean_figures -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use helium_sim::seed;
use heliumdb::{Datastore, Volume, VolumeOptions};
use rand::Rng;

const GIB: u64 = 1 << 30;
const VALUE: [u8; 200] = [7; 200];

fn key(number: u64) -> [u8; 16] {
    // Spread, so that neighbours in the log are not neighbours in order.
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key
}

/// Overwrites random items from two threads; writes a second, and how long each took.
fn overwrite(store: &Datastore, items: u64, writes: u64) -> (f64, Vec<Duration>) {
    let started = Instant::now();
    let workers = |thread: u64| {
        let mut rng = seed::rng(thread);
        let mut times = Vec::with_capacity(writes as usize / 2);
        for _ in 0..writes / 2 {
            let number = rng.random_range(0..items);
            let before = Instant::now();
            store.put(key(number), VALUE).unwrap();
            times.push(before.elapsed());
        }
        times
    };
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|i| scope.spawn(move || workers(i))).collect();
        let done = threads.into_iter();
        done.flat_map(|thread| thread.join().unwrap()).collect()
    });
    let rate = writes as f64 / started.elapsed().as_secs_f64();
    times.sort_unstable();
    (rate, times)
}

fn report(what: &str, (rate, times): &(f64, Vec<Duration>)) {
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!(
        "{what}: {rate:.0} writes/s, p50 {:?}, p99 {:?}, p99.9 {:?}, p99.99 {:?}, worst {:?}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(0.9999),
        at(1.0)
    );
}

#[test]
#[ignore = "takes a minute and a gigabyte"]
fn overwrites_of_a_volume_at_seventy_per_cent() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("he://./{}", folder.path().join("volume").display());
    let mut options = VolumeOptions::default();
    options.limit_bytes = Some(GIB);
    options.write_cache_bytes = 64 << 20;
    let volume = Volume::open(&url, &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    let percent = seed::count("HELIUM_FILL_PCT", 70);
    let items = GIB * percent / 100 / 240;
    let empty = overwrite(&store, 1000, 1_000_000);
    report("a nearly empty volume", &empty);
    (0..items).for_each(|number| store.put(key(number), VALUE).unwrap());
    let before = volume.stats();
    let times = seed::count("HELIUM_OVERWRITES", 5);
    report("a full one", &overwrite(&store, items, times * items));
    let stats = volume.stats();
    let user = stats.user_bytes - before.user_bytes;
    println!(
        "{items} items; user {} MiB, cleaner {} MiB, devices {} MiB: {:.2} bytes written for one; {:.2} in use for one live",
        user >> 20,
        (stats.cleaner_bytes - before.cleaner_bytes) >> 20,
        (stats.written_bytes - before.written_bytes) >> 20,
        (stats.written_bytes - before.written_bytes) as f64 / user as f64,
        stats.space_amplification()
    );
    println!("{stats:?}");
    store.verify(&mut |_| {}).unwrap();
}
