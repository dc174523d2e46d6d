//! Operations outside transactions beside commits and batches that are under way: a sync is held
//! up, so that the commit is between its check and its end.

use std::{
    sync::Arc,
    thread::{self, ScopedJoinHandle},
};

use helium_sim::{DiskId, Latch, Machine, Operation, Verdict, sim_options};
use heliumdb::{
    Datastore, Durability, ErrorKind, Isolation, Readable, TransactionOptions, Volume,
    host::{Change, Mode, open_all_devices},
};

use crate::common::{Session, after_power_loss, held_store, machine, open_one};

fn hold_syncs(latch: &Latch) {
    latch.hold(|operation| *operation == Operation::Sync);
}

/// Lets everybody go when a check fails, so that the test ends.
struct LetGo<'a>(&'a Latch);

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        self.0.release(Verdict::Go);
    }
}

fn number(value: Option<Vec<u8>>) -> u64 {
    value.map_or(0, |value| u64::from_le_bytes(value.try_into().unwrap()))
}

fn add(store: &Datastore, key: &[u8]) -> heliumdb::Result<u64> {
    let more = |old: Option<&[u8]>| {
        let old = number(old.map(<[u8]>::to_vec));
        Some((old + 1).to_le_bytes().to_vec())
    };
    store.update_fetch(key, more).map(number)
}

/// A commit or a batch that is held up at its sync, and what is done meanwhile.
struct Scene {
    machine: Machine,
    latch: Arc<Latch>,
    volume: Volume,
    store: Datastore,
}

/// What writes the items, all of them at once.
#[derive(Clone, Copy, PartialEq, Debug)]
enum How {
    Transaction,
    ReadCommitted,
    Batch,
}

const ALL: [How; 3] = [How::Transaction, How::ReadCommitted, How::Batch];

impl Scene {
    fn new(items: &[(&[u8], &[u8])]) -> Self {
        let (machine, latch, volume, store) = held_store(&sim_options());
        for (key, value) in items {
            store.put(key, value).unwrap();
        }
        Self {
            machine,
            latch,
            volume,
            store,
        }
    }

    fn write(&self, how: How, key: &[u8], value: Option<&[u8]>) -> heliumdb::Result<()> {
        let mut options = TransactionOptions::default();
        match how {
            How::Batch => {
                let mut batch = self.volume.batch();
                match value {
                    Some(value) => batch.put(&self.store, key, value)?,
                    None => batch.delete(&self.store, key)?,
                };
                return batch.commit(Durability::Synced);
            }
            How::Transaction => {}
            How::ReadCommitted => options.isolation = Isolation::ReadCommitted,
        }
        let mut txn = self.volume.begin_with(options)?;
        match value {
            Some(value) => txn.put(&self.store, key, value)?,
            None => assert!(txn.delete(&self.store, key)?),
        }
        txn.commit()
    }

    /// Runs `meanwhile` while the write of `key` is held up at its sync; it waits until that is over.
    fn waits<R: Send>(
        &self,
        how: How,
        (key, value): (&[u8], Option<&[u8]>),
        verdict: Verdict,
        meanwhile: impl FnOnce(&Datastore) -> R + Send,
    ) -> (heliumdb::Result<()>, R) {
        hold_syncs(&self.latch);
        thread::scope(|scope| {
            let _let_go = LetGo(&self.latch);
            let write = scope.spawn(|| self.write(how, key, value));
            self.latch.await_held(1);
            let waits = self.volume.commit_waits();
            let meanwhile = scope.spawn(|| meanwhile(&self.store));
            await_waiting(&self.volume, waits, &meanwhile);
            self.latch.release(verdict);
            (write.join().unwrap(), meanwhile.join().unwrap())
        })
    }

    /// The same, for what does not wait.
    fn goes_on<R>(
        &self,
        how: How,
        (key, value): (&[u8], Option<&[u8]>),
        meanwhile: impl FnOnce(&Datastore) -> R,
    ) -> R {
        hold_syncs(&self.latch);
        thread::scope(|scope| {
            let _let_go = LetGo(&self.latch);
            let write = scope.spawn(|| self.write(how, key, value));
            self.latch.await_held(1);
            let done = meanwhile(&self.store);
            self.latch.release(Verdict::Go);
            write.join().unwrap().unwrap();
            done
        })
    }

    /// What is there now, what is counted, and what is there after the power was lost.
    fn left(&self, key: &[u8]) -> Option<Vec<u8>> {
        let now = self.store.get(key).unwrap();
        assert_eq!(self.store.len(), self.store.iter().count() as u64);
        self.volume.flush().unwrap();
        let later = open_one(&after_power_loss(&self.machine, 1)).unwrap();
        let store = later.datastore(b"store").unwrap();
        assert_eq!(store.get(key).unwrap(), now, "after a loss of power");
        assert_eq!(store.len(), self.store.len());
        now
    }
}

