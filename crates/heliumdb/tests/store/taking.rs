//! Taking items from the ends, and those that somebody picks, comes to what an ordered map comes to, and costs the same each time.

use std::{collections::BTreeMap, ops::Bound, thread};

use helium_sim::seed::rng;
use heliumdb::{
    Datastore, ErrorKind, Isolation, Savepoint, Transaction, TransactionOptions, Volume,
};
use rand::{Rng, rngs::SmallRng};

use crate::common::{noise, store};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

const LEVELS: [Isolation; 3] = [
    Isolation::Snapshot,
    Isolation::ReadCommitted,
    Isolation::ReadUncommitted,
];

fn key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn begin(volume: &Volume, isolation: Isolation) -> Transaction {
    let options = TransactionOptions::new().isolation(isolation);
    volume.begin_with(options).unwrap()
}

/// A transaction beside what it is to come to.
struct Beside<'a> {
    stores: &'a [Datastore; 2],
    maps: [Map; 2],
    txn: Transaction,
    saved: Option<(Savepoint, [Map; 2])>,
    /// Of so many keys.
    keys: u64,
}

impl Beside<'_> {
    fn step(&mut self, rng: &mut SmallRng) {
        let which = usize::from(rng.random_bool(0.2));
        let (store, map) = (&self.stores[which], &mut self.maps[which]);
        let some = key(rng.random_range(0..self.keys));
        match rng.random_range(0..100) {
            0..30 => assert_eq!(self.txn.pop_first(store).unwrap(), map.pop_first()),
            30..60 => assert_eq!(self.txn.pop_last(store).unwrap(), map.pop_last()),
            60..80 => {
                let value = vec![rng.random(); rng.random_range(0..300)];
                self.txn.put(store, &some, &value).unwrap();
                map.insert(some, value);
            }
            80..86 => {
                let was = map.remove(&some).is_some();
                assert_eq!(self.txn.delete(store, &some).unwrap(), was);
            }
            86..89 => {
                let new = self
                    .txn
                    .update_fetch(store, &some, |old| old.map(|old| [old, b"more"].concat()));
                if let Some(value) = new.unwrap() {
                    map.insert(some, value);
                }
            }
            89..91 => {
                let to = key(rng.random_range(0..self.keys));
                let bounds = (Bound::Included(&some), Bound::Excluded(&to));
                let gone = match some < to {
                    true => map
                        .extract_if(some.clone()..to.clone(), |_, _| true)
                        .count(),
                    false => 0,
                };
                let done = self.txn.delete_range::<Vec<u8>>(store, bounds);
                assert_eq!(done.unwrap(), gone as u64);
            }
            91..94 => {
                let one_in = rng.random_range(2..6);
                let keep = |key: &[u8]| !key[7].is_multiple_of(one_in);
                let before = map.len();
                map.retain(|key, _| *key < some || keep(key));
                let gone = self
                    .txn
                    .retain_in(store, some.as_slice().., |key, _| keep(key));
                assert_eq!(gone.unwrap() as usize, before - map.len());
            }
            94..96 => {
                let most = rng.random_range(0..40);
                let pick = |value: &[u8]| value.len().is_multiple_of(2);
                let taken: Vec<_> = map
                    .extract_if(.., |_, value| pick(value))
                    .take(most)
                    .collect();
                let picked = self
                    .txn
                    .extract_if::<&[u8]>(store, .., |_, value| pick(value));
                let picked: heliumdb::Result<Vec<_>> = picked.take(most).collect();
                assert_eq!(picked.unwrap(), taken);
            }
            96..98 => self.saved = Some((self.txn.savepoint().unwrap(), self.maps.clone())),
            _ => {
                if let Some((savepoint, maps)) = &self.saved {
                    self.txn.rollback_to(*savepoint).unwrap();
                    self.maps = maps.clone();
                }
            }
        }
    }
}

#[test]
fn an_ordered_map_comes_to_the_same() {
    for seed in 0..60 {
        let mut rng = rng(seed);
        let (_machine, volume, first) = store();
        let stores = [first, volume.create_datastore("second").unwrap()];
        let mut maps = [Map::new(), Map::new()];
        let keys = *[10, 100, 3_000].get(seed as usize % 3).unwrap();
        for number in 0..keys {
            let value = vec![7; rng.random_range(0..300)];
            stores[0].put(key(number), &value).unwrap();
            maps[0].insert(key(number), value);
        }
        for _ in 0..4 {
            let isolation = LEVELS[rng.random_range(0..3)];
            let mut beside = Beside {
                stores: &stores,
                maps: maps.clone(),
                txn: begin(&volume, isolation),
                saved: None,
                keys,
            };
            for _ in 0..rng.random_range(1..400) {
                beside.step(&mut rng);
            }
            if rng.random_bool(0.7) {
                beside.txn.commit().unwrap();
                maps = beside.maps;
            }
            for (store, map) in stores.iter().zip(&maps) {
                let found: heliumdb::Result<Map> = store.iter().collect();
                assert_eq!(found.unwrap(), *map, "seed {seed}, {isolation:?}");
            }
        }
    }
}

