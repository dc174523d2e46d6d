//! Segments whose headers are gone, as a discard or a write that never arrived leaves them: the volume is
//! damaged, whatever else is known of the segment, and nothing is written over it.

use std::{collections::BTreeMap, fs::File, os::unix::fs::FileExt};

use helium_sim::{DiskId, Image, Machine, seed, sim_options};
use heliumdb::{ErrorKind, Volume, VolumeOptions};

use crate::{
    common::{MIB, in_parallel, store},
    salvage::{Datastores, contents, salvage},
};

const HEADER_BYTES: u64 = 8192;

/// A volume as it was left.
struct Left {
    images: Vec<Image>,
    wanted: Datastores,
    is_closed: bool,
}

/// Volumes with log in more segments than have headers from the start; every key is written once.
fn left() -> Vec<Left> {
    let mut all = Vec::new();
    for disks in [&[64 * MIB][..], &[40 * MIB, 33 * MIB]] {
        for (checkpoint, close) in [(false, false), (false, true), (true, false), (true, true)] {
            let machine = Machine::new(0, disks);
            let ids: Vec<DiskId> = (0..disks.len()).map(DiskId).collect();
            let volume = Volume::open_devices(machine.devices(&ids), &sim_options()).unwrap();
            let store = volume.create_datastore(b"store").unwrap();
            let put = |numbers: std::ops::Range<u32>| {
                for number in numbers {
                    store
                        .put(number.to_be_bytes(), [number as u8; 200_000])
                        .unwrap();
                }
                volume.flush().unwrap();
            };
            put(0..130);
            if checkpoint {
                volume.checkpoint().unwrap();
            }
            put(130..150);
            let wanted = contents(&volume);
            if close {
                drop(store);
                volume.close().unwrap();
            }
            all.push(Left {
                images: machine.images(),
                wanted,
                is_closed: close,
            });
        }
    }
    all
}

/// Where the segments of an image are that hold log, as docs/format.md has their headers.
fn in_use(image: &Image) -> Vec<u64> {
    let places = (MIB..image.len() - MIB).step_by(MIB as usize);
    let is_used = |place: &u64| {
        let slots = [0, 4096].map(|slot| {
            let mut bytes = [0; 16];
            image.read(&mut bytes, place + slot);
            (u64::from_le_bytes(bytes[8..].try_into().unwrap()), bytes[6])
        });
        let (_, state) = slots[0].max(slots[1]);
        state == 1 || state == 2
    };
    places.filter(is_used).collect()
}

fn with_hole(images: &[Image], disk: usize, at: u64, bytes: u64) -> Vec<Image> {
    let mut images = images.to_vec();
    images[disk].write(&vec![0; bytes as usize], at);
    images
}

/// Neither way of opening takes it for sound, and none writes to it.
fn assert_refused(images: &[Image]) {
    let machine = Machine::with_images(0, images.to_vec());
    let disks: Vec<DiskId> = (0..images.len()).map(DiskId).collect();
    let mut options = sim_options();
    for (read_only, scan) in [(true, false), (false, false), (true, true), (false, true)] {
        options.read_only = read_only;
        options.scan = scan;
        let opened = Volume::open_devices(machine.devices(&disks), &options);
        let why = opened.map(|_| ()).unwrap_err();
        assert_eq!(why.kind(), ErrorKind::Damaged, "{why}");
        for part in ["segment header", "salvage"] {
            assert!(why.to_string().contains(part), "{why}");
        }
        assert_eq!(machine.changes(), 0, "it was written to");
    }
}

/// What is there is right, and all but what a segment can hold is.
fn assert_salvaged(images: &[Image], wanted: &Datastores) {
    let (report, found) = salvage(images, |s| s);
    assert!(!report.is_lossless(), "{report:?}");
    assert!(report.lost_segments > 0, "{report:?}");
    let items = |stores: &Datastores| -> BTreeMap<Vec<u8>, Vec<u8>> {
        stores
            .values()
            .flat_map(|(_, items)| items.clone())
            .collect()
    };
    let (found, wanted) = (items(&found), items(wanted));
    assert!(
        found
            .iter()
            .all(|(key, value)| wanted.get(key) == Some(value))
    );
    assert!(
        found.len() + 6 >= wanted.len(),
        "{} are lost",
        wanted.len() - found.len()
    );
}

#[test]
fn a_segment_in_use_without_its_header_is_damage() {
    for (which, Left { images, wanted, .. }) in left().into_iter().enumerate() {
        for (disk, image) in images.iter().enumerate() {
            for (number, place) in in_use(image).into_iter().enumerate() {
                let holed = with_hole(&images, disk, place, HEADER_BYTES);
                assert_refused(&holed);
                // Salvage reads and copies all: of each volume, that of other segments.
                if number % 16 == 2 * which {
                    assert_salvaged(&holed, &wanted);
                }
            }
        }
        // The catalog's record of the datastore is in the first.
        let holed = with_hole(&images, 0, MIB, MIB);
        assert_refused(&holed);
        assert_salvaged(&holed, &wanted);
    }
}

