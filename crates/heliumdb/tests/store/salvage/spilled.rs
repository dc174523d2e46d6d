//! Transactions that outgrew their memory, and compressed values, in salvage and backups.

use helium_sim::{Image, Machine, sim_options};
use heliumdb::{
    Datastore, DatastoreOptions, Durability, Isolation, TransactionOptions, Volume, limits,
    upkeep::BackupFrom,
};

use super::{Datastores, contents, salvage, same};
use crate::common::{MIB, machine, open_one};

const SMALL: TransactionOptions = TransactionOptions::new()
    .isolation(Isolation::Snapshot)
    .durability(Durability::Synced)
    .memory_budget_bytes(10_000);
const SPILL: u8 = 7;
const COMMIT_SPILLED: u8 = 8;

fn stores(volume: &Volume) -> [Datastore; 2] {
    let mut packed = DatastoreOptions::default();
    packed.create = true;
    packed.compress = true;
    [
        volume.create_datastore(b"plain").unwrap(),
        volume.open_datastore(b"packed", &packed).unwrap(),
    ]
}

/// Puts forty items of a kilobyte into each.
fn fill(txn: &mut heliumdb::Transaction, stores: &[Datastore], what: &str) {
    for i in 0..40 {
        for store in stores {
            txn.put(store, format!("{what}{i}").as_bytes(), [i; 1000])
                .unwrap();
        }
    }
}

/// One transaction that spilled and committed, one that was rolled back, one that is open still.
fn work(machine: &Machine, during: impl FnOnce(&Volume)) -> (Vec<Image>, Datastores) {
    let volume = open_one(machine).unwrap();
    let stores = stores(&volume);
    let long = vec![7; limits::CHUNK_BYTES + 9];
    for store in &stores {
        store.put(b"long", &long).unwrap();
        store.put(b"a0", b"before").unwrap();
    }
    let mut open = volume.begin_with(SMALL).unwrap();
    fill(&mut open, &stores, "open");
    let mut undone = volume.begin_with(SMALL).unwrap();
    fill(&mut undone, &stores, "undone");
    undone.rollback();
    let mut txn = volume.begin_with(SMALL).unwrap();
    fill(&mut txn, &stores, "a");
    let savepoint = txn.savepoint().unwrap();
    fill(&mut txn, &stores, "skipped");
    txn.rollback_to(savepoint).unwrap();
    fill(&mut txn, &stores, "b");
    volume.checkpoint().unwrap();
    txn.commit().unwrap();
    volume.flush().unwrap();
    let contents = contents(&volume);
    for (_, items) in contents.values() {
        assert_eq!(items.len(), 81);
    }
    during(&volume);
    let images = machine.images();
    drop(open);
    (images, contents)
}

fn memory() -> Volume {
    let mut options = sim_options();
    options.exclusive = true;
    Volume::open(&format!("he://./_{}", 64 * MIB), &options).unwrap()
}

#[test]
fn spilled_items_count_with_their_commit_and_compressed_ones_stay_so() {
    let machine = machine(0, 1);
    let (images, wanted) = work(&machine, |volume| {
        let wanted = contents(volume);
        let snapshot = volume.snapshot().unwrap();
        for from in [BackupFrom::Newest, BackupFrom::Snapshot(&snapshot)] {
            let target = memory();
            let report = volume.backup(from, &target, &mut |_| true).unwrap();
            same(&contents(&target), &wanted);
            assert_eq!(report.items, 162);
            for info in target.datastores() {
                assert_eq!(info.compress, info.name == b"packed");
                let store = target.datastore_by_id(info.id).unwrap();
                assert_eq!((store.len(), store.stats().unwrap().items), (81, 81));
            }
            let stats = target.stats();
            assert!(stats.compress_stored_bytes < stats.compress_given_bytes / 4);
        }
    });
    let (report, found) = salvage(&images, |s| s);
    assert!(report.is_lossless(), "{report:?}");
    same(&found, &wanted);
}

/// Payloads of frames of a kind.
fn frames(image: &Image, kind: u8) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    for at in (MIB..8 * MIB).step_by(16) {
        let mut header = [0; 16];
        image.read(&mut header, at);
        if &header[..4] == b"HeFr" && header[6] == kind {
            let len = u32::from_le_bytes(header[8..12].try_into().unwrap());
            found.push((at + 80, u64::from(len)));
        }
    }
    found
}

#[test]
fn a_spilled_transaction_with_damage_is_left_out_unless_parts_are_asked_for() {
    let machine = machine(0, 1);
    let (images, wanted) = work(&machine, |_| {});
    for kind in [SPILL, COMMIT_SPILLED] {
        let frames = frames(&images[0], kind);
        // Others' spills come first; the last one is of the transaction that committed.
        let (at, len) = *frames.last().unwrap();
        let mut images = images.clone();
        images[0].write(&[0xee], at + len - 40);
        let (report, found) = salvage(&images, |s| s);
        assert_eq!(report.damaged_frames, 1);
        assert!(report.dropped_items > 100, "{kind}: {report:?}");
        for (_, items) in found.values() {
            assert_eq!(items.len(), 2, "only what was there before");
            assert_eq!(items[&b"a0"[..]], b"before");
        }
        let (_, found) = salvage(&images, |s| s.partial_batches(true));
        let (found, wanted) = (count(&found), count(&wanted));
        assert!(found < wanted && found + 3 >= wanted, "{found} of {wanted}");
    }
}

/// The commit says how many there were: one that is gone without a trace is missed as well.
#[test]
fn a_spilled_batch_that_left_no_trace_is_missed() {
    let machine = machine(0, 1);
    let (images, wanted) = work(&machine, |_| {});
    let id = |at: u64| {
        let mut id = [0; 8];
        images[0].read(&mut id, at);
        u64::from_le_bytes(id)
    };
    let commits = frames(&images[0], COMMIT_SPILLED);
    let committed = id(commits.last().unwrap().0);
    let mut spills = frames(&images[0], SPILL);
    spills.retain(|(at, _)| id(*at) == committed);
    assert!(spills.len() > 10, "{}", spills.len());
    for (at, len) in spills {
        let mut images = images.clone();
        images[0].write(&vec![0; 80 + len as usize], at - 80);
        let (report, found) = salvage(&images, |s| s);
        assert!(report.dropped_items > 100, "{report:?}");
        assert!(!report.is_lossless());
        for (_, items) in found.values() {
            assert_eq!(items.len(), 2, "only what was there before");
            assert_eq!(items[&b"a0"[..]], b"before");
        }
        let (_, found) = salvage(&images, |s| s.partial_batches(true));
        let (found, wanted) = (count(&found), count(&wanted));
        // What a savepoint took back is in some of them.
        assert!(found <= wanted && found > wanted / 2, "{found} of {wanted}");
    }
}

fn count(stores: &Datastores) -> usize {
    stores.values().map(|(_, items)| items.len()).sum()
}
