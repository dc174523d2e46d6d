//! Volumes of each version of the format are kept as files, and do all that new ones do.
//!
//! `HELIUM_KEEP_VOLUMES=FILE cargo test -p heliumdb --test store versions` makes such a file, with
//! what the program that is tested writes.

mod kept;
mod make;

use std::collections::BTreeMap;

use helium_sim::{DiskId, Image, Machine, sim_options};
use heliumdb::{
    Volume,
    upkeep::{BackupFrom, Salvage, SalvageReport},
};

use crate::common::MIB;
use kept::{Contents, Kept};
use make::{DISKS, contents, open, open_with, options};

/// One file for each version.
const FILES: [(u16, &[u8]); 7] = [
    (1, include_bytes!("../../volumes/version-1.lz4")),
    (2, include_bytes!("../../volumes/version-2.lz4")),
    (3, include_bytes!("../../volumes/version-3.lz4")),
    (4, include_bytes!("../../volumes/version-4.lz4")),
    (5, include_bytes!("../../volumes/version-5.lz4")),
    (6, include_bytes!("../../volumes/version-6.lz4")),
    (7, include_bytes!("../../volumes/version-7.lz4")),
];

/// Runs `test` for each version, on a machine with its volumes and what is in them.
fn for_each_version(test: impl Fn(u16, &Machine, &[Contents])) {
    for (version, file) in FILES {
        let kept = Kept::decode(file);
        assert_eq!(kept.volumes.len(), DISKS.len());
        let machine = Machine::with_images(0, kept.images);
        let contents: Vec<_> = kept.volumes.into_iter().map(|(_, items)| items).collect();
        test(version, &machine, &contents);
    }
}

fn version_of(image: &Image) -> u16 {
    // Superblocks change in turn, and this is where both have their version.
    let versions = [0, 4096].map(|block| {
        let mut bytes = [0; 2];
        image.read(&mut bytes, block + 8);
        u16::from_le_bytes(bytes)
    });
    versions[0].max(versions[1])
}

/// How many segments have headers that are counted on.
fn headed(image: &Image) -> u64 {
    let both = [0, 4096].map(|block| {
        let mut bytes = [0; 8];
        image.read(&mut bytes, block + 1688);
        u64::from_le_bytes(bytes)
    });
    both[0].min(both[1])
}

fn assert_all_there(volumes: &[Volume], wanted: &[Contents]) {
    for (volume, wanted) in volumes.iter().zip(wanted) {
        assert!(
            contents(volume) == *wanted,
            "{} holds something else",
            volume.url()
        );
        for (name, items) in wanted {
            let store = volume.datastore(name).unwrap();
            // In any order: it may be an unordered one.
            let lengths: BTreeMap<_, _> = store.lengths().map(Result::unwrap).collect();
            let is_so = |(key, value): (_, &Vec<u8>)| lengths[key] == value.len() as u64;
            assert!(lengths.len() == items.len() && items.iter().all(is_so));
        }
        let report = volume.verify(&mut |_| true).unwrap();
        assert_eq!(report.damaged, 0, "{:?}", volume.damage());
    }
}

#[test]
fn what_is_kept_comes_back() {
    let made = make::make();
    let file = made.encode();
    if let Some(path) = std::env::var_os("HELIUM_KEEP_VOLUMES") {
        std::fs::write(path, &file).unwrap();
    }
    let kept = Kept::decode(&file);
    assert_eq!(kept.volumes, made.volumes);
    let pages = |kept: &Kept| -> Vec<_> { kept.images.iter().map(Image::pages).collect() };
    assert_eq!(pages(&kept), pages(&made));
}

#[test]
fn read_only_they_are_read_and_left_as_they_are() {
    for_each_version(|version, machine, wanted| {
        let mut read_only = options();
        read_only.read_only = true;
        let first = Volume::open_devices(machine.devices(&[DiskId(0)]), &read_only).unwrap();
        assert_all_there(&[first], wanted);
        assert_eq!(machine.changes(), 0, "version {version}");
        assert_eq!(version_of(&machine.images()[0]), version);
        // The second volume has to ask the first one, and writes the answer down.
        open(machine).unwrap();
        let machine = Machine::with_images(0, machine.images());
        let volumes = open_with(&machine, &read_only).unwrap();
        assert_all_there(&volumes, wanted);
        assert_eq!(machine.changes(), 0, "version {version}");
    });
}

#[test]
fn they_are_read_written_and_opened_again() {
    for_each_version(|version, machine, wanted| {
        let mut wanted = wanted.to_vec();
        let volumes = open(machine).unwrap();
        assert_all_there(&volumes, &wanted);
        for (volume, wanted) in volumes.iter().zip(&mut wanted) {
            for (name, items) in wanted.iter_mut() {
                let store = volume.datastore(name).unwrap();
                store.put(b"new", name).unwrap();
                items.insert(b"new".to_vec(), name.clone());
                if items.remove(&b"key 00003"[..]).is_some() {
                    assert!(store.delete(b"key 00003").unwrap());
                }
            }
            volume.flush().unwrap();
        }
        let killed = Machine::with_images(0, machine.images());
        assert_all_there(&open(&killed).unwrap(), &wanted);
        for volume in &volumes {
            volume.clean().unwrap();
            volume.checkpoint().unwrap();
            volume.free().unwrap();
            volume.close().unwrap();
        }
        for image in machine.images() {
            assert_eq!(version_of(&image), 7, "from version {version}");
        }
        assert_all_there(&open(machine).unwrap(), &wanted);
        let mut scan = options();
        scan.scan = true;
        assert_all_there(&open_with(machine, &scan).unwrap(), &wanted);
    });
}