/// Returns when somebody waits for a commit, for the first time since there were `before`.
fn await_waiting<R>(volume: &Volume, before: u64, thread: &ScopedJoinHandle<'_, R>) {
    while volume.commit_waits() == before {
        assert!(!thread.is_finished(), "it did not wait");
        thread::yield_now();
    }
}

fn kind<R>(result: heliumdb::Result<R>) -> ErrorKind {
    result.err().expect("refused").kind()
}

#[test]
fn of_two_inserts_one_finds_the_item() {
    for how in ALL {
        let scene = Scene::new(&[]);
        let inside = (b"k".as_slice(), Some(b"inside".as_slice()));
        let (written, inserted) = scene.waits(how, inside, Verdict::Go, |store| {
            store.try_insert(b"k", b"outside")
        });
        written.unwrap();
        assert_eq!(kind(inserted), ErrorKind::ItemExists, "{how:?}");
        assert_eq!(scene.left(b"k").unwrap(), b"inside");
    }
}

#[test]
fn an_increment_counts_what_is_being_committed() {
    for how in ALL {
        let scene = Scene::new(&[(b"k", &5u64.to_le_bytes())]);
        let inside = 6u64.to_le_bytes();
        let inside = (b"k".as_slice(), Some(inside.as_slice()));
        let (written, added) = scene.waits(how, inside, Verdict::Go, |store| add(store, b"k"));
        written.unwrap();
        assert_eq!(added.unwrap(), 7, "{how:?}");
        assert_eq!(number(scene.left(b"k")), 7);
    }
}

#[test]
fn nobody_gets_what_is_being_taken() {
    for how in ALL {
        let scene = Scene::new(&[(b"k", b"only one")]);
        let inside = (b"k".as_slice(), None);
        let (written, taken) = scene.waits(how, inside, Verdict::Go, |store| store.remove(b"k"));
        written.unwrap();
        assert_eq!(taken.unwrap(), None, "{how:?}");
        assert_eq!(scene.left(b"k"), None);
        let scene = Scene::new(&[(b"k", b"only one")]);
        let (written, deleted) = scene.waits(how, inside, Verdict::Go, |store| store.delete(b"k"));
        written.unwrap();
        assert!(!deleted.unwrap());
        let scene = Scene::new(&[(b"k", b"only one")]);
        let replace = |store: &Datastore| store.replace(b"k", b"other");
        let (written, replaced) = scene.waits(how, inside, Verdict::Go, replace);
        written.unwrap();
        assert_eq!(kind(replaced), ErrorKind::ItemNotFound);
        assert_eq!(scene.left(b"k"), None);
    }
}

#[test]
fn what_tells_nothing_and_what_finds_nothing_to_do_do_not_wait() {
    for how in ALL {
        let scene = Scene::new(&[(b"k", b"before")]);
        let inside = (b"k".as_slice(), Some(b"inside".as_slice()));
        scene.goes_on(how, inside, |store| {
            assert_eq!(kind(store.try_insert(b"k", b"")), ErrorKind::ItemExists);
            store.put(b"k", b"after").unwrap();
            // That is the newest now, whatever is below.
            assert_eq!(store.remove(b"k").unwrap().unwrap(), b"after");
        });
        assert_eq!(scene.left(b"k"), None, "{how:?}");
        let scene = Scene::new(&[]);
        scene.goes_on(how, inside, |store| {
            assert!(!store.delete(b"k").unwrap());
            assert_eq!(kind(store.replace(b"k", b"")), ErrorKind::ItemNotFound);
            assert_eq!(store.remove(b"k").unwrap(), None);
            assert_eq!(store.update_fetch(b"k", |_| None).unwrap(), None);
        });
        assert_eq!(scene.left(b"k").unwrap(), b"inside", "{how:?}");
    }
}

#[test]
fn who_waits_for_a_commit_that_fails_is_told() {
    for how in ALL {
        let scene = Scene::new(&[]);
        let inside = (b"k".as_slice(), Some(b"inside".as_slice()));
        let insert = |store: &Datastore| store.try_insert(b"k", b"outside");
        let (written, inserted) = scene.waits(how, inside, Verdict::Fail, insert);
        assert_eq!(kind(written), ErrorKind::OutcomeUnknown, "{how:?}");
        assert_eq!(kind(inserted), ErrorKind::Poisoned);
    }
}

