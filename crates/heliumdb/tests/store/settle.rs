//! Settling: versions cost memory only while someone needs them.

use helium_sim::Keeper;
use heliumdb::host::VolumeExt;
use heliumdb::{ErrorKind, Isolation, Volume, host::Horizon};

use crate::common::{Session, machine, store};
use helium_sim::{DiskId, sim_options};

#[test]
fn a_pinned_reader_keeps_its_state_and_memory_returns_when_it_ends() {
    let (_machine, volume, store) = store();
    let keeper = Keeper::new();
    let mut setup = Session::begin(&keeper, Isolation::Snapshot);
    setup.put(&store, "hot", "0").unwrap();
    setup.commit().unwrap();
    let mut pinned = Session::begin(&keeper, Isolation::Snapshot);
    for round in 1..=2_000 {
        let mut writer = Session::begin(&keeper, Isolation::Snapshot);
        writer.put(&store, "hot", &round.to_string()).unwrap();
        writer
            .txn
            .as_mut()
            .unwrap()
            .commit(heliumdb::Durability::Buffered)
            .unwrap();
        writer.view.end();
        if round % 100 == 0 {
            volume.settle(&*keeper);
        }
    }
    assert_eq!(pinned.get(&store, "hot").unwrap().as_deref(), Some("0"));
    let mut late = Session::begin(&keeper, Isolation::Snapshot);
    assert_eq!(late.get(&store, "hot").unwrap().as_deref(), Some("2000"));
    late.abort();
    let pinned_bytes = volume.version_bytes();
    assert!(
        pinned_bytes < 2_000 * 128,
        "{pinned_bytes} bytes for 2,000 versions"
    );
    pinned.abort();
    volume.settle(&*keeper);
    assert_eq!(volume.version_bytes(), 0);
    assert_eq!(store.get(b"hot").unwrap(), Some(b"2000".to_vec()));
}

#[test]
fn a_hot_key_without_readers_stays_short_though_nobody_settles() {
    let (_machine, volume, store) = store();
    let keeper = Keeper::new();
    for round in 0..5_000 {
        let mut writer = Session::begin(&keeper, Isolation::Snapshot);
        writer.put(&store, "hot", &round.to_string()).unwrap();
        writer
            .txn
            .as_mut()
            .unwrap()
            .commit(heliumdb::Durability::Buffered)
            .unwrap();
        writer.view.end();
        if round % 1_000 == 0 {
            volume.settle(&*keeper);
        }
    }
    let bytes = volume.version_bytes();
    volume.settle(&*keeper);
    assert_eq!(volume.version_bytes(), 0, "after {bytes}");
}

#[test]
fn many_keys_come_back_to_nothing() {
    let (_machine, volume, store) = store();
    let keeper = Keeper::new();
    for round in 0..40 {
        let mut writer = Session::begin(&keeper, Isolation::ReadCommitted);
        for key in 0..200 {
            let key = format!("{:04}", (key * 7 + round * 31) % 500);
            if (key.len() + round) % 5 == 0 {
                writer.remove(&store, &key).unwrap();
            } else {
                writer.put(&store, &key, &round.to_string()).unwrap();
            }
        }
        if round % 3 == 0 {
            writer.abort();
        } else {
            writer.commit().unwrap();
        }
    }
    assert!(volume.version_bytes() > 0);
    volume.settle(&*keeper);
    assert_eq!(volume.version_bytes(), 0);
}

#[test]
fn settling_waits_for_what_is_not_resolved() {
    let (_machine, volume, store) = store();
    let keeper = Keeper::new();
    let mut prepared = Session::begin(&keeper, Isolation::ReadCommitted);
    prepared.put(&store, "k", "prepared").unwrap();
    prepared.view.prepare();
    for round in 0..100 {
        let mut writer = Session::begin(&keeper, Isolation::ReadCommitted);
        writer.put(&store, "k", &round.to_string()).unwrap();
        writer.commit().unwrap();
        volume.settle(&*keeper);
    }
    assert!(keeper.oldest() > 50);
    prepared.commit().unwrap();
    volume.settle(&*keeper);
    assert_eq!(volume.version_bytes(), 0);
    assert_eq!(store.get(b"k").unwrap(), Some(b"99".to_vec()));
}

#[test]
fn past_the_budget_writers_are_told_to_retry() {
    let machine = machine(0, 1);
    let mut options = sim_options();
    options.version_budget_bytes = 100_000;
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    let keeper = Keeper::new();
    let pinned = Session::begin(&keeper, Isolation::Snapshot);
    let mut refused = 0;
    for round in 0..5_000 {
        let mut writer = Session::begin(&keeper, Isolation::Snapshot);
        match writer.put(&store, "hot", &round.to_string()) {
            Ok(()) => writer.commit().unwrap(),
            Err(why) => {
                assert_eq!(why.kind(), ErrorKind::VersionBudget);
                assert!(why.kind().is_retryable());
                refused += 1;
                writer.abort();
            }
        }
        volume.settle(&*keeper);
    }
    assert!(refused > 1_000 && volume.version_bytes() <= 100_000);
    pinned.abort();
    volume.settle(&*keeper);
    let mut writer = Session::begin(&keeper, Isolation::Snapshot);
    writer.put(&store, "hot", "again").unwrap();
    writer.commit().unwrap();
}
