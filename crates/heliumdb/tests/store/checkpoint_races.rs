//! Checkpoints beside others: who is caught in the middle is not lost, and nothing goes too early.

use std::{thread, time::Duration};

use helium_sim::{Keeper, Machine, Operation, Verdict, sim_options};
use heliumdb::host::VolumeExt;
use heliumdb::{Datastore, Durability, Isolation, Volume};

use crate::common::{Session, after_kill, after_power_loss, held_store, open_one, store};

fn reopen(machine: &Machine) -> (Volume, Datastore) {
    let volume = open_one(machine).unwrap();
    let store = volume.datastore(b"store").unwrap();
    (volume, store)
}

/// A commit is in the log below a checkpoint's start, and not in the index yet when the checkpoint
/// could look.
#[test]
fn a_checkpoint_waits_for_what_is_logged_and_not_yet_visible() {
    let (machine, latch, volume, store) = held_store(&sim_options());
    volume.checkpoint().unwrap();
    latch.hold(|operation| *operation == Operation::Sync);
    thread::scope(|scope| {
        let commit = scope.spawn(|| {
            let mut txn = volume.begin().unwrap();
            txn.put(&store, b"k", b"v").unwrap();
            txn.commit_with(Durability::Synced).unwrap();
        });
        latch.await_held(1);
        let checkpoint = scope.spawn(|| volume.checkpoint().unwrap());
        // Long enough for one that does not wait to have looked.
        thread::sleep(Duration::from_millis(200));
        latch.release(Verdict::Go);
        commit.join().unwrap();
        checkpoint.join().unwrap();
    });
    let (again, found) = reopen(&after_power_loss(&machine, 1));
    assert_eq!(again.stats().recovered_items, 0, "all is in the checkpoint");
    assert_eq!(found.get(b"k").unwrap(), Some(b"v".to_vec()));
}

/// The winner cannot be cancelled any more when the checkpoint is taken: its version is in a page,
/// and only the list of overtakers says that what is appended later comes below it.
#[test]
fn a_certain_winner_stays_above_who_commits_after_the_checkpoint() {
    let (machine, volume, store) = store();
    let keeper = Keeper::new();
    let mut winner = Session::begin(&keeper, Isolation::ReadCommitted);
    winner.put(&store, "first", "winner").unwrap();
    let mut loser = Session::begin(&keeper, Isolation::ReadCommitted);
    loser.put(&store, "k", "loser").unwrap();
    winner.put(&store, "k", "winner").unwrap();
    winner.commit().unwrap();
    // With a snapshot of now, nobody looks at anything from before the winner's end.
    loser.get(&store, "first").unwrap();
    volume.checkpoint_as_of(&*keeper).unwrap();
    loser.commit().unwrap();
    assert_eq!(store.get(b"k").unwrap(), Some(b"winner".to_vec()));
    let (again, found) = reopen(&after_power_loss(&machine, 2));
    assert_eq!(again.stats().recovered_items, 1, "the loser's is replayed");
    assert_eq!(found.get(b"k").unwrap(), Some(b"winner".to_vec()));
}

/// Until the superblock names the next one, a crash leads to the checkpoint before: its pages are
/// all there, however often the room of everything else is used again.
#[test]
fn a_checkpoint_stays_whole_until_the_superblock_names_the_next() {
    const COLD: u32 = 5_000;
    let mut options = sim_options();
    options.background_thread = true;
    options.checkpoint_log_bytes = Some(u64::MAX);
    options.auto_clean_period_ms = u64::MAX;
    options.no_trim = true;
    let (machine, latch, volume, store) = held_store(&options);
    let cold = |number: u32| format!("cold {number:05}").into_bytes();
    for number in 0..COLD {
        store.put(cold(number), b"first").unwrap();
    }
    let filler = |rounds: u32, pause: Duration| {
        for round in 0..rounds {
            let key = [b'f', round as u8 % 4];
            store.put(key, vec![round as u8; 100_000]).unwrap();
            thread::sleep(pause);
        }
    };
    // Beside the pages, nothing in their segment stays.
    filler(50, Duration::ZERO);
    volume.checkpoint().unwrap();
    filler(50, Duration::ZERO);
    // Every page changes.
    for number in (0..COLD).step_by(10) {
        store.put(cold(number), b"second").unwrap();
    }
    latch.hold(Operation::is_superblock);
    let crashed = thread::scope(|scope| {
        let checkpoint = scope.spawn(|| volume.checkpoint().unwrap());
        latch.await_held(1);
        // All of the volume is written over more than once.
        filler(1_500, Duration::from_millis(1));
        let crashed = after_kill(&machine, 3);
        latch.release(Verdict::Go);
        checkpoint.join().unwrap();
        crashed
    });
    let (again, found) = reopen(&crashed);
    assert!(
        again.stats().checkpoint_bytes > 0,
        "the checkpoint before was not used"
    );
    for number in 0..COLD {
        let wanted: &[u8] = if number % 10 == 0 {
            b"second"
        } else {
            b"first"
        };
        assert_eq!(found.get(cold(number)).unwrap().as_deref(), Some(wanted));
    }
}

/// What a volume's own transactions commit is never taken back: no list has it beside the pages.
#[test]
fn a_commit_of_the_volumes_own_is_certain_at_once() {
    let (machine, volume, store) = store();
    store.put(b"changed", b"old").unwrap();
    store.put(b"removed", b"old").unwrap();
    // Somebody still reads the old versions.
    let _reader = volume.snapshot().unwrap();
    let mut open = volume.begin().unwrap();
    open.put(&store, b"open", b"new").unwrap();
    let mut txn = volume.begin().unwrap();
    txn.put(&store, b"changed", b"new").unwrap();
    assert!(txn.delete(&store, b"removed").unwrap());
    txn.put(&store, b"added", b"new").unwrap();
    txn.commit().unwrap();
    volume.checkpoint().unwrap();
    let (again, found) = reopen(&after_power_loss(&machine, 4));
    assert_eq!(again.stats().recovered_items, 0, "all is in the checkpoint");
    assert_eq!(found.get(b"changed").unwrap(), Some(b"new".to_vec()));
    assert_eq!(found.get(b"added").unwrap(), Some(b"new".to_vec()));
    assert_eq!(found.get(b"removed").unwrap(), None);
    assert_eq!(found.get(b"open").unwrap(), None);
    open.commit().unwrap();
    let (again, found) = reopen(&after_power_loss(&machine, 5));
    assert_eq!(again.stats().recovered_items, 1);
    assert_eq!(found.get(b"open").unwrap(), Some(b"new".to_vec()));
}
