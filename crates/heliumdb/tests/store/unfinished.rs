//! A copy is a volume only once it is whole: whatever cuts a backup or a salvage short leaves what no open takes for
//! one, and the next copy to the same devices makes it again.

use crate::common::make_with;
use helium_sim::{DiskId, Fault, FaultKind, Image, Machine, On, Tells, seed, sim_options};
use heliumdb::{
    ErrorKind, Result, Volume, VolumeOptions,
    host::VolumeExt,
    upkeep::{BackupFrom, Phase, Progress, Salvage},
};

use crate::{
    backup::memory,
    common::{MIB, machine, open_one},
    salvage::{Datastores, contents},
};

const SENTENCE: &str = "a copy that was not finished";

/// A volume with something of each kind in it, and what that is.
fn source() -> (Machine, Volume, Datastores) {
    let machine = machine(0, 1);
    let volume = open_one(&machine).unwrap();
    for name in [&b"one"[..], b"empty", b"two"] {
        make_with(&volume, name, "attributes").unwrap();
    }
    let one = volume.datastore(b"one").unwrap();
    for n in 0..9_000u32 {
        one.put(n.to_be_bytes(), [n as u8; 100]).unwrap();
    }
    let two = volume.datastore(b"two").unwrap();
    two.put(b"long", vec![7; 700_000]).unwrap();
    volume.flush().unwrap();
    let all = contents(&volume);
    (machine, volume, all)
}

fn for_a_copy() -> VolumeOptions {
    let mut options = sim_options();
    options.receive_copy = true;
    options
}

fn existing() -> VolumeOptions {
    let mut options = sim_options();
    options.create = false;
    options
}

/// How a copy comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Newest,
    Snapshot,
    Salvage,
    /// Piece by piece, as from another process.
    Restored,
}

impl How {
    fn copy(
        self,
        source: &Volume,
        machine: &Machine,
        target: &Volume,
        progress: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<()> {
        match self {
            Self::Newest => source
                .backup(BackupFrom::Newest, target, progress)
                .map(drop),
            Self::Snapshot => {
                let snapshot = source.snapshot()?;
                let from = BackupFrom::Snapshot(&snapshot);
                source.backup(from, target, progress).map(drop)
            }
            Self::Salvage => {
                let salvage = Salvage::on_devices(machine.devices(&[DiskId(0)]));
                salvage.run(target, progress).map(drop)
            }
            Self::Restored => {
                let next_id = source.next_datastore_id();
                for info in source.datastores() {
                    let store = source.datastore_by_id(info.id)?;
                    target.restore(&info, next_id, store.items())?;
                }
                target.finish_copy()
            }
        }
    }
}

/// Disks for the copy; each that has no bytes is a file that grows.
struct Disks(Vec<u64>);

impl Disks {
    fn machine(&self, images: Vec<Image>) -> Machine {
        let machine = Machine::with_images(0, images);
        for (disk, _) in self.0.iter().enumerate().filter(|(_, len)| **len == 0) {
            machine.allow_growth(DiskId(disk), 200 * MIB);
        }
        machine
    }

    fn blank(&self) -> Machine {
        self.machine(self.0.iter().map(|len| Image::new(len * MIB)).collect())
    }

    fn open(&self, machine: &Machine, options: &VolumeOptions) -> Result<Volume> {
        let disks: Vec<DiskId> = (0..self.0.len()).map(DiskId).collect();
        Volume::open_devices(machine.devices(&disks), options)
    }

    /// With a volume in them that holds nothing.
    fn with_an_empty_volume(&self) -> Machine {
        let machine = self.blank();
        self.open(&machine, &sim_options())
            .unwrap()
            .close()
            .unwrap();
        self.machine(machine.images())
    }
}

/// What the copy's disks hold after the process was killed, and after the power went.
fn left(machine: &Machine, seed: u64) -> [Vec<Image>; 2] {
    [machine.images(), machine.crash(&mut seed::rng(seed))]
}

/// Whether a whole copy is left. If not, nobody takes it for a volume (but perhaps for the empty one that was there
/// before), and a copy to the same disks succeeds.
#[track_caller]
fn check(
    (disks, was_there): (&Disks, bool),
    images: &[Image],
    again: impl Fn(&Volume),
    wanted: &Datastores,
) -> bool {
    let machine = disks.machine(images.to_vec());
    match disks.open(&machine, &existing()) {
        Ok(volume) => {
            let found = contents(&volume);
            if !found.is_empty() || !was_there {
                assert!(found == *wanted, "a part of the copy opens as a volume");
                return true;
            }
        }
        Err(why) => {
            assert_eq!(why.kind(), ErrorKind::NotAVolume, "{why}");
            if why.to_string().contains(SENTENCE) {
                let changes = machine.changes();
                let refused = disks.open(&machine, &sim_options()).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::NotAVolume, "{refused}");
                assert_eq!(machine.changes(), changes, "a plain open wrote over it");
            }
        }
    }
    let machine = disks.machine(images.to_vec());
    let target = disks.open(&machine, &for_a_copy()).unwrap();
    again(&target);
    target.close().unwrap();
    let volume = disks
        .open(&disks.machine(machine.images()), &existing())
        .unwrap();
    assert!(contents(&volume) == *wanted);
    false
}

