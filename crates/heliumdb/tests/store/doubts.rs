//! Volumes that ask each other are told, and forget, only what is durable.

use std::{sync::Arc, thread};

use helium_sim::{DiskId, Keeper, Latch, Machine, Operation, Verdict, seed, sim_options};
use heliumdb::host::VolumeExt;
use heliumdb::{
    Datastore, ErrorKind, Isolation, Volume, VolumeOptions,
    host::{open_all, open_all_devices},
};

use crate::{
    common::{Released, Session, after_kill, after_power_loss, held_store, open},
    several_volumes::{commit_on, ordered, stores, values},
};

fn read_only() -> VolumeOptions {
    let mut options = sim_options();
    options.read_only = true;
    options
}

fn put_on_all(session: &mut Session, stores: &[Datastore], key: &str, value: &str) {
    for store in stores {
        session.put(store, key, value).unwrap();
    }
}

fn is_sync(operation: &Operation) -> bool {
    *operation == Operation::Sync
}

/// Two volumes, the first of which decides, on devices with a latch each.
fn latched() -> (Machine, [Arc<Latch>; 2], Vec<Volume>, Vec<Datastore>) {
    let (machine, volumes, stores_) = ordered(2);
    drop(stores_);
    volumes.iter().for_each(|volume| volume.close().unwrap());
    let latches = [Latch::new(), Latch::new()];
    let guarded = [0, 1].map(|disk| {
        let device = latches[disk].guard(machine.device(DiskId(disk)));
        (vec![device], sim_options())
    });
    let volumes = open_all_devices(guarded.into()).unwrap();
    let stores_ = stores(&volumes);
    commit_on(&Keeper::new(), &[&stores_[0], &stores_[1]], "k", "old").unwrap();
    (machine, latches, volumes, stores_)
}

/// The same state on both volumes, whatever a power loss leaves of what was not synced.
#[track_caller]
fn assert_alike_after_power_loss(machine: &Machine, key: &str) -> Option<String> {
    let mut last = None;
    for round in 0..30 {
        let after = Machine::with_images(0, machine.crash(&mut seed::rng(round)));
        let found = values(&stores(&open(&after, &[0, 1]).unwrap()), key);
        assert_eq!(found[0], found[1], "round {round}");
        last = found[0].clone();
    }
    last
}

/// A process was killed when its decision was written and not synced. The next one opens the decider
/// read-only.
#[test]
fn a_decider_that_is_open_read_only_says_what_is_durable() {
    for sync_fails in [false, true] {
        let (machine, latches, _volumes, stores_) = latched();
        let keeper = Keeper::new();
        latches[0].hold(is_sync);
        let all = [&stores_[0], &stores_[1]];
        thread::scope(|scope| {
            let _in_the_end = Released(&latches[0]);
            let killed = scope.spawn(|| commit_on(&keeper, &all, "k", "new"));
            latches[0].await_held(1);
            let latch = Latch::new();
            let _this_one_too = Released(&latch);
            let decider = vec![latch.guard(machine.device(DiskId(0)))];
            let participant = vec![machine.device(DiskId(1))];
            let both = vec![(decider, read_only()), (participant, sim_options())];
            if sync_fails {
                latch.hold(is_sync);
            }
            let opening = scope.spawn(|| open_all_devices(both));
            if sync_fails {
                latch.await_held(1);
                latch.release(Verdict::Fail);
                let refused = opening.join().unwrap().unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::InDoubt, "{refused}");
                assert!(refused.to_string().contains("disk0"), "{refused}");
            } else {
                let found = values(&stores(&opening.join().unwrap().unwrap()), "k");
                assert_eq!(found, [Some("new".to_owned()), Some("new".to_owned())]);
            }
            assert_alike_after_power_loss(&machine, "k");
            latches[0].release(Verdict::Fail);
            killed.join().unwrap().unwrap_err();
        });
    }
}

/// A process was killed when a participant's resolve record was written and not synced. The next one
/// opens the participant read-only, and the decider forgets nothing.
#[test]
fn a_participant_that_is_open_read_only_proves_nothing() {
    let (machine, latches, volumes, stores_) = latched();
    let keeper = Keeper::new();
    commit_on(&keeper, &[&stores_[0], &stores_[1]], "k", "new").unwrap();
    volumes
        .iter()
        .for_each(|volume| _ = volume.settle(&*keeper));
    latches[1].hold(is_sync);
    thread::scope(|scope| {
        let _in_the_end = Released(&latches[1]);
        let killed = scope.spawn(|| volumes[1].flush());
        latches[1].await_held(1);
        let both = [(0, sim_options()), (1, read_only())];
        let both = both.map(|(disk, how)| (machine.devices(&[DiskId(disk)]), how));
        let next = open_all_devices(both.into()).unwrap();
        next[0].close().unwrap();
        let found = assert_alike_after_power_loss(&machine, "k");
        assert_eq!(found, Some("new".to_owned()));
        latches[1].release(Verdict::Fail);
        killed.join().unwrap().unwrap_err();
    });
}

