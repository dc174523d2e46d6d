//! What transactions cost beside plain writes: run with
//! `cargo test --release -p heliumdb --test store native::figures -- --ignored --nocapture`.

use std::{
    thread,
    time::{Duration, Instant},
};

use heliumdb::{Datastore, Durability, Readable, TransactionOptions, Volume, VolumeOptions};
use rand::{Rng, SeedableRng, rngs::SmallRng};

const ITEMS: u64 = 500_000;
const TIME: Duration = Duration::from_millis(1_500);
const VALUE: [u8; 200] = [7; 200];

fn key(rng: &mut SmallRng) -> [u8; 16] {
    let mut key = [0; 16];
    let number: u64 = rng.random_range(0..ITEMS);
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key
}

fn measure(title: &str, threads: u64, per_call: u64, work: impl Fn(&mut SmallRng) + Sync) {
    let rate: f64 = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|who| {
                let work = &work;
                scope.spawn(move || {
                    let mut rng = SmallRng::seed_from_u64(who);
                    let (start, mut done) = (Instant::now(), 0u64);
                    while start.elapsed() < TIME {
                        (0..4).for_each(|_| work(&mut rng));
                        done += 4;
                    }
                    done as f64 / start.elapsed().as_secs_f64()
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    let each = 1e9 * threads as f64 / (rate * per_call as f64);
    println!("{title:44} {threads} threads {rate:>12.0}/s {each:>8.0} ns a write or call");
}

fn transaction(
    volume: &Volume,
    store: &Datastore,
    writes: u64,
    durability: Durability,
    rng: &mut SmallRng,
) {
    let options = TransactionOptions::new().durability(durability);
    let mut txn = volume.begin_with(options).unwrap();
    for _ in 0..writes {
        if txn.put(store, key(rng), VALUE).is_err() {
            return;
        }
    }
    txn.commit().unwrap();
}

#[test]
#[ignore = "measures"]
fn transactions_beside_plain_writes() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("he://{}", folder.path().join("volume").display());
    let volume = Volume::open(&url, &VolumeOptions::default()).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    let mut rng = SmallRng::seed_from_u64(9);
    for _ in 0..ITEMS {
        store.put(key(&mut rng), VALUE).unwrap();
    }
    for threads in [1, 2] {
        measure("put", threads, 1, |rng| store.put(key(rng), VALUE).unwrap());
        measure("get", threads, 1, |rng| drop(store.get(key(rng)).unwrap()));
        for writes in [1, 10] {
            let title = format!("transaction of {writes} puts, buffered");
            measure(&title, threads, writes, |rng| {
                transaction(&volume, &store, writes, Durability::Buffered, rng);
            });
            let title = format!("batch of {writes} puts, buffered");
            measure(&title, threads, writes, |rng| {
                let mut batch = volume.batch();
                for _ in 0..writes {
                    batch.put(&store, key(rng), VALUE).unwrap();
                }
                batch.commit(Durability::Buffered).unwrap();
            });
        }
        measure("put and flush", threads, 1, |rng| {
            store.put(key(rng), VALUE).unwrap();
            volume.flush().unwrap();
        });
        for writes in [1, 10] {
            let title = format!("transaction of {writes} puts, durable");
            measure(&title, threads, writes, |rng| {
                transaction(&volume, &store, writes, Durability::Synced, rng);
            });
        }
        measure("snapshot taken and dropped", threads, 1, |_| {
            drop(volume.snapshot().unwrap());
        });
        measure(
            "transaction begun and committed, no writes",
            threads,
            1,
            |_| {
                volume.begin().unwrap().commit().unwrap();
            },
        );
        let snapshot = volume.snapshot().unwrap();
        measure("get in a snapshot", threads, 1, |rng| {
            drop(snapshot.get(&store, key(rng)).unwrap());
        });
        measure("put beside a snapshot", threads, 1, |rng| {
            store.put(key(rng), VALUE).unwrap();
        });
    }
    measure("len", 1, 1, |_| assert_ne!(store.len(), 0));
}
