//! What gives no room is not done for room: beside something that was spilled, and where others need what is moved.

use heliumdb::{Datastore, Isolation, Volume};

use crate::common::{MIB, begin_spilling, sized_store};

const VALUE: [u8; 10_000] = [1; 10_000];

/// A volume that takes a checkpoint only when it is asked to, with one.
fn open() -> (Volume, Datastore) {
    let (volume, store) = sized_store(u64::MAX, 64 * MIB);
    volume.checkpoint().unwrap();
    (volume, store)
}

fn put(store: &Datastore, numbers: impl Iterator<Item = u32>) {
    numbers.for_each(|number| store.put(number.to_be_bytes(), VALUE).unwrap());
}

fn delete(store: &Datastore, numbers: impl Iterator<Item = u32>) {
    numbers.for_each(|number| assert!(store.delete(number.to_be_bytes()).unwrap()));
}

/// Cleans whatever gives room; bytes that were moved for that.
fn clean(volume: &Volume) -> u64 {
    let before = volume.stats().cleaner_bytes;
    while volume.clean_step().unwrap() {}
    volume.stats().cleaner_bytes - before
}

/// Replay from any checkpoint reads what lies behind something spilled that has no outcome yet.
#[test]
fn nothing_is_moved_out_of_what_a_spill_keeps() {
    let (volume, store) = open();
    put(&store, 0..300);
    clean(&volume);
    let mut spilling = begin_spilling(&volume, Isolation::ReadCommitted, 10_000);
    (0..200u32).for_each(|number| {
        spilling
            .put(&store, (number + 10_000).to_be_bytes(), VALUE)
            .unwrap()
    });
    put(&store, 1_000..1_500);
    delete(&store, (1_000..1_500).filter(|number| number % 5 != 0));
    put(&store, 2_000..2_200);
    assert!(clean(&volume) < MIB / 4);
    spilling.rollback();
    assert!(clean(&volume) > MIB / 2);
}

/// A batch over several segments counts only as a whole: the last one says that it is.
#[test]
fn nothing_is_moved_out_of_what_others_need() {
    let (volume, store) = open();
    put(&store, 0..150);
    let mut large = begin_spilling(&volume, Isolation::ReadCommitted, 64 << 20);
    (1_000..1_400u32).for_each(|number| large.put(&store, number.to_be_bytes(), VALUE).unwrap());
    large.commit().unwrap();
    put(&store, 2_000..2_200);
    clean(&volume);
    // Of the segment that the batch ends in little is left, of those before all.
    let in_last = |number: &u32| !number.is_multiple_of(8);
    delete(&store, (1_360..1_400).chain(2_000..2_040).filter(in_last));
    let moved = clean(&volume);
    assert!(moved < MIB / 16, "{moved}: {:?}", volume.stats());
    let before = volume.stats().cleaner_bytes;
    delete(&store, 1_000..1_360);
    volume.checkpoint().unwrap();
    while volume.background_step().unwrap() {}
    clean(&volume);
    let moved = volume.stats().cleaner_bytes - before;
    assert!(moved > MIB / 16, "{moved}: {:?}", volume.stats());
}
