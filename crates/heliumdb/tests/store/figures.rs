//! What is said of a volume's room adds up, at every moment.

use helium_sim::{DiskId, Machine, seed, sim_options};
use heliumdb::{Datastore, Durability, ErrorKind, Result, TransactionOptions, Volume};
use rand::{Rng, rngs::SmallRng};

use crate::common::{MIB, in_parallel, store};

fn check(volume: &Volume, what: &str) {
    let stats = volume.stats();
    assert!(stats.live_bytes <= stats.used_bytes, "{what}: {stats:?}");
    let all = stats.live_bytes + stats.dead_bytes;
    assert!(all <= stats.used_bytes, "{what}: {stats:?}");
    assert!(
        stats.used_bytes <= stats.capacity_bytes,
        "{what}: {stats:?}"
    );
}

fn is_done(done: Result<()>, what: &str) -> bool {
    match done {
        Ok(()) => true,
        Err(why) => {
            let expected = [
                ErrorKind::VolumeFull,
                ErrorKind::ItemNotFound,
                ErrorKind::Conflict,
            ];
            assert!(expected.contains(&why.kind()), "{what}: {why}");
            false
        }
    }
}

/// One size after the other, until the volume is full of it.
#[test]
fn no_more_is_live_than_is_used_whatever_values_it_is_full_of() {
    for len in [
        1,
        100,
        4_000,
        1 << 14,
        70_000,
        100 << 10,
        (1 << 18) + 1,
        3_000_000,
        16_000_000,
    ] {
        let (_machine, volume, store) = store();
        let what = len.to_string();
        let value = vec![1; len];
        let most = (64 * MIB as usize / (len + 100)).min(40_000);
        let full = (0..=most as u64).find(|number| {
            if *number % 64 == 0 || len > 10_000 {
                check(&volume, &what);
                while volume.background_step().unwrap() {}
            }
            !is_done(store.put(number.to_be_bytes(), &value), &what)
        });
        check(&volume, &what);
        let Some(full) = full else {
            assert!(len <= 1_000, "{len}");
            continue;
        };
        // What is deleted gives its room, and is not live any more.
        for number in 0..full {
            is_done(store.delete(number.to_be_bytes()).map(drop), &what);
            check(&volume, &what);
        }
        volume.checkpoint().unwrap();
        while volume.background_step().unwrap() {}
        let stats = volume.stats();
        assert!(stats.live_bytes < MIB, "{len}: {stats:?}");
        check(&volume, &what);
    }
}

/// A value of any size, small ones more often.
fn value(rng: &mut SmallRng) -> Vec<u8> {
    let most = 1 << rng.random_range(0..24);
    vec![rng.random(); rng.random_range(0..most)]
}

fn key(rng: &mut SmallRng) -> Vec<u8> {
    rng.random_range(0..200u64).to_be_bytes().to_vec()
}

fn work(volume: &Volume, store: &Datastore, rng: &mut SmallRng, what: &str) {
    match rng.random_range(0..9) {
        0..3 => is_done(store.put(key(rng), value(rng)), what),
        3..5 => is_done(store.delete(key(rng)).map(drop), what),
        5 => {
            // It spills, or it does not.
            let options = TransactionOptions::new()
                .durability(Durability::Buffered)
                .memory_budget_bytes(if rng.random() { 10_000 } else { 64 << 20 });
            let mut txn = volume.begin_with(options).unwrap();
            for _ in 0..rng.random_range(0..6) {
                is_done(txn.put(store, key(rng), value(rng)), what);
                check(volume, what);
            }
            if let Ok(savepoint) = txn.savepoint() {
                is_done(txn.put(store, key(rng), value(rng)), what);
                txn.rollback_to(savepoint).unwrap();
                check(volume, what);
            }
            match rng.random() {
                true => is_done(txn.commit(), what),
                false => false,
            }
        }
        6 => {
            let mut batch = volume.batch();
            for _ in 0..rng.random_range(1..20) {
                batch.put(store, key(rng), value(rng)).unwrap();
                batch.delete(store, key(rng)).unwrap();
            }
            is_done(batch.commit(Durability::Buffered), what)
        }
        7 => is_done(volume.checkpoint(), what),
        _ => {
            (0..8).for_each(|_| _ = volume.background_step().unwrap());
            true
        }
    };
}

/// Work of every kind, on a volume that is full again and again, beside snapshots.
#[test]
fn figures_add_up_at_every_moment() {
    in_parallel(0..6, |seed| {
        let mut rng = seed::rng(seed);
        let disks = [vec![64 * MIB], vec![20 * MIB, 50 * MIB, 9 * MIB]];
        let disks = &disks[seed as usize % 2];
        let machine = Machine::new(seed, disks);
        let all: Vec<_> = (0..disks.len()).map(DiskId).collect();
        let open = || Volume::open_devices(machine.devices(&all), &sim_options()).unwrap();
        let mut volume = open();
        let mut store = volume.create_datastore(b"store").unwrap();
        let mut snapshots = Vec::new();
        for round in 0..300 {
            let what = format!("seed {seed}, round {round}");
            work(&volume, &store, &mut rng, &what);
            check(&volume, &what);
            if rng.random_range(0..20) == 0 {
                snapshots.push(volume.snapshot().unwrap());
            }
            if rng.random_range(0..30) == 0 {
                snapshots.clear();
            }
            if rng.random_range(0..60) == 0 {
                snapshots.clear();
                drop((store, volume));
                volume = open();
                store = volume.datastore(b"store").unwrap();
                check(&volume, &what);
            }
        }
    });
}
