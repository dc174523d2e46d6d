//! What became of transactions, deletes and whole datastores is obeyed.

use helium_sim::{DiskId, Image, Keeper, Machine};
use heliumdb::host::VolumeExt;
use heliumdb::{Isolation, Volume, upkeep::Unresolved};

use super::{contents, salvage};
use crate::common::{MIB, Session, machine, make_with, open, open_one, store};

fn text<'a>(found: &'a super::Datastores, name: &str) -> Vec<(&'a [u8], &'a [u8])> {
    let store = found.values().find(|(n, _)| n == name.as_bytes());
    let (_, items) = store.expect("the datastore is there");
    items.iter().map(|(k, v)| (&k[..], &v[..])).collect()
}

#[test]
fn deleted_truncated_dropped_and_cancelled_do_not_come_back() {
    let (machine, volume, store) = store();
    let keeper = Keeper::new();
    store.put(b"deleted", b"1").unwrap();
    store.put(b"kept", b"1").unwrap();
    assert!(store.delete(b"deleted").unwrap());
    let truncated = volume.create_datastore(b"truncated").unwrap();
    truncated.put(b"old", b"1").unwrap();
    volume.truncate_datastore(truncated.id()).unwrap();
    truncated.put(b"new", b"2").unwrap();
    let dropped = volume.create_datastore(b"dropped").unwrap();
    dropped.put(b"gone", b"1").unwrap();
    volume.truncate_datastore(dropped.id()).unwrap();
    dropped.put(b"gone", b"2").unwrap();
    volume.drop_datastore(dropped.id()).unwrap();
    let mut cancelled = Session::begin(&keeper, Isolation::Snapshot);
    cancelled.put(&store, "kept", "never").unwrap();
    cancelled.put(&store, "cancelled", "never").unwrap();
    cancelled.commit_unpublished().unwrap();
    cancelled.cancel().unwrap();
    volume.flush().unwrap();
    let (report, found) = salvage(&machine.images(), |s| s);
    assert_eq!(report.cancelled_batches, 1);
    assert_eq!(found.len(), 2, "{:?}", found.values());
    assert_eq!(text(&found, "store"), [(&b"kept"[..], &b"1"[..])]);
    assert_eq!(text(&found, "truncated"), [(&b"new"[..], &b"2"[..])]);
}

/// Two volumes with a transaction over both: the second's part is prepared and decided, and
/// the record that would say so is not written yet.
fn in_doubt() -> (Vec<Image>, Vec<u8>) {
    let machine = machine(0, 2);
    let mut volumes = open(&machine, &[0, 1]).unwrap();
    // The volume with the smaller id decides.
    volumes.sort_by_key(Volume::id);
    let stores: Vec<_> = volumes
        .iter()
        .map(|volume| volume.create_datastore(b"store").unwrap())
        .collect();
    let keeper = Keeper::new();
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    session.put(&stores[0], "k", "v").unwrap();
    session.put(&stores[1], "k", "v").unwrap();
    session.commit().unwrap();
    let mut images = machine.images();
    // The decider can be opened alone.
    let first = open_one(&Machine::with_images(0, images.clone()));
    if first.is_err() {
        images.swap(0, 1);
    }
    (images, b"v".to_vec())
}

#[test]
fn prepared_batches_are_resolved_by_the_decider_or_as_asked() {
    let (images, value) = in_doubt();
    let (decider, participant) = (&images[..1], &images[1..]);
    let (report, found) = salvage(participant, |s| s);
    assert_eq!(report.unresolved_batches, 1);
    assert!(text(&found, "store").is_empty());
    let (report, found) = salvage(participant, |s| s.unresolved(Unresolved::Keep));
    assert_eq!(report.unresolved_batches, 1);
    assert_eq!(text(&found, "store"), [(&b"k"[..], &value[..])]);
    let other = Machine::with_images(0, decider.to_vec());
    let (report, found) = salvage(participant, |s| {
        s.decider_devices(other.devices(&[DiskId(0)]))
    });
    assert!(report.is_lossless(), "{report:?}");
    assert_eq!(text(&found, "store"), [(&b"k"[..], &value[..])]);
    // Opened together, the volumes settle it themselves; then the record is enough.
    let machine = Machine::with_images(0, images.clone());
    let volumes = open(&machine, &[0, 1]).unwrap();
    volumes.iter().for_each(|volume| volume.close().unwrap());
    let (report, found) = salvage(&machine.images()[1..], |s| s);
    assert!(report.is_lossless(), "{report:?}");
    assert_eq!(text(&found, "store"), [(&b"k"[..], &value[..])]);
}

