//! Room comes back while somebody is always writing, or looking: a small volume is overwritten many
//! times over, and what is said of its room is true.

use std::collections::VecDeque;

use helium_sim::{DiskId, Machine, sim_options};
use heliumdb::{
    Datastore, ErrorKind, Isolation, Readable, Transaction, TransactionOptions, Volume,
};

use crate::common::{MIB, after_power_loss, open_one, store};

fn begin(volume: &Volume, isolation: Isolation) -> Transaction {
    let options = TransactionOptions::new().isolation(isolation);
    volume.begin_with(options).unwrap()
}

fn key(number: u64) -> Vec<u8> {
    format!("key{number:05}").into_bytes()
}

fn step(volume: &Volume) {
    for _ in 0..8 {
        if !volume.background_step().unwrap() {
            return;
        }
    }
}

/// Little is left, and it is what it should be, also after the power went.
fn check(machine: &Machine, volume: Volume, store: &Datastore, wanted: &[(Vec<u8>, Vec<u8>)]) {
    let items = |store: &Datastore| -> Vec<(Vec<u8>, Vec<u8>)> {
        store.iter().map(|item| item.unwrap()).collect()
    };
    assert_eq!(items(store), wanted);
    volume.flush().unwrap();
    drop(volume);
    for seed in 0..4 {
        let volume = open_one(&after_power_loss(machine, seed)).unwrap();
        assert_eq!(items(&volume.datastore(b"store").unwrap()), wanted);
    }
}

/// Transactions overlap, so that there is never a moment at which none is open; removals outside them
/// come above what they have written, which is not resolved then.
#[test]
fn segments_go_while_one_of_many_transactions_is_always_open() {
    let (machine, volume, store) = store();
    let mut open: VecDeque<Transaction> = VecDeque::new();
    for round in 0..4_000u64 {
        let mut txn = begin(&volume, Isolation::ReadCommitted);
        let key = key(round % 16);
        // What is newest may be another's, who is still open.
        if txn.put(&store, &key, [round as u8; 60_000]).is_ok() && round % 3 == 0 {
            let _ = store.delete(&key);
        }
        open.push_back(txn);
        if open.len() > 3 {
            let _ = open.pop_front().unwrap().commit();
        }
        if let Err(why) = store.put(b"other", [round as u8; 20_000]) {
            panic!("round {round}: {why}: {:?}", volume.stats());
        }
        step(&volume);
    }
    assert!(volume.stats().user_bytes > 2 * 64 * MIB);
    open.into_iter().for_each(Transaction::rollback);
    for number in 0..16 {
        let _ = store.delete(key(number));
    }
    let wanted = vec![(b"other".to_vec(), vec![3_999u64 as u8; 20_000])];
    check(&machine, volume, &store, &wanted);
}

/// One transaction has written an item elsewhere and does nothing more; others write, remove and
/// overtake each other.
#[test]
fn segments_go_beside_an_idle_writer() {
    for isolation in [Isolation::ReadCommitted, Isolation::ReadUncommitted] {
        let (machine, volume, store) = store();
        let elsewhere = volume.create_datastore(b"elsewhere").unwrap();
        let mut idle = begin(&volume, isolation);
        idle.put(&elsewhere, b"mine", b"v").unwrap();
        for round in 0..3_000u64 {
            // Nobody comes by there again.
            let key = key(round);
            let mut txn = begin(&volume, Isolation::ReadCommitted);
            txn.put(&store, &key, [round as u8; 50_000]).unwrap();
            if round % 2 == 0 {
                // Above what is not resolved.
                let _ = store.delete(&key);
                txn.rollback();
            } else {
                txn.commit().unwrap();
                let mut txn = begin(&volume, Isolation::ReadCommitted);
                assert!(txn.delete(&store, &key).unwrap());
                txn.commit().unwrap();
            }
            let put = store.put(b"other", [round as u8; 50_000]);
            put.unwrap_or_else(|why| panic!("round {round}: {why}: {:?}", volume.stats()));
            step(&volume);
        }
        let stats = volume.stats();
        assert!(stats.user_bytes > 3 * 64 * MIB, "{stats:?}");
        // Nor is it remembered by whom everybody sees.
        assert!(stats.version_bytes < 1 << 20, "{stats:?}");
        idle.commit().unwrap();
        let wanted = vec![(b"other".to_vec(), vec![2_999u64 as u8; 50_000])];
        check(&machine, volume, &store, &wanted);
    }
}

/// Who looks beside the churn.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Beside {
    Nobody,
    IdleWriter,
    ShortSnapshots,
}

