//! Reading what is at hand: the same answers as ever, and no device is asked.

use helium_sim::{DiskId, Latch, Machine, Operation, Verdict, sim_options};
use heliumdb::{Datastore, DatastoreOptions, Volume};

/// What is at hand of a key: whether there is an item, and its value.
fn at_hand(store: &Datastore, key: &str) -> Option<Option<Vec<u8>>> {
    let mut value = b"left from before".to_vec();
    let found = store.get_at_hand(key, &mut value).unwrap()?;
    assert!(found || value.is_empty());
    Some(found.then_some(value))
}

#[test]
fn what_is_not_in_memory_is_said_not_to_be_and_no_device_is_asked() {
    let machine = Machine::new(1, &[64 << 20]);
    let latch = Latch::new();
    let open = || {
        let devices = machine.devices(&[DiskId(0)]).into_iter();
        let devices = devices.map(|device| latch.guard(device)).collect();
        Volume::open_devices(devices, &sim_options()).unwrap()
    };
    let (long, long_value) = ("long", vec![7; 1 << 20]);
    let names = ["ordered", "unordered"];
    let volume = open();
    for name in names {
        let mut options = DatastoreOptions::default();
        options.create = true;
        options.unordered = name == "unordered";
        let store = volume.open_datastore(name, &options).unwrap();
        store.put("a", "1").unwrap();
        store.put("gone", "1").unwrap();
        store.delete("gone").unwrap();
        store.put(long, &long_value).unwrap();
        // Just written: all but what is in pieces is at hand.
        assert_eq!(at_hand(&store, "a"), Some(Some(b"1".to_vec())));
        assert_eq!(at_hand(&store, long), None);
        // What a transaction has written shows when it is committed.
        let mut txn = volume.begin().unwrap();
        txn.put(&store, "a", "2").unwrap();
        txn.put(&store, "b", "2").unwrap();
        assert_eq!(at_hand(&store, "a"), Some(Some(b"1".to_vec())));
        assert_eq!(at_hand(&store, "b"), Some(None));
        txn.commit().unwrap();
        assert_eq!(at_hand(&store, "a"), Some(Some(b"2".to_vec())));
    }
    volume.close().unwrap();
    drop(volume);

    let volume = open();
    for name in names {
        let store = volume.datastore(name).unwrap();
        latch.hold(|operation| matches!(operation, Operation::Read { .. }));
        // It would be held up.
        assert_eq!(at_hand(&store, "a"), None);
        assert_eq!(at_hand(&store, "gone"), Some(None));
        assert_eq!(at_hand(&store, "absent"), Some(None));
        assert_eq!(at_hand(&store, long), None);
        latch.release(Verdict::Go);
        assert_eq!(store.get("a").unwrap(), Some(b"2".to_vec()));
        assert_eq!(at_hand(&store, "a"), Some(Some(b"2".to_vec())));
        assert_eq!(store.get(long).unwrap(), Some(long_value.clone()));
    }
    volume.close().unwrap();
}