/// A batch with one item destroyed: all of it, or with partial batches the rest.
#[test]
fn batches_are_whole_unless_parts_are_asked_for() {
    let (machine, volume, store) = store();
    let keeper = Keeper::new();
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    store.put(b"b", b"before").unwrap();
    volume.flush().unwrap();
    for key in ["a", "b", "c"] {
        let value = key.repeat(6000);
        session.put(&store, key, &value).unwrap();
    }
    session.commit().unwrap();
    volume.flush().unwrap();
    let mut images = machine.images();
    let mut pages = images[0].pages().into_iter();
    let holds = |page: &u64| {
        let mut block = [0; 4096];
        images[0].read(&mut block, *page);
        block.iter().all(|&byte| byte == b'c')
    };
    let page = pages.rfind(holds).expect("a block of c alone");
    images[0].write(b"C", page + 100);
    let (report, found) = salvage(&images, |s| s);
    assert_eq!((report.broken_batches, report.damaged_frames), (1, 1));
    assert_eq!(report.dropped_items, 2);
    assert_eq!(text(&found, "store"), [(&b"b"[..], &b"before"[..])]);
    let (_, found) = salvage(&images, |s| s.partial_batches(true));
    let (a, b) = ("a".repeat(6000), "b".repeat(6000));
    let wanted = [(&b"a"[..], a.as_bytes()), (&b"b"[..], b.as_bytes())];
    assert_eq!(text(&found, "store"), wanted);
}

/// A record that is lost costs the name, not the items; ids are not given twice.
#[test]
fn a_datastore_without_a_record_gets_a_name() {
    let machine = Machine::new(0, &[64 * MIB]);
    let volume = open_one(&machine).unwrap();
    let name = b"a name that is easy to find".repeat(200);
    let first = make_with(&volume, "first", "attributes").unwrap();
    volume.flush().unwrap();
    let lost = volume.create_datastore(&name).unwrap();
    volume.flush().unwrap();
    lost.put(b"k", b"v").unwrap();
    first.put(b"k", b"v").unwrap();
    volume.flush().unwrap();
    let mut images = machine.images();
    let pages = images[0].pages().into_iter();
    let holds = |page: &u64| {
        let mut block = [0; 4096];
        images[0].read(&mut block, *page);
        block.windows(27).any(|part| part == &name[..27])
    };
    for page in pages.filter(holds).collect::<Vec<_>>() {
        images[0].write(&[1; 50], page + 1000);
    }
    let (report, found) = salvage(&images, |s| s);
    assert!(!report.is_lossless());
    assert_eq!(text(&found, "first"), [(&b"k"[..], &b"v"[..])]);
    let (name, items) = &found[&lost.id().0];
    assert!(name.starts_with(b"salvaged-"), "{}", name.escape_ascii());
    assert_eq!(items.len(), 1);
}

/// The segments that the store has freed say so, and what they still hold stays dead.
#[test]
fn freed_segments_are_obeyed() {
    let (machine, volume, store) = store();
    let value = vec![3; 100_000];
    for round in 0..12u32 {
        for number in 0..30u32 {
            let key = (round * 30 + number).to_be_bytes();
            store.put(key, &value).unwrap();
        }
        for number in 0..30u32 {
            assert!(store.delete((round * 30 + number).to_be_bytes()).unwrap());
        }
        volume.settle(&*Keeper::new());
        volume.flush().unwrap();
        while volume.background_step().unwrap() {}
    }
    store.put(b"last", b"one").unwrap();
    volume.flush().unwrap();
    let wanted = contents(&volume);
    let (report, found) = salvage(&machine.images(), |s| s);
    assert!(report.segments < 36, "nothing was freed: {report:?}");
    super::same(&found, &wanted);
}
