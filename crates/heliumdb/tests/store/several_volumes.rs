//! Transactions over several volumes: wholly there or wholly not, whatever is lost and opened when.

use helium_sim::{Image, Keeper, Machine, seed};
use heliumdb::host::VolumeExt;
use heliumdb::{Datastore, ErrorKind, Isolation, Result, Volume, host::Horizon};

use crate::common::{Session, after_power_loss, machine, open};

/// A machine with volumes whose ids rise with their disks' numbers, so that the first decides.
pub(crate) fn ordered(volumes: usize) -> (Machine, Vec<Volume>, Vec<Datastore>) {
    let disks: Vec<usize> = (0..volumes).collect();
    let machine = machine(0, volumes);
    let mut all = open(&machine, &disks).unwrap();
    all.sort_by_key(Volume::id);
    let order: Vec<usize> = all.iter().map(disk_of).collect();
    let create = |volume: &Volume| volume.create_datastore(b"store").unwrap();
    all.iter().map(create).for_each(drop);
    all.iter().for_each(|volume| volume.close().unwrap());
    drop(all);
    let images = machine.images();
    let images = order.iter().map(|&disk| images[disk].clone());
    let machine = Machine::with_images(0, images.collect::<Vec<_>>());
    let all = open(&machine, &disks).unwrap();
    let stores = stores(&all);
    (machine, all, stores)
}

fn disk_of(volume: &Volume) -> usize {
    volume.url().trim_start_matches("disk").parse().unwrap()
}

pub(crate) fn stores(volumes: &[Volume]) -> Vec<Datastore> {
    volumes
        .iter()
        .map(|v| v.datastore(b"store").unwrap())
        .collect()
}

/// One transaction that puts `value` under `key` on all of the volumes.
pub(crate) fn commit_on(
    keeper: &std::sync::Arc<Keeper>,
    stores: &[&Datastore],
    key: &str,
    value: &str,
) -> Result<()> {
    let mut session = Session::begin(keeper, Isolation::Snapshot);
    for store in stores {
        session.put(store, key, value)?;
    }
    session.commit()
}

pub(crate) fn values(stores: &[Datastore], key: &str) -> Vec<Option<String>> {
    let text = |value: Vec<u8>| String::from_utf8(value).unwrap();
    stores
        .iter()
        .map(|s| s.get(key.as_bytes()).unwrap().map(text))
        .collect()
}

fn images(machine: &Machine) -> Vec<Image> {
    machine.crash(&mut seed::rng(0))
}

#[test]
fn a_power_loss_at_any_write_leaves_all_volumes_alike() {
    let (machine, volumes, stores_) = ordered(3);
    let keeper = Keeper::new();
    let all: Vec<&Datastore> = stores_.iter().collect();
    machine.record(&[0]);
    for round in 1..=8u64 {
        commit_on(&keeper, &all, "k", &round.to_string()).unwrap();
        machine.note(&[round]);
        if round % 3 == 0 {
            volumes
                .iter()
                .for_each(|volume| _ = volume.settle(&*keeper));
        }
        if round % 4 == 0 {
            volumes.iter().for_each(|volume| volume.flush().unwrap());
        }
    }
    for (index, record) in machine.records().iter().enumerate() {
        for round in 0..6 {
            let mut rng = seed::rng(index as u64 * 6 + round);
            let after = Machine::with_images(0, record.crash(&mut rng));
            let found = values(&stores(&open(&after, &[0, 1, 2]).unwrap()), "k");
            assert!(
                found.iter().all(|value| *value == found[0]),
                "{index}: {found:?}"
            );
            let number = found[0].as_ref().map_or(0, |value| value.parse().unwrap());
            let acknowledged = record.note[0];
            assert!(
                number == acknowledged || number == acknowledged + 1,
                "{index}: {number}"
            );
            // The volumes need each other no more once they were opened together and closed.
            for disk in 0..3 {
                open(&after, &[disk]).unwrap();
            }
        }
    }
}