fn cut_short_anywhere(how: How, disks: &Disks, is_there: bool) {
    let (machine, source, wanted) = source();
    let copy = |target: &Volume| how.copy(&source, &machine, target, &mut |_| true);
    let start = match is_there {
        true => disks.with_an_empty_volume().images(),
        false => disks.blank().images(),
    };
    let options = match is_there {
        true => sim_options(),
        false => for_a_copy(),
    };
    let mut seen = [0; 2];
    for step in 0.. {
        let target_machine = disks.machine(start.clone());
        target_machine.power_off_at(step);
        let done = disks
            .open(&target_machine, &options)
            .and_then(|target| copy(&target));
        for images in left(&target_machine, step) {
            let again = |target: &Volume| copy(target).unwrap();
            let is_whole = check((disks, is_there), &images, again, &wanted);
            assert!(
                is_whole || done.is_err(),
                "step {step}: it was acknowledged"
            );
            seen[usize::from(is_whole)] += 1;
        }
        if done.is_ok() {
            break;
        }
    }
    assert!(seen[0] > 20 && seen[1] > 1, "{how:?}: {seen:?}");
}

#[test]
fn a_backup_that_is_cut_short_anywhere_is_no_volume() {
    cut_short_anywhere(How::Newest, &Disks(vec![0]), false);
    cut_short_anywhere(How::Newest, &Disks(vec![64]), true);
}

#[test]
fn nor_is_one_of_a_snapshot() {
    cut_short_anywhere(How::Snapshot, &Disks(vec![0, 64]), false);
}

#[test]
fn nor_is_one_that_came_in_pieces() {
    cut_short_anywhere(How::Restored, &Disks(vec![64]), true);
}

#[test]
fn nor_is_a_salvage() {
    cut_short_anywhere(How::Salvage, &Disks(vec![32, 32]), true);
}

#[test]
fn a_copy_that_finds_no_room_is_none() {
    let (machine, source, wanted) = source();
    let disks = Disks(vec![0]);
    for nth in 0.. {
        let target_machine = disks.blank();
        target_machine.plan(Fault {
            on: On::Change,
            nth,
            for_ever: true,
            kind: FaultKind::Enospc,
        });
        let copied = disks
            .open(&target_machine, &for_a_copy())
            .and_then(|target| {
                let copied = How::Newest.copy(&source, &machine, &target, &mut |_| true);
                target_machine.heal();
                copied
            });
        let again = |target: &Volume| {
            How::Newest
                .copy(&source, &machine, target, &mut |_| true)
                .unwrap();
        };
        let is_whole = check((&disks, false), &target_machine.images(), again, &wanted);
        match copied {
            Ok(()) => {
                assert!(is_whole && nth > 20, "only {nth} steps failed");
                break;
            }
            Err(why) => assert!(
                !is_whole || why.kind() == ErrorKind::OutcomeUnknown,
                "{why}"
            ),
        }
    }
}