/// Counted, not timed: dead slots that are passed.
#[test]
fn a_queue_in_a_transaction_passes_nothing_twice() {
    const ITEMS: u64 = 20_000;
    for is_first in [true, false] {
        let (_machine, volume, store) = store();
        for number in 0..ITEMS {
            store.put(key(ITEMS + number), b"").unwrap();
        }
        let mut txn = volume.begin().unwrap();
        let before = volume.stats().passed_slots;
        for turn in 0..ITEMS {
            let (taken, pushed) = match is_first {
                true => (ITEMS + turn, 2 * ITEMS + turn),
                false => (2 * ITEMS - 1 - turn, ITEMS - 1 - turn),
            };
            let popped = match is_first {
                true => txn.pop_first(&store),
                false => txn.pop_last(&store),
            };
            assert_eq!(popped.unwrap().unwrap().0, key(taken));
            txn.put(&store, key(pushed), b"").unwrap();
        }
        let passed = volume.stats().passed_slots - before;
        assert!(passed <= ITEMS / 10, "{passed} slots for {ITEMS} items");
        txn.commit().unwrap();
        assert_eq!(store.len(), ITEMS);
    }
}

#[test]
fn what_others_take_too_is_a_conflict() {
    let (_machine, volume, store) = store();
    for number in 0..100 {
        store.put(key(number), b"value").unwrap();
    }
    let mut txn = volume.begin().unwrap();
    assert_eq!(txn.pop_first(&store).unwrap().unwrap().0, key(0));
    assert_eq!(txn.pop_first(&store).unwrap().unwrap().0, key(1));
    // Was read ahead, and is not what it was.
    store.put(key(3), b"another value").unwrap();
    assert_eq!(txn.pop_first(&store).unwrap().unwrap().0, key(2));
    let refused = txn.pop_first(&store).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(txn.commit().is_err());
    assert_eq!(store.len(), 100);
}

/// At the weaker levels each call sees what is committed by then.
#[test]
fn weaker_levels_take_what_came_meanwhile() {
    for isolation in LEVELS {
        let (_machine, volume, store) = store();
        for number in 10..60 {
            store.put(key(number), b"").unwrap();
        }
        let mut txn = begin(&volume, isolation);
        assert_eq!(txn.pop_first(&store).unwrap().unwrap().0, key(10));
        assert_eq!(txn.pop_first(&store).unwrap().unwrap().0, key(11));
        store.put(key(1), b"").unwrap();
        store.delete(key(12)).unwrap();
        let next = txn.pop_first(&store);
        match isolation {
            Isolation::Snapshot => assert_eq!(next.unwrap_err().kind(), ErrorKind::Conflict),
            _ => {
                assert_eq!(next.unwrap().unwrap().0, key(1));
                assert_eq!(txn.pop_first(&store).unwrap().unwrap().0, key(13));
            }
        }
    }
}

#[test]
fn of_several_that_take_each_gets_another_item() {
    const ITEMS: u64 = 4_000;
    let (_machine, volume, store) = store();
    for number in 0..ITEMS {
        store.put(key(number), number.to_le_bytes()).unwrap();
    }
    let taken = thread::scope(|scope| {
        let take = |is_first: bool| {
            let store = &store;
            move || -> heliumdb::Result<Vec<_>> {
                let next = || match is_first {
                    true => store.pop_first(),
                    false => store.pop_last(),
                };
                std::iter::from_fn(|| next().transpose()).collect()
            }
        };
        let takers = [true, false, true, false].map(|is_first| scope.spawn(take(is_first)));
        takers.map(|taker| taker.join().unwrap().unwrap())
    });
    for taken in &taken {
        assert!(taken.is_sorted() || taken.is_sorted_by(|a, b| a > b));
    }
    let mut all = taken.concat();
    all.sort();
    let wanted = (0..ITEMS).map(|number| (key(number), number.to_le_bytes().to_vec()));
    assert!(all.into_iter().eq(wanted));
    assert!(store.is_empty());
    drop(volume);
}

