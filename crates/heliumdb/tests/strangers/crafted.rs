//! What a volume can say that cannot be, each refused with a sentence; and salvage goes on.

use helium_sim::{DiskId, Machine, sim_options};
use heliumdb::{
    Datastore, Durability, Error, ErrorKind, Volume as Opened,
    limits::{
        DATASTORES_MAX, KEY_BYTES_MAX, LOG_BYTES_PER_TREE, NUMBERS_MAX, READING_BYTES_PER_BYTE,
        SEQUENCES_MAX,
    },
    upkeep::{Salvage, SalvageReport},
};

use crate::{
    ONE,
    common::{MIB, store},
    make,
    memory::most_of,
    volume::{SEGMENT, Volume},
};

/// A volume after `fill`, closed with a checkpoint or killed without one.
fn filled(checkpoint: bool, fill: impl FnOnce(&Opened, &Datastore)) -> Volume {
    let (machine, volume, store) = store();
    fill(&volume, &store);
    volume.flush().unwrap();
    if checkpoint {
        volume.checkpoint().unwrap();
    }
    let images = machine.images();
    drop((store, volume));
    Volume::new(images)
}

fn machine(volume: &Volume) -> Machine {
    Machine::with_images(0, volume.images.clone())
}

fn open(machine: &Machine) -> heliumdb::Result<Opened> {
    Opened::open_devices(machine.devices(&[DiskId(0)]), &make::options())
}

/// The same answer twice, from one who may write and one who may not; nothing is written.
fn refused(volume: &Volume, words: &[&str]) -> Error {
    let machine = machine(volume);
    let mut read_only = make::options();
    read_only.read_only = true;
    let looking = Opened::open_devices(machine.devices(&[DiskId(0)]), &read_only).unwrap_err();
    let why = open(&machine).unwrap_err();
    let again = open(&machine).unwrap_err();
    for error in [&why, &again, &looking] {
        assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "{error}");
        }
    }
    why
}

fn salvaged(volume: &Volume) -> (SalvageReport, Opened) {
    let target = Machine::new(0, &[512 * MIB]);
    let target = Opened::open_devices(target.devices(&[DiskId(0)]), &sim_options()).unwrap();
    let disks: Vec<DiskId> = (0..volume.images.len()).map(DiskId).collect();
    let source = Salvage::on_devices(machine(volume).devices(&disks));
    let report = source.run(&target, &mut |_| true).unwrap();
    (report, target)
}

fn len(volume: &Opened) -> u64 {
    volume.datastore(b"store").unwrap().len()
}

fn small(_volume: &Opened, store: &Datastore) {
    for number in 0..500u32 {
        store.put(number.to_be_bytes(), [7; 100]).unwrap();
    }
}

fn large(_volume: &Opened, store: &Datastore) {
    for number in 0..40u32 {
        store.put(number.to_be_bytes(), vec![7; 100_000]).unwrap();
    }
}

#[test]
fn two_segments_are_not_the_same_part_of_the_log() {
    let _one = ONE.lock();
    let mut volume = filled(false, large);
    volume.set_in_slots(1, 40, 3);
    volume.repair();
    refused(&volume, &["the sequence 3 of the segment"]);
    let (report, target) = salvaged(&volume);
    assert!(
        !report.is_lossless() && report.lost_segments == 1,
        "{report:?}"
    );
    assert!(len(&target) > 20);
    // A backup of a volume that is open looks at the same headers.
    let sound = filled(false, large);
    let opened = open(&machine(&sound)).unwrap();
    assert_eq!(len(&opened), 40);
}

#[test]
fn a_catalog_says_which_id_comes_next() {
    let _one = ONE.lock();
    let mut volume = filled(false, small);
    for item in volume.items() {
        if item.tree == 0 && item.key.is_empty() {
            // Another datastore's, so that the catalog has none.
            let mut tree = item.place;
            (tree.at, tree.len) = (tree.at + 4, 4);
            volume.write(tree, &99u32.to_le_bytes());
        }
    }
    volume.repair();
    refused(&volume, &["no id for the next one", "salvage"]);
    assert_eq!(len(&salvaged(&volume).1), 500);
}

#[test]
fn a_catalog_names_every_tree_once() {
    let _one = ONE.lock();
    let mut volume = filled(false, |opened, store| {
        small(opened, store);
        opened.create_datastore(b"other").unwrap();
    });
    let records: Vec<_> = volume
        .items()
        .into_iter()
        .filter(|i| i.tree == 0 && i.key.len() == 4)
        .collect();
    let tree = |record: usize| {
        let mut place = records[record].value;
        (place.at, place.len) = (place.at + 4, 4);
        place
    };
    let first = volume.bytes(tree(0));
    volume.write(tree(1), &first);
    volume.repair();
    refused(&volume, &["two datastores with the same items"]);
    let (report, target) = salvaged(&volume);
    assert_eq!((report.lost_datastores, len(&target)), (1, 500));
}

