//! A backup of the newest state has what was acknowledged, and nothing that is taken back later.

use std::{sync::Arc, thread};

use helium_sim::{DiskId, Keeper, Latch, Machine, Operation, Verdict, sim_options};
use heliumdb::{
    Datastore, ErrorKind, Isolation, Volume, host::open_all_devices, upkeep::BackupFrom,
};

use crate::{
    backup::memory,
    common::{Released, Session, store},
    several_volumes::{commit_on, ordered, stores, values},
};

fn copied(
    volume: &Volume,
    progress: &mut dyn FnMut(&heliumdb::upkeep::Progress) -> bool,
) -> Datastore {
    let target = memory(64);
    volume
        .backup(BackupFrom::Newest, &target, progress)
        .unwrap();
    target.datastore(b"store").unwrap()
}

#[test]
fn what_is_committed_on_other_volumes_too_is_in_the_copy() {
    let (_machine, volumes, stores_) = ordered(2);
    let keeper = Keeper::new();
    commit_on(&keeper, &[&stores_[0], &stores_[1]], "a", "1").unwrap();
    // Somebody has seen it, and built on it.
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    let seen = session.get(&stores_[1], "a").unwrap().unwrap();
    session.put(&stores_[1], "b", &seen).unwrap();
    session.commit().unwrap();
    for (volume, wanted) in volumes.iter().zip([None, Some("1".to_owned())]) {
        let copy = copied(volume, &mut |_| true);
        let copy = [copy];
        assert_eq!(values(&copy, "a"), [Some("1".to_owned())]);
        assert_eq!(values(&copy, "b"), [wanted]);
    }
}

/// Taken back while the copy is made, or after it; on one volume or on two.
#[test]
fn what_is_taken_back_behind_the_end_is_not_in_the_copy() {
    for (several, meanwhile) in [(false, false), (false, true), (true, false), (true, true)] {
        let (_machine, volumes, stores_) = match several {
            true => ordered(2),
            false => {
                let (machine, volume, store) = store();
                (machine, vec![volume], vec![store])
            }
        };
        let keeper = Keeper::new();
        let all: Vec<&Datastore> = stores_.iter().collect();
        commit_on(&keeper, &all, "k", "old").unwrap();
        let last = volumes.last().unwrap();
        for volume in [&volumes[0], last] {
            let mut session = Session::begin(&keeper, Isolation::Snapshot);
            all.iter().for_each(|s| session.put(s, "k", "new").unwrap());
            session.commit_unpublished().unwrap();
            let mut session = Some(session);
            let mut cancel = || {
                if let Some(session) = session.take() {
                    session.cancel().unwrap();
                }
            };
            let copy = copied(volume, &mut |step| {
                if meanwhile && step.phase == heliumdb::upkeep::Phase::Items {
                    cancel();
                }
                true
            });
            cancel();
            assert_eq!(values(&[copy], "k"), [Some("old".to_owned())]);
        }
    }
}

/// A keeper may hold on to what it has committed for as long as it likes; what it has shown to others it takes back no more.
#[test]
fn what_others_have_built_on_is_in_the_copy_while_its_write_set_is_kept() {
    for isolation in [Isolation::ReadCommitted, Isolation::Snapshot] {
        let (_machine, volumes, stores_) = ordered(2);
        let keeper = Keeper::new();
        // Nobody can settle it.
        let _old = keeper.begin(Isolation::Snapshot);
        let mut early = Session::begin(&keeper, isolation);
        for store in &stores_ {
            early.put(store, "early", "1").unwrap();
        }
        let mut kept = Session::begin(&keeper, Isolation::Snapshot);
        for store in &stores_ {
            kept.put(store, "a", "1").unwrap();
        }
        kept.commit_unpublished().unwrap();
        let Session { txn: _kept, view } = kept;
        view.end();
        // At read-committed it goes on with what came after its first write.
        let mut builder = match isolation {
            Isolation::Snapshot => {
                early.abort();
                Session::begin(&keeper, isolation)
            }
            _ => early,
        };
        for store in &stores_ {
            let seen = builder.get(store, "a").unwrap().expect("it is shown");
            builder.put(store, "b", &seen).unwrap();
        }
        builder.commit().unwrap();
        for volume in &volumes {
            let copy = [copied(volume, &mut |_| true)];
            assert_eq!(values(&copy, "b"), [Some("1".to_owned())]);
            assert_eq!(values(&copy, "a"), [Some("1".to_owned())]);
        }
    }
}