#[test]
fn a_missing_decider_is_named() {
    let (machine, volumes, stores_) = ordered(2);
    let keeper = Keeper::new();
    commit_on(&keeper, &[&stores_[0], &stores_[1]], "k", "v").unwrap();
    let after = after_power_loss(&machine, 0);
    let refused = open(&after, &[1]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InDoubt);
    assert!(
        refused.to_string().contains(&volumes[0].id().to_string()),
        "{refused}"
    );
    assert_eq!(
        values(&stores(&open(&after, &[0]).unwrap()), "k"),
        [Some("v".to_owned())]
    );
    let both = stores(&open(&after, &[1, 0]).unwrap());
    assert_eq!(
        values(&both, "k"),
        [Some("v".to_owned()), Some("v".to_owned())]
    );
}

#[test]
fn decisions_are_forgotten_once_nobody_can_ask() {
    let (machine, volumes, stores_) = ordered(2);
    let keeper = Keeper::new();
    for round in 0..20 {
        commit_on(
            &keeper,
            &[&stores_[0], &stores_[1]],
            "k",
            &round.to_string(),
        )
        .unwrap();
    }
    // Still cancellable as far as the store knows: nothing is resolved before it hears otherwise.
    assert!(open(&after_power_loss(&machine, 0), &[1]).is_err());
    for _ in 0..3 {
        assert_eq!(keeper.oldest(), 21);
        volumes
            .iter()
            .for_each(|volume| _ = volume.settle(&*keeper));
        volumes.iter().for_each(|volume| volume.flush().unwrap());
    }
    let after = after_power_loss(&machine, 0);
    for disk in [0, 1] {
        let found = values(&stores(&open(&after, &[disk]).unwrap()), "k");
        assert_eq!(found, [Some("19".to_owned())]);
    }
}

#[test]
fn closing_settles_what_the_volumes_owe_each_other() {
    for order in [[0, 1], [1, 0]] {
        let (machine, volumes, stores_) = ordered(2);
        let keeper = Keeper::new();
        commit_on(&keeper, &[&stores_[0], &stores_[1]], "k", "v").unwrap();
        drop(stores_);
        for index in order {
            volumes[index].close().unwrap();
        }
        let after = after_power_loss(&machine, 0);
        open(&after, &[0, 1]).unwrap();
        for disk in [0, 1] {
            assert_eq!(
                values(&stores(&open(&after, &[disk]).unwrap()), "k"),
                [Some("v".to_owned())]
            );
        }
    }
}

/// A transaction that has only reserved something on a volume, or on all, leaves nobody in doubt, and nothing owed.
#[test]
fn a_part_without_items_is_a_part() {
    for plan in 1..8 {
        let [first, second, is_taken_back] = [0, 1, 2].map(|bit| plan >> bit & 1 == 1);
        let reserves = [first, second];
        let (machine, volumes, stores_) = ordered(2);
        let keeper = Keeper::new();
        commit_on(&keeper, &[&stores_[0], &stores_[1]], "r", "there").unwrap();
        let mut session = Session::begin(&keeper, Isolation::Snapshot);
        for (store, reserves) in stores_.iter().zip(reserves) {
            match reserves {
                true => session.reserve(store, "r").unwrap(),
                false => session.put(store, "k", "v").unwrap(),
            }
        }
        session.commit_unpublished().unwrap();
        match is_taken_back {
            true => session.cancel().unwrap(),
            false => session.view.end(),
        }
        for _ in 0..3 {
            let each = volumes.iter();
            each.clone().for_each(|volume| _ = volume.settle(&*keeper));
            each.for_each(|volume| volume.flush().unwrap());
        }
        let after = after_power_loss(&machine, 0);
        for (disk, reserves) in reserves.into_iter().enumerate() {
            let found = open(&after, &[disk]).unwrap();
            let wanted = (!reserves && !is_taken_back).then(|| "v".to_owned());
            assert_eq!(values(&stores(&found), "k"), [wanted]);
        }
    }
}

#[test]
fn a_commit_over_volumes_that_was_taken_back_is_absent_everywhere() {
    let (machine, volumes, stores_) = ordered(2);
    let keeper = Keeper::new();
    commit_on(&keeper, &[&stores_[0], &stores_[1]], "k", "old").unwrap();
    machine.record(&[0]);
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    session.put(&stores_[0], "k", "new").unwrap();
    session.put(&stores_[1], "k", "new").unwrap();
    session.commit_unpublished().unwrap();
    machine.note(&[1]);
    session.cancel().unwrap();
    machine.note(&[2]);
    volumes.iter().for_each(|volume| volume.flush().unwrap());
    let old = [Some("old".to_owned()), Some("old".to_owned())];
    assert_eq!(values(&stores_, "k"), old);
    for (index, record) in machine.records().iter().enumerate() {
        for round in 0..10 {
            let mut rng = seed::rng(index as u64 * 10 + round);
            let after = Machine::with_images(0, record.crash(&mut rng));
            let found = values(&stores(&open(&after, &[0, 1]).unwrap()), "k");
            assert_eq!(found[0], found[1]);
            assert!(record.note[0] != 2 || found == old, "{index}: {found:?}");
        }
    }
}

