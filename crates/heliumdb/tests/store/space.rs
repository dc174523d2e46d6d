//! What a volume in a file takes of the file system: after everything was moved together, as much as a new one with
//! the same in it, whatever it has held before.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use helium_sim::{DiskId, Machine, sim_options};
use heliumdb::{
    Durability, Volume, VolumeOptions,
    upkeep::{BackupFrom, Stats},
};

use crate::common::{MIB, noise};

struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("volume");
        Self {
            _folder: folder,
            path,
        }
    }

    fn open(&self) -> Volume {
        Volume::open_or_create(&self.path).unwrap()
    }

    /// Of 1 MiB.
    fn open_with_small_segments(&self) -> Volume {
        let url = format!("he://{}", self.path.display());
        Volume::open(&url, &VolumeOptions::new().limit_bytes(256 * MIB)).unwrap()
    }
}

/// Bytes of the file system's blocks.
fn taken(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().blocks() * 512
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

#[test]
fn a_file_starts_small_and_grows_with_what_is_in_it() {
    let file = File::new();
    let volume = file.open();
    volume.close().unwrap();
    drop(volume);
    let empty = taken(&file.path);
    assert!(empty <= MIB, "{empty}");
    let volume = file.open();
    let store = volume.create_datastore(b"store").unwrap();
    for number in 0..100u64 {
        store.put(number.to_be_bytes(), [1; 100]).unwrap();
    }
    volume.flush().unwrap();
    let small = taken(&file.path);
    // Next to nothing is kept beside next to nothing: the segment that is being filled has it.
    assert!(small <= 9 * MIB, "{small}");
    for number in 0..200_000u64 {
        let (key, value) = (noise(number, 16), noise(number + 1_000_000, 30));
        store.put(&key, &value).unwrap();
    }
    volume.flush().unwrap();
    let stats = volume.stats();
    let (bytes, used) = (taken(&file.path), stats.used_bytes);
    // Beside the log: what 4,096 deletes and the cleaner need, two checkpoints, and what has come free.
    assert!(
        bytes <= used + 2 * stats.index_bytes + 66 * MIB,
        "{bytes} of which {used} are log: {stats:?}"
    );
    assert_eq!(stats.taken_bytes, bytes);
    // Put singly, small items take twice as much as together. Beside what is alive, and the checkpoint that the next one
    // needs as much for: an eighth for frames, what 4,096 deletes and the cleaner need, and two segments that are
    // not full.
    volume.compact(&mut |_| true).unwrap();
    let stats = volume.stats();
    let most = stats.live_bytes * 9 / 8 + stats.checkpoint_bytes * 9 / 8 + (16 + 24 + 16) * MIB;
    let (bytes, length) = (taken(&file.path), length(&file.path));
    assert!(bytes <= most, "{bytes} of {most}: {stats:?}");
    // And two segments more.
    assert!(length <= most + 16 * MIB, "{length} of {most}: {stats:?}");
    let live = 200_000 * (16 + 30);
    assert!(
        stats.live_bytes <= 2 * live + stats.checkpoint_bytes,
        "{stats:?}"
    );
}

#[test]
fn batches_in_several_segments_are_compacted_in_one_go() {
    let file = File::new();
    // Each batch has its end in another segment than its start, which needs it.
    let volume = file.open_with_small_segments();
    let store = volume.create_datastore(b"store").unwrap();
    let (batches, each) = (40u64, 30u64);
    let stays = |number: u64| number.is_multiple_of(60);
    for batch in 0..batches {
        let mut writes = volume.batch();
        for number in batch * each..(batch + 1) * each {
            writes
                .put(&store, number.to_be_bytes(), noise(number, 50_000))
                .unwrap();
        }
        writes.commit(Durability::Synced).unwrap();
    }
    for number in (0..batches * each).filter(|number| !stays(*number)) {
        assert!(store.delete(number.to_be_bytes()).unwrap());
    }
    volume.flush().unwrap();
    let before = volume.stats();
    assert!(before.used_bytes > 60 * MIB, "{before:?}");
    volume.compact(&mut |_| true).unwrap();
    let stats = volume.stats();
    assert!(stats.used_bytes <= stats.live_bytes + 4 * MIB, "{stats:?}");
    drop(store);
    volume.close().unwrap();
    let volume = file.open();
    let store = volume.datastore(b"store").unwrap();
    for number in (0..batches * each).filter(|number| stays(*number)) {
        let found = store.get(number.to_be_bytes()).unwrap();
        assert_eq!(found.as_deref(), Some(&noise(number, 50_000)[..]));
    }
}

#[test]
fn tombstones_of_what_is_gone_take_nothing_once_all_was_moved() {
    let file = File::new();
    let volume = file.open_with_small_segments();
    let store = volume.create_datastore(b"store").unwrap();
    let (items, stays) = (100_000u64, |number: u64| number.is_multiple_of(4));
    let key = |number: u64| noise(number, 24);
    for number in 0..items {
        store.put(key(number), noise(number, 60)).unwrap();
    }
    for number in (0..items).filter(|number| !stays(*number)) {
        assert!(store.delete(key(number)).unwrap());
    }
    volume.flush().unwrap();
    volume.compact(&mut |_| true).unwrap();
    let stats = volume.stats();
    // What is alive with an eighth for frames, and four segments that are not full, or had to be moved in between. The
    // tombstones had 4 MB.
    let most = stats.live_bytes * 9 / 8 + 4 * MIB;
    assert!(stats.used_bytes <= most, "{most}: {stats:?}");
    assert_eq!(store.len(), items / 4);
}

#[test]
fn what_was_deleted_is_given_back() {
    const VALUE: usize = 30_000;
    let file = File::new();
    let volume = file.open();
    let store = volume.create_datastore(b"store").unwrap();
    let (items, stays) = (6_000u64, |number: u64| number % 40 == 3);
    for number in 0..items {
        let put = store.put(number.to_be_bytes(), noise(number, VALUE));
        put.unwrap();
    }
    volume.flush().unwrap();
    let full = taken(&file.path);
    assert!(full > items * VALUE as u64, "{full}");
    for number in (0..items).filter(|number| !stays(*number)) {
        assert!(store.delete(number.to_be_bytes()).unwrap());
    }
    volume.compact(&mut |_| true).unwrap();
    let copy = File::new();
    let target = copy.open();
    let from = BackupFrom::Newest;
    volume.backup(from, &target, &mut |_| true).unwrap();
    drop(store);
    volume.close().unwrap();
    target.close().unwrap();
    let (bytes, fresh) = (taken(&file.path), taken(&copy.path));
    // And a segment, as what is in use ends anywhere.
    assert!(
        bytes <= fresh * 115 / 100 + 8 * MIB,
        "{bytes} of {full}, and {fresh} in a backup"
    );
    let (long, new) = (length(&file.path), length(&copy.path));
    assert!(
        long <= new.max(bytes) + 24 * MIB,
        "{long}, and {new} in a backup"
    );
    // What is given back is there when it is wanted.
    let volume = file.open();
    let store = volume.datastore(b"store").unwrap();
    let left = store.iter().map(|item| item.unwrap());
    let wanted = (0..items).filter(|number| stays(*number));
    assert!(left.eq(wanted.map(|number| (number.to_be_bytes().to_vec(), noise(number, VALUE)))));
    for number in 0..items {
        let put = store.put(number.to_be_bytes(), noise(number, VALUE));
        put.unwrap();
    }
    drop(store);
    volume.close().unwrap();
    let volume = file.open();
    assert_eq!(volume.datastore(b"store").unwrap().len(), items);
    assert_eq!(volume.verify(&mut |_| true).unwrap().damaged, 0);
}

/// What was moved while half of all was being removed is kept from going by nothing that the removals after that
/// have left, and keeps these.
#[test]
fn records_of_removals_go_where_a_volume_becomes_small() {
    const ITEMS: u64 = 150_000;
    let machine = Machine::new(1, &[0]);
    machine.allow_growth(DiskId(0), 200 * MIB);
    let options = sim_options().limit_bytes(200 * MIB);
    let open = || Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let volume = open();
    let store = volume.create_datastore(b"store").unwrap();
    let key = |number: u64| noise(number, 24);
    for number in 0..ITEMS {
        store.put(key(number), [7; 150]).unwrap();
    }
    for number in 0..ITEMS {
        if number % 2 == 0 {
            assert!(store.delete(key(number)).unwrap());
        }
        // As the background thread does it.
        if number % (ITEMS / 20) == 0 {
            volume.clean().unwrap();
            volume.free().unwrap();
        }
    }
    volume.flush().unwrap();
    let before = volume.stats();
    assert!(before.tombstone_bytes > 3 * MIB / 2, "{before:?}");
    // Readers in other tests' threads hold up what waits for readers: try again.
    let compact = || {
        let before = volume.stats().cleaner_bytes;
        assert!(volume.compact(&mut |_| true).unwrap());
        let after = volume.stats();
        (after.cleaner_bytes - before, after)
    };
    // As long as they take a twentieth what keeps them is moved; how far below that they come depends on when those
    // readers let go of what.
    let is_small = |after: &Stats| {
        after.tombstone_bytes * 20 < after.used_bytes
            && after.used_bytes <= after.live_bytes * 10 / 9 + 2 * MIB
    };
    let is_small_now = (0..3).any(|_| is_small(&compact().1));
    assert!(is_small_now, "{:?}", volume.stats());
    // Compacting what is compact moves next to nothing: of some twenty segments the one or two in which pages of
    // checkpoints have died since.
    let again = (0..3).map(|_| compact().0).min();
    assert!(
        again < Some(5 * MIB / 2),
        "{again:?} of {:?}",
        volume.stats()
    );
    drop((store, volume));
    let volume = open();
    let store = volume.datastore(b"store").unwrap();
    for number in 0..ITEMS {
        assert_eq!(store.contains_key(key(number)).unwrap(), number % 2 == 1);
    }
}
