//! Walks pass what was removed, and is still there for somebody else, in steps whose number does not grow with it:
//! counted, not timed. And whatever they pass, they see what is there.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use helium_sim::seed::rng;
use heliumdb::{Datastore, Position, Readable, Transaction, Volume};
use rand::{Rng, rngs::SmallRng};

use crate::common::{open_one, store};

/// Slots of an earlier walk's that a walk looks at, and as many again where it notes them.
const UNNOTED: u64 = 16;
/// Slots of a stretch, which a walk passes in one step.
const STRETCH: u64 = 16 << 10;

fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// What `walks` may look at that leave `dead` slots behind, one after the other.
fn bound(walks: u64, dead: u64) -> u64 {
    // Each slot is looked at when it is passed first, and when it is noted; then come the stretches.
    2 * dead + walks * (2 * UNNOTED + dead / STRETCH + 1)
}

fn filled(items: u64) -> (helium_sim::Machine, Volume, Datastore) {
    let (machine, volume, store) = store();
    for number in 0..items {
        store.put(key(number), b"").unwrap();
    }
    (machine, volume, store)
}

#[test]
fn a_queue_beside_a_held_snapshot() {
    const ITEMS: u64 = 40_000;
    for end in [Position::First, Position::Last] {
        let (_machine, volume, store) = filled(ITEMS);
        let held = volume.snapshot().unwrap();
        for turn in 0..ITEMS {
            let (first, _) = store.nearest(end).unwrap().expect("an item");
            assert!(store.delete(&first).unwrap());
            // What comes in at the other end does not make it start over.
            let new = match end {
                Position::First => key(ITEMS + turn),
                _ => key(u64::MAX - turn),
            };
            if turn % 4 == 0 && end == Position::First {
                store.put(new, b"").unwrap();
            }
        }
        let passed = volume.stats().passed_slots;
        assert!(passed <= bound(ITEMS, ITEMS), "{end:?}: {passed}");
        assert_eq!(held.iter(&store).count() as u64, ITEMS);
        // A snapshot of now, and a walk through all of them, pass it in the same way.
        let before = volume.stats().passed_slots;
        let now = volume.snapshot().unwrap();
        for _ in 0..100 {
            now.nearest(&store, end).unwrap();
            store.range::<&[u8]>(..).keys().next();
            store.iter().next_back();
        }
        let passed = volume.stats().passed_slots - before;
        assert!(passed <= bound(300, 0) + 300 * ITEMS / STRETCH, "{passed}");
    }
}

#[test]
fn a_long_transaction_passes_what_it_has_removed() {
    const ITEMS: u64 = 20_000;
    for end in [Position::First, Position::Last] {
        let (_machine, volume, store) = filled(ITEMS);
        let mut txn = volume.begin().unwrap();
        for _ in 0..ITEMS {
            let (first, _) = txn.nearest(&store, end).unwrap().expect("an item");
            assert!(txn.delete(&store, &first).unwrap());
        }
        assert_eq!(txn.nearest(&store, end).unwrap(), None);
        let passed = volume.stats().passed_slots;
        assert!(passed <= bound(ITEMS, ITEMS), "{end:?}: {passed}");
        // Nobody else passes over them.
        assert_eq!(store.iter().count() as u64, ITEMS);
        txn.rollback();
        assert_eq!(volume.begin().unwrap().iter(&store).count() as u64, ITEMS);
    }
}