/// A snapshot keeps all that was there, and tombstones lie above it that cannot go before it does: more than twice as
/// many as are reason enough to try it.
fn churn_above_a_snapshot(grows: bool, beside: Beside) {
    const ITEMS: u64 = 5_000;
    let what = format!("grows: {grows}, beside: {beside:?}");
    let machine = Machine::new(1, &[if grows { 0 } else { 64 * MIB }]);
    machine.allow_growth(DiskId(0), if grows { 1024 * MIB } else { 0 });
    let mut options = sim_options();
    options.auto_clean_period_ms = 0;
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    let elsewhere = volume.create_datastore(b"elsewhere").unwrap();
    // Tombstones have the keys.
    let key = |number: u64| [key(number), vec![7; 500]].concat();
    for number in 0..ITEMS {
        store.put(key(number), [1; 1_000]).unwrap();
    }
    let snapshot = volume.snapshot().unwrap();
    let mut idle = begin(&volume, Isolation::ReadCommitted);
    if beside == Beside::IdleWriter {
        idle.put(&elsewhere, b"mine", b"v").unwrap();
    }
    for number in 0..ITEMS {
        assert!(store.delete(key(number)).unwrap());
        step(&volume);
    }
    let mut most_live = 0;
    let mut short = VecDeque::new();
    let mut check = || {
        let stats = volume.stats();
        let died = stats.user_bytes - stats.live_bytes;
        most_live = most_live.max(stats.live_bytes);
        assert!(
            stats.cleaner_bytes <= 2 * died + 4 * most_live,
            "{what}: {} bytes were moved, {died} died, {most_live} are live: {stats:?}",
            stats.cleaner_bytes,
        );
    };
    for round in 0..6_000u64 {
        if beside == Beside::ShortSnapshots && round % 20 == 0 {
            short.push_back(volume.snapshot().unwrap());
            short.drain(..short.len().saturating_sub(5));
        }
        let key = key(10_000 + round % 1_000);
        store.put(&key, [2; 1_000]).unwrap();
        assert!(store.delete(&key).unwrap());
        step(&volume);
        check();
    }
    for _ in 0..1_000 {
        step(&volume);
        check();
    }
    let stats = volume.stats();
    assert!(stats.used_bytes < 48 * MIB, "{what}: {stats:?}");
    for number in (0..ITEMS).step_by(7) {
        let found = snapshot.get(&store, key(number)).unwrap();
        assert_eq!(found, Some(vec![1; 1_000]), "{what}");
    }
}

/// A snapshot needs what was there; it is not moved about for the sake of what comes and goes.
#[test]
fn what_a_snapshot_needs_is_not_moved_again_and_again() {
    for grows in [false, true] {
        for beside in [Beside::Nobody, Beside::IdleWriter, Beside::ShortSnapshots] {
            churn_above_a_snapshot(grows, beside);
        }
    }
}

/// Of what comes between two snapshots, or was needed by one that is gone, nothing keeps any room.
#[test]
fn what_no_snapshot_needs_takes_no_room_beside_one_that_is_held() {
    for threads in [false, true] {
        let machine = Machine::new(1, &[64 * MIB]);
        let mut options = sim_options();
        options.background_thread = threads;
        let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
        let store = volume.create_datastore(b"store").unwrap();
        let put_all = |round: u64| {
            for number in 0..2_000 {
                let put = store.put(key(number), [round as u8; 5_200]);
                put.unwrap_or_else(|why| panic!("round {round}: {why}: {:?}", volume.stats()));
            }
        };
        put_all(1);
        let held = volume.snapshot().unwrap();
        // Each chain has a version of each round, and those of two of them are needed.
        let mut short = None;
        for round in 2..12 {
            put_all(round);
            // Another one for a while, and a short one each time.
            if round == 3 {
                short = Some(volume.snapshot().unwrap());
            }
            drop(volume.snapshot().unwrap());
            if round == 5 {
                let seen = short.take().unwrap().get(&store, key(7)).unwrap();
                assert_eq!(seen, Some(vec![3; 5_200]));
            }
        }
        for number in (0..2_000).step_by(97) {
            let was = held.get(&store, key(number)).unwrap();
            assert_eq!(was, Some(vec![1; 5_200]));
            assert_eq!(store.get(key(number)).unwrap(), Some(vec![11; 5_200]));
        }
    }
}

/// What only a snapshot needed that is gone gives its room to whoever wants it, though an older one is held, and nobody
/// writes these items again.
#[test]
fn what_a_snapshot_needed_goes_with_it_beside_an_older_one() {
    let (_machine, volume, store) = store();
    let put_all = |round: u8| {
        for number in 0..2_000 {
            store.put(key(number), vec![round; 5_200]).unwrap();
        }
    };
    put_all(1);
    let held = volume.snapshot().unwrap();
    put_all(2);
    let short = volume.snapshot().unwrap();
    put_all(3);
    let large = |number: u64| store.put(key(10_000 + number), vec![4; MIB as usize]);
    let full = (0..).find_map(|number| large(number).err().map(|why| (number, why)));
    let (before, why) = full.unwrap();
    assert_eq!(why.kind(), ErrorKind::VolumeFull, "{why}");
    assert_eq!(short.get(&store, key(7)).unwrap(), Some(vec![2; 5_200]));
    drop(short);
    // Ten were needed; each takes up to a fifth more, at the ends of segments, and is one more to delete.
    for number in before..before + 6 {
        large(number).unwrap_or_else(|why| panic!("{number}: {why}: {:?}", volume.stats()));
    }
    assert_eq!(held.get(&store, key(7)).unwrap(), Some(vec![1; 5_200]));
}

/// Whoever keeps the room himself is told so, and what he keeps comes back with his end.
#[test]
fn who_keeps_the_room_is_told() {
    let (_machine, volume, store) = store();
    let mut items = 0;
    while store.put(key(items), [1; 30_000]).is_ok() {
        items += 1;
        step(&volume);
    }
    let mut txn = begin(&volume, Isolation::Snapshot);
    for number in 0..items {
        let _ = store.delete(key(number));
    }
    step(&volume);
    let refused = loop {
        match txn.put(&store, key(100_000 + items), [2; 500_000]) {
            Ok(()) => items += 1,
            Err(why) => break why,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::VolumeFull, "{refused}");
    assert!(refused.to_string().contains("end them"), "{refused}");
    txn.rollback();
    for number in 0..100 {
        store.put(key(number), [3; 300_000]).unwrap();
        step(&volume);
    }
}
