//! Transactions with savepoints, snapshots, batches and writes outside, at random, against plain
//! maps: a snapshot is a copy of the committed one.

use std::collections::{BTreeMap, BTreeSet};

use helium_sim::{Replay, seed};
use heliumdb::{
    Datastore, Durability, ErrorKind, Readable, Savepoint, Snapshot, Transaction,
    TransactionOptions, Volume,
};
use rand::{Rng, rngs::SmallRng};

use crate::common::{in_parallel, store};

type Map = BTreeMap<String, String>;

/// A transaction, and what it must see.
struct Running {
    txn: Transaction,
    /// Keys committed by others since it began.
    changed: BTreeSet<String>,
    sees: Map,
    /// Written or reserved, not since undone.
    claimed: BTreeSet<String>,
    /// Of these, the ones written.
    wrote: BTreeSet<String>,
    /// Claims that a write outside came on top of.
    overruled: BTreeSet<String>,
    savepoints: Vec<(Savepoint, Map, BTreeSet<String>, BTreeSet<String>)>,
}

struct World {
    volume: Volume,
    store: Datastore,
    committed: Map,
    running: Vec<Running>,
    snapshots: Vec<(Snapshot, Map)>,
    written: u64,
}

fn seen(through: &impl Readable, store: &Datastore) -> Map {
    super::all(through, store).into_iter().collect()
}

impl World {
    fn step(&mut self, rng: &mut SmallRng) {
        match rng.random_range(0..100) {
            0..8 if self.running.len() < 4 => self.begin(rng),
            8..12 if self.snapshots.len() < 4 => {
                let snapshot = self.volume.snapshot().unwrap();
                self.snapshots.push((snapshot, self.committed.clone()));
            }
            12..15 if !self.snapshots.is_empty() => {
                let index = rng.random_range(0..self.snapshots.len());
                self.snapshots.swap_remove(index);
            }
            15..20 => self.write_outside(rng),
            20..23 => self.batch(rng),
            23..33 => self.end(rng),
            33..36 => {
                self.volume.background_step().unwrap();
            }
            36..42 => self.check(),
            _ => self.work(rng),
        }
        assert_eq!(self.store.len(), self.committed.len() as u64, "count");
    }

    fn begin(&mut self, rng: &mut SmallRng) {
        // Some spill at once, some now and then, some never.
        let options = TransactionOptions::new()
            .memory_budget_bytes([0, 200, 1 << 20][rng.random_range(0..3)])
            .durability(Durability::Buffered);
        self.running.push(Running {
            txn: self.volume.begin_with(options).unwrap(),
            changed: BTreeSet::new(),
            sees: self.committed.clone(),
            claimed: BTreeSet::new(),
            wrote: BTreeSet::new(),
            overruled: BTreeSet::new(),
            savepoints: Vec::new(),
        });
    }

    fn key(rng: &mut SmallRng) -> String {
        format!("{:02}", rng.random_range(0..25))
    }

    fn value(&mut self, rng: &mut SmallRng) -> String {
        self.written += 1;
        format!("{}:{}", self.written, "x".repeat(rng.random_range(0..100)))
    }

