//! The making of a volume, cut short at any step: what that leaves is made again by the next open; it
//! is taken neither for a volume nor for somebody's file.

use helium_sim::{DiskId, Fault, FaultKind, Image, Machine, On, seed, sim_options};
use heliumdb::{Error, ErrorKind, Result, Volume, VolumeOptions};

use crate::common::MIB;

/// More than there is room for before the files grow.
const ITEMS: u32 = 50;
/// What is left when only the first step was done.
const MARKED_BYTES: u64 = MIB - 4096;

/// A machine of whose disks each one that has no bytes is a file that grows.
struct Disks(Vec<u64>);

impl Disks {
    fn all(&self) -> Vec<DiskId> {
        (0..self.0.len()).map(DiskId).collect()
    }

    fn machine(&self, images: Vec<Image>) -> Machine {
        let machine = Machine::with_images(0, images);
        for (disk, _) in self.0.iter().enumerate().filter(|(_, len)| **len == 0) {
            machine.allow_growth(DiskId(disk), 200 * MIB);
        }
        machine
    }

    fn blank(&self) -> Machine {
        self.machine(self.0.iter().map(|&len| Image::new(len)).collect())
    }

    fn open(&self, machine: &Machine, options: &VolumeOptions) -> Result<Volume> {
        Volume::open_devices(machine.devices(&self.all()), options)
    }

    /// What the disks hold after the process was killed, and after the power went.
    fn left(&self, machine: &Machine) -> Vec<Vec<Image>> {
        let mut all = vec![machine.images()];
        all.extend((0..4).map(|seed| machine.crash(&mut seed::rng(seed))));
        all
    }

    /// What is left is a whole volume or is made again: in either case it can be written to, goes on
    /// growing, and holds what was written when it is opened again.
    fn check(&self, images: Vec<Image>, what: &str) {
        let mut unwanted = sim_options();
        unwanted.create = false;
        match self.open(&self.machine(images.clone()), &unwanted) {
            Ok(_) => {}
            Err(why) => assert_eq!(why.kind(), ErrorKind::NotAVolume, "{what}: {why}"),
        }
        let machine = self.machine(images);
        let failed = |why: Error| panic!("{what}: {why}");
        let volume = self.open(&machine, &sim_options()).unwrap_or_else(failed);
        let store = volume.create_datastore(b"store").unwrap();
        for n in 0..ITEMS {
            let put = store.put(n.to_be_bytes(), [n as u8; 100_000]);
            put.unwrap_or_else(|why| panic!("{what}: item {n}: {why}"));
        }
        volume.flush().unwrap();
        drop((store, volume));
        let machine = self.machine(machine.images());
        let volume = self.open(&machine, &sim_options()).unwrap_or_else(failed);
        assert_eq!(
            volume.datastore(b"store").unwrap().len(),
            u64::from(ITEMS),
            "{what}"
        );
    }
}

fn kinds() -> Vec<Disks> {
    let mib = |sizes: &[u64]| Disks(sizes.iter().map(|size| size * MIB).collect());
    vec![
        mib(&[0]),
        mib(&[64]),
        mib(&[0, 0]),
        mib(&[32, 32]),
        mib(&[0, 64]),
    ]
}

#[test]
fn a_creation_that_was_cut_short_is_made_again() {
    for disks in kinds() {
        for step in 0.. {
            let machine = disks.blank();
            machine.power_off_at(step);
            if disks.open(&machine, &sim_options()).is_ok() {
                assert!(step > 8, "{:?}: only {step} steps were cut", disks.0);
                break;
            }
            for (crash, images) in disks.left(&machine).into_iter().enumerate() {
                disks.check(
                    images,
                    &format!("{:?}, step {step}, crash {crash}", disks.0),
                );
            }
        }
    }
}

#[test]
fn a_creation_without_room_is_made_again_when_there_is_some() {
    for disks in kinds() {
        for nth in 0.. {
            let machine = disks.blank();
            machine.plan(Fault {
                on: On::Change,
                nth,
                for_ever: true,
                kind: FaultKind::Enospc,
            });
            let Err(_) = disks.open(&machine, &sim_options()) else {
                assert!(nth > 8, "{:?}: only {nth} steps failed", disks.0);
                break;
            };
            disks.check(machine.images(), &format!("{:?}, step {nth}", disks.0));
        }
    }
}

/// Also twice: the second attempt meets what the first has left.
#[test]
fn a_creation_that_is_cut_short_twice_is_made_again() {
    let disks = Disks(vec![0, 0]);
    for first in (0..14).step_by(3) {
        let machine = disks.blank();
        machine.power_off_at(first);
        if disks.open(&machine, &sim_options()).is_ok() {
            break;
        }
        for second in 0..14 {
            let machine = disks.machine(machine.crash(&mut seed::rng(second)));
            machine.power_off_at(second);
            let _ = disks.open(&machine, &sim_options());
            disks.check(machine.images(), &format!("steps {first} and {second}"));
        }
    }
}

