//! Devices that are not what they should be: refused, with what was found and what to do.

use helium_sim::{DiskId, Image, Machine, sim_options};
use heliumdb::{ErrorKind, Volume, VolumeOptions};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::common::MIB;

const BLOCK: usize = 4096;

/// The disks of a volume with something in it.
fn volume(disks: usize) -> Vec<Image> {
    let machine = Machine::new(0, &vec![32 * MIB; disks.max(2)]);
    let ids: Vec<DiskId> = (0..disks.max(2)).map(DiskId).collect();
    let volume = Volume::open_devices(machine.devices(&ids), &sim_options()).unwrap();
    let store = volume.create_datastore(b"store", b"").unwrap();
    store.put(b"k", b"v").unwrap();
    volume.close().unwrap();
    machine.images()
}

fn open(images: Vec<Image>, options: &VolumeOptions) -> heliumdb::Result<Volume> {
    let disks: Vec<DiskId> = (0..images.len()).map(DiskId).collect();
    let machine = Machine::with_images(0, images);
    let before = machine.changes();
    let opened = Volume::open_devices(machine.devices(&disks), options);
    if opened.is_err() {
        assert_eq!(machine.changes(), before, "what was refused was written to");
    }
    opened
}

/// Both superblocks of a disk, changed, and whole again.
fn with_superblocks(image: &mut Image, change: impl Fn(&mut [u8])) {
    for block in 0..2u64 {
        let mut bytes = [0; BLOCK];
        image.read(&mut bytes, block * BLOCK as u64);
        change(&mut bytes);
        let sum = xxh3_64_with_seed(&bytes[..BLOCK - 8], 0x6865_6c69_756d_6462 ^ block);
        bytes[BLOCK - 8..].copy_from_slice(&sum.to_le_bytes());
        image.write(&bytes, block * BLOCK as u64);
    }
}

type Spoil = fn(&mut Vec<Image>);

#[test]
fn what_is_not_the_volume_is_refused_with_what_to_do() {
    use ErrorKind::{Damaged, DeviceMismatch, NotAVolume, UnsupportedFormat};
    let cases: [(&str, Spoil, ErrorKind, &[&str]); 11] = [
        (
            "something else",
            |disks| {
                disks.truncate(1);
                disks[0].write(b"a text and no volume", 0);
                disks[0].write(b"a text and no volume", 4096);
            },
            NotAVolume,
            &["disk0", "left alone", "truncation"],
        ),
        (
            "a missing device",
            |disks| drop(disks.remove(1)),
            DeviceMismatch,
            &["the 2nd of them is missing", "name it too"],
        ),
        (
            "the last device missing",
            |disks| drop(disks.pop()),
            DeviceMismatch,
            &["the 3rd of them is missing"],
        ),
        (
            "another volume's device",
            |disks| disks[2] = volume(3).remove(2),
            DeviceMismatch,
            &["belongs to another volume", "of one volume"],
        ),
        (
            "one device too many, of another volume",
            |disks| disks.push(volume(3).remove(2)),
            DeviceMismatch,
            &["belongs to another volume"],
        ),
        (
            "a blank device",
            |disks| disks[1] = Image::new(32 * MIB),
            DeviceMismatch,
            &["the 2nd of them is missing", "name it too"],
        ),
        (
            "a copy of a device",
            |disks| disks[2] = disks[1].clone(),
            DeviceMismatch,
            &["both device 2", "no copies"],
        ),
        (
            "a truncated device",
            |disks| disks[0].set_len(16 * MIB),
            DeviceMismatch,
            &["disk0 was truncated", "salvage"],
        ),
        (
            "a device cut down to nothing",
            |disks| disks[0].set_len(0),
            DeviceMismatch,
            &["the 1st of them is missing"],
        ),
        (
            "a newer format",
            |disks| {
                disks
                    .iter_mut()
                    .for_each(|disk| with_superblocks(disk, |b| b[8] = 9))
            },
            UnsupportedFormat,
            &["version 9", "use a newer one"],
        ),
        (
            "superblocks that are damaged",
            |disks| {
                disks[1].write(&[0xff], 20);
                disks[1].write(&[0xff], 4096 + 20);
            },
            Damaged,
            &["disk1 is damaged", "neither copy", "salvage"],
        ),
    ];
    for (what, spoil, kind, says) in cases {
        let mut disks = volume(3);
        spoil(&mut disks);
        for read_only in [false, true] {
            let mut options = sim_options();
            options.read_only = read_only;
            let refused = open(disks.clone(), &options).expect_err(what);
            assert_eq!(refused.kind(), kind, "{what}: {refused}");
            for word in says {
                let text = refused.to_string();
                assert!(
                    text.contains(word),
                    "{what}: {text:?} does not say {word:?}"
                );
            }
        }
    }
}

#[test]
fn the_order_of_devices_does_not_matter() {
    let disks = volume(3);
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let shuffled = order.iter().map(|&disk| disks[disk].clone()).collect();
        let volume = open(shuffled, &sim_options()).unwrap();
        let store = volume.datastore(b"store").unwrap();
        assert_eq!(store.get(b"k").unwrap(), Some(b"v".to_vec()));
    }
}

#[test]
fn one_whole_superblock_is_enough() {
    for block in 0..2 {
        let mut disks = volume(3);
        disks[1].write(&[0xff; 100], block * BLOCK as u64 + 7);
        open(disks, &sim_options()).unwrap();
    }
}

#[test]
fn what_is_blank_is_not_formatted_unless_wanted() {
    let mut options = sim_options();
    options.create = false;
    let blank = || vec![Image::new(64 * MIB)];
    let refused = open(blank(), &options).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotAVolume, "{refused}");
    options.create = true;
    options.read_only = true;
    let refused = open(blank(), &options).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotAVolume, "{refused}");
}
