//! Unordered datastores: as ordered ones in everything but order, whatever happens to the volume.
//!
//! (The models and the crash images have one of them in each volume, too: see `helium_sim::Driver`.)

use std::collections::BTreeMap;

use helium_sim::{DiskId, Image, Keeper, Machine, sim_options};
use heliumdb::host::DatastoreExt;
use heliumdb::{
    Datastore, DatastoreOptions, ErrorKind, Isolation, Position, Readable, Volume, VolumeOptions,
    host::{ReadAhead, Wanted},
    limits::KEY_BYTES_MAX,
    upkeep::{BackupFrom, Salvage},
};

use crate::common::{
    MIB, Session, after_kill, changed, destroy_checkpoint, machine, open_one, store,
};

type Items = BTreeMap<Vec<u8>, Vec<u8>>;

fn unordered() -> DatastoreOptions {
    let mut options = DatastoreOptions::default();
    options.create = true;
    options.unordered = true;
    options
}

/// A machine with a volume of an ordered and an unordered datastore.
fn two() -> (Machine, Volume, Datastore, Datastore) {
    let (machine, volume, ordered) = store();
    let hashed = volume.open_datastore(b"hashed", &unordered()).unwrap();
    (machine, volume, ordered, hashed)
}

fn items(store: &Datastore) -> Items {
    let all: Vec<_> = store.items().map(Result::unwrap).collect();
    let count = all.len();
    let items: Items = all.into_iter().collect();
    assert_eq!(items.len(), count, "an item came twice");
    assert_eq!(store.len(), count as u64);
    items
}

fn key(number: u32) -> Vec<u8> {
    format!("the key of number {number:06}").into_bytes()
}

/// Both datastores with the same items: some overwritten, some removed, some long.
fn fill(stores: [&Datastore; 2]) {
    for store in stores {
        for number in 0..3000 {
            store.put(key(number), b"first").unwrap();
        }
        for number in (0..3000).step_by(3) {
            store
                .put(key(number), format!("second {number}").as_bytes())
                .unwrap();
        }
        for number in (0..3000).step_by(7) {
            assert!(store.delete(key(number)).unwrap());
        }
        store.put(b"", b"the empty key").unwrap();
        store.put(b"long", vec![7; 700_000]).unwrap();
        store
            .put([b'k'; KEY_BYTES_MAX], b"the longest key")
            .unwrap();
    }
}

#[test]
fn everything_but_order_is_as_in_an_ordered_one() {
    let (_machine, volume, ordered, hashed) = two();
    fill([&ordered, &hashed]);
    assert!(hashed.info().unwrap().unordered && !ordered.info().unwrap().unordered);
    assert_eq!(items(&hashed), items(&ordered));
    assert_eq!(
        hashed.try_insert(key(1), b"").unwrap_err().kind(),
        ErrorKind::ItemExists
    );
    assert_eq!(
        hashed.replace(key(7), b"").unwrap_err().kind(),
        ErrorKind::ItemNotFound
    );
    assert!(!hashed.delete(key(7)).unwrap());
    let long = hashed.put([0; KEY_BYTES_MAX + 1], b"").unwrap_err();
    assert_eq!(long.kind(), ErrorKind::KeyTooLong);
    assert!(hashed.contains_key(key(1)).unwrap() && !hashed.contains_key(key(7)).unwrap());
    assert_eq!(hashed.remove(key(1)).unwrap(), Some(b"first".to_vec()));
    assert_eq!(
        hashed
            .update_fetch(key(1), |old| old.map_or(Some(b"new".to_vec()), |_| None))
            .unwrap(),
        Some(b"new".to_vec())
    );
    let several = hashed.multi_get(&[key(1), key(7), key(3)]).unwrap();
    assert_eq!(
        several,
        [Some(b"new".to_vec()), None, Some(b"second 3".to_vec())]
    );
    assert_eq!(hashed.compact().unwrap(), 0);
    volume.rename_datastore(hashed.id(), b"renamed").unwrap();
    assert_eq!(hashed.get(key(1)).unwrap(), Some(b"new".to_vec()));
    volume.truncate_datastore(hashed.id()).unwrap();
    assert!(items(&hashed).is_empty() && hashed.info().unwrap().unordered);
    volume.drop_datastore(hashed.id()).unwrap();
    assert!(!items(&ordered).is_empty());
}

