//! A device that has no room for a write is full, and not broken: nothing is poisoned, what was only
//! buffered stays in memory, and it is written when there is room again.

use std::{collections::BTreeMap, fs::File};

use helium_sim::{DiskId, Fault, FaultKind, Machine, On, sim_options};
use heliumdb::{Datastore, Durability, ErrorKind, Result, Volume};

use crate::{
    common::{MIB, after_power_loss, open_one, store},
    mounted::Mounted,
};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn no_room(nth: u64) -> Fault {
    Fault {
        on: On::Write,
        nth,
        for_ever: true,
        kind: FaultKind::Enospc,
    }
}

fn key(number: u64) -> Vec<u8> {
    format!("key{number:05}").into_bytes()
}

fn items(store: &Datastore) -> Model {
    store.iter().map(|item| item.unwrap()).collect()
}

#[test]
fn what_is_buffered_stays_until_there_is_room() {
    let (machine, volume, store) = store();
    for number in 0..300 {
        store.put(key(number), [1; 1_000]).unwrap();
    }
    machine.plan(no_room(0));
    let full = volume.flush().unwrap_err();
    assert_eq!(full.kind(), ErrorKind::VolumeFull, "{full}");
    // Memory is no place for more of it.
    let refused = store.put(b"more", b"v").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::VolumeFull, "{refused}");
    assert!(store.delete(key(7)).unwrap());
    let mut wanted = items(&store);
    assert_eq!(wanted.len(), 299);
    machine.heal();
    store.put(b"more", b"v").unwrap();
    wanted.insert(b"more".to_vec(), b"v".to_vec());
    volume.flush().unwrap();
    for seed in 0..4 {
        let volume = open_one(&after_power_loss(&machine, seed)).unwrap();
        assert!(items(&volume.datastore(b"store").unwrap()) == wanted);
    }
}

/// It is in the buffer, where others may write it out: nobody can say that it did not happen, and it does
/// happen for all who look.
#[test]
fn a_durable_commit_that_meets_no_room_is_a_buffered_one() {
    let (machine, volume, store) = store();
    volume.flush().unwrap();
    let mut txn = volume.begin().unwrap();
    txn.put(&store, b"key", b"value").unwrap();
    machine.plan(no_room(0));
    let unknown = txn.commit().unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::OutcomeUnknown, "{unknown}");
    assert_eq!(store.get(b"key").unwrap().unwrap(), b"value");
    // Not yet.
    let crashed = open_one(&after_power_loss(&machine, 1)).unwrap();
    assert!(crashed.datastore(b"store").unwrap().is_empty());
    machine.heal();
    // What comes after it makes it durable.
    let mut txn = volume.begin().unwrap();
    txn.put(&store, b"later", b"value").unwrap();
    txn.commit().unwrap();
    let crashed = open_one(&after_power_loss(&machine, 2)).unwrap();
    assert_eq!(crashed.datastore(b"store").unwrap().len(), 2);
}

/// What is made, emptied or removed is so for all who look, and after the next sync that succeeds.
#[test]
fn a_change_of_the_catalog_that_meets_no_room_is_a_buffered_one() {
    let (machine, volume, store) = store();
    let removed = volume.create_datastore(b"removed").unwrap();
    let kept = volume.create_datastore(b"kept").unwrap();
    for store in [&store, &removed, &kept] {
        store.put(b"key", b"value").unwrap();
    }
    volume.flush().unwrap();
    machine.plan(no_room(0));
    for unknown in [
        volume.rename_datastore(kept.id(), b"renamed"),
        volume.truncate_datastore(store.id()),
        volume.drop_datastore(removed.id()),
    ] {
        let kind = unknown.as_ref().map_err(heliumdb::Error::kind);
        assert_eq!(kind, Err(ErrorKind::OutcomeUnknown), "{unknown:?}");
    }
    let look = |volume: &Volume| {
        let names: Vec<_> = volume
            .datastores()
            .into_iter()
            .map(|info| info.name)
            .collect();
        assert_eq!(names, [&b"renamed"[..], b"store"]);
        assert!(volume.datastore(b"store").unwrap().is_empty());
        assert_eq!(volume.datastore(b"renamed").unwrap().len(), 1);
    };
    look(&volume);
    assert!(removed.put(b"key", b"later").is_err());
    machine.heal();
    // An item of a tree that the log says is over would be damage.
    store.put(b"later", b"value").unwrap();
    assert!(store.delete(b"later").unwrap());
    volume.flush().unwrap();
    look(&open_one(&after_power_loss(&machine, 1)).unwrap());
}

