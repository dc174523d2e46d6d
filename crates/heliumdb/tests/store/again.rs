//! A transaction that is started again over the memory of one before is like a new one.

use helium_sim::{DiskId, Keeper, sim_options};
use heliumdb::host::VolumeExt;
use heliumdb::{
    Durability, Isolation,
    host::{Change, Mode, WriteSet, open_all_devices},
};

use crate::common::machine;

#[test]
fn nothing_of_the_transaction_before_is_left() {
    let machine = machine(0, 2);
    let disks = (0..2).map(|disk| (machine.devices(&[DiskId(disk)]), sim_options()));
    let volumes = open_all_devices(disks.collect()).unwrap();
    let stores: Vec<_> = volumes
        .iter()
        .map(|volume| volume.create_datastore(b"store").unwrap())
        .collect();
    let keeper = Keeper::new();
    let mut txn = WriteSet::new(keeper.begin(Isolation::Snapshot).allocate());
    // Both volumes, the first, none, the second, both: committed and aborted in turns.
    for (round, touched) in [&[0, 1][..], &[0], &[], &[1], &[0, 1]].iter().enumerate() {
        for commits in [true, false] {
            let mut view = keeper.begin(Isolation::Snapshot);
            txn.restart(view.allocate());
            let key = format!("{round} {commits}");
            for &store in *touched {
                let change = Change::Put(b"value");
                txn.write(&stores[store], &view, key.as_bytes(), change, Mode::Absent)
                    .unwrap();
            }
            if commits {
                txn.commit(Durability::Synced).unwrap();
            } else {
                txn.abort();
            }
            view.end();
            for (store, datastore) in stores.iter().enumerate() {
                let there = datastore.get(key.as_bytes()).unwrap().is_some();
                assert_eq!(there, commits && touched.contains(&store));
            }
        }
    }
    drop(txn);
    for volume in &volumes {
        volume.settle(&*keeper);
        assert_eq!(volume.version_bytes(), 0);
    }
    // None is thought to be at work in them any more.
    for (volume, store) in volumes.iter().zip(&stores) {
        volume.truncate_datastore(store.id()).unwrap();
    }
}

#[test]
fn starting_again_aborts_what_was_not_committed() {
    let (_machine, _volume, store) = crate::common::store();
    let keeper = Keeper::new();
    let mut view = keeper.begin(Isolation::Snapshot);
    let mut txn = WriteSet::new(view.allocate());
    txn.write(&store, &view, b"key", Change::Put(b"value"), Mode::Any)
        .unwrap();
    view.end();
    let mut view = keeper.begin(Isolation::Snapshot);
    txn.restart(view.allocate());
    txn.commit(Durability::Synced).unwrap();
    view.end();
    assert_eq!(store.get(b"key").unwrap(), None);
}