#[test]
fn what_needs_an_order_is_unsupported() {
    let (_machine, volume, _, hashed) = two();
    fill([&hashed, &hashed]);
    let keeper = Keeper::new();
    let view = keeper.begin(Isolation::Snapshot);
    let (mut found, mut value) = (Vec::new(), Vec::new());
    let mut ahead = ReadAhead::default();
    let refused = [
        hashed.next(b"a").err(),
        hashed.previous(b"a").err(),
        hashed.nearest(Position::First).err(),
        hashed.iter().next().unwrap().err(),
        hashed.range(b"a".to_vec()..).next_back().unwrap().err(),
        hashed.visit(Position::First, &mut |_, _| true).err(),
        hashed
            .seek(&view, Position::Last, &mut found, &mut value)
            .err(),
        hashed
            .seek_ahead(
                &view,
                (Position::First, Wanted::Items),
                &mut ahead,
                &mut found,
                &mut value,
            )
            .err(),
    ];
    view.end();
    for refused in refused {
        assert_eq!(refused.map(|why| why.kind()), Some(ErrorKind::Unsupported));
    }
    volume.close().unwrap();
    let volume = Volume::open("he://./_100000000", &VolumeOptions::default()).unwrap();
    let hashed = volume.open_datastore(b"hashed", &unordered()).unwrap();
    let snapshot = volume.snapshot().unwrap();
    let refused = snapshot.iter(&hashed).next();
    assert!(refused.is_none_or(|item| item.is_err()));
    assert_eq!(
        snapshot.next(&hashed, b"").unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}

#[test]
fn transactions_see_and_meet_each_other() {
    let volume = Volume::open("he://./_100000001", &VolumeOptions::default()).unwrap();
    let hashed = volume.open_datastore(b"hashed", &unordered()).unwrap();
    hashed.put(b"a", b"1").unwrap();
    let snapshot = volume.snapshot().unwrap();
    let mut one = volume.begin().unwrap();
    let mut other = volume.begin().unwrap();
    one.put(&hashed, b"a", b"2").unwrap();
    assert_eq!(one.get(&hashed, b"a").unwrap(), Some(b"2".to_vec()));
    assert_eq!(other.get(&hashed, b"a").unwrap(), Some(b"1".to_vec()));
    let conflict = other.put(&hashed, b"a", b"3").unwrap_err();
    assert!(conflict.kind().is_retryable(), "{conflict}");
    one.commit().unwrap();
    assert_eq!(hashed.get(b"a").unwrap(), Some(b"2".to_vec()));
    assert_eq!(snapshot.get(&hashed, b"a").unwrap(), Some(b"1".to_vec()));
    assert_eq!(items(&hashed).into_values().collect::<Vec<_>>(), [b"2"]);
}

/// The same items in both, however the volume is opened: from its checkpoint, from it and the log behind
/// it, from the log alone.
#[test]
fn checkpoint_replay_and_scan_bring_back_the_same() {
    let (machine, volume, ordered, hashed) = two();
    fill([&ordered, &hashed]);
    volume.checkpoint().unwrap();
    for store in [&ordered, &hashed] {
        assert!(store.delete(key(1)).unwrap());
        store.put(key(2), b"behind the checkpoint").unwrap();
    }
    volume.flush().unwrap();
    let wanted = items(&hashed);
    assert_eq!(wanted, items(&ordered));
    let check = |images: Vec<Image>, scan: bool, replayed: std::ops::Range<u64>| {
        let machine = Machine::with_images(0, images);
        let mut options = sim_options();
        options.scan = scan;
        let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
        let count = volume.stats().recovered_items;
        assert!(replayed.contains(&count), "{count}");
        for name in ["store", "hashed"] {
            let store = volume.datastore(name.as_bytes()).unwrap();
            assert_eq!(items(&store), wanted, "{name}");
            assert_eq!(
                store.verify(&mut |_| {}).unwrap().items,
                wanted.len() as u64
            );
            // And it goes on.
            store.put(b"more", b"1").unwrap();
            assert_eq!(store.remove(b"more").unwrap(), Some(b"1".to_vec()));
        }
        // From a checkpoint of what was recovered.
        volume.checkpoint().unwrap();
        drop(volume);
        let volume = open_one(&after_kill(&machine, 0)).unwrap();
        assert_eq!(volume.stats().recovered_items, 0);
        assert_eq!(items(&volume.datastore(b"hashed").unwrap()), wanted);
    };
    let images = machine.images();
    check(images.clone(), false, 4..5);
    check(images.clone(), true, 6000..10_000);
    let mut destroyed = images;
    assert!(destroy_checkpoint(&mut destroyed[0]));
    check(destroyed.clone(), false, 6000..10_000);
    check(destroyed, true, 6000..10_000);
    drop(volume);
}

#[test]
fn cleaning_moves_its_items() {
    let machine = Machine::new(1, &[64 * MIB]);
    let volume = open_one(&machine).unwrap();
    let stores = [
        volume.create_datastore(b"store").unwrap(),
        volume.open_datastore(b"hashed", &unordered()).unwrap(),
    ];
    let mut wanted = Items::new();
    // Each round overwrites most, so that all segments keep something alive.
    for round in 0..60u32 {
        for number in 0..2000 {
            if number % 20 != round % 20 {
                let value = [&round.to_le_bytes()[..], &[3; 500]].concat();
                for store in &stores {
                    store.put(key(number), &value).unwrap();
                }
                wanted.insert(key(number), value);
            }
            if number % 100 == 0 {
                volume.background_step().unwrap();
            }
        }
    }
    volume.clean().unwrap();
    while volume.background_step().unwrap() {}
    assert!(volume.stats().cleaner_bytes > 0, "nothing was moved");
    for store in &stores {
        assert_eq!(items(store), wanted);
    }
    volume.flush().unwrap();
    let images = machine.images();
    let mut destroyed = images.clone();
    assert!(destroy_checkpoint(&mut destroyed[0]));
    for images in [images, destroyed] {
        let volume = open_one(&Machine::with_images(0, images)).unwrap();
        for name in ["store", "hashed"] {
            assert_eq!(items(&volume.datastore(name.as_bytes()).unwrap()), wanted);
        }
    }
}

#[test]
fn copies_have_the_keys_and_stay_unordered() {
    let (machine, volume, ordered, hashed) = two();
    fill([&ordered, &hashed]);
    // So that its tree has not the number that its id has.
    volume.truncate_datastore(hashed.id()).unwrap();
    fill([&hashed, &hashed]);
    let wanted = items(&hashed);
    let check = |copy: &Volume| {
        let copied = copy.datastore(b"hashed").unwrap();
        assert!(copied.info().unwrap().unordered);
        assert_eq!(copied.id(), hashed.id());
        assert_eq!(items(&copied), wanted);
        assert_eq!(items(&copy.datastore(b"store").unwrap()), wanted);
        let made = copy.open_datastore(b"made", &unordered()).unwrap();
        made.put(b"a", b"b").unwrap();
        assert_eq!(items(&copied), wanted);
    };
    let target = || open_one(&Machine::new(0, &[256 * MIB])).unwrap();
    let keeper = Keeper::new();
    let copy = target();
    volume
        .backup(BackupFrom::Newest, &copy, &mut |_| true)
        .unwrap();
    check(&copy);
    let copy = target();
    let view = keeper.begin(Isolation::Snapshot);
    volume
        .backup(BackupFrom::View(&view), &copy, &mut |_| true)
        .unwrap();
    view.end();
    check(&copy);
    volume.close().unwrap();
    // Without superblocks nobody knows by which secret the keys were hashed.
    let mut images = machine.images();
    for block in 0..2 {
        images = changed(&images, 0, block * 4096, &[0xaa; 4096]);
    }
    let source = Machine::with_images(0, images);
    let copy = target();
    let report = Salvage::on_devices(source.devices(&[DiskId(0)]))
        .run(&copy, &mut |_| true)
        .unwrap();
    assert!(report.is_lossless(), "{report:?}");
    check(&copy);
}

/// The place of some bytes on a disk.
fn find(image: &Image, bytes: &[u8]) -> u64 {
    let holds = |page: &u64| {
        let mut block = vec![0; 4096 + bytes.len()];
        let len = (image.len() - page * 4096).min(block.len() as u64);
        image.read(&mut block[..len as usize], page * 4096);
        let at = block.windows(bytes.len()).position(|w| w == bytes)?;
        Some(page * 4096 + at as u64)
    };
    let place = (256..image.len() / 4096).find_map(|page| holds(&page));
    place.expect("they are on the disk")
}

#[test]
fn damaged_items_are_found_and_removed_by_the_key_that_is_left() {
    let (machine, volume, ordered, hashed) = two();
    for number in 0..500 {
        let value = format!("a value with the number {number:06}");
        hashed.put(key(number), value.as_bytes()).unwrap();
    }
    // What is replayed must be whole: the checkpoint starts in a later segment.
    for number in 0..40 {
        ordered.put(key(number), [1; 100_000]).unwrap();
    }
    volume.close().unwrap();
    let images = machine.images();
    // A byte of one item's value, and one of another one's key.
    let value = find(&images[0], b"a value with the number 000123");
    let images = changed(&images, 0, value, b"b");
    let lost = find(&images[0], &key(300));
    let images = changed(&images, 0, lost, b"b");
    let volume = open_one(&Machine::with_images(0, images)).unwrap();
    let hashed = volume.datastore(b"hashed").unwrap();
    for number in 0..500 {
        match hashed.get(key(number)) {
            Ok(found) => {
                let wanted = format!("a value with the number {number:06}");
                assert_eq!(found, Some(wanted.into_bytes()));
            }
            Err(why) => {
                assert_eq!(why.kind(), ErrorKind::Damaged, "{why}");
                assert!([123, 300].contains(&number), "{number}: {why}");
            }
        }
    }
    assert_eq!(volume.verify(&mut |_| true).unwrap().damaged, 2);
    let mut shown: Vec<_> = volume.damage().into_iter().map(|d| d.key).collect();
    shown.sort();
    assert_eq!(shown, [Vec::new(), key(123)]);
    let mut removed = Vec::new();
    let report = hashed
        .remove_damaged(&mut |key, _| removed.push(key.to_vec()))
        .unwrap();
    assert_eq!(removed, [key(123)]);
    assert_eq!((report.items, report.damaged), (498, 1));
    assert_eq!(hashed.get(key(123)).unwrap(), None);
}

/// What it is made, or emptied, with counts; what it is opened with does not.
#[test]
fn an_emptied_datastore_is_kept_as_was_asked_then() {
    let (machine, volume, ordered, hashed) = two();
    ordered.put(b"a", b"1").unwrap();
    let again = volume.open_datastore(b"store", &unordered()).unwrap();
    assert!(!again.info().unwrap().unordered);
    assert_eq!(again.next(b"").unwrap().unwrap().0, b"a");
    let mut options = unordered();
    (options.truncate, options.compress) = (true, true);
    let now = volume.open_datastore(b"store", &options).unwrap();
    now.put(b"a", b"2").unwrap();
    let info = ordered.info().unwrap();
    assert!(info.unordered && info.compress);
    assert_eq!(
        ordered.next(b"").unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    options.unordered = false;
    options.attributes = b"mine".to_vec();
    volume.truncate_datastore_as(hashed.id(), &options).unwrap();
    hashed.put(b"a", b"3").unwrap();
    volume.flush().unwrap();
    let volume = open_one(&after_kill(&machine, 0)).unwrap();
    let [ordered, hashed] = ["store", "hashed"].map(|n| volume.datastore(n.as_bytes()).unwrap());
    assert_eq!(items(&ordered)[&b"a"[..]], b"2");
    assert!(ordered.info().unwrap().unordered);
    let info = hashed.info().unwrap();
    assert!(!info.unordered && info.compress && info.attributes == b"mine");
    assert_eq!(
        hashed.next(b"").unwrap(),
        Some((b"a".to_vec(), b"3".to_vec()))
    );
}

/// An unresolved transaction in the way: nothing changes.
#[test]
fn a_datastore_in_use_is_not_emptied() {
    let (_machine, volume, _, hashed) = two();
    hashed.put(b"a", b"1").unwrap();
    let keeper = Keeper::new();
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    session.put(&hashed, "b", "2").unwrap();
    let mut options = DatastoreOptions::default();
    options.truncate = true;
    let refused = volume.open_datastore(b"hashed", &options).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy);
    session.abort();
    assert_eq!(items(&hashed).len(), 1);
    volume.open_datastore(b"hashed", &options).unwrap();
    assert!(items(&hashed).is_empty());
    assert!(!hashed.info().unwrap().unordered);
}

#[test]
fn its_index_takes_no_more_for_longer_keys() {
    let per_item = |options: &DatastoreOptions, key_bytes: usize| {
        let volume = open_one(&machine(0, 1)).unwrap();
        let store = volume.open_datastore(b"store", options).unwrap();
        let mut rng = helium_sim::seed::rng(1);
        const ITEMS: u64 = 30_000;
        for _ in 0..ITEMS {
            let mut key = vec![0; key_bytes];
            rand::Rng::fill(&mut rng, &mut key[..]);
            store.put(&key, b"").unwrap();
        }
        store.stats().unwrap().index_bytes / ITEMS
    };
    let (short, long) = (per_item(&unordered(), 16), per_item(&unordered(), 300));
    assert!(long <= short + 1, "{short} and {long} bytes an item");
    let mut ordered = DatastoreOptions::default();
    ordered.create = true;
    assert!(short < per_item(&ordered, 16));
}

/// Index bytes per item: `cargo test --release -p heliumdb --test store unordered_figures -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn unordered_figures() {
    let items = helium_sim::seed::count("HELIUM_ITEMS", 10_000_000);
    for (kind, is_unordered) in [("unordered", true), ("ordered", false)] {
        for key_bytes in [16, 64] {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("he://{}", folder.path().join("volume").display());
            let mut options = VolumeOptions::default();
            options.checkpoint_log_bytes = Some(u64::MAX);
            let volume = Volume::open(&url, &options).unwrap();
            let mut options = unordered();
            options.unordered = is_unordered;
            let store = volume.open_datastore(b"store", &options).unwrap();
            let mut rng = helium_sim::seed::rng(1);
            let mut key = vec![0; key_bytes];
            let start = std::time::Instant::now();
            for _ in 0..items {
                rand::Rng::fill(&mut rng, &mut key[..]);
                store.put(&key, b"12345678").unwrap();
            }
            let took = start.elapsed();
            println!(
                "{kind}, random keys of {key_bytes} bytes: {:.2} bytes of index per item, {:.0} ns per put",
                store.stats().unwrap().index_bytes as f64 / items as f64,
                took.as_nanos() as f64 / items as f64
            );
            volume.close().unwrap();
            drop((volume, store));
            Volume::destroy(&url).unwrap();
        }
    }
}