/// The places of what was read ahead change, the index is written, and who wants the datastore gone has to wait.
#[test]
fn what_happens_between_two_steps_changes_nothing() {
    const ITEMS: u64 = 400;
    let (_machine, volume, store) = store();
    let waste = volume.create_datastore("waste").unwrap();
    for number in 0..ITEMS {
        store.put(key(number), noise(number, 2_000)).unwrap();
        waste.put(key(number), noise(number, 20_000)).unwrap();
    }
    volume.truncate_datastore(waste.id()).unwrap();
    let mut txn = volume.begin().unwrap();
    let mut left: Map = (0..ITEMS)
        .map(|number| (key(number), noise(number, 2_000)))
        .collect();
    for step in 0..ITEMS {
        let (taken, wanted) = match step % 3 {
            0 => (txn.pop_last(&store), left.pop_last()),
            _ => (txn.pop_first(&store), left.pop_first()),
        };
        assert_eq!(taken.unwrap(), wanted, "{step}");
        if step == 10 {
            // Most of the log is dead, and what lives is moved.
            let moved = volume.stats().cleaner_bytes;
            assert!(volume.compact(&mut |_| true).unwrap());
            assert!(volume.stats().cleaner_bytes > moved);
            volume.checkpoint().unwrap();
        }
        if step == 20 {
            let refused = [
                volume.truncate_datastore(store.id()).unwrap_err(),
                volume.drop_datastore(store.id()).unwrap_err(),
            ];
            assert!(refused.iter().all(|why| why.kind() == ErrorKind::Busy));
        }
    }
    assert_eq!(txn.pop_first(&store).unwrap(), None);
    txn.commit().unwrap();
    assert!(store.is_empty());
}

/// As long as the transaction has written nothing there, others may.
#[test]
fn a_datastore_that_is_emptied_before_the_first_step_is_a_conflict() {
    let (_machine, volume, store) = store();
    for number in 0..100 {
        store.put(key(number), b"value").unwrap();
    }
    let mut txn = volume.begin().unwrap();
    let picked: heliumdb::Result<Vec<_>> = txn
        .extract_if::<&[u8]>(&store, .., |found, _| {
            if found == key(5) {
                volume.truncate_datastore(store.id()).unwrap();
            }
            found >= key(6).as_slice()
        })
        .collect();
    assert_eq!(picked.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(txn.commit().is_err());
    assert!(store.is_empty());
}

/// A walk is kept by the datastore's id, which another volume's may have as well.
#[test]
fn nothing_is_taken_of_another_volume() {
    let (_machine, volume, ours) = store();
    let (_other_machine, other, theirs) = store();
    assert_eq!(ours.id(), theirs.id());
    for (store, value) in [(&ours, "ours"), (&theirs, "theirs")] {
        for number in 0..9 {
            store.put(key(number), value).unwrap();
        }
    }
    let mut txn = volume.begin().unwrap();
    for taken in 0..4 {
        let refused = [
            txn.pop_first(&theirs).unwrap_err(),
            txn.pop_last(&theirs).unwrap_err(),
            txn.retain(&theirs, |_, _| false).unwrap_err(),
        ];
        for refused in refused {
            assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        }
        let (key_of, value) = txn.pop_first(&ours).unwrap().unwrap();
        assert_eq!((key_of, value), (key(taken), b"ours".to_vec()));
    }
    txn.commit().unwrap();
    assert_eq!((ours.len(), theirs.len()), (5, 9));
    drop(other);
}

#[test]
fn nothing_is_taken_through_a_handle_that_writes_nothing() {
    let (_machine, volume, store) = store();
    store.put("key", "value").unwrap();
    store.put("taken", "value").unwrap();
    let reader = store.clone().read_only();
    let mut txn = volume.begin().unwrap();
    // Is no reason to go on with it through the other handle.
    assert_eq!(txn.pop_last(&store).unwrap().unwrap().0, b"taken");
    let refused = [
        reader.pop_first().unwrap_err(),
        txn.pop_last(&reader).unwrap_err(),
        txn.retain(&reader, |_, _| false).unwrap_err(),
        txn.extract_if::<&[u8]>(&reader, .., |_, _| true)
            .next()
            .unwrap()
            .unwrap_err(),
    ];
    for refused in refused {
        assert_eq!(refused.kind(), ErrorKind::ReadOnly);
    }
    txn.commit().unwrap();
    assert_eq!(store.len(), 1);
}
