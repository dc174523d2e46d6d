//! Devices that are not what they should be: refused, with what was found and what to do.

use std::sync::{Arc, Mutex};

use helium_sim::{DiskId, Image, Machine, change_superblocks, sim_options};
use heliumdb::{ErrorKind, Volume, VolumeOptions};
use tracing::{
    field::{Field, Visit},
    span,
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::common::{MIB, destroy_checkpoint};

const BLOCK: usize = 4096;

/// The disks of a volume with something in it.
fn volume(disks: usize) -> Vec<Image> {
    let machine = Machine::new(0, &vec![32 * MIB; disks.max(2)]);
    let ids: Vec<DiskId> = (0..disks.max(2)).map(DiskId).collect();
    let volume = Volume::open_devices(machine.devices(&ids), &sim_options()).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
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

/// Makes a disk's superblocks those of a newer format.
fn make_newer(image: &mut Image) {
    let mut start = [0; 2 * BLOCK];
    image.read(&mut start, 0);
    change_superblocks(&mut start, |block| block[8] = 9);
    image.write(&start, 0);
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
            &["disk1 is blank", "the 2nd of the volume's", "salvage"],
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
            &["disk0 is blank", "the 1st of the volume's", "salvage"],
        ),
        (
            "a newer format",
            |disks| disks.iter_mut().for_each(make_newer),
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

/// What a device says of itself is right, but it is not from now.
#[test]
fn a_device_from_an_earlier_time_is_refused() {
    let machine = Machine::new(0, &[32 * MIB; 3]);
    let ids: Vec<DiskId> = (0..3).map(DiskId).collect();
    let volume = Volume::open_devices(machine.devices(&ids), &sim_options()).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    store.put(b"k", b"v").unwrap();
    volume.flush().unwrap();
    let before = machine.images();
    for number in 0..40u8 {
        store.put([number], vec![number; 200_000]).unwrap();
    }
    volume.close().unwrap();
    for disk in 0..3 {
        let mut disks = machine.images();
        disks[disk] = before[disk].clone();
        let opened = open(disks, &sim_options());
        let refused = opened.expect_err(&format!("what disk {disk} has is missing"));
        assert_eq!(refused.kind(), ErrorKind::DeviceMismatch, "{refused}");
        let name = format!("disk{disk} is from an earlier time");
        for word in [&name[..], "all from the same time", "salvage"] {
            assert!(refused.to_string().contains(word), "{refused}");
        }
    }
}

/// Bytes of a later format, wherever they are met.
#[test]
fn parts_of_a_newer_format_are_refused() {
    let mut options = sim_options();
    // So that all of the log is looked at.
    options.checkpoint_log_bytes = Some(u64::MAX);
    let machine = Machine::new(0, &[64 * MIB]);
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    store.put(b"k", b"v").unwrap();
    volume.close().unwrap();
    let salt = xxh3_64(&volume.id().0);
    let cases = [
        ("a segment header", MIB, BLOCK - 8, salt),
        ("a log frame", MIB + 2 * BLOCK as u64, 72, salt),
    ];
    for (what, at, hashed, seed) in cases {
        let mut disks = machine.images();
        let mut bytes = vec![0; hashed + 8];
        disks[0].read(&mut bytes, at);
        bytes[4] = 9;
        let hash = xxh3_64_with_seed(&bytes[..hashed], seed);
        bytes[hashed..].copy_from_slice(&hash.to_le_bytes());
        disks[0].write(&bytes, at);
        let refused = open(disks, &options).expect_err(what);
        assert_eq!(refused.kind(), ErrorKind::UnsupportedFormat, "{refused}");
        for word in [what, "version 9", "use a newer one"] {
            assert!(refused.to_string().contains(word), "{refused}");
        }
    }
}

/// Keeps what is said by way of `tracing`.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<String>>);

impl Visit for Heard {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut heard = self.0.lock().unwrap();
        heard.push_str(&format!("{}={value:?} ", field.name()));
    }
}

impl tracing::Subscriber for Heard {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_damaged_checkpoint_is_told_of() {
    let machine = Machine::new(0, &[64 * MIB]);
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &sim_options()).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    store.put(b"k", b"v").unwrap();
    volume.close().unwrap();
    let mut images = machine.images();
    assert!(destroy_checkpoint(&mut images[0]));
    let heard = Heard::default();
    let opened =
        tracing::subscriber::with_default(heard.clone(), || open(images, &sim_options()).unwrap());
    let store = opened.datastore(b"store").unwrap();
    assert_eq!(store.get(b"k").unwrap(), Some(b"v".to_vec()));
    let said = heard.0.lock().unwrap();
    for word in ["checkpoint 1 cannot be used", "loses nothing", "verify"] {
        assert!(said.contains(word), "{said}");
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
