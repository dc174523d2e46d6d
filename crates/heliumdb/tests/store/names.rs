//! No two transactions over several volumes have the same name, whatever was lost in between.

use helium_sim::{DiskId, Image, Keeper, Machine, seed};
use heliumdb::host::VolumeExt;
use heliumdb::{Datastore, ErrorKind, Volume, upkeep::BackupFrom};

use crate::{
    backup::memory,
    common::open,
    salvage::{contents, salvage},
    several_volumes::{commit_on, ordered, stores, values},
};

/// The power went when volume 1 was prepared and volume 0 had decided nothing.
fn prepared_and_undecided() -> Vec<Image> {
    let (machine, volumes, stores_) = ordered(2);
    machine.record(&[]);
    commit_on(&Keeper::new(), &[&stores_[0], &stores_[1]], "k", "lost").unwrap();
    drop((stores_, volumes));
    let found = machine.records().into_iter().find_map(|record| {
        let images = record.crash(&mut seed::rng(3));
        let look = || Machine::with_images(0, images.clone());
        let in_doubt = open(&look(), &[1]).is_err_and(|why| why.kind() == ErrorKind::InDoubt);
        let absent = || values(&stores(&open(&look(), &[0, 1]).unwrap()), "k") == [None, None];
        (in_doubt && absent()).then_some(images)
    });
    found.expect("prepare comes before decide")
}

/// What is on the second volume after more transactions, with what the log says of all of them.
fn after_more(settled: bool) -> (Machine, Vec<Volume>) {
    let machine = Machine::with_images(0, prepared_and_undecided());
    let volumes = open(&machine, &[0, 1]).unwrap();
    let stores_ = stores(&volumes);
    let keeper = Keeper::new();
    for round in 0..5 {
        let both: [&Datastore; 2] = [&stores_[0], &stores_[1]];
        commit_on(&keeper, &both, "other", &round.to_string()).unwrap();
    }
    if settled {
        volumes
            .iter()
            .for_each(|volume| _ = volume.settle(&*keeper));
    }
    volumes.iter().for_each(|volume| volume.flush().unwrap());
    (machine, volumes)
}

fn items(volume: &Volume) -> Vec<(Vec<u8>, Vec<u8>)> {
    let store = volume.datastore(b"store").unwrap();
    store.items().map(Result::unwrap).collect()
}

#[test]
fn salvage_does_not_take_one_transaction_for_another() {
    for settled in [true, false] {
        let (machine, _volumes) = after_more(settled);
        let decider = machine.devices(&[DiskId(0)]);
        let images = machine.images();
        let (report, found) = salvage(&images[1..], |s| match settled {
            true => s,
            false => s.decider_devices(decider),
        });
        assert!(report.is_lossless(), "{report:?}");
        let (_, items) = found.values().next().unwrap();
        let wanted = [(b"other".to_vec(), b"4".to_vec())];
        assert_eq!(items.clone().into_iter().collect::<Vec<_>>(), wanted);
    }
}

#[test]
fn backup_does_not_take_one_transaction_for_another() {
    for settled in [true, false] {
        let (_machine, volumes) = after_more(settled);
        let target = memory(64);
        volumes[1]
            .backup(BackupFrom::Newest, &target, &mut |_| true)
            .unwrap();
        assert_eq!(items(&target), [(b"other".to_vec(), b"4".to_vec())]);
        assert_eq!(contents(&target), contents(&volumes[1]));
    }
}