#[test]
fn who_waits_is_told_when_the_volume_is_closed() {
    let scene = Scene::new(&[]);
    hold_syncs(&scene.latch);
    thread::scope(|scope| {
        let _let_go = LetGo(&scene.latch);
        let write = scope.spawn(|| scene.write(How::Transaction, b"k", Some(b"inside")));
        scene.latch.await_held(1);
        let insert = scope.spawn(|| scene.store.try_insert(b"k", b"outside"));
        await_waiting(&scene.volume, 0, &insert);
        // It stays open until the commit is over, but nobody waits for that.
        let close = scope.spawn(|| scene.volume.close());
        assert_eq!(kind(insert.join().unwrap()), ErrorKind::Closed);
        scene.latch.release(Verdict::Go);
        let _ = (write.join().unwrap(), close.join().unwrap());
    });
}

/// Nobody waits for a transaction that was not committed in the end, though it is not over yet.
#[test]
fn who_waits_for_a_commit_that_is_refused_goes_on() {
    let keeper = helium_sim::Keeper::new();
    let (_machine, _latch, _volume, store) = held_store(&sim_options());
    store.put(b"other", b"1").unwrap();
    let mut writer = Session::begin(&keeper, Isolation::ReadCommitted);
    writer.put(&store, "k", "inside").unwrap();
    writer.put(&store, "other", "inside").unwrap();
    // Overruled on one item: what was sealed before that showed is not sealed any more.
    store.put(b"other", b"outside").unwrap();
    assert_eq!(kind(writer.commit_unpublished()), ErrorKind::Conflict);
    store.try_insert(b"k", b"outside").unwrap();
    writer.abort();
    assert_eq!(store.get(b"k").unwrap().unwrap(), b"outside");
}

/// Of several that write the same item at read committed, all count that are not committed yet.
#[test]
fn all_transactions_above_the_newest_committed_state_are_overruled_or_waited_for() {
    let keeper = helium_sim::Keeper::new();
    let (_machine, latch, volume, store) = held_store(&sim_options());
    store.put(b"k", 1u64.to_le_bytes()).unwrap();
    let mut sessions: Vec<Session> = Vec::new();
    for value in [10u64, 20, 30] {
        let mut session = Session::begin(&keeper, Isolation::ReadCommitted);
        let value = value.to_le_bytes();
        session
            .write(&store, b"k", Change::Put(&value), Mode::Any)
            .unwrap();
        sessions.push(session);
    }
    hold_syncs(&latch);
    let mut second = sessions.remove(1);
    thread::scope(|scope| {
        let _let_go = LetGo(&latch);
        let commit = scope.spawn(|| second.commit_unpublished());
        latch.await_held(1);
        let added = scope.spawn(|| add(&store, b"k"));
        await_waiting(&volume, 0, &added);
        latch.release(Verdict::Go);
        commit.join().unwrap().unwrap();
        assert_eq!(added.join().unwrap().unwrap(), 21);
    });
    // The third is above what the second committed, and was decided past; so was the first.
    for session in &mut sessions {
        assert_eq!(kind(session.commit_unpublished()), ErrorKind::Conflict);
    }
    assert_eq!(number(store.get(b"k").unwrap()), 21);
    for session in sessions {
        session.abort();
    }
    second.view.end();
}

/// Two syncs: that of the prepared part, and that of the decision.
#[test]
fn a_commit_over_two_volumes_is_waited_for_until_it_is_over_on_each() {
    for on in 0..2 {
        let machine = machine(0, 2);
        let latch = Latch::new();
        let device = |disk: usize| latch.guard(machine.device(DiskId(disk)));
        let volumes = open_all_devices(vec![
            (vec![device(0)], sim_options()),
            (vec![device(1)], sim_options()),
        ])
        .unwrap();
        let stores: Vec<Datastore> = volumes
            .iter()
            .map(|volume| volume.create_datastore(b"store").unwrap())
            .collect();
        let keeper = helium_sim::Keeper::new();
        let mut writer = Session::begin(&keeper, Isolation::Snapshot);
        for store in &stores {
            writer.put(store, "k", "inside").unwrap();
        }
        hold_syncs(&latch);
        thread::scope(|scope| {
            let _let_go = LetGo(&latch);
            let commit = scope.spawn(|| writer.commit_unpublished());
            let mut inserts = Vec::new();
            for sync in 0..2 {
                latch.await_held(1);
                let waits = volumes[on].commit_waits();
                inserts.push(scope.spawn(|| stores[on].try_insert(b"k", b"outside")));
                await_waiting(&volumes[on], waits, &inserts[sync]);
                latch.release_one(Verdict::Go);
            }
            latch.release(Verdict::Go);
            commit.join().unwrap().unwrap();
            for insert in inserts {
                assert_eq!(kind(insert.join().unwrap()), ErrorKind::ItemExists);
            }
        });
        writer.view.end();
        for store in &stores {
            assert_eq!(store.get(b"k").unwrap().unwrap(), b"inside");
            assert_eq!(store.len(), 1);
        }
    }
}