/// Does `work`, and says whether it is in what is to be found.
fn is_done(work: Result<()>) -> bool {
    match work {
        Ok(()) => true,
        Err(why) if why.kind() == ErrorKind::VolumeFull => false,
        // It is committed.
        Err(why) if why.kind() == ErrorKind::OutcomeUnknown => true,
        Err(why) => panic!("{why}"),
    }
}

/// Some work of every kind.
fn work(volume: &Volume, store: &Datastore, round: u64, model: &mut Model) {
    for number in 0..40 {
        let (key, value) = (key(number * 7 % 50), vec![round as u8; 20_000]);
        if is_done(store.put(&key, &value)) {
            model.insert(key, value);
        }
    }
    if is_done(store.delete(key(round % 50)).map(drop)) {
        model.remove(&key(round % 50));
    }
    let mut batch = volume.batch();
    batch.put(store, b"batch", [round as u8; 300]).unwrap();
    if is_done(batch.commit(Durability::Synced)) {
        model.insert(b"batch".to_vec(), vec![round as u8; 300]);
    }
    let _ = is_done(volume.checkpoint());
    for _ in 0..8 {
        let _ = is_done(volume.background_step().map(drop));
    }
}

/// At whichever write there is no room: for a header, for frames, a superblock, a checkpoint or moved items.
#[test]
fn whichever_write_meets_no_room_nothing_is_poisoned_or_lost() {
    for nth in (0..60).step_by(4) {
        let machine = Machine::new(nth, &[64 * MIB]);
        let mut options = sim_options();
        options.auto_clean_period_ms = 0;
        options.clean_dirty_pct = 1;
        let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
        let store = volume.create_datastore(b"store").unwrap();
        let mut model = Model::new();
        (0..3).for_each(|round| work(&volume, &store, round, &mut model));
        machine.plan(no_room(nth));
        (3..6).for_each(|round| work(&volume, &store, round, &mut model));
        assert!(items(&store) == model, "write {nth}");
        machine.heal();
        (6..8).for_each(|round| work(&volume, &store, round, &mut model));
        volume.flush().unwrap();
        assert!(items(&store) == model, "write {nth}");
        let volume = open_one(&after_power_loss(&machine, nth)).unwrap();
        assert!(
            items(&volume.datastore(b"store").unwrap()) == model,
            "write {nth}"
        );
    }
}

/// The volume is larger than what it is on.
#[test]
fn a_sparse_file_on_a_small_file_system_is_full_when_that_is() {
    let Some(mounted) = Mounted::tmpfs(48 * MIB) else {
        return;
    };
    let path = mounted.path().join("volume");
    File::create(&path).unwrap().set_len(256 * MIB).unwrap();
    let url = format!("he://{}", path.display());
    let open = || Volume::open(&url, &sim_options()).unwrap();
    let volume = open();
    let store = volume.create_datastore(b"store").unwrap();
    let mut model = Model::new();
    let mut rounds = 0;
    for number in 0.. {
        let value = vec![number as u8; 50_000];
        let put = store.put(key(number), &value);
        if is_done(put) {
            model.insert(key(number), value);
        } else {
            // Room comes back.
            rounds += 1;
            for number in number.saturating_sub(400)..number {
                if is_done(store.delete(key(number)).map(drop)) {
                    model.remove(&key(number));
                }
            }
            volume.flush().unwrap();
            while volume.background_step().unwrap() {}
        }
        if rounds == 3 {
            break;
        }
    }
    assert!(items(&store) == model);
    volume.flush().unwrap();
    drop((volume, store));
    let volume = open();
    assert!(items(&volume.datastore(b"store").unwrap()) == model);
}
