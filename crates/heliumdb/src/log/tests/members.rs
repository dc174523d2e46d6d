//! Sets of devices: the right ones open, and wrong ones are refused by name.

use super::*;
use crate::ErrorKind::{self, *};
use crate::device::Device;

fn volume(n: usize) -> Vec<Disk> {
    let disks: Vec<Disk> = (0..n)
        .map(|i| Disk::new(&format!("disk{i}"), 64 * MIB))
        .collect();
    let log = OpenLog::create(disks.iter().map(Disk::device).collect(), &quiet()).unwrap();
    for i in 0..30u64 {
        put(&log, i + 1, &i.to_le_bytes(), &vec![i as u8; 250_000]);
    }
    log.close().unwrap();
    disks
}

fn refused(disks: &[&Disk]) -> (ErrorKind, String) {
    let devices: Vec<Box<dyn Device>> = disks.iter().map(|d| d.device()).collect();
    let error = OpenLog::open(devices, &quiet(), &mut Model::default())
        .err()
        .unwrap();
    (error.kind(), error.to_string())
}

#[test]
fn segments_are_spread_and_found_on_every_device() {
    let disks = volume(3);
    let mut model = Model::default();
    let log = OpenLog::open(
        disks.iter().map(Disk::device).collect(),
        &quiet(),
        &mut model,
    )
    .unwrap();
    let used: std::collections::HashSet<usize> = model
        .live
        .values()
        .map(|(_, at)| log.medium.place(at.unwrap().address()).0)
        .collect();
    assert_eq!(used.len(), 3);
    for i in 0..30u64 {
        assert_eq!(
            model.value(&log, 1, &i.to_le_bytes()),
            Some(vec![i as u8; 250_000])
        );
    }
}

#[test]
fn wrong_sets_of_devices_are_refused_by_name() {
    let (a, b) = (volume(3), volume(3));
    for (disks, name) in [
        (vec![&a[0], &a[1]], "missing"),
        (vec![&a[1], &a[2]], "the 1st of them is missing"),
        (vec![&a[2], &a[0]], "the 2nd of them is missing"),
        (vec![&a[0], &b[1], &a[2]], "disk1"),
        (
            vec![&a[0], &a[1], &a[1]],
            "disk1 and disk1 are both device 2",
        ),
        (vec![&a[0], &a[1], &Disk::new("blank", 64 * MIB)], "blank"),
    ] {
        let (kind, message) = refused(&disks);
        assert_eq!(kind, DeviceMismatch, "{message}");
        assert!(message.contains(name), "{message}");
    }
    a[2].cut_to(32 * MIB);
    let (kind, message) = refused(&[&a[0], &a[1], &a[2]]);
    assert!(
        kind == DeviceMismatch && message.contains("disk2 was truncated"),
        "{message}"
    );
}

#[test]
fn foreign_bytes_and_small_devices_are_refused_and_blank_ones_told() {
    let disk = Disk::new("disk", 64 * MIB);
    assert_eq!(
        OpenLog::probe(&[disk.device()]).unwrap(),
        super::super::Found::Blank
    );
    disk.edit(700, |b| *b = 1);
    let error = OpenLog::probe(&[disk.device()]).unwrap_err();
    assert_eq!(error.kind(), NotAVolume);
    let mut options = quiet();
    let error = OpenLog::open_or_create(vec![disk.device()], &options, &mut Model::default())
        .err()
        .unwrap();
    assert_eq!(error.kind(), NotAVolume);
    options.truncate = true;
    OpenLog::open_or_create(vec![disk.device()], &options, &mut Model::default()).unwrap();
    let small = Disk::new("small", 64 * MIB - 4096);
    assert_eq!(
        OpenLog::create(vec![small.device()], &quiet())
            .err()
            .unwrap()
            .kind(),
        VolumeTooSmall
    );
}

#[test]
fn a_superblock_survives_the_loss_of_one_copy_and_not_of_both() {
    for block in 0..2 {
        let disk = volume(1).remove(0);
        disk.edit(block * 4096 + 100, |b| *b ^= 4);
        open(&disk).unwrap();
    }
    let disk = volume(1).remove(0);
    disk.edit(100, |b| *b ^= 4);
    disk.edit(4196, |b| *b ^= 4);
    assert_eq!(open(&disk).err().unwrap().kind(), Damaged);
}

#[test]
fn truncating_leaves_nothing_of_the_old_volume() {
    let disk = volume(1).remove(0);
    let log = create(&disk);
    put_synced(&log, 1, b"only", b"this");
    abandon(log);
    let (_, model) = open(&disk).unwrap();
    assert_eq!(model.live.len(), 1);
}

#[test]
fn read_only_opens_write_nothing() {
    let disk = volume(1).remove(0);
    disk.fail_after(Some(0), Some(0));
    let options = VolumeOptions {
        read_only: true,
        ..quiet()
    };
    let mut model = Model::default();
    let log = OpenLog::open(vec![disk.device()], &options, &mut model).unwrap();
    assert_eq!(
        model.value(&log, 1, &7u64.to_le_bytes()),
        Some(vec![7; 250_000])
    );
    assert_eq!(
        log.append(&mut Batch::new(BatchKind::Commit), false)
            .unwrap_err()
            .kind(),
        ReadOnly
    );
    log.close().unwrap();
}
