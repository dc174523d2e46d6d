//! Syncs that are held up or fail: whoever they were for hears of it, nobody else's success covers
//! what is gone, and nothing counts as durable before its sync has ended.

use std::{sync::Arc, thread};

use helium_sim::{Fault, FaultKind, Latch, Machine, On, Operation, Verdict, sim_options};
use heliumdb::{Datastore, ErrorKind, Result, Volume};

use crate::common::{MIB, Released, after_power_loss, held_store, open_one};

fn put_durably(volume: &Volume, store: &Datastore, key: &[u8]) -> Result<()> {
    let mut txn = volume.begin()?;
    txn.put(store, key, b"v")?;
    txn.commit()
}

/// Waits for what other threads do in memory.
fn await_that(done: impl Fn() -> bool) {
    while !done() {
        thread::yield_now();
    }
}

/// The kernel tells a failed sync to one caller alone: here one that syncs at some moment of `work`, and not for the log. A commit
/// that is on the device by then is not acknowledged, nor is anything later.
fn fails_beside(
    (machine, latch, volume, store): (Machine, Arc<Latch>, Volume, Datastore),
    comes_to_it: impl Fn(&[Operation]) -> bool,
    work: impl FnOnce(&Volume) -> Result<()> + Send,
    kind: FaultKind,
) {
    let committed = thread::scope(|scope| {
        let _in_the_end = Released(&latch);
        latch.hold(|operation| !matches!(operation, Operation::Read { .. }));
        let work = scope.spawn(|| work(&volume));
        let mut done = Vec::new();
        loop {
            let next = latch.await_held(1)[0];
            if next == Operation::Sync && comes_to_it(&done) {
                break;
            }
            done.push(next);
            latch.release_one(Verdict::Go);
        }
        // Nobody else syncs before that one has ended; the commit is written meanwhile.
        latch.hold(|operation| *operation == Operation::Sync);
        let changes = machine.changes();
        let commit = scope.spawn(|| put_durably(&volume, &store, b"k"));
        await_that(|| machine.changes() > changes);
        machine.plan(Fault {
            on: On::Sync,
            nth: 0,
            for_ever: false,
            kind,
        });
        latch.release_one(Verdict::Go);
        work.join().unwrap().unwrap_err();
        latch.release(Verdict::Go);
        commit.join().unwrap()
    });
    let refused = committed.expect_err("its bytes may be gone");
    assert_eq!(refused.kind(), ErrorKind::OutcomeUnknown, "{refused}");
    let later = put_durably(&volume, &store, b"later").unwrap_err();
    assert_eq!(later.kind(), ErrorKind::Poisoned, "{later}");
    let again = open_one(&after_power_loss(&machine, 1)).unwrap();
    let found = again.datastore(b"store").unwrap();
    assert_eq!(found.get(b"before").unwrap(), Some(b"v".to_vec()));
    assert_eq!(found.get(b"later").unwrap(), None);
}

#[test]
fn a_checkpoint_whose_superblock_is_not_synced_takes_commits_beside_it_along() {
    for kind in [FaultKind::SyncKeepsCache, FaultKind::SyncRevertsCache] {
        let scene = held_store(&sim_options());
        put_durably(&scene.2, &scene.3, b"before").unwrap();
        // Its pages are synced with the log; the superblock by itself.
        let is_written = |done: &[Operation]| done.last().is_some_and(Operation::is_superblock);
        fails_beside(scene, is_written, Volume::checkpoint, kind);
    }
}

#[test]
fn a_trim_whose_header_is_not_synced_takes_commits_beside_it_along() {
    for kind in [FaultKind::SyncKeepsCache, FaultKind::SyncRevertsCache] {
        let options = sim_options().checkpoint_log_bytes(u64::MAX);
        let scene = held_store(&options);
        let (volume, store) = (&scene.2, &scene.3);
        // Most of the volume is used, and free again.
        for round in 0..2 {
            for number in 0..400u32 {
                let value = [round; 100_000];
                store.put((number % 8).to_be_bytes(), value).unwrap();
            }
            volume.flush().unwrap();
        }
        put_durably(volume, store, b"before").unwrap();
        volume.checkpoint().unwrap();
        let trimmed = volume.stats().trimmed_bytes;
        while volume.stats().trimmed_bytes == trimmed {
            volume.background_step().unwrap();
        }
        // One of the next steps gives the next one back: a header, its sync, and the discard.
        let is_header = |done: &[Operation]| {
            let Some(Operation::Write { offset, len: 4096 }) = done.last() else {
                return false;
            };
            *offset >= MIB && offset % MIB < 8192
        };
        let work = |volume: &Volume| {
            let mut steps = 0..10_000;
            steps.try_for_each(|_| volume.background_step().map(drop))
        };
        fails_beside(scene, is_header, work, kind);
    }
}