/// What is loaded in bulk fails at each write and sync, in each way, some of which say so only when it is done. An error
/// that does not name an unknown outcome means that there is no copy, and none that there is a part of one.
#[test]
fn a_copy_that_meets_an_error_anywhere_is_whole_or_none() {
    let (machine, source, wanted) = source();
    let disks = Disks(vec![64]);
    let start = disks.with_an_empty_volume().images();
    for how in [How::Newest, How::Restored] {
        let mut unknown = 0;
        for kind in [
            FaultKind::Eio,
            FaultKind::Late,
            FaultKind::SyncKeepsCache,
            FaultKind::SyncRevertsCache,
        ] {
            for nth in 0.. {
                let _tells = Tells(|| format!("{how:?}: {kind:?} at change {nth}"));
                let target_machine = disks.machine(start.clone());
                let target = disks.open(&target_machine, &sim_options()).unwrap();
                target_machine.plan(Fault {
                    on: On::Change,
                    nth,
                    for_ever: false,
                    kind,
                });
                let before = target_machine.changes();
                let copied = how.copy(&source, &machine, &target, &mut |_| true);
                target_machine.heal();
                let is_over = target_machine.changes() - before <= nth;
                let said = copied.map_err(|why| why.kind());
                if said.is_err() {
                    // Nor is anything made of it later.
                    target.finish_copy().unwrap_err();
                    target.flush().unwrap_err();
                }
                unknown += u32::from(said == Err(ErrorKind::OutcomeUnknown));
                for images in left(&target_machine, nth) {
                    let found = disks.open(&disks.machine(images), &existing());
                    let found = found.map(|volume| contents(&volume));
                    let is_whole = found.as_ref().is_ok_and(|found| *found == wanted);
                    match (&found, said) {
                        (_, Ok(())) => assert!(is_whole, "acknowledged, and not there"),
                        (_, Err(ErrorKind::OutcomeUnknown)) if is_whole => {}
                        (Ok(found), Err(_)) => assert!(found.is_empty(), "half a copy, or more"),
                        (Err(why), Err(_)) => assert_eq!(why.kind(), ErrorKind::NotAVolume),
                    }
                }
                if is_over {
                    assert!(nth > 10 && said.is_ok(), "only {nth} steps failed");
                    break;
                }
            }
        }
        assert!(unknown > 0, "{how:?}");
    }
}

/// Stops it in the middle of the items, when some of them have been written.
fn stop(step: &Progress) -> bool {
    step.phase != Phase::Copying || step.done < 5_000
}

#[test]
fn nobody_gets_a_datastore_of_a_copy_that_is_not_finished() {
    for how in [How::Newest, How::Snapshot, How::Salvage] {
        let (machine, source, wanted) = source();
        let target = memory(64);
        let name = contents(&source).into_values().next().unwrap().0;
        let refused = |target: &Volume| {
            let id = target.datastores().first().map(|info| info.id);
            let by_id = id.map(|id| target.datastore_by_id(id).map(drop).unwrap_err());
            let by_name = [target.datastore(&name), target.create_datastore(b"x")];
            let by_name = by_name.map(|found| found.map(drop).unwrap_err());
            for why in by_name.into_iter().chain(by_id) {
                assert_eq!(why.kind(), ErrorKind::NotAVolume, "{why}");
            }
        };
        let mut seen = false;
        let stopped = how.copy(&source, &machine, &target, &mut |step| {
            if step.phase == Phase::Copying && step.done > 0 {
                refused(&target);
                seen = true;
            }
            stop(step)
        });
        assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled, "{how:?}");
        assert!(seen, "{how:?}");
        refused(&target);
        let again = how
            .copy(&source, &machine, &target, &mut |_| true)
            .unwrap_err();
        assert_eq!(again.kind(), ErrorKind::DatastoreExists, "{again}");
        let part = target.backup(BackupFrom::Newest, &memory(64), &mut |_| true);
        assert_eq!(part.unwrap_err().kind(), ErrorKind::NotAVolume);
        let removed = target.drop_datastore(target.datastores()[0].id);
        assert_eq!(removed.unwrap_err().kind(), ErrorKind::NotAVolume);
        // One that is finished gives them at once.
        let target = memory(64);
        how.copy(&source, &machine, &target, &mut |_| true).unwrap();
        assert!(contents(&target) == wanted);
    }
}

/// Two sources, one target: nothing is made of both.
#[test]
fn one_copy_at_a_time_is_put_into_a_volume() {
    let (machine, source, wanted) = source();
    for how in [How::Newest, How::Snapshot, How::Salvage] {
        let other = memory(64);
        let names = [&b"x"[..], b"y", b"z", b"u", b"v"];
        for name in names {
            other.create_datastore(name).unwrap();
        }
        let target = memory(64);
        let mut refused = None;
        let copied = how.copy(&source, &machine, &target, &mut |step| {
            if step.phase == Phase::Copying && refused.is_none() {
                let beside = other.backup(BackupFrom::Newest, &target, &mut |_| true);
                refused = Some(beside.unwrap_err().kind());
            }
            true
        });
        copied.unwrap();
        let refused = refused.unwrap();
        assert!(
            matches!(refused, ErrorKind::Busy | ErrorKind::DatastoreExists),
            "{refused:?}"
        );
        assert!(contents(&target) == wanted);
    }
}