/// A truncation that is cut short leaves the volume as it was, or nothing.
#[test]
fn a_truncation_that_is_cut_short_leaves_all_or_nothing() {
    for disks in kinds() {
        let machine = disks.blank();
        let volume = disks.open(&machine, &sim_options()).unwrap();
        let store = volume.create_datastore(b"old").unwrap();
        for n in 0..100u32 {
            store.put(n.to_be_bytes(), [7; 10_000]).unwrap();
        }
        volume.close().unwrap();
        drop((store, volume));
        let old = machine.images();
        let mut truncate = sim_options();
        truncate.truncate = true;
        let mut seen = [false; 2];
        for step in 0.. {
            let machine = disks.machine(old.clone());
            machine.power_off_at(step);
            if disks.open(&machine, &truncate).is_ok() {
                break;
            }
            for (crash, images) in disks.left(&machine).into_iter().enumerate() {
                let what = format!("{:?}, step {step}, crash {crash}", disks.0);
                let again = disks.machine(images.clone());
                let volume = disks
                    .open(&again, &sim_options())
                    .unwrap_or_else(|why| panic!("{what}: {why}"));
                let items = volume.datastore(b"old").map(|old| old.len()).unwrap_or(0);
                assert!(items == 0 || items == 100, "{what}: {items} items");
                seen[usize::from(items == 0)] = true;
                drop(volume);
                if items == 0 {
                    disks.check(images, &what);
                }
            }
        }
        assert_eq!(seen, [true; 2], "{:?}", disks.0);
    }
}

/// What is not blank, or has a length that no creation leaves, is somebody's.
#[test]
fn files_that_no_creation_has_left_are_left_alone() {
    let disks = Disks(vec![0]);
    let of = |len: u64, bytes: &[u8], at: u64| {
        let mut image = Image::new(len);
        image.write(bytes, at);
        image
    };
    for (image, kind) in [
        (of(1, b"", 0), ErrorKind::VolumeTooSmall),
        (of(4096, b"", 0), ErrorKind::VolumeTooSmall),
        (of(MIB, b"", 0), ErrorKind::VolumeTooSmall),
        (of(20 * MIB, b"", 0), ErrorKind::VolumeTooSmall),
        (of(MARKED_BYTES - 1, b"", 0), ErrorKind::VolumeTooSmall),
        (of(MARKED_BYTES + 1, b"", 0), ErrorKind::VolumeTooSmall),
        (of(MARKED_BYTES, b"x", 0), ErrorKind::NotAVolume),
        (of(MARKED_BYTES, b"x", 5000), ErrorKind::NotAVolume),
        (
            of(MARKED_BYTES, b"x", MARKED_BYTES - 1),
            ErrorKind::NotAVolume,
        ),
    ] {
        let machine = disks.machine(vec![image]);
        let before = machine.changes();
        let refused = disks.open(&machine, &sim_options()).unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
        assert_eq!(machine.changes(), before, "it was written to");
    }
}

/// Two files that may become as large as two disks are worth as much.
#[test]
fn a_limit_is_of_each_file() {
    let disks = Disks(vec![0, 0]);
    let mut options = sim_options();
    options.limit_bytes = Some(32 * MIB);
    let machine = disks.blank();
    let volume = disks.open(&machine, &options).unwrap();
    assert_eq!(volume.stats().capacity_bytes, 64 * MIB);
    let store = volume.create_datastore(b"store").unwrap();
    let mut items = 0u32;
    while store.put(items.to_be_bytes(), [1; 10_000]).is_ok() {
        items += 1;
    }
    for image in machine.images() {
        assert!(image.len() <= 32 * MIB, "{}", image.len());
    }
    drop((store, volume));

    let fixed = Disks(vec![32 * MIB, 32 * MIB]);
    let volume = fixed.open(&fixed.blank(), &sim_options()).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    for n in 0..items {
        let put = store.put(n.to_be_bytes(), [1; 10_000]);
        put.unwrap_or_else(|why| panic!("item {n} of {items}: {why}"));
    }
    options.limit_bytes = Some(8 * MIB);
    let refused = disks.open(&disks.blank(), &options).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::VolumeTooSmall, "{refused}");
}

/// On real files: what was destroyed is blank, and a file that grew goes on growing.
#[test]
fn a_destroyed_volume_can_be_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("he://{}", folder.path().join("volume").display());
    let mut options = sim_options();
    options.limit_bytes = Some(64 * MIB);
    for _ in 0..2 {
        let volume = Volume::open(&url, &options).unwrap();
        let store = volume.create_datastore(b"store").unwrap();
        for n in 0..ITEMS {
            store.put(n.to_be_bytes(), [7; 100_000]).unwrap();
        }
        volume.close().unwrap();
        drop((store, volume));
        Volume::destroy(&url).unwrap();
        let mut unwanted = sim_options();
        unwanted.create = false;
        let refused = Volume::open(&url, &unwanted).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotAVolume, "{refused}");
    }
}
