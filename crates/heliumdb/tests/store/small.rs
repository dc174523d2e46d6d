//! The smallest volumes there are, in the largest segments: a few of them, most of which are set aside. What is deleted
//! there gives its room back.

use helium_sim::{DiskId, Machine, sim_options};
use heliumdb::{Datastore, DatastoreOptions, ErrorKind, Volume};

use crate::common::MIB;

/// A file that grows, on a file system of so many bytes.
fn open(bytes: u64, checkpoint_log_bytes: Option<u64>, unordered: bool) -> (Volume, Datastore) {
    let machine = Machine::new(1, &[0]);
    machine.allow_growth(DiskId(0), 1 << 40);
    machine.keep_in_file(DiskId(0), bytes);
    let mut options = sim_options();
    options.checkpoint_log_bytes = checkpoint_log_bytes;
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let mut how = DatastoreOptions::default();
    (how.create, how.unordered) = (true, unordered);
    let store = volume.open_datastore(b"store", &how).unwrap();
    (volume, store)
}

/// Puts items until there is no room: how many there are then.
fn fill(store: &Datastore, value_bytes: usize) -> u64 {
    let put = |number: u64| store.put(number.to_be_bytes(), vec![number as u8; value_bytes]);
    let full = (0..).find_map(|number| Some((number, put(number).err()?)));
    let (items, why) = full.unwrap();
    assert_eq!(why.kind(), ErrorKind::VolumeFull, "{why}");
    items
}

/// Deletes all that there is: no delete is refused.
fn delete_all(store: &Datastore, items: u64) {
    for number in 0..items {
        let deleted = store.delete(number.to_be_bytes());
        deleted.unwrap_or_else(|why| panic!("delete {number} of {items}: {why}"));
    }
}

/// All of it may lie in the segment that is being filled, which is not cleaned before it is complete.
#[test]
fn room_comes_back_in_volumes_of_four_segments() {
    let kinds = [None, Some(u64::MAX), Some(MIB)].into_iter();
    let kinds = kinds.flat_map(|log| [false, true].map(|unordered| (log, unordered)));
    for (checkpoint_log_bytes, unordered) in kinds {
        for value_bytes in [100, 5_000, 100_000, 1_000_000] {
            let what = format!("{checkpoint_log_bytes:?}, {unordered}, {value_bytes}");
            let (volume, store) = open(33 * MIB, checkpoint_log_bytes, unordered);
            let items = fill(&store, value_bytes);
            delete_all(&store, items);
            let again = fill(&store, value_bytes);
            assert!(again * 5 >= items * 4, "{what}: {items}, then {again}");
            volume.truncate_datastore(store.id()).unwrap();
            let again = fill(&store, value_bytes);
            assert!(again * 5 >= items * 4, "{what}: {items}, at last {again}");
        }
    }
}

/// Each delete is synced alone, and many more of them than the reserve has room for. Pages of checkpoints lie in all
/// segments, and keep them there however little else is left.
#[test]
fn deletes_are_never_refused_where_pages_of_checkpoints_lie_everywhere() {
    for (mib, value_bytes) in [(49, 20), (57, 100), (57, 400)] {
        let (volume, store) = open(mib * MIB, Some(MIB), false);
        let items = fill(&store, value_bytes);
        let before = volume.stats();
        assert!(items > 2 * heliumdb::limits::DELETES_WHEN_FULL, "{items}");
        for number in 0..items {
            let deleted = store.delete(number.to_be_bytes());
            let deleted = deleted.and_then(|_| volume.flush());
            let what = || format!("{mib}, {value_bytes}: {number} of {items}");
            deleted.unwrap_or_else(|why| panic!("{}: {why}: {:?}", what(), volume.stats()));
        }
        // Each took a block.
        let stats = volume.stats();
        let checkpoints = stats.checkpoint_written_bytes - before.checkpoint_written_bytes;
        let moved = stats.cleaner_bytes - before.cleaner_bytes;
        assert!(
            checkpoints <= items * 4096 / 8 && moved <= items * 4096 / 2,
            "{mib}, {value_bytes}: {items}: {stats:?}"
        );
        let again = fill(&store, value_bytes);
        assert!(again * 10 >= items * 9, "{items}, then {again}");
    }
}