#[test]
fn a_checkpoint_leads_to_nothing_that_is_free() {
    let _one = ONE.lock();
    let mut volume = filled(true, small);
    // The page of the datastore's items: its last place is at its end, in front of a shortfall of one byte.
    let page = volume
        .items()
        .into_iter()
        .rfind(|item| item.tree == 2 && item.value.len > 3000)
        .unwrap();
    let mut place = page.value;
    (place.at, place.len) = (place.at + place.len - 6, 5);
    let unit = (60 * SEGMENT + 16_384) / 16;
    volume.write(place, &unit.to_le_bytes()[..5]);
    volume.repair();
    refused(&volume, &["a segment that holds nothing", "salvage"]);
    let (report, target) = salvaged(&volume);
    assert!(report.is_lossless(), "{report:?}");
    assert_eq!(len(&target), 500);
    // Outside the volume, and inside no segment's log: the log is read instead.
    for unit in [(1 << 40) - 1, 64 * SEGMENT / 16, 2 * SEGMENT / 16] {
        volume.write(place, &unit.to_le_bytes()[..5]);
        volume.repair();
        assert_eq!(len(&open(&machine(&volume)).unwrap()), 500);
    }
}

#[test]
fn a_prepared_batch_has_items() {
    let _one = ONE.lock();
    let made = make::make();
    let mut volume = Volume::new(made.images[1..].to_vec());
    volume.empty_last_frame(2);
    volume.repair();
    let disks = [DiskId(0), DiskId(1)];
    let machine = machine(&volume);
    for _ in 0..2 {
        let why = Opened::open_devices(machine.devices(&disks), &make::options()).unwrap_err();
        assert_eq!(why.kind(), ErrorKind::Damaged, "{why}");
        assert!(why.to_string().contains("numbers that cannot be"), "{why}");
    }
    assert!(salvaged(&volume).0.items > 500);
}

#[test]
fn pieces_are_of_one_long_value() {
    let _one = ONE.lock();
    let mut volume = filled(false, |_, store| {
        for key in [b"a", b"b"] {
            store.put(key, vec![key[0]; 700_000]).unwrap();
        }
    });
    let lists: Vec<_> = volume
        .items()
        .into_iter()
        .filter(|item| item.flags & 4 != 0)
        .collect();
    let first = volume.bytes(lists[0].value);
    volume.write(lists[1].value, &first);
    volume.repair();
    refused(&volume, &["one that two name"]);
    let (report, target) = salvaged(&volume);
    assert_eq!((report.is_lossless(), len(&target)), (false, 1));
}

/// Pages name keys by what they do not share; whole, they would be more than the volume has.
#[test]
fn what_pages_expand_to_is_bounded() {
    let _one = ONE.lock();
    let mut volume = filled(true, |_, store| {
        for number in 0..40u8 {
            let mut key = vec![number; KEY_BYTES_MAX];
            key[0] = number;
            store.put(&key, b"value").unwrap();
        }
    });
    let pages: Vec<_> = volume
        .items()
        .into_iter()
        .filter(|item| item.tree == 2 && item.value.len > 100_000)
        .collect();
    assert!(pages.len() >= 40);
    // Pieces of the manifest, which has the first keys, are longer.
    for page in pages
        .iter()
        .filter(|page| page.value.len < KEY_BYTES_MAX as u64 + 100)
    {
        let old = volume.bytes(page.value);
        // In front of it: tree, zero, the number of keys, and what this one shares with none, with its length.
        let key = &old[10..][..KEY_BYTES_MAX];
        let fill = key[1];
        assert!(old[4..7] == [0, 1, 0]);
        assert!(key[2..].iter().all(|byte| *byte == fill));
        // And its shortfall, which is not known.
        let place = [&old[10 + KEY_BYTES_MAX..][..6], &[0]].concat();
        // The first key has half of the bytes; each of the others all of these, and two more.
        let shared = KEY_BYTES_MAX / 2;
        let mut entries: Vec<u8> = [varint(0), varint(shared), vec![fill; shared]].concat();
        entries.extend_from_slice(&place);
        let mut count = 1;
        while entries.len() + 12 + 16 < old.len() {
            entries.extend([varint(shared), varint(2)].concat());
            entries.extend((count as u16).to_be_bytes());
            entries.extend_from_slice(&place);
            count += 1;
        }
        let mut new = old[..5].to_vec();
        new.extend(varint(count));
        new.extend(entries);
        new.resize(old.len(), 0);
        volume.write(page.value, &new);
    }
    volume.repair();
    let machine = machine(&volume);
    let (taken, opened) = most_of(|| open(&machine));
    // Its log has all that the checkpoint says in vain.
    assert_eq!(len(&opened.unwrap()), 40);
    let most = 64 * MIB * READING_BYTES_PER_BYTE;
    assert!((taken as u64) < most, "{taken} bytes");
}

