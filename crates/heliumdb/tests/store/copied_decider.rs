//! A copy that keeps its volume's id stands in for it: it answers what that decided, and gives no name that that gave.

use std::sync::Arc;

use helium_sim::{DiskId, Image, Keeper, Machine, sim_options};
use heliumdb::host::VolumeExt;
use heliumdb::{
    Datastore, ErrorKind, Isolation, Result, Volume, VolumeId, VolumeOptions,
    host::{open_all, open_all_devices},
    upkeep::{BackupFrom, Salvage},
};

use crate::{
    common::{MIB, Session, after_kill, after_power_loss},
    several_volumes::{commit_on, ordered, stores, values},
};

/// A machine with one file that grows.
fn file(image: Image) -> Machine {
    let machine = Machine::with_images(0, [image]);
    machine.allow_growth(DiskId(0), 200 * MIB);
    machine
}

fn open_target(id: VolumeId) -> (Machine, Volume) {
    let machine = file(Image::new(0));
    let options = sim_options().copy_of(id);
    let target = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    (machine, target)
}

/// Others see what was committed, and nobody can take it back.
fn let_go(session: Session) {
    session.view.end();
    drop(session.txn);
}

/// The file of a copy with the volume's id.
fn copy_of(volume: &Volume) -> Image {
    let (machine, target) = open_target(volume.id());
    volume
        .backup(BackupFrom::Newest, &target, &mut |_| true)
        .unwrap();
    target.close().unwrap();
    machine.images().remove(0)
}

/// The decider and a participant, opened together.
fn open_pair(decider: &Machine, participant: &Machine) -> Result<Vec<Volume>> {
    open_all_devices(vec![
        (decider.devices(&[DiskId(0)]), sim_options()),
        (participant.devices(&[DiskId(0)]), sim_options()),
    ])
}

/// What both have under `key`, of which one is a copy.
fn opened_with(copy: &Image, participant: &Image, key: &str) -> Vec<Option<String>> {
    let machines = [
        file(copy.clone()),
        Machine::with_images(0, [participant.clone()]),
    ];
    let both = open_pair(&machines[0], &machines[1]).unwrap();
    values(&stores(&both), key)
}

/// When the copy is made, of a transaction that both volumes take part in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum When {
    BeforeIt,
    /// It may still be taken back.
    Unpublished,
    Owed,
    /// The participant knows, durably or not; the decider keeps the decision, or not.
    Settled,
    Over,
}

#[test]
fn a_participant_asks_a_copy_of_its_decider() {
    use When::*;
    let some = |text: &str| Some(text.to_owned());
    for (when, is_cancelled, wanted) in [
        (BeforeIt, false, some("old")),
        (Unpublished, false, some("old")),
        (Unpublished, true, some("old")),
        (Owed, false, some("new")),
        (Settled, false, some("new")),
        (Over, false, some("new")),
    ] {
        let (machine, volumes, all) = ordered(2);
        let keeper = Keeper::new();
        let both: Vec<&Datastore> = all.iter().collect();
        commit_on(&keeper, &both, "k", "old").unwrap();
        volumes
            .iter()
            .for_each(|volume| _ = volume.settle(&*keeper));
        volumes.iter().for_each(|volume| volume.flush().unwrap());
        let mut session = Session::begin(&keeper, Isolation::Snapshot);
        both.iter()
            .for_each(|store| session.put(store, "k", "new").unwrap());
        // The participant is as a crash leaves it, when the decision is on the medium and nothing tells it.
        let before = copy_of(&volumes[0]);
        session.commit_unpublished().unwrap();
        let crashed = after_power_loss(&machine, 0).images().remove(1);
        let mut copy = before;
        if when == Unpublished {
            copy = copy_of(&volumes[0]);
        }
        if is_cancelled {
            session.cancel().unwrap();
        } else {
            let_go(session);
        }
        if when == Owed {
            copy = copy_of(&volumes[0]);
        }
        if matches!(when, Settled | Over) {
            volumes
                .iter()
                .for_each(|volume| _ = volume.settle(&*keeper));
        }
        if when == Over {
            volumes.iter().for_each(|volume| volume.flush().unwrap());
            volumes
                .iter()
                .for_each(|volume| _ = volume.settle(&*keeper));
            volumes.iter().for_each(|volume| volume.flush().unwrap());
        }
        if matches!(when, Settled | Over) {
            copy = copy_of(&volumes[0]);
        }
        let both_have = vec![wanted.clone(), wanted];
        if when != Over {
            let found = opened_with(&copy, &crashed, "k");
            assert_eq!(found, both_have, "{when:?}, cancelled: {is_cancelled}");
        }
        for seed in 0..10 {
            if matches!(when, BeforeIt | Unpublished) && !is_cancelled {
                break;
            }
            let later = after_power_loss(&machine, seed).images().remove(1);
            let found = opened_with(&copy, &later, "k");
            assert_eq!(
                found, both_have,
                "{when:?}, cancelled: {is_cancelled}, seed {seed}"
            );
        }
    }
}