    fn work(&mut self, rng: &mut SmallRng) {
        if self.running.is_empty() {
            return;
        }
        let which = rng.random_range(0..self.running.len());
        let (key, value) = (Self::key(rng), self.value(rng));
        if rng.random_bool(0.05) {
            return self.delete_range(which, key);
        }
        let conflicts = self.running.iter().enumerate().any(|(i, other)| {
            i != which && other.claimed.contains(&key) && !other.overruled.contains(&key)
        });
        let run = &mut self.running[which];
        let conflicts = conflicts || run.changed.contains(&key);
        let there = run.sees.contains_key(&key);
        let (txn, store, k) = (&mut run.txn, &self.store, key.as_bytes());
        let (done, wanted) = match rng.random_range(0..10) {
            0..4 => (txn.put(store, k, value.as_bytes()), Ok(Some(Some(value)))),
            4 => match there {
                true => (txn.try_insert(store, k, b""), Err(ErrorKind::ItemExists)),
                false => (
                    txn.try_insert(store, k, value.as_bytes()),
                    Ok(Some(Some(value))),
                ),
            },
            5 => match there {
                true => (txn.delete(store, k).map(|was| assert!(was)), Ok(Some(None))),
                false => (txn.replace(store, k, b""), Err(ErrorKind::ItemNotFound)),
            },
            6 => (txn.reserve(store, k), Ok(None)),
            7 => {
                let savepoint = txn.savepoint().unwrap();
                let (sees, claimed) = (run.sees.clone(), run.claimed.clone());
                run.savepoints
                    .push((savepoint, sees, claimed, run.wrote.clone()));
                return;
            }
            8 if !run.savepoints.is_empty() => {
                let to = rng.random_range(0..run.savepoints.len());
                run.savepoints.truncate(to + 1);
                let (savepoint, sees, claimed, wrote) = run.savepoints[to].clone();
                txn.rollback_to(savepoint).unwrap();
                (run.sees, run.claimed, run.wrote) = (sees, claimed, wrote);
                // What others wrote on top of what is gone is theirs now.
                let lost: Vec<_> = run.overruled.difference(&run.claimed).cloned().collect();
                run.changed.extend(lost);
                run.overruled.retain(|key| run.claimed.contains(key));
                return;
            }
            _ => {
                assert_eq!(super::get(txn, store, &key), run.sees.get(&key).cloned());
                return;
            }
        };
        let conflict = conflicts || run.overruled.contains(&key);
        match (done, wanted) {
            (Err(why), Err(kind)) if why.kind() == kind => {}
            (Err(why), _) if conflict => {
                assert_eq!(why.kind(), ErrorKind::Conflict);
                self.running.swap_remove(which);
            }
            (Ok(()), Ok(change)) if !conflict => {
                run.claimed.insert(key.clone());
                if change.is_some() {
                    run.wrote.insert(key.clone());
                }
                match change {
                    Some(Some(value)) => drop(run.sees.insert(key, value)),
                    Some(None) => drop(run.sees.remove(&key)),
                    None => {}
                }
            }
            (done, wanted) => panic!("{done:?}, wanted {wanted:?}, conflict {conflict}"),
        }
    }

    /// Deletes three neighbours at most in a transaction: it conflicts if one of them alone would.
    fn delete_range(&mut self, which: usize, low: String) {
        let high = format!("{low}~");
        let others = self.running.iter().enumerate();
        let others = others.filter(|(i, _)| *i != which);
        let claimed: BTreeSet<_> = others
            .flat_map(|(_, other)| other.claimed.difference(&other.overruled).cloned())
            .collect();
        let run = &mut self.running[which];
        let sees = run.sees.range(low.clone()..).map(|(key, _)| key.clone());
        let keys: Vec<_> = sees.take(3).collect();
        let high = keys.last().map_or(high, String::clone);
        let conflicts = keys.iter().any(|key| {
            claimed.contains(key) || run.changed.contains(key) || run.overruled.contains(key)
        });
        let done = run.txn.delete_range(&self.store, low..=high);
        if conflicts {
            assert_eq!(done.unwrap_err().kind(), ErrorKind::Conflict);
            self.running.swap_remove(which);
            return;
        }
        assert_eq!(done.unwrap(), keys.len() as u64);
        for key in keys {
            run.sees.remove(&key);
            run.claimed.insert(key.clone());
            run.wrote.insert(key);
        }
    }

    /// Somebody else has committed `key`.
    fn changed(&mut self, key: &str, overrules: bool) {
        for run in &mut self.running {
            if run.claimed.contains(key) {
                assert!(overrules || run.overruled.contains(key));
                run.overruled.insert(key.into());
            } else {
                run.changed.insert(key.into());
            }
        }
    }

