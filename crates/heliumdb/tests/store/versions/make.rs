//! Makes the volumes that are kept of each version of the format: with all that it has.

use std::sync::Arc;

use helium_sim::{DiskId, Keeper, Machine, sim_options};
use heliumdb::host::VolumeExt;
use heliumdb::{
    Datastore, DatastoreOptions, Isolation, TransactionOptions, Volume, VolumeOptions,
    host::open_all_devices,
};

use super::kept::{Contents, Kept};
use crate::common::{MIB, Session};

/// Disks of the two volumes.
pub(super) const DISKS: [&[usize]; 2] = [&[0], &[1, 2]];

pub(super) fn options() -> VolumeOptions {
    let mut options = sim_options();
    options.checkpoint_log_bytes = Some(u64::MAX);
    options
}

pub(super) fn open(machine: &Machine) -> heliumdb::Result<Vec<Volume>> {
    open_with(machine, &options())
}

pub(super) fn open_with(
    machine: &Machine,
    options: &VolumeOptions,
) -> heliumdb::Result<Vec<Volume>> {
    let disks = DISKS.map(|disks| disks.iter().map(|&disk| DiskId(disk)).collect::<Vec<_>>());
    let volumes = disks.iter().map(|disks| machine.devices(disks));
    open_all_devices(volumes.map(|devices| (devices, options.clone())).collect())
}

/// What is in a volume.
pub(super) fn contents(volume: &Volume) -> Contents {
    let stores = volume.datastores().into_iter().map(|info| {
        let store = volume.datastore_by_id(info.id).unwrap();
        (info.name, store.items().map(Result::unwrap).collect())
    });
    stores.collect()
}

/// Both volumes as a kill leaves them: the second one's newest commit is decided by the first one.
pub(super) fn make() -> Kept {
    let (machine, volumes) = blank();
    let keeper = Keeper::new();
    volumes.iter().for_each(fill);
    // From here on a program that embeds them keeps their transactions.
    volumes.iter().for_each(|volume| volume.close().unwrap());
    drop(volumes);
    let volumes = open(&machine).unwrap();
    over_both(&keeper, &volumes);
    let contents = volumes.iter().map(contents);
    Kept {
        images: machine.images(),
        volumes: DISKS.iter().map(|d| d.len()).zip(contents).collect(),
    }
}

/// The volume with the smaller id decides: it has one disk.
fn blank() -> (Machine, Vec<Volume>) {
    loop {
        let machine = Machine::new(0, &[64 * MIB, 32 * MIB, 32 * MIB]);
        let volumes = open(&machine).unwrap();
        if volumes[0].id() < volumes[1].id() {
            return (machine, volumes);
        }
    }
}

fn fill(volume: &Volume) {
    let [ordered, compressed, unordered] = stores(volume);
    for store in [&ordered, &compressed, &unordered] {
        small_and_long(store);
    }
    retired(volume);
    own_transactions(volume, &ordered);
    volume.checkpoint().unwrap();
    cleaned(volume, &ordered);
    volume.checkpoint().unwrap();
    volume.free().unwrap();
    // Behind the checkpoint.
    for number in 0..30 {
        ordered.put(key(number), b"behind the checkpoint").unwrap();
        assert!(unordered.delete(key(7 * number % 200 + 1)).unwrap());
    }
    compressed
        .put(b"behind", "the checkpoint ".repeat(300).as_bytes())
        .unwrap();
    volume.flush().unwrap();
}

fn stores(volume: &Volume) -> [Datastore; 3] {
    ["ordered", "compressed", "unordered"].map(|name| {
        let mut how = DatastoreOptions::default();
        how.create = true;
        how.attributes = format!("attributes of {name}").into_bytes();
        how.compress = name == "compressed";
        how.unordered = name == "unordered";
        volume.open_datastore(name.as_bytes(), &how).unwrap()
    })
}

fn key(number: u32) -> Vec<u8> {
    format!("key {number:05}").into_bytes()
}

