//! Decisions for volumes that are lost for ever are forgotten when the caller says so, and no others.

use helium_sim::{DiskId, Image, Keeper, Machine, sim_options};
use heliumdb::{
    Datastore, ErrorKind, Isolation, Volume, VolumeId, VolumeOptions,
    host::{open_all, open_all_devices},
    upkeep::Unresolved,
};

use crate::{
    common::{Session, after_kill, after_power_loss, open},
    salvage::salvage,
    several_volumes::{commit_on, ordered, stores, values},
};

/// Three volumes after a power loss, of which the first has decided for the second, the third, and
/// both; the ids of the other two.
fn decided() -> (Machine, [VolumeId; 2]) {
    let (machine, volumes, all) = ordered(3);
    let keeper = Keeper::new();
    for (key, participants) in [("k1", &all[1..2]), ("k2", &all[2..]), ("k12", &all[1..])] {
        let all: Vec<&Datastore> = all[..1].iter().chain(participants).collect();
        commit_on(&keeper, &all, key, "v").unwrap();
    }
    let ids = [volumes[1].id(), volumes[2].id()];
    (after_power_loss(&machine, 0), ids)
}

fn decider(machine: &Machine) -> Volume {
    open(machine, &[0]).unwrap().remove(0)
}

/// What the volume on `disk` has when its decider has answered: of `k1`, `k2` and `k12`.
fn answered(machine: &Machine, disk: usize) -> [bool; 3] {
    let all = stores(&open(&after_kill(machine, 0), &[0, disk]).unwrap());
    ["k1", "k2", "k12"].map(|key| {
        let found = values(&all, key);
        assert_eq!(found[0].as_deref(), Some("v"), "the decider's own part");
        found[1].is_some()
    })
}

#[test]
fn decisions_for_a_lost_volume_are_forgotten_and_no_others() {
    let (machine, [lost, other]) = decided();
    decider(&machine).close().unwrap();
    assert_eq!(answered(&machine, 1), [true, false, true]);
    let volume = decider(&machine);
    assert_eq!(volume.forget_lost(&[lost]).unwrap(), 2);
    // The power goes as it returns, or later, when a checkpoint has been taken and nothing is replayed.
    for seed in 0..10 {
        let after = after_power_loss(&machine, seed);
        assert_eq!(answered(&after, 1), [false; 3], "seed {seed}");
        assert_eq!(answered(&after, 2), [false, true, true], "seed {seed}");
    }
    volume.checkpoint().unwrap();
    volume.close().unwrap();
    assert_eq!(answered(&machine, 1), [false; 3]);
    assert_eq!(answered(&machine, 2), [false, true, true]);
    let volume = decider(&machine);
    assert_eq!(volume.forget_lost(&[lost]).unwrap(), 0);
    assert_eq!(volume.forget_lost(&[other, lost]).unwrap(), 2);
    assert_eq!(answered(&after_power_loss(&machine, 0), 2), [false; 3]);
}

/// Who is left resolves as ever, and then the decision goes.
#[test]
fn a_decision_that_lost_a_participant_ends_with_the_others() {
    let (machine, [lost, other]) = decided();
    decider(&machine).forget_lost(&[lost]).unwrap();
    let both = open(&machine, &[0, 2]).unwrap();
    both.iter().for_each(|volume| volume.close().unwrap());
    drop(both);
    assert_eq!(decider(&machine).forget_lost(&[other]).unwrap(), 0);
}