    fn write_outside(&mut self, rng: &mut SmallRng) {
        let (key, value) = (Self::key(rng), self.value(rng));
        match rng.random_range(0..5) {
            4 => {
                let there = self.committed.range(key.clone()..);
                let keys: Vec<_> = there.map(|(key, _)| key.clone()).take(2).collect();
                let high = keys.last().unwrap_or(&key).clone();
                let deleted = self.store.delete_range(key..=high).unwrap();
                assert_eq!(deleted, keys.len() as u64);
                for key in &keys {
                    self.committed.remove(key);
                    self.changed(key, true);
                }
                return;
            }
            0 => {
                let taken = self.store.remove(key.as_bytes()).unwrap();
                let taken = taken.map(|value| String::from_utf8(value).unwrap());
                let had = self.committed.remove(&key);
                assert_eq!(taken, had);
                if had.is_none() {
                    return;
                }
            }
            1 => {
                let old = self.committed.get(&key).cloned();
                let new = format!("{}+{value}", old.as_deref().unwrap_or(""));
                let new: String = new.chars().take(150).collect();
                self.store
                    .update_fetch(key.as_bytes(), |found| {
                        assert_eq!(found, old.as_ref().map(String::as_bytes));
                        Some(new.clone().into_bytes())
                    })
                    .unwrap();
                self.committed.insert(key.clone(), new);
            }
            _ => {
                self.store.put(key.as_bytes(), value.as_bytes()).unwrap();
                self.committed.insert(key.clone(), value);
            }
        }
        self.changed(&key, true);
    }

    fn batch(&mut self, rng: &mut SmallRng) {
        let mut batch = self.volume.batch();
        let mut keys = Vec::new();
        for _ in 0..rng.random_range(1..5) {
            let (key, value) = (Self::key(rng), self.value(rng));
            if rng.random_bool(0.3) {
                batch.delete(&self.store, key.as_bytes()).unwrap();
                self.committed.remove(&key);
            } else {
                batch
                    .put(&self.store, key.as_bytes(), value.as_bytes())
                    .unwrap();
                self.committed.insert(key.clone(), value);
            }
            keys.push(key);
        }
        batch.commit(Durability::Buffered).unwrap();
        keys.iter().for_each(|key| self.changed(key, true));
    }

    fn end(&mut self, rng: &mut SmallRng) {
        if self.running.is_empty() {
            return;
        }
        let which = rng.random_range(0..self.running.len());
        let run = self.running.swap_remove(which);
        if rng.random_bool(0.2) {
            return;
        }
        match run.txn.commit() {
            Ok(()) => assert!(run.overruled.is_empty(), "overruled, and committed"),
            Err(why) => {
                assert_eq!(why.kind(), ErrorKind::Conflict);
                assert!(!run.overruled.is_empty());
                return;
            }
        }
        for key in &run.wrote {
            match run.sees.get(key) {
                Some(value) => drop(self.committed.insert(key.clone(), value.clone())),
                None => drop(self.committed.remove(key)),
            }
            self.changed(key, false);
        }
    }

    fn check(&self) {
        for (snapshot, map) in &self.snapshots {
            assert_eq!(&seen(snapshot, &self.store), map);
        }
        for run in &self.running {
            assert_eq!(seen(&run.txn, &self.store), run.sees);
            let backwards = run.txn.iter(&self.store).rev().count();
            assert_eq!(backwards, run.sees.len());
        }
        let now = self.volume.snapshot().unwrap();
        assert_eq!(seen(&now, &self.store), self.committed);
    }
}

#[test]
fn transactions_answer_as_plain_maps_do() {
    let steps = seed::count("HELIUM_NATIVE_STEPS", 2_000);
    in_parallel(seed::seeds(6), |seed| {
        let _replay = Replay::new(seed);
        let mut rng = seed::rng(seed);
        let (machine, volume, store) = store();
        let mut world = World {
            volume,
            store,
            committed: Map::new(),
            running: Vec::new(),
            snapshots: Vec::new(),
            written: 0,
        };
        for _ in 0..steps {
            world.step(&mut rng);
        }
        world.check();
        world.running.clear();
        world.snapshots.clear();
        world.volume.background_step().unwrap();
        assert_eq!(world.volume.version_bytes(), 0);
        let committed = std::mem::take(&mut world.committed);
        world.volume.close().unwrap();
        drop(world);
        let volume = crate::common::open_one(&machine).unwrap();
        let store = volume.datastore(b"store").unwrap();
        assert_eq!(seen(&volume.snapshot().unwrap(), &store), committed);
        assert_eq!(store.len(), committed.len() as u64);
    });
}