/// Volumes in files, as two URLs, the decider's first; and copies of the files as they are.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn url(&self, name: &str) -> String {
        format!("he://./{}", self.folder.path().join(name).display())
    }

    fn open(&self, names: &[&str]) -> heliumdb::Result<Vec<Volume>> {
        let urls = names.iter();
        let urls: Vec<_> = urls
            .map(|name| (self.url(name), VolumeOptions::default()))
            .collect();
        open_all(&urls)
    }

    fn make() -> (Self, Vec<Volume>, Vec<Datastore>) {
        let folder = tempfile::tempdir().unwrap();
        let files = Self { folder };
        let mut volumes = files.open(&["a", "b"]).unwrap();
        let create = |volume: &Volume| volume.create_datastore(b"store").unwrap();
        volumes.iter().map(create).for_each(drop);
        if volumes[0].id() > volumes[1].id() {
            volumes.iter().for_each(|volume| volume.close().unwrap());
            drop(volumes);
            let path = |name: &str| files.folder.path().join(name);
            std::fs::rename(path("a"), path("c")).unwrap();
            std::fs::rename(path("b"), path("a")).unwrap();
            std::fs::rename(path("c"), path("b")).unwrap();
            volumes = files.open(&["a", "b"]).unwrap();
        }
        let stores_ = stores(&volumes);
        (files, volumes, stores_)
    }

    /// What a killed process leaves.
    fn copy(&self) {
        for name in ["a", "b"] {
            let path = self.folder.path().join(name);
            std::fs::copy(&path, path.with_extension("killed")).unwrap();
        }
    }
}

#[test]
fn opening_volumes_a_second_time_forgets_nothing() {
    let (files, volumes, stores_) = Files::make();
    let keeper = Keeper::new();
    commit_on(&keeper, &[&stores_[0], &stores_[1]], "k", "v").unwrap();
    let again = files.open(&["a", "b"]).unwrap();
    let more = files.open(&["b", "a"]).unwrap();
    volumes.iter().for_each(|volume| volume.flush().unwrap());
    files.copy();
    drop((again, more));
    let refused = files.open(&["b.killed"]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InDoubt, "{refused}");
    let killed = files.open(&["a.killed", "b.killed"]).unwrap();
    let found = values(&stores(&killed), "k");
    assert_eq!(found, [Some("v".to_owned()), Some("v".to_owned())]);
}

#[test]
fn a_volume_that_closes_settles_what_it_is_owed() {
    let (machine, volumes, stores_) = ordered(2);
    let keeper = Keeper::new();
    commit_on(&keeper, &[&stores_[0], &stores_[1]], "k", "v").unwrap();
    drop(stores_);
    volumes[1].close().unwrap();
    // The decider is open, and not of the same set.
    let alone = open(&machine, &[1]).unwrap();
    assert_eq!(values(&stores(&alone), "k"), [Some("v".to_owned())]);
    // It has forgotten the decision.
    volumes[0].flush().unwrap();
    let after = after_power_loss(&machine, 0);
    let decider = after.devices(&[DiskId(0)]);
    let (report, _) = crate::salvage::salvage(&after.images()[1..], |s| s.decider_devices(decider));
    assert!(report.is_lossless(), "{report:?}");
    volumes[0].close().unwrap();
    assert_eq!(
        values(&stores(&open(&after_kill(&machine, 0), &[1]).unwrap()), "k"),
        [Some("v".to_owned())]
    );
}

/// As long as its owner holds the transaction, neither the close nor the next open decides.
#[test]
fn a_participant_asks_the_decider_that_is_open() {
    for try_to_cancel in [false, true] {
        let (files, mut volumes, mut stores_) = Files::make();
        let keeper = Keeper::new();
        let mut session = Session::begin(&keeper, Isolation::Snapshot);
        put_on_all(&mut session, &stores_, "k", "v");
        session.commit_unpublished().unwrap();
        let (decider, participant) = (volumes.remove(0), volumes.remove(0));
        let store = stores_.remove(0);
        participant.close().unwrap();
        let refused = files.open(&["b"]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InDoubt, "{refused}");
        if try_to_cancel {
            // A part of it was closed.
            let refused = session.cancel().unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
        } else {
            session.view.end();
            drop(session.txn);
        }
        let wanted = Some("v".to_owned());
        let again = files.open(&["b"]).unwrap();
        for store in [store, stores(&again).remove(0)] {
            assert_eq!(values(&[store], "k")[0], wanted);
        }
        // What was asked is settled: the decision is not needed any more.
        again[0].close().unwrap();
        decider.settle(&*keeper);
        decider.close().unwrap();
        drop((again, decider, participant, stores_));
        assert_eq!(values(&stores(&files.open(&["b"]).unwrap()), "k"), [wanted]);
    }
}

/// What a killed process wrote and did not sync is shown only when it is durable. Where nothing is left
/// behind the end of the log, the next one writes nothing that would be a reason for a sync.
#[test]
fn what_recovery_shows_is_durable() {
    let (machine, latch, volume, store) = held_store(&sim_options());
    store.put(b"k", b"old").unwrap();
    volume.flush().unwrap();
    store.put(b"k", b"new").unwrap();
    latch.hold(is_sync);
    thread::scope(|scope| {
        let _in_the_end = Released(&latch);
        let killed = scope.spawn(|| volume.flush());
        latch.await_held(1);
        let next = open(&machine, &[0]).unwrap();
        let new = [Some("new".to_owned())];
        assert_eq!(values(&stores(&next), "k"), new);
        next[0].flush().unwrap();
        for round in 0..10 {
            let after = Machine::with_images(0, machine.crash(&mut seed::rng(round)));
            let left = values(&stores(&open(&after, &[0]).unwrap()), "k");
            assert_eq!(left, new, "round {round}");
        }
        latch.release(Verdict::Fail);
        killed.join().unwrap().unwrap_err();
    });
}
