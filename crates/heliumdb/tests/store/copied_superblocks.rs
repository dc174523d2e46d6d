//! Superblocks that were copied from another volume, and devices that were cut short: such a volume is
//! refused and left as it is, and salvage takes what is there.

use helium_sim::{DiskId, Image, Machine, sim_options};
use heliumdb::{Error, ErrorKind, Volume, VolumeId};

use crate::{
    common::MIB,
    salvage::{contents, salvage},
};

/// Segments that the items of a volume take.
const STORED: u32 = 12;

/// A volume of one or two disks, with a few segments of items.
fn made(disks: &[u64]) -> (VolumeId, crate::salvage::Datastores, Vec<Image>) {
    let machine = Machine::new(0, disks);
    let all: Vec<DiskId> = (0..disks.len()).map(DiskId).collect();
    let volume = Volume::open_devices(machine.devices(&all), &sim_options()).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    for number in 0..STORED * 4 {
        store.put(number.to_be_bytes(), [7; 250_000]).unwrap();
    }
    volume.checkpoint().unwrap();
    let found = (volume.id(), contents(&volume));
    volume.close().unwrap();
    (found.0, found.1, machine.images())
}

fn with_superblocks_of(image: &Image, other: &Image) -> Image {
    let mut superblocks = [0; 8192];
    other.read(&mut superblocks, 0);
    let mut image = image.clone();
    image.write(&superblocks, 0);
    image
}

/// Opening with leave to create, for reading and for writing.
fn refused(images: &[Image]) -> Error {
    let machine = Machine::with_images(0, images.to_vec());
    let disks: Vec<DiskId> = (0..images.len()).map(DiskId).collect();
    let mut options = sim_options();
    let mut why = None;
    for read_only in [true, false] {
        options.read_only = read_only;
        let opened = Volume::open_devices(machine.devices(&disks), &options);
        why = Some(opened.map(|_| ()).unwrap_err());
        assert_eq!(machine.changes(), 0, "it was written to");
    }
    why.unwrap()
}

#[test]
fn superblocks_of_another_volume_lead_nowhere() {
    for disks in [&[64 * MIB][..], &[40 * MIB, 40 * MIB]] {
        let (id, wanted, images) = made(disks);
        let (other_id, _, others) = made(disks);
        let pairs = images.iter().zip(&others);
        let copied: Vec<Image> = pairs
            .map(|(image, other)| with_superblocks_of(image, other))
            .collect();
        let why = refused(&copied);
        assert_eq!(why.kind(), ErrorKind::DeviceMismatch, "{why}");
        for part in ["salvage", &id.to_string(), &other_id.to_string()] {
            assert!(why.to_string().contains(part), "{why}");
        }
        let (report, found) = salvage(&copied, |s| s);
        assert_eq!(report.volume, Some(id));
        assert!(report.is_lossless(), "{report:?}");
        assert!(found == wanted);
    }
}

#[test]
fn one_device_with_superblocks_of_another_volume_is_refused_and_salvaged() {
    let disks = [40 * MIB, 40 * MIB];
    let (id, wanted, images) = made(&disks);
    let (_, _, mut others) = made(&disks);
    for turn in 0..2 {
        for strange in 0..2 {
            let mut copied = images.clone();
            copied[strange] = with_superblocks_of(&images[strange], &others[strange]);
            let why = refused(&copied);
            assert_eq!(why.kind(), ErrorKind::DeviceMismatch, "{why}");
            let (report, found) = salvage(&copied, |s| s);
            assert_eq!(report.volume, Some(id), "{turn}");
            assert!(report.is_lossless(), "{report:?}");
            assert!(found == wanted);
        }
        // Once more with superblocks that count further than the volume's own.
        let machine = Machine::with_images(0, others);
        for _ in 0..9 {
            let all = machine.devices(&[DiskId(0), DiskId(1)]);
            let volume = Volume::open_devices(all, &sim_options()).unwrap();
            volume.checkpoint().unwrap();
            volume.datastore(b"store").unwrap().put(b"", b"").unwrap();
            volume.close().unwrap();
        }
        others = machine.images();
    }
}

#[test]
fn one_device_that_was_cut_to_nothing_is_not_taken_for_a_new_one() {
    let (_, _, images) = made(&[40 * MIB, 40 * MIB]);
    for cut in 0..2 {
        let mut left = images.clone();
        left[cut] = Image::new(0);
        let why = refused(&left);
        assert_eq!(why.kind(), ErrorKind::DeviceMismatch, "{why}");
        assert!(why.to_string().contains("salvage"), "{why}");
    }
}