/// The ways to a volume again, and out of one: on real files.
#[test]
fn only_who_means_it_writes_over_a_copy_that_is_not_finished() {
    let (_machine, source, wanted) = source();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let url = |name: &str| format!("he://{}", path(name).display());
    let target = Volume::open(&url("copy"), &for_a_copy()).unwrap();
    // Who comes beside it is told.
    let beside = Volume::open(&url("copy"), &sim_options()).unwrap_err();
    assert_eq!(beside.kind(), ErrorKind::VolumeInUse, "{beside}");
    assert!(beside.to_string().contains("not finished"), "{beside}");
    source
        .backup(BackupFrom::Newest, &target, &mut stop)
        .unwrap_err();
    drop(target);
    let before = std::fs::read(path("copy")).unwrap();
    let mut read_only = existing();
    read_only.read_only = true;
    let mut read_only_copy = for_a_copy();
    read_only_copy.read_only = true;
    let same_id = for_a_copy().copy_of(source.id());
    let mut uncreated = for_a_copy();
    uncreated.create = false;
    for (options, kind) in [
        (sim_options(), ErrorKind::NotAVolume),
        (existing(), ErrorKind::NotAVolume),
        (read_only, ErrorKind::NotAVolume),
        (read_only_copy, ErrorKind::NotAVolume),
        (uncreated, ErrorKind::NotAVolume),
        // What is left of it would pass for a part of the new one.
        (same_id, ErrorKind::InvalidArgument),
    ] {
        let refused = Volume::open(&url("copy"), &options).unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
        if kind == ErrorKind::NotAVolume {
            assert!(refused.to_string().contains(SENTENCE), "{refused}");
        }
    }
    assert!(
        std::fs::read(path("copy")).unwrap() == before,
        "it was written to"
    );

    let salvaged = memory(64);
    let report = Salvage::open(&url("copy"))
        .unwrap()
        .run(&salvaged, &mut |_| true)
        .unwrap();
    assert!(
        report.unfinished_copy && !report.is_lossless(),
        "{report:?}"
    );
    assert!(report.items > 0 && report.items < 9_000, "{report:?}");

    let mut truncate = sim_options();
    truncate.truncate = true;
    let mut remake = sim_options();
    remake.remake_copy = true;
    for options in [truncate, remake] {
        std::fs::write(path("again"), &before).unwrap();
        let volume = Volume::open(&url("again"), &options).unwrap();
        assert!(volume.datastores().is_empty());
        volume.create_datastore(b"new").unwrap();
        volume.close().unwrap();
        Volume::open(&url("again"), &existing()).unwrap();
    }
    std::fs::write(path("again"), &before).unwrap();
    Volume::destroy(&url("again")).unwrap();
    let gone = Volume::open(&url("again"), &existing()).unwrap_err();
    assert!(!gone.to_string().contains(SENTENCE), "{gone}");

    let target = Volume::open(&url("copy"), &for_a_copy()).unwrap();
    source
        .backup(BackupFrom::Newest, &target, &mut |_| true)
        .unwrap();
    target.close().unwrap();
    let copy = Volume::open(&url("copy"), &sim_options()).unwrap();
    assert!(contents(&copy) == wanted);
    copy.close().unwrap();
    // Who is to receive a copy takes a volume for what it is.
    let copy = Volume::open(&url("copy"), &for_a_copy()).unwrap();
    assert!(contents(&copy) == wanted);
}

/// Of two copies of the superblock one may be destroyed: neither says that a whole volume is none, nor the other way.
#[test]
fn either_superblock_says_whether_the_copy_is_whole() {
    let (_machine, source, wanted) = source();
    let disks = Disks(vec![64]);
    for (is_stopped, options) in [
        (false, sim_options()),
        (true, sim_options()),
        (false, for_a_copy()),
        (true, for_a_copy()),
    ] {
        let machine = disks.blank();
        let target = disks.open(&machine, &options).unwrap();
        let mut progress = |step: &Progress| !is_stopped || stop(step);
        let copied = source.backup(BackupFrom::Newest, &target, &mut progress);
        assert_eq!(copied.is_err(), is_stopped);
        for block in 0..2 {
            let mut images = machine.images();
            images[0].write(&[0x55; 100], block * 4096 + 500);
            let found = disks.open(&disks.machine(images), &existing());
            match is_stopped {
                true => assert!(found.unwrap_err().to_string().contains(SENTENCE)),
                false => assert!(contents(&found.unwrap()) == wanted),
            }
        }
    }
}