/// It is the decider from then on: what was answered is settled, and the decision goes.
#[test]
fn a_copy_goes_on_as_the_decider() {
    let (machine, volumes, all) = ordered(2);
    commit_on(&Keeper::new(), &[&all[0], &all[1]], "k", "v").unwrap();
    let copy = file(copy_of(&volumes[0]));
    let crashed = after_power_loss(&machine, 0).images().remove(1);
    let participant = Machine::with_images(0, [crashed.clone()]);
    let lost = volumes[1].id();
    // As long as the participant has not asked, the decision stays, whatever is checkpointed and cleaned.
    for _ in 0..2 {
        let volume = Volume::open_devices(copy.devices(&[DiskId(0)]), &sim_options()).unwrap();
        volume.clean().unwrap();
        volume.checkpoint().unwrap();
        volume.close().unwrap();
    }
    let both = open_pair(&copy, &participant).unwrap();
    let keeper = Keeper::new();
    let stores_ = stores(&both);
    assert_eq!(
        values(&stores_, "k"),
        [Some("v".to_owned()), Some("v".to_owned())]
    );
    commit_on(&keeper, &[&stores_[0], &stores_[1]], "k", "w").unwrap();
    drop(stores_);
    both.iter().for_each(|volume| volume.close().unwrap());
    drop(both);
    let volume = Volume::open_devices(copy.devices(&[DiskId(0)]), &sim_options()).unwrap();
    assert_eq!(volume.forget_lost(&[lost]).unwrap(), 0);
}

/// The volume and its copy both go on: what the one decides has no name in the other.
#[test]
fn a_copy_gives_no_name_that_its_volume_gives() {
    let (machine, volumes, all) = ordered(2);
    let keeper = Keeper::new();
    commit_on(&keeper, &[&all[0], &all[1]], "k", "old").unwrap();
    let copy = file(copy_of(&volumes[0]));
    volumes.iter().for_each(|volume| volume.close().unwrap());
    drop((volumes, all));
    // In doubt, of one opening after the other: decided by the volume, and unknown to the copy.
    let mut doubtful = Vec::new();
    for round in 0..6 {
        let volumes = open_all_devices(vec![
            (machine.devices(&[DiskId(0)]), sim_options()),
            (machine.devices(&[DiskId(1)]), sim_options()),
        ])
        .unwrap();
        let all = stores(&volumes);
        commit_on(&Keeper::new(), &[&all[0], &all[1]], "k", &round.to_string()).unwrap();
        doubtful.push(after_power_loss(&machine, 0).images().remove(1));
        drop(all);
        volumes.iter().for_each(|volume| volume.close().unwrap());
    }
    // The copy decides as often, and as often, for the same participant.
    let participant = Machine::with_images(0, [doubtful[0].clone()]);
    let both = open_pair(&copy, &participant).unwrap();
    both.iter().for_each(|volume| volume.close().unwrap());
    drop(both);
    for _ in 0..6 {
        let both = open_pair(&copy, &participant).unwrap();
        let all = stores(&both);
        commit_on(&Keeper::new(), &[&all[0], &all[1]], "k", "of the copy").unwrap();
        let decided = after_kill(&copy, 0).images().remove(0);
        let before = ["old", "0", "1", "2", "3", "4"];
        for (image, before) in doubtful.iter().zip(before) {
            let found = opened_with(&decided, image, "k");
            assert_eq!(
                found[1].as_deref(),
                Some(before),
                "it was not the copy that decided"
            );
        }
        drop(all);
        both.iter().for_each(|volume| volume.close().unwrap());
    }
}