/// Who looks at what nobody has shown, or does not see it, has not built on it.
#[test]
fn what_nobody_was_shown_is_not_in_the_copy_though_others_write() {
    for isolation in [
        Isolation::ReadUncommitted,
        Isolation::ReadCommitted,
        Isolation::Snapshot,
    ] {
        let (_machine, volume, store) = store();
        let keeper = Keeper::new();
        commit_on(&keeper, &[&store], "k", "old").unwrap();
        let mut unshown = Session::begin(&keeper, Isolation::Snapshot);
        unshown.put(&store, "k", "new").unwrap();
        unshown.commit_unpublished().unwrap();
        let mut beside = Session::begin(&keeper, isolation);
        beside.put(&store, "b", "1").unwrap();
        beside.commit().unwrap();
        let copy = [copied(&volume, &mut |_| true)];
        unshown.cancel().unwrap();
        assert_eq!(values(&copy, "k"), [Some("old".to_owned())]);
        assert_eq!(values(&copy, "b"), [Some("1".to_owned())]);
    }
}

/// Two volumes, the first of which decides and is on a device with a latch.
fn held_decider() -> (Machine, Arc<Latch>, Vec<Volume>, Vec<Datastore>) {
    let (machine, volumes, stores_) = ordered(2);
    drop(stores_);
    volumes.iter().for_each(|volume| volume.close().unwrap());
    let latch = Latch::new();
    let guarded = |disk| match disk {
        0 => latch.guard(machine.device(DiskId(0))),
        _ => machine.device(DiskId(disk)),
    };
    let both = [0, 1].map(|disk| (vec![guarded(disk)], sim_options()));
    let volumes = open_all_devices(both.into()).unwrap();
    let stores_ = stores(&volumes);
    (machine, latch, volumes, stores_)
}

/// A cancel is on its way to the medium while the copy is made.
#[test]
fn what_is_being_taken_back_is_not_in_the_copy() {
    for copied in [0, 1] {
        for verdict in [Verdict::Go, Verdict::FailLate] {
            let (_machine, latch, volumes, stores_) = held_decider();
            let keeper = Keeper::new();
            let all = [&stores_[0], &stores_[1]];
            commit_on(&keeper, &all, "k", "old").unwrap();
            let begin = || {
                let mut session = Session::begin(&keeper, Isolation::Snapshot);
                all.iter().for_each(|s| session.put(s, "k", "new").unwrap());
                session.commit_unpublished().unwrap();
                session
            };
            // From now on it is known that cancels may come.
            begin().cancel().unwrap();
            let session = begin();
            let target = memory(64);
            let (cancelled, copy) = thread::scope(|scope| {
                let _in_the_end = Released(&latch);
                latch.hold(|operation| *operation == Operation::Sync);
                let cancel = scope.spawn(|| session.cancel());
                latch.await_held(1);
                let volume = &volumes[copied];
                let backup =
                    scope.spawn(|| volume.backup(BackupFrom::Newest, &target, &mut |_| true));
                (0..500).for_each(|_| thread::yield_now());
                latch.release(verdict);
                (cancel.join().unwrap(), backup.join().unwrap())
            });
            if verdict == Verdict::Go {
                cancelled.unwrap();
                copy.unwrap();
                let copy = target.datastore(b"store").unwrap();
                assert_eq!(values(&[copy], "k"), [Some("old".to_owned())]);
            } else {
                assert_eq!(cancelled.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
                copy.unwrap_err();
            }
        }
    }
}

/// The copy is not made before it shows whether a commit is acknowledged.
#[test]
fn commits_under_way_are_waited_for() {
    for verdict in [Verdict::Go, Verdict::Fail] {
        let (_machine, latch, volumes, stores_) = held_decider();
        let keeper = Keeper::new();
        let all = [&stores_[0], &stores_[1]];
        commit_on(&keeper, &all, "k", "old").unwrap();
        latch.hold(|operation| *operation == Operation::Sync);
        thread::scope(|scope| {
            let _in_the_end = Released(&latch);
            let commit = scope.spawn(|| commit_on(&keeper, &all, "k", "new"));
            // Prepared, and not decided.
            latch.await_held(1);
            let target = memory(64);
            let mut waited = 0;
            let copy = volumes[1].backup(BackupFrom::Newest, &target, &mut |step| {
                if step.phase == heliumdb::upkeep::Phase::Records {
                    waited += 1;
                    if waited == 3 {
                        latch.release(verdict);
                    }
                }
                true
            });
            assert!(waited >= 3, "nobody was waited for");
            let committed = commit.join().unwrap();
            match verdict {
                Verdict::Go => {
                    committed.unwrap();
                    copy.unwrap();
                    let copy = target.datastore(b"store").unwrap();
                    assert_eq!(values(&[copy], "k"), [Some("new".to_owned())]);
                }
                _ => {
                    assert_eq!(committed.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
                    // Nobody knows, and the copy says so.
                    copy.unwrap_err();
                }
            }
        });
    }
}