/// The kernel tells a failed sync to one caller alone: writing ahead, in the background, is told that
/// the bytes of a commit are gone, while the commit's own sync waits for its turn.
#[test]
fn of_two_syncs_of_a_device_none_succeeds_once_one_has_failed() {
    for kind in [FaultKind::SyncKeepsCache, FaultKind::SyncRevertsCache] {
        let (machine, latch, volume, store) = held_store(&sim_options());
        // With next to nothing in it no segment is written ahead.
        store.put("filler", vec![1; 300_000]).unwrap();
        put_durably(&volume, &store, b"before").unwrap();
        latch.hold(|operation| *operation == Operation::Sync);
        let committed = thread::scope(|scope| {
            let background = scope.spawn(|| volume.background_step());
            latch.await_held(1);
            let changes = machine.changes();
            let commit = scope.spawn(|| put_durably(&volume, &store, b"k"));
            // It is written: the sync that is under way may cover it, and fails.
            await_that(|| machine.changes() > changes);
            let (on, nth, for_ever) = (On::Sync, 0, false);
            machine.plan(Fault {
                on,
                nth,
                for_ever,
                kind,
            });
            latch.release_one(Verdict::Go);
            let worked = background.join().unwrap();
            assert_eq!(worked.unwrap_err().kind(), ErrorKind::Io);
            latch.release(Verdict::Go);
            commit.join().unwrap()
        });
        let refused = committed.expect_err("its bytes may be gone");
        assert_eq!(refused.kind(), ErrorKind::OutcomeUnknown, "{refused}");
        let later = put_durably(&volume, &store, b"later").unwrap_err();
        assert_eq!(later.kind(), ErrorKind::Poisoned, "{later}");
        let again = open_one(&after_power_loss(&machine, 1)).unwrap();
        let found = again.datastore(b"store").unwrap();
        assert_eq!(found.get(b"before").unwrap(), Some(b"v".to_vec()));
        assert_eq!(found.get(b"later").unwrap(), None);
    }
}

#[test]
fn a_sync_that_fails_fails_for_all_that_share_it() {
    for _ in 0..20 {
        let (_machine, latch, volume, store) = held_store(&sim_options());
        let frames = || volume.stats().frames;
        latch.hold(|operation| *operation == Operation::Sync);
        thread::scope(|scope| {
            let put = |key: &'static [u8]| {
                let (volume, store) = (&volume, &store);
                scope.spawn(move || put_durably(volume, store, key))
            };
            let first = put(b"first");
            latch.await_held(1);
            let appended = frames();
            let rest = [b"a", b"b", b"c", b"d"].map(|key| put(key));
            // All of them are in the log: whoever leads next syncs for all.
            await_that(|| frames() >= appended + 4);
            latch.release_one(Verdict::Go);
            first.join().unwrap().unwrap();
            latch.await_held(1);
            latch.release(Verdict::FailLate);
            for commit in rest {
                let why = commit.join().unwrap().unwrap_err();
                assert_eq!(why.kind(), ErrorKind::OutcomeUnknown, "{why}");
            }
        });
        let later = volume.flush().unwrap_err();
        assert!(later.to_string().contains("sync"), "{later}");
    }
}

#[test]
fn nothing_is_durable_before_its_sync_has_ended() {
    let (machine, latch, volume, store) = held_store(&sim_options());
    put_durably(&volume, &store, b"before").unwrap();
    assert_eq!(volume.stats().buffered_bytes, 0);
    latch.hold(|operation| *operation == Operation::Sync);
    thread::scope(|scope| {
        let commit = scope.spawn(|| put_durably(&volume, &store, b"k"));
        latch.await_held(1);
        let buffered_bytes = volume.stats().buffered_bytes;
        let flush = scope.spawn(|| volume.flush());
        let after = open_one(&after_power_loss(&machine, 7)).unwrap();
        let found = after.datastore(b"store").unwrap();
        assert_eq!(found.get(b"before").unwrap(), Some(b"v".to_vec()));
        // Enough for one that does not wait.
        (0..1_000).for_each(|_| thread::yield_now());
        let is_flushed = flush.is_finished();
        latch.release(Verdict::Fail);
        assert!(buffered_bytes > 0, "it is not there yet");
        assert!(!is_flushed, "nothing has been synced");
        commit.join().unwrap().unwrap_err();
        flush.join().unwrap().unwrap_err();
    });
}