#[test]
fn what_is_not_lost_is_refused() {
    let (_machine, volumes, all) = ordered(3);
    let keeper = Keeper::new();
    let refused = |ids: &[VolumeId]| volumes[0].forget_lost(ids).unwrap_err();
    commit_on(&keeper, &[&all[0], &all[1], &all[2]], "k", "v").unwrap();
    let [decider, open, closed] = [0, 1, 2].map(|disk: usize| volumes[disk].id());
    assert_eq!(refused(&[decider]).kind(), ErrorKind::InvalidArgument);
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    session.put(&all[0], "k", "new").unwrap();
    session.put(&all[2], "k", "new").unwrap();
    session.commit_unpublished().unwrap();
    volumes[2].close().unwrap();
    for (ids, id, why) in [
        (&[open, closed][..], open, "open"),
        (&[closed], closed, "taken back"),
    ] {
        let refused = refused(ids);
        assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
        let sentence = refused.to_string();
        assert!(
            sentence.contains(&id.to_string()) && sentence.contains(why),
            "{sentence}"
        );
    }
    let mut read_only = sim_options();
    read_only.read_only = true;
    let (machine, [lost, _]) = decided();
    let reader = open_all_devices(vec![(machine.devices(&[DiskId(0)]), read_only)]).unwrap();
    let refused = reader[0].forget_lost(&[lost]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused}");
}

/// It turned up after all: nothing tells what became of its part, and whoever salvages it says so.
#[test]
fn a_volume_that_was_not_lost_is_salvaged_as_asked() {
    let (machine, [lost, _]) = decided();
    let salvage = |images: &[Image], unresolved| {
        let others = Machine::with_images(0, images.to_vec());
        let (report, found) = salvage(&images[1..2], |source| {
            let source = source.decider_devices(others.devices(&[DiskId(0)]));
            source.unresolved(unresolved)
        });
        let items: usize = found.values().map(|(_, items)| items.len()).sum();
        (report.unresolved_batches, items)
    };
    assert_eq!(salvage(&machine.images(), Unresolved::Drop), (0, 2));
    decider(&machine).forget_lost(&[lost]).unwrap();
    assert_eq!(salvage(&machine.images(), Unresolved::Drop), (2, 0));
    assert_eq!(salvage(&machine.images(), Unresolved::Keep), (2, 2));
}

#[test]
fn what_owes_nothing_more_is_truncated_and_destroyed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let url = |name: &str| format!("he://./{}", path(name).display());
    let urls = ["a", "b"].map(|name| (url(name), VolumeOptions::default()));
    let mut volumes = open_all(&urls).unwrap();
    volumes.sort_by_key(Volume::id);
    let create = |volume: &Volume| volume.create_datastore(b"store").unwrap();
    let all: Vec<Datastore> = volumes.iter().map(create).collect();
    commit_on(&Keeper::new(), &[&all[0], &all[1]], "k", "v").unwrap();
    // What a killed process leaves.
    let decider = volumes[0].url().rsplit('/').next().unwrap();
    for name in ["truncated", "destroyed"] {
        std::fs::copy(path(decider), path(name)).unwrap();
    }
    let lost = volumes[1].id();
    let mut truncating = VolumeOptions::default();
    truncating.truncate = true;
    let truncate = || Volume::open(&url("truncated"), &truncating).map(drop);
    let destroy = || Volume::destroy(&url("destroyed"));
    for refused in [truncate().unwrap_err(), destroy().unwrap_err()] {
        assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
        let way_out = [lost.to_string(), "salvage".to_owned(), "--lost".to_owned()];
        let sentence = refused.to_string();
        assert!(
            way_out.iter().all(|part| sentence.contains(part)),
            "{sentence}"
        );
    }
    all.iter().for_each(drop);
    volumes.iter().for_each(|volume| volume.close().unwrap());
    for name in ["truncated", "destroyed"] {
        let volume = Volume::open(&url(name), &VolumeOptions::default()).unwrap();
        assert_eq!(volume.forget_lost(&[lost]).unwrap(), 1);
        volume.close().unwrap();
    }
    truncate().unwrap();
    destroy().unwrap();
}

#[test]
fn ids_are_read_as_they_are_written() {
    let id = VolumeId(std::array::from_fn(|at| at as u8 * 17));
    assert_eq!(id.to_string().parse::<VolumeId>().unwrap(), id);
    let short = "0".repeat(31);
    for wrong in [
        "",
        "lost",
        &short,
        &format!("{short}00"),
        &format!("+{short}"),
        &format!("{short}g"),
    ] {
        let refused = wrong.parse::<VolumeId>().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
        assert!(
            refused.to_string().contains("32 hexadecimal digits"),
            "{refused}"
        );
    }
}