#[test]
fn one_slot_of_a_header_is_enough() {
    // A kill may leave the last segment with one.
    for Left { images, wanted, .. } in left().into_iter().filter(|left| left.is_closed) {
        let disks: Vec<DiskId> = (0..images.len()).map(DiskId).collect();
        let mut holed = images.clone();
        for (disk, image) in images.iter().enumerate() {
            for (number, place) in in_use(image).into_iter().enumerate() {
                holed = with_hole(&holed, disk, place + number as u64 % 2 * 4096, 4096);
            }
        }
        let machine = Machine::with_images(0, holed);
        let volume = Volume::open_devices(machine.devices(&disks), &sim_options()).unwrap();
        assert!(contents(&volume) == wanted);
    }
}

#[test]
fn an_open_volume_finds_out_when_it_is_verified() {
    let (machine, volume, store) = store();
    (0..20u8).for_each(|number| store.put([number], [7; 200_000]).unwrap());
    volume.flush().unwrap();
    let verify = || volume.verify(&mut |_| true).unwrap().damaged;
    assert_eq!(verify(), 0);
    machine
        .device(DiskId(0))
        .write_at(&[0; 8192], 3 * MIB)
        .unwrap();
    assert_eq!(verify(), 1);
    let damage = volume.damage();
    assert_eq!(damage[0].key, b"segment 2");
    assert!(damage[0].error.to_string().contains("segment header"));
}

#[test]
fn a_volume_that_nobody_wrote_to_has_headers_too() {
    let machine = Machine::new(0, &[64 * MIB]);
    let open =
        |machine: &Machine| Volume::open_devices(machine.devices(&[DiskId(0)]), &sim_options());
    open(&machine).unwrap().close().unwrap();
    assert_refused(&with_hole(&machine.images(), 0, MIB, HEADER_BYTES));
    assert!(open(&Machine::with_images(0, machine.images())).is_ok());
}

#[test]
fn segments_that_a_file_grows_by_have_headers_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.he");
    let url = format!("he://./{}", path.display());
    let volume = Volume::open(&url, &VolumeOptions::default()).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    let before = std::fs::metadata(&path).unwrap().len();
    for number in 0..40u32 {
        store.put(number.to_be_bytes(), vec![1; 4 << 20]).unwrap();
    }
    drop(store);
    volume.close().unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let after = file.metadata().unwrap().len();
    assert!(after > before, "it did not grow");
    let mut all = 0;
    for place in (MIB..after).step_by(8 << 20) {
        let mut header = vec![0; HEADER_BYTES as usize];
        file.read_exact_at(&mut header, place).unwrap();
        file.write_all_at(&vec![0; HEADER_BYTES as usize], place)
            .unwrap();
        let opened = Volume::open(&url, &VolumeOptions::default());
        let why = opened.map(|_| ()).unwrap_err();
        assert_eq!(why.kind(), ErrorKind::Damaged, "at {place}: {why}");
        file.write_all_at(&header, place).unwrap();
        all += 1;
    }
    assert!(all > 20, "{all}");
    // Whichever copy of the superblock is destroyed, all segments are counted.
    for block in [0, 4096] {
        let mut copy = [0; 4096];
        file.read_exact_at(&mut copy, block).unwrap();
        file.write_all_at(&[0x5a; 4096], block).unwrap();
        let mut options = VolumeOptions::default();
        options.read_only = true;
        let volume = Volume::open(&url, &options).unwrap();
        let store = volume.datastore(b"store").unwrap();
        assert_eq!(store.len(), 40);
        drop(store);
        volume.close().unwrap();
        file.write_all_at(&copy, block).unwrap();
    }
}

#[test]
fn power_lost_while_segments_get_their_headers_is_no_damage() {
    let machine = Machine::new(0, &[40 * MIB, 33 * MIB]);
    let devices = |machine: &Machine| machine.devices(&[DiskId(0), DiskId(1)]);
    let volume = Volume::open_devices(devices(&machine), &sim_options()).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    volume.flush().unwrap();
    machine.record(&[0]);
    for number in 0..240u32 {
        store
            .put(number.to_be_bytes(), [number as u8; 200_000])
            .unwrap();
        if number % 5 == 0 {
            volume.flush().unwrap();
            machine.note(&[u64::from(number) + 1]);
        }
    }
    let records = machine.records();
    in_parallel(0..records.len() as u64, |index| {
        let record = &records[index as usize];
        let mut rng = seed::rng(index);
        for _ in 0..2 {
            let after = Machine::with_images(0, record.crash(&mut rng));
            let volume = Volume::open_devices(devices(&after), &sim_options())
                .unwrap_or_else(|why| panic!("record {index}: {why}"));
            let found = volume.datastore(b"store").unwrap().len();
            assert!(found >= record.note[0], "record {index}");
        }
    });
}