#[test]
fn a_copy_of_what_a_view_sees_is_refused_while_something_is_owed() {
    let (_machine, volumes, all) = ordered(2);
    let keeper = Keeper::new();
    let view = keeper.begin(Isolation::Snapshot);
    let (target_machine, target) = open_target(volumes[0].id());
    commit_on(&keeper, &[&all[0], &all[1]], "k", "v").unwrap();
    let refused = volumes[0]
        .backup(BackupFrom::View(&view), &target, &mut |_| true)
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InDoubt, "{refused}");
    assert!(refused.to_string().contains("newest state"), "{refused}");
    // Another volume answers for nobody.
    let other = crate::backup::memory(64);
    volumes[0]
        .backup(BackupFrom::View(&view), &other, &mut |_| true)
        .unwrap();
    view.end();
    for _ in 0..2 {
        volumes
            .iter()
            .for_each(|volume| _ = volume.settle(&*keeper));
        volumes.iter().for_each(|volume| volume.flush().unwrap());
    }
    let view = keeper.begin(Isolation::Snapshot);
    volumes[0]
        .backup(BackupFrom::View(&view), &target, &mut |_| true)
        .unwrap();
    view.end();
    target.close().unwrap();
    let copy = file(target_machine.images().remove(0));
    let copy = Volume::open_devices(copy.devices(&[DiskId(0)]), &sim_options()).unwrap();
    assert_eq!(copy.datastore(b"store").unwrap().len(), 1);
}

/// What a salvage finds of the decider, with a block of it destroyed or not.
fn salvaged(image: &Image, id: VolumeId, destroyed: Option<u64>) -> (bool, Image) {
    let mut image = image.clone();
    if let Some(at) = destroyed {
        image.write(&[0x55; 100], at);
    }
    let source = Machine::with_images(0, [image]);
    let (machine, target) = open_target(id);
    let salvage = Salvage::on_devices(source.devices(&[DiskId(0)]));
    let report = salvage.run(&target, &mut |_| true).unwrap();
    target.close().unwrap();
    (report.is_lossless(), machine.images().remove(0))
}

