//! Backups of volumes that others write to add up; verifying and scrubbing find damage alone.

use crate::common::make_with;
use std::sync::atomic::{AtomicBool, Ordering};

use helium_sim::{DiskId, Keeper, Machine, Replay, seed, sim_options};
use heliumdb::host::VolumeExt;
use heliumdb::{
    Datastore, ErrorKind, Isolation, Position, Volume, VolumeOptions, upkeep::BackupFrom,
};

use crate::{
    common::{MIB, machine, open_one, store},
    concurrency::{ACCOUNTS, START, place, transfer},
};

pub(crate) fn memory(mib: u64) -> Volume {
    let mut options = VolumeOptions::default();
    options.exclusive = true;
    Volume::open(&format!("he://./_{}", mib * MIB), &options).unwrap()
}

fn total(copy: &Volume) -> u64 {
    let stores = ["one", "two"].map(|name| copy.datastore(name.as_bytes()).unwrap());
    let items = stores.iter().flat_map(|store| store.iter());
    let balances = items.map(|item| String::from_utf8(item.unwrap().1).unwrap());
    balances.map(|text| text.parse::<u64>().unwrap()).sum()
}

/// Money moves between two datastores while backups run; and a third is overwritten all the
/// time, so that segments die.
fn bank(through_a_view: bool) {
    let seed = seed::replayed().unwrap_or(1);
    let _replay = Replay::new(seed);
    let machine = Machine::new(seed, &[64 * MIB]);
    let mut options = sim_options();
    options.background_thread = true;
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let stores: Vec<Datastore> = ["one", "two"]
        .iter()
        .map(|name| volume.create_datastore(name.as_bytes()).unwrap())
        .collect();
    let churned = volume.create_datastore(b"churned").unwrap();
    for account in 0..ACCOUNTS {
        let (store, key) = place(&stores, account);
        let start = START.to_string();
        store.put(key.as_bytes(), start.as_bytes()).unwrap();
    }
    let keeper = Keeper::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (keeper, stores, done) = (&keeper, &stores, &done);
            scope.spawn(move || {
                let mut rng = seed::rng(seed * 100 + thread);
                while !done.load(Ordering::Relaxed) {
                    match transfer(keeper, stores, &mut rng) {
                        Ok(()) => {}
                        Err(why) => assert!(
                            why.kind().is_retryable() || why.kind() == ErrorKind::VolumeFull,
                            "{why}"
                        ),
                    }
                }
            });
        }
        scope.spawn(|| {
            let value = vec![1; 50_000];
            for number in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let key = [number as u8 % 16];
                match churned.put(key, &value) {
                    Ok(()) => {}
                    Err(why) => assert_eq!(why.kind(), ErrorKind::VolumeFull, "{why}"),
                }
                volume.settle(&*keeper);
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
        });
        let backups = scope.spawn(|| {
            for _ in 0..6 {
                let target = memory(64);
                let report = if through_a_view {
                    let view = keeper.begin(Isolation::Snapshot);
                    let from = BackupFrom::View(&view);
                    let report = volume.backup(from, &target, &mut |_| true).unwrap();
                    view.end();
                    report
                } else {
                    volume
                        .backup(BackupFrom::Newest, &target, &mut |_| true)
                        .unwrap()
                };
                assert_eq!(total(&target), ACCOUNTS * START, "a backup does not add up");
                assert_eq!(report.datastores, 3);
                target.verify(&mut |_| true).unwrap();
            }
        });
        // Verifying gets along with all of this.
        let report = volume.verify(&mut |_| true).unwrap();
        assert_eq!(report.damaged, 0, "{:?}", volume.damage());
        let result = backups.join();
        done.store(true, Ordering::Relaxed);
        result.unwrap();
    });
    volume.close().unwrap();
}

#[test]
fn a_backup_of_the_newest_state_adds_up() {
    bank(false);
}

#[test]
fn a_backup_through_a_view_adds_up() {
    bank(true);
}