#[test]
fn the_first_look_behind_many_removals_is_the_only_long_one() {
    const ITEMS: u64 = 50_000;
    let (_machine, volume, store) = filled(ITEMS);
    let _held = volume.snapshot().unwrap();
    for number in 0..ITEMS - 1 {
        assert!(store.delete(key(number)).unwrap());
    }
    let look = || {
        let before = volume.stats().passed_slots;
        assert_eq!(
            store.nearest(Position::First).unwrap().unwrap().0,
            key(ITEMS - 1)
        );
        volume.stats().passed_slots - before
    };
    assert!(look() <= ITEMS + 2 * UNNOTED);
    assert!(look() <= 2 * UNNOTED + ITEMS / STRETCH + 1);
    // One that comes back in the middle is seen, and the others are passed as before.
    store.put(key(ITEMS / 2), b"").unwrap();
    let (middle, _) = store.nearest(Position::First).unwrap().unwrap();
    assert_eq!(middle, key(ITEMS / 2));
    let before = volume.stats().passed_slots;
    assert_eq!(store.next(&middle).unwrap().unwrap().0, key(ITEMS - 1));
    assert!(volume.stats().passed_slots - before <= 4 * UNNOTED + ITEMS / STRETCH + 2);
}

/// A model of what somebody sees.
type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn check(rng: &mut SmallRng, eyes: &impl Readable, store: &Datastore, model: &Model) {
    let from = key(rng.random_range(0..KEYS));
    let owned = |found: Option<(&Vec<u8>, &Vec<u8>)>| found.map(|(k, v)| (k.clone(), v.clone()));
    let above = (Bound::Excluded(from.to_vec()), Bound::Unbounded);
    let below = (Bound::Unbounded, Bound::Excluded(from.to_vec()));
    assert_eq!(
        eyes.next(store, from).unwrap(),
        owned(model.range(above).next())
    );
    assert_eq!(
        eyes.previous(store, from).unwrap(),
        owned(model.range(below).next_back())
    );
    assert_eq!(
        eyes.nearest(store, Position::First).unwrap(),
        owned(model.first_key_value())
    );
    assert_eq!(
        eyes.nearest(store, Position::Last).unwrap(),
        owned(model.last_key_value())
    );
    if rng.random_ratio(1, 8) {
        let all: Vec<_> = eyes.iter(store).map(Result::unwrap).collect();
        assert!(all.iter().map(|(k, v)| (k, v)).eq(model));
        let keys: Vec<_> = eyes.iter(store).keys().rev().map(Result::unwrap).collect();
        assert!(keys.iter().eq(model.keys().rev()));
    }
}

/// What nobody holds sees what is newest.
fn check_newest(rng: &mut SmallRng, volume: &Volume, store: &Datastore, model: &Model) {
    check(rng, &volume.snapshot().unwrap(), store, model);
    let all: Vec<_> = store.iter().map(Result::unwrap).collect();
    assert!(all.iter().map(|(k, v)| (k, v)).eq(model));
    let mut first = None;
    store
        .visit(Position::First, &mut |key, _| {
            first = Some(key.to_vec());
            false
        })
        .unwrap();
    assert_eq!(first.as_ref(), model.keys().next());
}

const KEYS: u64 = 400;

/// Removes all of a range, or puts one item, in a model and through `write`.
fn change(rng: &mut SmallRng, model: &mut Model, mut write: impl FnMut(&[u8], Option<&[u8]>)) {
    if rng.random_ratio(1, 4) {
        let (from, to) = (rng.random_range(0..KEYS), rng.random_range(0..KEYS));
        for number in from..to {
            if model.remove(key(number).as_slice()).is_some() {
                write(&key(number), None);
            }
        }
        return;
    }
    for _ in 0..rng.random_range(1..6) {
        let (key, value) = (key(rng.random_range(0..KEYS)), [rng.random::<u8>()]);
        model.insert(key.to_vec(), value.to_vec());
        write(&key, Some(&value));
    }
}

fn write_in(txn: &mut Transaction, store: &Datastore) -> impl FnMut(&[u8], Option<&[u8]>) {
    |key, value| match value {
        Some(value) => txn.put(store, key, value).unwrap(),
        None => assert!(txn.delete(store, key).unwrap()),
    }
}