/// Writes until a segment was begun.
fn begin_a_segment(machine: &Machine) {
    for volume in open(machine).unwrap() {
        let store = volume.datastore(b"ordered").unwrap();
        (0..9).for_each(|_| store.put(b"large", [1; 300_000]).unwrap());
        drop(store);
        volume.close().unwrap();
    }
}

#[test]
fn segments_without_headers_get_them_when_one_is_needed() {
    for_each_version(|version, machine, wanted| {
        begin_a_segment(machine);
        for image in machine.images() {
            assert!(headed(&image) >= 16, "version {version}");
        }
        let volumes = open(machine).unwrap();
        for (volume, wanted) in volumes.iter().zip(wanted) {
            let mut found = contents(volume);
            found
                .get_mut(&b"ordered"[..])
                .unwrap()
                .remove(&b"large"[..]);
            assert!(found == *wanted, "version {version}");
        }
    });
}

/// A header would say that nothing in it counts: that of a segment that has lost its own, say.
#[test]
fn segments_without_headers_that_hold_something_do_not_get_any() {
    for_each_version(|version, machine, _| {
        if version > 2 {
            return;
        }
        let mut images = machine.images();
        for image in &mut images {
            let last = image.len() - image.len() % MIB - MIB;
            let (mut frame, mut header) = ([0; 4096], [0; 8192]);
            image.read(&mut frame, MIB + 8192);
            image.write(&frame, last + 8192);
            image.read(&mut header, last);
            assert_eq!((header, &frame[..4]), ([0; 8192], &b"HeFr"[..]));
        }
        let machine = Machine::with_images(0, images);
        begin_a_segment(&machine);
        for image in machine.images() {
            let mut header = [0; 8192];
            image.read(&mut header, image.len() - image.len() % MIB - MIB);
            assert_eq!(header, [0; 8192]);
            assert_eq!(headed(&image), 0, "version {version}");
        }
        open(&machine).unwrap();
    });
}

/// Nothing of this version is written before the superblocks say so, wherever the power goes.
#[test]
fn power_lost_on_the_way_to_this_version_loses_nothing() {
    for_each_version(|version, machine, wanted| {
        machine.record(&[]);
        let volumes = open(machine).unwrap();
        for volume in &volumes {
            let store = volume.datastore(b"ordered").unwrap();
            // A few segments are begun: their headers come before the superblocks that count on them.
            for _ in 0..9 {
                store.put(b"new", [1; 300_000]).unwrap();
                volume.flush().unwrap();
            }
        }
        for (index, record) in machine.records().iter().enumerate() {
            let after =
                Machine::with_images(0, record.crash(&mut helium_sim::seed::rng(index as u64)));
            let volumes = open(&after).unwrap();
            for (volume, wanted) in volumes.iter().zip(wanted) {
                let mut found = contents(volume);
                found.get_mut(&b"ordered"[..]).unwrap().remove(&b"new"[..]);
                assert!(found == *wanted, "version {version}, {index}");
            }
        }
    });
}

fn blank() -> Volume {
    let target = Machine::new(0, &[256 * MIB]);
    Volume::open_devices(target.devices(&[DiskId(0)]), &sim_options()).unwrap()
}

fn salvage(machine: &Machine, volume: usize) -> (SalvageReport, Volume) {
    let target = blank();
    let devices = |volume: usize| {
        let disks: Vec<DiskId> = DISKS[volume].iter().map(|&disk| DiskId(disk)).collect();
        machine.devices(&disks)
    };
    let mut source = Salvage::on_devices(devices(volume));
    if volume > 0 {
        source = source.decider_devices(devices(0));
    }
    let report = source.run(&target, &mut |_| true).unwrap();
    (report, target)
}

#[test]
fn they_are_salvaged_and_backed_up() {
    for_each_version(|version, machine, wanted| {
        for (number, wanted) in wanted.iter().enumerate() {
            let (report, copy) = salvage(machine, number);
            assert!(report.is_lossless(), "version {version}: {report:?}");
            assert!(
                contents(&copy) == *wanted,
                "version {version}, volume {number}"
            );
        }
        let volumes = open(machine).unwrap();
        for (volume, wanted) in volumes.iter().zip(wanted) {
            let copy = blank();
            volume
                .backup(BackupFrom::Newest, &copy, &mut |_| true)
                .unwrap();
            assert!(contents(&copy) == *wanted, "version {version}");
        }
    });
}
