//! Cut short at every write and sync of the machine: the same work again comes to the same.
//!
//! What must come out is told by a model of a few lines, over volumes that are made at random.

use super::*;
use helium_sim::{Replay, seed};
use rand::{Rng, rngs::SmallRng};

const TRANSACTIONS: u64 = 12;
const KEYS: usize = 60;
const VOLUMES: usize = 2;

/// Volumes at random, and what each of them holds afterwards.
fn random(rng: &mut SmallRng) -> (Volumes, Vec<Contents>) {
    let volumes = Volumes::new(VOLUMES);
    let holder = rng.random_range(0..VOLUMES);
    // The first third committed, the next rolled back, the others were running.
    for transaction in 1..=TRANSACTIONS {
        match transaction % 3 {
            0 => volumes.outcome(holder, transaction, b"C"),
            1 => volumes.outcome(holder, transaction, b"A"),
            _ => {}
        }
    }
    let mut expected = vec![Contents::new(); VOLUMES];
    for (volume, contents) in expected.iter_mut().enumerate() {
        for object in ["x", "y", "z"] {
            volumes.object(volume, object);
            let mut items = BTreeMap::new();
            for number in 0..rng.random_range(0..KEYS) {
                if let Some((key, value)) = random_key(rng, &volumes, volume, object, number) {
                    items.insert(key, value);
                }
            }
            if !items.is_empty() {
                contents.insert(format!("WiredTiger.{object}"), items);
            }
        }
    }
    for volume in &volumes.volumes {
        volume.flush().expect("durable");
    }
    (volumes, expected)
}

/// Writes one key, and gives its item of afterwards.
fn random_key(
    rng: &mut SmallRng,
    volumes: &Volumes,
    volume: usize,
    object: &str,
    number: usize,
) -> Option<(String, String)> {
    let key = format!("key {number:03}");
    let mut item = None;
    if rng.random() {
        volumes.settled(volume, object, &key, "settled");
        item = Some("settled".to_owned());
    }
    let updates: Vec<_> = (0..rng.random_range(0..5))
        .map(|_| {
            let value = rng.random_bool(0.7).then(|| {
                let length = rng.random_range(0..3000);
                format!("{}", rng.random::<u32>()).repeat(1 + length / 10)
            });
            (rng.random_range(1..=TRANSACTIONS), value)
        })
        .collect();
    if !updates.is_empty() {
        let updates: Vec<Update<'_>> = updates
            .iter()
            .map(|(transaction, value)| (*transaction, value.as_deref().map(str::as_bytes)))
            .collect();
        volumes.cached(volume, object, &key, &updates);
        let committed = updates
            .iter()
            .rev()
            .find(|(transaction, _)| transaction % 3 == 0);
        if let Some((_, value)) = committed {
            item = value.map(text);
        }
    }
    item.map(|value| (key, value))
}

#[track_caller]
fn check(volumes: &Volumes, expected: &[Contents]) {
    for (volume, expected) in expected.iter().enumerate() {
        assert_eq!(&volumes.contents(volume), expected, "volume {volume}");
    }
}

#[test]
fn a_migration_cut_short_anywhere_comes_to_the_same() {
    seed::seeds(3).for_each(cut_short_anywhere);
}

/// Each change that a migration makes is a case of its seed.
fn cut_short_anywhere(seed: u64) {
    let replay = Replay::new(seed);
    let (mut volumes, expected) = random(&mut seed::rng(seed));
    volumes.machine.record(&[]);
    volumes.migrate().expect("taken over");
    check(&volumes, &expected);
    let records = volumes.machine.records();
    assert!(records.len() > 4, "only {} changes", records.len());
    for (record, change) in records.iter().zip(0..) {
        let Some(case) = replay.case(change) else {
            continue;
        };
        let mut rng = case.rng();
        let images = record.crash(&mut rng);
        case.keep(&images);
        let mut again = Volumes::after(images);
        again.machine.record(&[]);
        again.migrate().expect("taken over");
        check(&again, &expected);
        // And once more from somewhere in between.
        let records = again.machine.records();
        if records.is_empty() {
            continue;
        }
        let record = &records[rng.random_range(0..records.len())];
        let mut third = Volumes::after(record.crash(&mut rng));
        third.migrate().expect("taken over");
        check(&third, &expected);
    }
}