/// What a direct write stands on is counted after whoever is below can be committed without it.
#[test]
fn commits_below_direct_writes_are_counted_once() {
    for how in ALL {
        for there in [false, true] {
            let scene = Scene::new(&[]);
            if there {
                scene.store.put(b"k", b"before").unwrap();
            }
            for value in [Some(b"inside".as_slice()), None] {
                if how != How::Batch && value.is_none() && scene.store.is_empty() {
                    continue;
                }
                scene.goes_on(how, (b"k", value), |store| {
                    store.put(b"k", b"after").unwrap()
                });
                assert_eq!(scene.store.len(), 1, "{how:?}");
                assert_eq!(scene.left(b"k").unwrap(), b"after");
                let snapshot = scene.volume.snapshot().unwrap();
                assert_eq!(snapshot.iter(&scene.store).count(), 1);
            }
        }
    }
}

/// A write outside transactions that has looked, and is held up before it is linked, while a
/// commit ends below it.
#[test]
fn a_commit_that_ends_while_a_write_is_under_way_is_counted_once() {
    let scene = Scene::new(&[]);
    let is_of_log =
        |operation: &Operation| *operation == Operation::Sync || operation.is_log_write();
    scene.latch.hold(is_of_log);
    thread::scope(|scope| {
        let _let_go = LetGo(&scene.latch);
        let commit = scope.spawn(|| scene.write(How::Transaction, b"k", Some(b"inside")));
        while scene.latch.await_held(1)[0] != Operation::Sync {
            scene.latch.release_one(Verdict::Go);
        }
        // From here on it is held up by its own length only: too long for the log's memory, it is
        // written before it is linked.
        let is_long = |operation: &Operation| matches!(operation, Operation::Write { len, .. } if *len >= 1 << 19);
        scene.latch.hold(is_long);
        let put = scope.spawn(|| scene.store.put(b"k", vec![7; 5 << 20]));
        // It has looked before the commit goes on.
        scene.latch.await_held(2);
        let bytes = scene.volume.version_bytes();
        scene.latch.release_one(Verdict::Go);
        // What is committed gives its value to the log, a step before it says that it is committed.
        while scene.volume.version_bytes() >= bytes {
            thread::yield_now();
        }
        // Were it to say so without a look at who is above, it would do so now.
        for _ in 0..10_000 {
            if commit.is_finished() {
                break;
            }
            thread::yield_now();
        }
        scene.latch.release(Verdict::Go);
        commit.join().unwrap().unwrap();
        put.join().unwrap().unwrap();
    });
    assert_eq!(scene.store.len(), 1);
    assert_eq!(scene.left(b"k").unwrap().len(), 5 << 20);
}

/// While somebody may look at what was there: with the error that transactions get, and nothing done.
#[test]
fn plain_writes_keep_to_the_budget_of_versions() {
    const BUDGET: u64 = 100_000;
    type Write = fn(&Datastore, &[u8]) -> heliumdb::Result<()>;
    let writes: [Write; 6] = [
        |store, key| store.put(key, b"new"),
        |store, key| store.replace(key, b"new"),
        |store, key| store.delete(key).map(drop),
        |store, key| store.remove(key).map(drop),
        |store, key| add(store, key).map(drop),
        |store, key| store.try_insert([key, b"more"].concat(), b"new"),
    ];
    for (number, write) in writes.into_iter().enumerate() {
        let mut options = sim_options();
        options.version_budget_bytes = BUDGET;
        let volume = Volume::open_devices(machine(0, 1).devices(&[DiskId(0)]), &options).unwrap();
        let store = volume.create_datastore(b"store").unwrap();
        let keys = || (0..5_000u32).map(u32::to_be_bytes);
        for key in keys() {
            store.put(key, 7u64.to_le_bytes()).unwrap();
        }
        let snapshot = volume.snapshot().unwrap();
        let refused: Vec<_> = keys()
            .filter_map(|key| Some((key, write(&store, &key).err()?)))
            .collect();
        assert!(refused.len() > 3_000, "{number}: {}", refused.len());
        for (key, why) in &refused {
            assert_eq!(why.kind(), ErrorKind::VersionBudget, "{number}: {why}");
            assert_eq!(store.get(key).unwrap(), Some(7u64.to_le_bytes().into()));
            assert_eq!(store.get([key, &b"more"[..]].concat()).unwrap(), None);
        }
        // One that was let in may have more than fits: its key, which waits to be settled.
        assert!(volume.version_bytes() < BUDGET + 100, "{number}");
        assert_eq!(snapshot.iter(&store).count(), 5_000);
        drop(snapshot);
        // At once, without waiting for anybody to settle what is not needed any more.
        write(&store, &refused[0].0).unwrap();
    }
}
