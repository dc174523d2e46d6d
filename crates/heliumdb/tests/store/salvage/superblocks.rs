//! Without superblocks: what the devices were shows from where segment headers lie.

use helium_sim::{DiskId, Image, Machine, seed, sim_options};
use heliumdb::{ErrorKind, Volume, VolumeId, upkeep::Salvage};
use rand::{Rng, seq::SliceRandom};

use super::{contents, damaged, oracle::Damage, salvage, same};
use crate::common::{MIB, make_with};

/// A volume over disks of these sizes, its id, and its disks.
fn volume(disk_bytes: &[u64], segments: usize) -> (VolumeId, super::Datastores, Vec<Image>) {
    let machine = Machine::new(0, disk_bytes);
    let disks: Vec<DiskId> = (0..disk_bytes.len()).map(DiskId).collect();
    let volume = Volume::open_devices(machine.devices(&disks), &sim_options()).unwrap();
    let store = make_with(&volume, "store", "its attributes").unwrap();
    let value = vec![7; 200_000];
    let segment_bytes = if disk_bytes.iter().sum::<u64>() < 512 * MIB {
        1
    } else {
        8
    };
    for number in 0..(segments * segment_bytes * 5) as u32 {
        store.put(number.to_be_bytes(), &value).unwrap();
    }
    volume.flush().unwrap();
    let found = (volume.id(), contents(&volume));
    volume.close().unwrap();
    (found.0, found.1, machine.images())
}

#[test]
fn all_superblocks_are_destroyed_and_the_devices_shuffled() {
    let shapes: [(&[u64], usize); 5] = [
        (&[64 * MIB], 1),
        (&[64 * MIB], 20),
        (&[24 * MIB, 64 * MIB, 32 * MIB], 25),
        (&[16 * MIB; 7], 30),
        (&[600 * MIB], 3),
    ];
    for (seed, (disks, segments)) in shapes.into_iter().enumerate() {
        let (id, wanted, images) = volume(disks, segments);
        let mut rng = seed::rng(seed as u64);
        let all = (0..disks.len()).flat_map(|disk| [(disk, 0), (disk, 4096)]);
        let gone: Damage = all.filter(|_| seed == 0 || rng.random_bool(0.8)).collect();
        for damage in [
            gone,
            (0..disks.len()).flat_map(|d| [(d, 0), (d, 4096)]).collect(),
        ] {
            let mut after = damaged(&images, &damage, &mut |block| block.fill(0xaa));
            after.shuffle(&mut rng);
            let (report, found) = salvage(&after, |s| s);
            assert_eq!(report.volume, Some(id), "{disks:?}");
            assert_eq!(report.devices, disks.len() as u64, "{disks:?}");
            assert!(report.is_lossless(), "{disks:?}: {report:?}");
            same(&found, &wanted);
        }
    }
}

#[test]
fn a_missing_device_takes_only_its_own() {
    let (_, wanted, images) = volume(&[32 * MIB; 3], 12);
    let (report, found) = salvage(&images[1..], |s| s);
    assert_eq!((report.devices, report.missing_devices), (3, 1));
    let (_, left) = &found[&wanted.keys().copied().next().unwrap()];
    let (_, all) = wanted.values().next().unwrap();
    assert!(left.len() > all.len() / 2 && left.len() < all.len());
    assert!(left.iter().all(|(key, value)| all.get(key) == Some(value)));
}

#[test]
fn an_unwilling_device_loses_the_blocks_that_it_refuses() {
    let (_, wanted, images) = volume(&[64 * MIB], 5);
    let machine = Machine::with_images(0, images);
    machine.plan(helium_sim::Fault {
        on: helium_sim::On::Read,
        nth: 90,
        for_ever: false,
        kind: helium_sim::FaultKind::Eio,
    });
    let target = Machine::new(0, &[64 * MIB]);
    let volume = Volume::open_devices(target.devices(&[DiskId(0)]), &sim_options()).unwrap();
    Salvage::on_devices(machine.devices(&[DiskId(0)]))
        .run(&volume, &mut |_| true)
        .unwrap();
    // It refused once, and was asked again.
    same(&contents(&volume), &wanted);
}

#[test]
fn what_holds_no_volume_is_refused_and_so_is_a_target_in_use() {
    let (_, _, images) = volume(&[64 * MIB], 2);
    let machine = Machine::with_images(0, images.clone());
    let blank = Machine::new(0, &[64 * MIB, 64 * MIB]);
    let target = Volume::open_devices(blank.devices(&[DiskId(1)]), &sim_options()).unwrap();
    let run = |devices| Salvage::on_devices(devices).run(&target, &mut |_| true);
    let refused = run(blank.devices(&[DiskId(0)])).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotAVolume, "{refused}");
    let copies = Machine::with_images(0, [images[0].clone(), images[0].clone()]);
    let refused = run(copies.devices(&[DiskId(0), DiskId(1)])).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::DeviceMismatch, "{refused}");
    let stopped = Salvage::on_devices(machine.devices(&[DiskId(0)])).run(&target, &mut |_| false);
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
    target.create_datastore(b"mine").unwrap();
    let refused = run(machine.devices(&[DiskId(0)])).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::DatastoreExists, "{refused}");
}