/// Unlike what a scan would see that looks at each item when it comes to it.
#[test]
fn what_is_written_while_the_copy_is_made_is_not_in_it() {
    for through_a_view in [false, true] {
        let (_machine, volume, store) = store();
        let keeper = Keeper::new();
        for number in 0..5000u32 {
            store.put(number.to_be_bytes(), b"before").unwrap();
        }
        let mut wrote = false;
        let view = keeper.begin(Isolation::Snapshot);
        let mut write = |progress: &heliumdb::upkeep::Progress| {
            if progress.phase == heliumdb::upkeep::Phase::Copying && progress.done > 1000 && !wrote
            {
                wrote = true;
                let mut session = crate::common::Session::begin(&keeper, Isolation::Snapshot);
                let last = 4999u32.to_be_bytes();
                let change = heliumdb::host::Change::Put(b"after");
                session
                    .write(&store, &last, change, heliumdb::host::Mode::Any)
                    .unwrap();
                session.commit().unwrap();
            }
            true
        };
        let target = memory(64);
        let from = if through_a_view {
            BackupFrom::View(&view)
        } else {
            BackupFrom::Newest
        };
        volume.backup(from, &target, &mut write).unwrap();
        assert!(wrote);
        let copy = target.datastore(b"store").unwrap();
        let last = copy.nearest(Position::Last).unwrap().unwrap();
        assert_eq!(last.1, b"before");
        view.end();
    }
}

#[test]
fn ids_names_attributes_and_the_volume_id_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("he://./{}/copy", dir.path().display());
    let machine = machine(0, 1);
    let volume = open_one(&machine).unwrap();
    let gone = volume.create_datastore(b"gone").unwrap();
    let kept = make_with(&volume, "kept", "attributes").unwrap();
    volume.truncate_datastore(kept.id()).unwrap();
    volume.drop_datastore(gone.id()).unwrap();
    kept.put(b"k", vec![1; 700_000]).unwrap();
    let options = VolumeOptions::default().copy_of(volume.id());
    let target = Volume::open(&url, &options).unwrap();
    let keeper = Keeper::new();
    let view = keeper.begin(Isolation::Snapshot);
    for snapshot in [BackupFrom::Newest, BackupFrom::View(&view)] {
        let target = if let BackupFrom::View(_) = snapshot {
            memory(64)
        } else {
            target.clone()
        };
        volume.backup(snapshot, &target, &mut |_| true).unwrap();
        assert_eq!(target.datastores(), volume.datastores());
        let copy = target.datastore_by_id(kept.id()).unwrap();
        assert!(copy.get(b"k").unwrap() == Some(vec![1; 700_000]));
        // No id is given twice.
        let new = target.create_datastore(b"new").unwrap().id();
        assert_eq!(new, volume.create_datastore(b"new").unwrap().id());
        volume.drop_datastore(new).unwrap();
        target.drop_datastore(new).unwrap();
    }
    assert_eq!(target.id(), volume.id());
    target.close().unwrap();
    let refused = Volume::open(&url, &options).err().map(|why| why.kind());
    assert_eq!(
        refused, None,
        "opening the copy again needs nothing special"
    );
    let mut over = options.clone();
    over.truncate = true;
    drop(target);
    let refused = Volume::open(&url, &over).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
    view.end();
}

#[test]
fn a_backup_can_be_stopped_and_needs_a_new_volume() {
    let (_machine, volume, store) = store();
    store.put(b"k", b"v").unwrap();
    let target = memory(64);
    let stopped = volume.backup(BackupFrom::Newest, &target, &mut |_| false);
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
    volume
        .backup(BackupFrom::Newest, &target, &mut |_| true)
        .unwrap();
    let refused = volume.backup(BackupFrom::Newest, &target, &mut |_| true);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::DatastoreExists);
    let stopped = volume.verify(&mut |_| false).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Cancelled);
}