#[test]
fn whatever_is_passed_everybody_sees_what_is_theirs() {
    for seed in 0..6 {
        let mut rng = rng(seed);
        let (machine, volume, store) = filled(KEYS);
        let mut model: Model = (0..KEYS).map(|n| (key(n).to_vec(), Vec::new())).collect();
        let mut held = vec![(volume.snapshot().unwrap(), model.clone())];
        for round in 0..150 {
            change(&mut rng, &mut model, |key, value| match value {
                Some(value) => store.put(key, value).unwrap(),
                None => assert!(store.delete(key).unwrap()),
            });
            check_newest(&mut rng, &volume, &store, &model);
            let mut txn = volume.begin().unwrap();
            let mut its = model.clone();
            for _ in 0..3 {
                change(&mut rng, &mut its, write_in(&mut txn, &store));
                check(&mut rng, &txn, &store, &its);
            }
            let savepoint = txn.savepoint().unwrap();
            let before = its.clone();
            change(&mut rng, &mut its, write_in(&mut txn, &store));
            check(&mut rng, &txn, &store, &its);
            check_newest(&mut rng, &volume, &store, &model);
            if rng.random() {
                txn.rollback_to(savepoint).unwrap();
                its = before;
                check(&mut rng, &txn, &store, &its);
            }
            if rng.random() {
                txn.commit().unwrap();
                model = its;
            } else {
                txn.rollback();
            }
            check_newest(&mut rng, &volume, &store, &model);
            for (snapshot, its) in &held {
                check(&mut rng, snapshot, &store, its);
            }
            match round % 10 {
                3 => held.push((volume.snapshot().unwrap(), model.clone())),
                7 => drop(held.swap_remove(rng.random_range(0..held.len()))),
                _ => {}
            }
            if held.is_empty() {
                held.push((volume.snapshot().unwrap(), model.clone()));
            }
        }
        drop(held);
        volume.close().unwrap();
        let volume = open_one(&machine).unwrap();
        let store = volume.datastore(b"store").unwrap();
        check_newest(&mut rng, &volume, &store, &model);
    }
}

/// Whoever has put an item finds it, whatever others have noted of the keys around it meanwhile.
#[test]
fn an_item_that_comes_back_is_seen_at_once() {
    const ITEMS: u64 = 2_000;
    let (_machine, volume, store) = filled(ITEMS);
    let _held = volume.snapshot().unwrap();
    for number in 0..ITEMS {
        assert!(store.delete(key(number)).unwrap());
    }
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for end in [Position::First, Position::Last] {
            let (store, is_over) = (&store, &is_over);
            scope.spawn(move || {
                while !is_over.load(Relaxed) {
                    store.nearest(end).unwrap();
                }
            });
        }
        let writers: Vec<_> = (0..2)
            .map(|seed| {
                let (volume, store) = (&volume, &store);
                scope.spawn(move || {
                    let mut rng = rng(seed);
                    for round in 0..3_000 {
                        // Keys of its own.
                        let number = 2 * rng.random_range(0..ITEMS / 2) + seed;
                        let mine = key(number);
                        // From further than what is looked at slot by slot.
                        let before = key(number.saturating_sub(200));
                        let after = key(number + 200);
                        if round % 3 == 0 {
                            volume.transact(|txn| txn.put(store, mine, b"")).unwrap();
                        } else {
                            store.put(mine, b"").unwrap();
                        }
                        let from = Position::AtOrAfter(&before);
                        assert!(store.nearest(from).unwrap().unwrap().0 <= mine.to_vec());
                        let snapshot = volume.snapshot().unwrap();
                        let seen = snapshot.range(store, ..=after.as_slice()).next_back();
                        assert!(seen.unwrap().unwrap().0 >= mine.to_vec());
                        assert!(store.delete(mine).unwrap());
                        let left = store.nearest(Position::AtOrAfter(&mine)).unwrap();
                        assert_ne!(left.map(|item| item.0), Some(mine.into()));
                    }
                })
            })
            .collect();
        let done: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        is_over.store(true, Relaxed);
        done.into_iter().for_each(|done| done.unwrap());
    });
}
