//! Transactions that outgrow their memory: nothing of them counts before their commit does.

use helium_sim::{DiskId, Machine, Replay, seed, sim_options};
use heliumdb::{Datastore, Durability, ErrorKind, Isolation, Readable, TransactionOptions, Volume};
use rand::{Rng, seq::IndexedRandom};

use super::all;
use crate::common::{after_power_loss, machine, open_one, store};

const SMALL: TransactionOptions = TransactionOptions::new()
    .isolation(Isolation::Snapshot)
    .durability(Durability::Synced)
    .memory_budget_bytes(20_000);

fn items(machine: &Machine) -> (Volume, Datastore, Vec<(String, String)>) {
    let volume = open_one(machine).unwrap();
    let store = volume.datastore(b"store").unwrap();
    let items = all(&volume.snapshot().unwrap(), &store);
    assert_eq!(store.len(), items.len() as u64);
    (volume, store, items)
}

#[test]
fn what_was_spilled_comes_with_its_commit_and_goes_without() {
    let (machine, volume, store) = store();
    store.put(b"k0000", b"before").unwrap();
    store.put(b"z", b"before").unwrap();
    let value = [b'v'; 1000];
    let mut lost = volume.begin_with(SMALL).unwrap();
    let mut txn = volume.begin_with(SMALL).unwrap();
    for i in 0..300 {
        txn.put(&store, format!("k{i:04}").as_bytes(), value)
            .unwrap();
        lost.put(&store, format!("lost{i:04}").as_bytes(), value)
            .unwrap();
        assert!(
            volume.version_bytes() < 100_000 + i * 200,
            "{}",
            volume.version_bytes()
        );
    }
    // Spilled items are read again, overwritten and removed.
    assert_eq!(txn.get(&store, b"k0000").unwrap().unwrap(), value);
    txn.put(&store, b"k0001", b"again").unwrap();
    assert!(txn.delete(&store, b"k0002").unwrap());
    assert!(txn.delete(&store, b"z").unwrap());
    assert_eq!(store.get(b"k0000").unwrap().unwrap(), b"before");
    volume.flush().unwrap();
    let (before, ..) = (after_power_loss(&machine, 1), ());
    assert_eq!(items(&before).2.len(), 2);
    txn.commit().unwrap();
    // Its id may not be taken for that of one that crashed with it.
    let crashed = after_power_loss(&machine, 2);
    drop(lost);
    let check = |items: &[(String, String)]| {
        assert_eq!(items.len(), 299);
        assert_eq!(items[1], ("k0001".into(), "again".into()));
        assert!(
            items
                .iter()
                .all(|(key, _)| key.starts_with('k') && key != "k0002")
        );
    };
    check(&all(&volume.snapshot().unwrap(), &store));
    let (volume, store, found) = items(&crashed);
    check(&found);
    // The next life's ids are others: nothing of the lost transaction comes with them.
    let mut next = volume.begin_with(SMALL).unwrap();
    for i in 0..50 {
        next.put(&store, format!("next{i:04}").as_bytes(), value)
            .unwrap();
    }
    next.commit().unwrap();
    drop((store, volume));
    let found = items(&after_power_loss(&crashed, 3)).2;
    assert_eq!(found.len(), 299 + 50);
}

#[test]
fn going_back_over_what_was_spilled_takes_it_out_of_the_commit() {
    let (machine, volume, store) = store();
    let value = [b'v'; 1000];
    let mut txn = volume.begin_with(SMALL).unwrap();
    let put = |txn: &mut heliumdb::Transaction, what: &str| {
        for i in 0..40 {
            txn.put(&store, format!("{what}{i}").as_bytes(), value)
                .unwrap();
        }
    };
    put(&mut txn, "a");
    txn.put(&store, b"both", b"first").unwrap();
    let savepoint = txn.savepoint().unwrap();
    for _ in 0..3 {
        put(&mut txn, "b");
        txn.put(&store, b"both", b"second").unwrap();
        txn.put(&store, b"more", [b'x'; 25_000]).unwrap();
        txn.rollback_to(savepoint).unwrap();
    }
    put(&mut txn, "c");
    let sees = all(&txn, &store);
    txn.commit().unwrap();
    assert_eq!(sees.len(), 81);
    assert_eq!(all(&volume.snapshot().unwrap(), &store), sees);
    assert_eq!(items(&after_power_loss(&machine, 1)).2, sees);
}