/// A volume with an item whose bytes are damaged, after it was opened.
fn damaged(options: &VolumeOptions) -> (Machine, Volume, Datastore) {
    let (machine, volume, store) = store();
    for number in 0..50u32 {
        let value = vec![number as u8 + 1; 5000];
        store.put(number.to_be_bytes(), &value).unwrap();
    }
    volume.close().unwrap();
    let image = machine.images().remove(0);
    let machine = Machine::with_images(0, [image.clone()]);
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), options).unwrap();
    let store = volume.datastore(b"store").unwrap();
    let holds = |page: &u64| {
        let mut block = [0; 4096];
        image.read(&mut block, *page);
        block[..100] == [21; 100]
    };
    let page = image.pages().into_iter().find(holds).expect("item 20");
    // It stays in the read cache.
    store.get(20u32.to_be_bytes()).unwrap();
    machine
        .device(DiskId(0))
        .write_at(&[0xff], page + 10)
        .unwrap();
    (machine, volume, store)
}

#[test]
fn verifying_goes_on_behind_damage_and_names_it() {
    let (_machine, volume, store) = damaged(&sim_options());
    let report = volume.verify(&mut |_| true).unwrap();
    assert_eq!((report.items, report.damaged), (49, 1));
    let found = volume.damage();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].datastore, Some(store.id()));
    assert_eq!(found[0].key, 20u32.to_be_bytes());
    assert!(
        found[0].error.to_string().contains("disk0"),
        "{}",
        found[0].error
    );
    assert_eq!(volume.stats().damaged_items, 1);
    // Again is not more.
    volume.verify(&mut |_| true).unwrap();
    assert_eq!(volume.stats().damaged_items, 1);
    assert_eq!(
        store.verify(&mut |_| {}).unwrap_err().kind(),
        ErrorKind::Damaged
    );
    let refused = volume.backup(BackupFrom::Newest, &memory(64), &mut |_| true);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Damaged);
}

/// The catalog is read when a volume is opened, and not again until somebody looks.
#[test]
fn damage_to_the_catalog_is_found_while_the_volume_is_open() {
    const NAME: &[u8] = b"a name that is nowhere else";
    let machine = machine(0, 1);
    let volume = open_one(&machine).unwrap();
    volume.create_datastore(NAME).unwrap();
    volume.close().unwrap();
    let image = machine.images().remove(0);
    let place = image.pages().into_iter().find_map(|page| {
        let mut block = [0; 4096];
        image.read(&mut block, page);
        let within = block.windows(NAME.len()).position(|bytes| bytes == NAME)?;
        Some(page + within as u64)
    });
    let mut options = sim_options();
    options.scrub_bytes_per_second = MIB;
    let machine = Machine::with_images(0, [image]);
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    assert_eq!(volume.verify(&mut |_| true).unwrap().damaged, 0);
    let device = machine.device(DiskId(0));
    device.write_at(b"A", place.expect("the name")).unwrap();
    while volume.stats().scrub_rounds < 2 {
        volume.background_step().unwrap();
    }
    assert_eq!(volume.stats().damaged_items, 1);
    assert_eq!(volume.damage()[0].datastore, None);
    let report = volume.verify(&mut |_| true).unwrap();
    assert_eq!((report.items, report.damaged), (0, 1));
}

#[test]
fn scrubbing_finds_damage_within_its_rate() {
    let mut options = sim_options();
    options.scrub_bytes_per_second = 2 * MIB;
    let (_machine, volume, _store) = damaged(&options);
    let start = std::time::Instant::now();
    while volume.stats().scrub_rounds < 2 && start.elapsed().as_secs() < 20 {
        volume.background_step().unwrap();
    }
    let stats = volume.stats();
    let most = (start.elapsed().as_secs_f64() + 1.5) * 2.0 * MIB as f64;
    assert!(stats.scrubbed_bytes as f64 <= most, "{stats:?}");
    assert!(
        stats.scrub_rounds >= 2 && stats.scrubbed_items >= 98,
        "{stats:?}"
    );
    assert_eq!(stats.damaged_items, 1);
    assert_eq!(volume.damage()[0].key, 20u32.to_be_bytes());
}