fn small_and_long(store: &Datastore) {
    for number in 0..200 {
        store.put(key(number), b"first").unwrap();
    }
    for number in (0..200).step_by(3) {
        let value = format!("second {number} ").repeat(20);
        store.put(key(number), value.as_bytes()).unwrap();
    }
    for number in (0..200).step_by(7) {
        assert!(store.delete(key(number)).unwrap());
    }
    store.put(b"", b"the empty key").unwrap();
    store.put(b"empty", b"").unwrap();
    let long: Vec<u8> = (0..600_000u32).map(|i| (i / 1000) as u8).collect();
    store.put(b"long", &long).unwrap();
    store.put([b'k'; 5000], b"a long key").unwrap();
}

fn retired(volume: &Volume) {
    for name in [&b"dropped"[..], b"emptied", b"renamed before"] {
        let store = volume.create_datastore(name).unwrap();
        store.put(b"key", name).unwrap();
    }
    let id = |name: &[u8]| volume.datastore(name).unwrap().id();
    volume.drop_datastore(id(b"dropped")).unwrap();
    volume.truncate_datastore(id(b"emptied")).unwrap();
    volume
        .rename_datastore(id(b"renamed before"), b"renamed")
        .unwrap();
}

/// Committed, rolled back, and spilled with something rolled back.
fn own_transactions(volume: &Volume, store: &Datastore) {
    let mut txn = volume.begin().unwrap();
    txn.put(store, b"own", b"committed").unwrap();
    txn.commit().unwrap();
    let mut txn = volume.begin().unwrap();
    txn.put(store, b"never", b"rolled back").unwrap();
    txn.rollback();
    let small = TransactionOptions::new().memory_budget_bytes(10_000);
    let mut lost = volume.begin_with(small).unwrap();
    let mut txn = volume.begin_with(small).unwrap();
    for number in 0..60 {
        let name = format!("spilled {number:05}");
        lost.put(store, format!("lost {number}").as_bytes(), [b'l'; 500])
            .unwrap();
        let mark = txn.savepoint().unwrap();
        txn.put(store, name.as_bytes(), [b's'; 500]).unwrap();
        if number % 20 == 10 {
            txn.rollback_to(mark).unwrap();
        }
    }
    txn.commit().unwrap();
    lost.rollback();
}

/// Segments of which little is alive, so that the rest is moved.
fn cleaned(volume: &Volume, store: &Datastore) {
    for round in 0..30u8 {
        for number in 0..2 {
            let key = format!("filler {number}");
            store.put(key.as_bytes(), [round; 90_000]).unwrap();
        }
        let key = format!("between {round}");
        store.put(key.as_bytes(), b"kept while others go").unwrap();
    }
    volume.flush().unwrap();
    for _ in 0..4 {
        volume.clean().unwrap();
    }
}

/// Commits, cancels and a checkpoint beside what can still be cancelled; the last commit's parts are
/// prepared on the second volume and decided on the first.
fn over_both(keeper: &Arc<Keeper>, volumes: &[Volume]) {
    let stores: Vec<_> = volumes
        .iter()
        .map(|volume| volume.datastore(b"ordered").unwrap())
        .collect();
    let unordered = volumes[1].datastore(b"unordered").unwrap();
    let begin = |name: &str| {
        let mut session = Session::begin(keeper, Isolation::Snapshot);
        for store in stores.iter().chain([&unordered]) {
            session.put(store, name, &format!("of {name}")).unwrap();
        }
        session.remove(&stores[0], "filler 1").unwrap();
        session
    };
    begin("both, committed").commit().unwrap();
    let mut cancelled = begin("both, cancelled");
    cancelled.commit_unpublished().unwrap();
    let mut unsettled = Session::begin(keeper, Isolation::Snapshot);
    unsettled.put(&stores[1], "alone", "unsettled").unwrap();
    unsettled.commit_unpublished().unwrap();
    for volume in volumes {
        volume.checkpoint_as_of(&**keeper).unwrap();
    }
    cancelled.cancel().unwrap();
    unsettled.view.end();
    stores[0].put(b"key 00001", b"after the cancel").unwrap();
    let mut alone = Session::begin(keeper, Isolation::Snapshot);
    alone.put(&stores[1], "key 00001", "never").unwrap();
    alone.commit_unpublished().unwrap();
    alone.cancel().unwrap();
    volumes.iter().for_each(|volume| volume.flush().unwrap());
    begin("both, in doubt").commit().unwrap();
}