/// Each tree takes more memory than an item of it takes on the log.
#[test]
fn a_log_has_items_of_no_more_trees_than_could_be_made() {
    let _one = ONE.lock();
    let most = 64 * MIB / LOG_BYTES_PER_TREE + DATASTORES_MAX as u64;
    let volume = |items: u32| {
        let mut volume = filled(false, |opened, store| {
            let mut batch = opened.batch();
            for number in 0..items {
                batch.put(store, number.to_be_bytes(), b"").unwrap();
            }
            batch.commit(Durability::Synced).unwrap();
        });
        let items = volume.items().into_iter().filter(|item| item.tree >= 16);
        for (number, item) in (1..).zip(items.collect::<Vec<_>>()) {
            let mut tree = item.place;
            (tree.at, tree.len) = (tree.at + 4, 4);
            volume.write(tree, &(16u32 + number).to_le_bytes());
        }
        volume.repair();
        volume
    };
    let few = machine(&volume(20_000));
    assert_eq!(len(&open(&few).unwrap()), 0);
    let many = volume(most as u32 + 40_000);
    let (taken, ()) = most_of(|| drop(refused(&many, &["of more than", "datastores"])));
    assert!(
        (taken as u64) < 64 * MIB * READING_BYTES_PER_BYTE,
        "{taken} bytes"
    );
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Gives some number of a volume another value.
type Change = dyn Fn(&mut Volume, u64);

/// At half of the limit a volume goes on; above it is read and not written to; past it, refused.
#[test]
fn numbers_leave_room_to_go_on() {
    let _one = ONE.lock();
    let sound = filled(false, small);
    let number_of = |volume: &mut Volume, number: u64| {
        let mut place = volume.items().last().unwrap().place;
        (place.at, place.len) = (place.at + 8, 8);
        volume.write(place, &number.to_le_bytes());
    };
    let generation = |volume: &mut Volume, number: u64| {
        // Its lowest bit is the slot.
        volume.set_in_slots(0, 8, number & !1);
    };
    let sequence = |volume: &mut Volume, number: u64| {
        volume.set_in_slots(0, 40, number / (NUMBERS_MAX / SEQUENCES_MAX));
    };
    let epoch = |volume: &mut Volume, number: u64| volume.set_in_superblocks(64, number);
    let changes: [(&str, &Change); 3] = [
        ("item", &number_of),
        ("epoch", &epoch),
        ("generation", &generation),
    ];
    for (what, change) in changes {
        for (number, writes) in [(NUMBERS_MAX / 2 - 10, true), (NUMBERS_MAX, false)] {
            let mut volume = sound.clone();
            change(&mut volume, number);
            volume.repair();
            let machine = machine(&volume);
            let opened = open(&machine).unwrap_or_else(|why| panic!("{what} {number}: {why}"));
            assert_eq!(len(&opened), 500, "{what} {number}");
            let put = opened.datastore(b"store").unwrap().put(b"new", b"value");
            assert_eq!(put.is_ok(), writes, "{what} {number}: {put:?}");
            drop(opened);
            let again = open(&machine).unwrap();
            assert_eq!(len(&again), 500 + u64::from(writes), "{what} {number}");
        }
        for number in [NUMBERS_MAX + 2, u64::MAX - 1] {
            let mut volume = sound.clone();
            change(&mut volume, number);
            volume.repair();
            refused(&volume, &[]);
            assert!(salvaged(&volume).0.items <= 500, "{what}");
        }
    }
    let mut volume = sound.clone();
    sequence(&mut volume, u64::MAX);
    volume.repair();
    refused(&volume, &["numbers that cannot be"]);
}

/// A checkpoint's start that the log does not reach would hide what is appended.
#[test]
fn a_checkpoint_starts_within_the_log() {
    let _one = ONE.lock();
    let mut volume = filled(true, small);
    let far = 40 * SEGMENT;
    assert!(volume.in_superblock(96) < far);
    for at in [96, 104] {
        volume.set_in_superblocks(at, far);
    }
    volume.set_in_superblocks(1664, 0);
    volume.repair();
    refused(&volume, &["up to where its superblock says"]);
    assert_eq!(len(&salvaged(&volume).1), 500);
}

/// Each place of a gap can say that it is the longest item there can be.
#[test]
fn salvage_is_not_held_up_by_what_could_be_items() {
    let _one = ONE.lock();
    let mut volume = filled(false, small);
    volume.fill_behind();
    let target = Machine::new(0, &[512 * MIB]);
    let target = Opened::open_devices(target.devices(&[DiskId(0)]), &sim_options()).unwrap();
    let source = Salvage::on_devices(machine(&volume).devices(&[DiskId(0)])).doubtful_items(true);
    let report = source.run(&target, &mut |_| true).unwrap();
    assert_eq!((report.gaps, len(&target)), (1, 500));
}