#[test]
fn a_salvaged_decider_says_what_it_knows_and_no_more() {
    let (machine, volumes, all) = ordered(2);
    let keeper = Keeper::new();
    commit_on(&keeper, &[&all[0], &all[1]], "k", "old").unwrap();
    commit_on(&keeper, &[&all[0], &all[1]], "k", "v").unwrap();
    let id = volumes[0].id();
    let mut images = after_power_loss(&machine, 0).images();
    let (participant, decider) = (images.remove(1), images.remove(0));
    let (is_lossless, copy) = salvaged(&decider, id, None);
    assert!(is_lossless);
    let found = opened_with(&copy, &participant, "k");
    assert_eq!(found, [Some("v".to_owned()), Some("v".to_owned())]);
    let used: Vec<u64> = decider
        .pages()
        .into_iter()
        .filter(|page| *page >= MIB + 8192)
        .collect();
    let mut refused = 0;
    for page in used.into_iter().take(40) {
        let (is_lossless, copy) = salvaged(&decider, id, Some(page));
        let pair = [file(copy), Machine::with_images(0, [participant.clone()])];
        match open_pair(&pair[0], &pair[1]) {
            Ok(both) => {
                let found = values(&[both[1].datastore(b"store").unwrap()], "k");
                assert_eq!(found, [Some("v".to_owned())], "page {page}");
            }
            Err(why) => {
                assert_eq!(why.kind(), ErrorKind::InDoubt, "{why}");
                assert!(
                    why.to_string().contains("salvaged") && !is_lossless,
                    "{why}"
                );
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "no page held a decision");
}

/// Before the copy is whole, and opened, it answers nobody.
#[test]
fn a_copy_that_is_being_made_answers_nobody() {
    let (machine, volumes, all) = ordered(2);
    commit_on(&Keeper::new(), &[&all[0], &all[1]], "k", "v").unwrap();
    let participant = after_power_loss(&machine, 0).images().remove(1);
    let participant = Machine::with_images(0, [participant]);
    let target = file(Image::new(0));
    let refused = open_all_devices(vec![
        (
            target.devices(&[DiskId(0)]),
            sim_options().copy_of(volumes[0].id()),
        ),
        (participant.devices(&[DiskId(0)]), sim_options()),
    ])
    .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InDoubt, "{refused}");
    assert!(refused.to_string().contains("copy"), "{refused}");
}

/// On real files, which find each other by their ids: a copy of a participant that is being made does not stand in for
/// it, and the decision that it may have to ask for stays; and a copy of the decider that was just made does not answer.
#[test]
fn copies_that_are_open_do_not_stand_in_for_their_volumes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let url = |name: &str| format!("he://./{}", path(name).display());
    let urls = ["a", "b"].map(|name| (url(name), sim_options()));
    let mut volumes = open_all(&urls).unwrap();
    volumes.sort_by_key(Volume::id);
    let create = |volume: &Volume| volume.create_datastore(b"store").unwrap();
    let all: Vec<Datastore> = volumes.iter().map(create).collect();
    let keeper: Arc<Keeper> = Keeper::new();
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    all.iter()
        .for_each(|store| session.put(store, "k", "v").unwrap());
    session.commit_unpublished().unwrap();
    let [decider, participant] = [0, 1].map(|at| volumes[at].clone());
    let name = participant.url().rsplit('/').next().unwrap().to_owned();
    let crashed = std::fs::read(path(&name)).unwrap();
    let copied = |volume: &Volume, name: &str| {
        let options = sim_options().copy_of(volume.id());
        Volume::open(&url(name), &options).unwrap()
    };
    // Nothing is final, so its close leaves the decision.
    participant.close().unwrap();
    let_go(session);
    let lost = participant.id();
    let options = VolumeOptions::copy_of(sim_options(), lost);
    let stand_in = Volume::open(&url("c"), &options).unwrap();
    for _ in 0..3 {
        decider.settle(&*keeper);
        decider.flush().unwrap();
    }
    stand_in.close().unwrap();
    drop((stand_in, participant));
    // A copy of the decider, while that is open, and then alone.
    let copy = copied(&decider, "d");
    decider
        .backup(BackupFrom::Newest, &copy, &mut |_| true)
        .unwrap();
    let forgotten = copy.forget_lost(&[lost]).unwrap_err();
    assert_eq!(forgotten.kind(), ErrorKind::InDoubt, "{forgotten}");
    drop((all, volumes));
    decider.close().unwrap();
    drop(decider);
    std::fs::write(path("e"), crashed).unwrap();
    let asking = Volume::open(&url("e"), &sim_options()).unwrap_err();
    assert_eq!(asking.kind(), ErrorKind::InDoubt, "{asking}");
    assert!(asking.to_string().contains("opened again"), "{asking}");
    copy.close().unwrap();
    drop(copy);
    let both = open_all(&[(url("d"), sim_options()), (url("e"), sim_options())]).unwrap();
    let found = values(&stores(&both), "k");
    assert_eq!(found, [Some("v".to_owned()), Some("v".to_owned())]);
}