#[test]
fn a_transaction_may_be_larger_than_the_budget_of_versions() {
    let machine = machine(0, 1);
    let mut options = sim_options();
    options.version_budget_bytes = 400_000;
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    let mut txn = volume.begin().unwrap();
    for i in 0..3_000u32 {
        txn.put(&store, i.to_be_bytes(), [7; 1000]).unwrap();
    }
    txn.commit_with(Durability::Buffered).unwrap();
    assert_eq!(store.len(), 3_000);
    // The versions themselves count all the same.
    let mut txn = volume.begin().unwrap();
    let refused = (0..20_000u32).find_map(|i| txn.put(&store, i.to_be_bytes(), b"").err());
    assert_eq!(refused.unwrap().kind(), ErrorKind::VersionBudget);
}

/// The commit only names what was spilled: replay has to start where that is.
#[test]
fn what_was_spilled_before_a_checkpoint_comes_with_a_commit_behind_it() {
    let (machine, volume, store) = store();
    let mut txn = volume.begin_with(SMALL).unwrap();
    for i in 0..100 {
        let key = format!("k{i:04}");
        txn.put(&store, key.as_bytes(), [b'v'; 1000]).unwrap();
    }
    volume.flush().unwrap();
    volume.checkpoint().unwrap();
    // It is open, so it is not there.
    assert_eq!(items(&after_power_loss(&machine, 1)).2.len(), 0);
    volume.checkpoint().unwrap();
    txn.put(&store, b"last", b"x").unwrap();
    txn.commit().unwrap();
    let found = items(&after_power_loss(&machine, 2)).2;
    assert_eq!(found.len(), 101);
    volume.checkpoint().unwrap();
    assert_eq!(items(&after_power_loss(&machine, 3)).2, found);
}

/// Power losses anywhere, with segments freed in between: each transaction is wholly there or not.
#[test]
fn a_power_loss_leaves_spilled_transactions_whole() {
    let images = seed::count("HELIUM_SPILL_IMAGES", 60);
    for seed in seed::seeds(3) {
        let replay = Replay::new(seed);
        let mut rng = seed::rng(seed);
        let machine = machine(seed, 1);
        let volume = open_one(&machine).unwrap();
        let store = volume.create_datastore(b"store").unwrap();
        machine.record(&[0]);
        for round in 1..=12u64 {
            let mut txn = volume.begin_with(SMALL).unwrap();
            let mut noise = volume.begin_with(SMALL).unwrap();
            for i in 0..60u32 {
                let value = [round as u8; 5_000];
                txn.put(&store, i.to_be_bytes(), value).unwrap();
                noise.put(&store, (1000 + i).to_be_bytes(), value).unwrap();
            }
            if rng.random_bool(0.5) {
                volume.flush().unwrap();
            }
            txn.commit().unwrap();
            machine.note(&[round]);
            drop(noise);
            for _ in 0..3 {
                volume.background_step().unwrap();
            }
        }
        let records = machine.records();
        for image in 0..images {
            let Some(case) = replay.case(image) else {
                continue;
            };
            let mut rng = case.rng();
            let record = records.choose(&mut rng).unwrap();
            let images = record.crash(&mut rng);
            case.keep(&images);
            let crashed = Machine::with_images(seed, images);
            let volume = open_one(&crashed).unwrap();
            let store = volume.datastore(b"store").unwrap();
            let found: Vec<_> = store.iter().map(|item| item.unwrap()).collect();
            let acknowledged = record.note[0];
            let round = found.first().map_or(0, |(_, value)| u64::from(value[0]));
            assert!(
                (acknowledged..=acknowledged + 1).contains(&round),
                "{round}, not {acknowledged}"
            );
            assert_eq!(found.len(), if round == 0 { 0 } else { 60 });
            assert!(
                found
                    .iter()
                    .all(|(_, value)| value[..] == [round as u8; 5_000])
            );
        }
    }
}
