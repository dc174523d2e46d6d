//! Volumes near the smallest size: on few or many devices, on files that grow, that do not, and on both.

use std::fs::File;

use helium_sim::{DiskId, Image, Machine, sim_options};
use heliumdb::{Datastore, ErrorKind, Volume, VolumeOptions};

use crate::common::MIB;

/// Lengths of devices, and whether each is a file that may grow so far.
type Devices = [(u64, bool)];

fn fixed(devices: &Devices) -> Vec<(u64, bool)> {
    devices.iter().map(|(bytes, _)| (*bytes, false)).collect()
}

fn machine(devices: &Devices) -> Machine {
    let image = |(bytes, grows): &(u64, bool)| Image::new(if *grows { 0 } else { *bytes });
    let machine = Machine::with_images(0, devices.iter().map(image));
    for (disk, (_, grows)) in devices.iter().enumerate() {
        if *grows {
            machine.allow_growth(DiskId(disk), 4096 * MIB);
        }
    }
    machine
}

fn options(devices: &Devices) -> VolumeOptions {
    let mut options = sim_options();
    let growing = devices.iter().find(|(_, grows)| *grows);
    options.limit_bytes = growing.map(|(bytes, _)| *bytes);
    options
}

fn open(machine: &Machine, devices: &Devices) -> heliumdb::Result<Volume> {
    let disks: Vec<_> = (0..devices.len()).map(DiskId).collect();
    Volume::open_devices(machine.devices(&disks), &options(devices))
}

/// How many items fit.
fn fill(volume: &Volume, store: &Datastore) -> u64 {
    for number in 0u64.. {
        while volume.background_step().unwrap() {}
        match store.put(number.to_be_bytes(), [number as u8; 20_000]) {
            Ok(()) => {}
            Err(why) if why.kind() == ErrorKind::VolumeFull => return number,
            Err(why) => panic!("{why}"),
        }
    }
    unreachable!("the volume has an end")
}

/// How many items fit into the volume, and whether they do again after all were deleted.
fn fits(devices: &Devices) -> u64 {
    let machine = machine(devices);
    let volume = open(&machine, devices).unwrap_or_else(|why| panic!("{devices:?}: {why}"));
    let store = volume.create_datastore(b"store").unwrap();
    let items = fill(&volume, &store);
    for number in 0..items {
        let deleted = store.delete(number.to_be_bytes());
        deleted.unwrap_or_else(|why| panic!("{devices:?}: {why}: {:?}", volume.stats()));
    }
    volume.close().unwrap();
    drop((store, volume));
    let volume = open(&machine, devices).unwrap();
    let store = volume.datastore(b"store").unwrap();
    let again = fill(&volume, &store);
    assert!(
        again * 10 >= items * 9,
        "{devices:?}: {items}, then {again}"
    );
    for number in (0..again).step_by(13) {
        let value = store.get(number.to_be_bytes()).unwrap();
        assert_eq!(value, Some(vec![number as u8; 20_000]));
    }
    items
}

#[test]
fn files_that_grow_are_worth_as_much_as_others() {
    for devices in [
        &[(64 * MIB, true)][..],
        &[(32 * MIB, true); 2],
        &[(22 * MIB, true); 3],
        &[(16 * MIB, true); 4],
        &[(9 * MIB, true); 8],
        &[(32 * MIB, true), (32 * MIB, false)],
        &[(9 * MIB, true), (60 * MIB, false)],
        &[(50 * MIB, true), (9 * MIB, false), (10 * MIB, false)],
        &[(9 * MIB, true), (9 * MIB, true), (50 * MIB, false)],
        // Not of whole segments.
        &[(32 * MIB + 4095, true), (33 * MIB - 1, false)],
    ] {
        let others = fits(&fixed(devices));
        let growing = fits(devices);
        assert!(
            growing * 20 >= others * 19,
            "{devices:?}: {growing} fit, and {others} where no file grows"
        );
        assert!(growing > 0);
    }
}

/// Of what is too small nothing is made, however it is divided.
#[test]
fn what_is_too_small_is_refused_whether_it_grows_or_not() {
    for devices in [
        &[(64 * MIB - 1, true)][..],
        &[(32 * MIB, true), (32 * MIB - 1, false)],
        &[(21 * MIB, true); 3],
        &[(9 * MIB - 1, true); 10],
    ] {
        for devices in [devices, &fixed(devices)] {
            let machine = machine(devices);
            let refused = open(&machine, devices).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::VolumeTooSmall, "{devices:?}");
            assert_eq!(machine.changes(), 0, "{devices:?} was written to");
        }
    }
}

/// Files of a length that have no blocks, and files that have: both are of that length.
#[test]
fn sparse_files_are_worth_as_much_as_others() {
    let count = |is_sparse: bool| {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        for path in &paths {
            let file = File::create(path).unwrap();
            match is_sparse {
                true => file.set_len(32 * MIB).unwrap(),
                false => std::fs::write(path, vec![0; 32 << 20]).unwrap(),
            }
        }
        let url = format!("he://./{},{}", paths[0].display(), paths[1].display());
        let volume = Volume::open(&url, &sim_options()).unwrap();
        let store = volume.create_datastore(b"store").unwrap();
        fill(&volume, &store)
    };
    assert_eq!(count(true), count(false));
}