/// A number that nothing durable bore is given to another transaction after a crash.
#[test]
fn a_decision_about_another_transaction_does_not_count() {
    let (machine, volumes, stores_) = ordered(3);
    let keeper = Keeper::new();
    machine.record(&[]);
    commit_on(&keeper, &[&stores_[0], &stores_[1]], "k", "lost").unwrap();
    drop((stores_, volumes));
    // The power went when volume 1 was prepared and volume 0 had decided nothing.
    let undecided = machine.records().into_iter().find_map(|record| {
        let images = record.crash(&mut seed::rng(3));
        let look = || Machine::with_images(0, images.clone());
        let in_doubt = open(&look(), &[1]).is_err_and(|why| why.kind() == ErrorKind::InDoubt);
        let absent = || values(&stores(&open(&look(), &[0, 1]).unwrap()), "k") == [None, None];
        (in_doubt && absent()).then_some(images)
    });
    let machine = Machine::with_images(0, undecided.expect("prepare comes before decide"));
    let volumes = open(&machine, &[0, 2]).unwrap();
    let stores_ = stores(&volumes);
    for round in 0..5 {
        commit_on(
            &keeper,
            &[&stores_[0], &stores_[1]],
            "other",
            &round.to_string(),
        )
        .unwrap();
    }
    let after = Machine::with_images(0, images(&machine));
    let found = values(&stores(&open(&after, &[0, 1, 2]).unwrap()), "k");
    assert_eq!(found, [None, None, None]);
}

#[test]
fn a_volume_that_owes_decisions_is_not_truncated() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let url = |name: &str| format!("he://./{}", path(name).display());
    let options = heliumdb::VolumeOptions::default();
    let open = |names: [&str; 2]| {
        let urls = names.map(|name| (url(name), options.clone()));
        heliumdb::host::open_all(&urls).unwrap()
    };
    let volumes = open(["a", "b"]);
    let create = |volume: &Volume| volume.create_datastore(b"store").unwrap();
    let stores_: Vec<Datastore> = volumes.iter().map(create).collect();
    commit_on(&Keeper::new(), &[&stores_[0], &stores_[1]], "k", "v").unwrap();
    // What a killed process leaves.
    for name in ["a", "b"] {
        std::fs::copy(path(name), path(&format!("{name}-killed"))).unwrap();
    }
    let decider = if volumes[0].id() < volumes[1].id() {
        "a-killed"
    } else {
        "b-killed"
    };
    let mut truncating = options.clone();
    truncating.truncate = true;
    let refused = Volume::open(&url(decider), &truncating).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
    let killed = open(["a-killed", "b-killed"]);
    assert_eq!(
        values(&stores(&killed), "k"),
        [Some("v".to_owned()), Some("v".to_owned())]
    );
    killed.iter().for_each(|volume| volume.close().unwrap());
    drop(killed);
    let empty = Volume::open(&url(decider), &truncating).unwrap();
    assert!(empty.datastores().is_empty());
}

#[test]
fn a_read_only_open_with_doubts_fails_with_a_sentence() {
    let (machine, _volumes, stores_) = ordered(2);
    let keeper = Keeper::new();
    commit_on(&keeper, &[&stores_[0], &stores_[1]], "k", "v").unwrap();
    let after = after_power_loss(&machine, 0);
    let mut options = helium_sim::sim_options();
    options.read_only = true;
    let volumes = [0, 1].map(|disk| (after.devices(&[helium_sim::DiskId(disk)]), options.clone()));
    let changes = after.changes();
    let refused = heliumdb::host::open_all_devices(volumes.into()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InDoubt, "{refused}");
    assert_eq!(after.changes(), changes, "a read-only open wrote");
}
