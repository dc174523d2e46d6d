//! Segments below the start of the newest checkpoint are freed as soon as what was moved from them is
//! durable, and used again: recovery takes the checkpoint's places to what replay says of them. And
//! what the cleaner's options come to at their limits.

use helium_sim::{DiskId, Machine, Replay, Tells, seed, sim_options};
use heliumdb::{Datastore, ErrorKind, Volume, VolumeOptions};
use rand::seq::IndexedRandom;

use crate::common::{MIB, destroy_checkpoint, open_one};

/// Every second item is overwritten again and again.
const ITEMS: u64 = 24_000;
const HOT: u64 = ITEMS / 2;

fn key(number: u64) -> Vec<u8> {
    // Neighbours in the log are not neighbours in order.
    (number * 7_919 % 65_521).to_be_bytes().to_vec()
}

fn value(number: u64, put: u64) -> Vec<u8> {
    let mut value = vec![number as u8; 1_000];
    value[..8].copy_from_slice(&put.to_le_bytes());
    value
}

fn open_with(machine: &Machine, change: impl FnOnce(&mut VolumeOptions)) -> Volume {
    let mut options = sim_options();
    change(&mut options);
    Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap()
}

/// What is cold is there, and what is hot is as it was after some put from the `least` on.
fn check(machine: &Machine, least: u64) {
    let volume = open_one(machine).unwrap();
    let store = volume.datastore(b"store").unwrap();
    let mut hot = Vec::new();
    for number in 0..ITEMS {
        let found = store.get(key(number)).unwrap();
        let found = found.unwrap_or_else(|| panic!("item {number} is gone"));
        if number % 2 == 0 {
            assert!(found == value(number, 0), "item {number} is another one");
            continue;
        }
        let put = u64::from_le_bytes(*found.first_chunk().unwrap());
        assert!(found == value(number, put), "item {number}, put {put}");
        hot.push(put);
    }
    let last = *hot.iter().max().unwrap();
    assert!(last >= least, "put {last} is the last, {least} was flushed");
    for (place, put) in (0..HOT).zip(hot) {
        // Put p, from 1 on, is of the hot item (p - 1) % HOT.
        let rounds = last.checked_sub(place + 1).map(|more| more / HOT);
        let wanted = rounds.map_or(0, |rounds| rounds * HOT + place + 1);
        assert_eq!(put, wanted, "hot item {place}");
    }
    assert_eq!(store.iter().count() as u64, ITEMS);
}

/// A machine on which segments were freed and used again, unless a checkpoint was taken meanwhile: where readers in other tests'
/// threads keep segments from becoming free, one may be asked for.
fn used_again() -> Option<Machine> {
    let machine = Machine::new(1, &[64 * MIB]);
    let volume = open_with(&machine, |options| {
        options.checkpoint_log_bytes = Some(1 << 40);
    });
    let store = volume.create_datastore(b"store").unwrap();
    for number in 0..ITEMS {
        store.put(key(number), value(number, 0)).unwrap();
    }
    volume.checkpoint().unwrap();
    let before = volume.stats();
    machine.record(&[0]);
    for put in 1..=2 * HOT {
        let number = (put - 1) % HOT * 2 + 1;
        let done = store.put(key(number), value(number, put));
        done.unwrap_or_else(|why| panic!("put {put}: {why}; {:?}", volume.stats()));
        if put % 50 == 0 {
            volume.background_step().unwrap();
        }
        if put % 500 == 0 {
            volume.flush().unwrap();
            machine.note(&[put]);
        }
    }
    let stats = volume.stats();
    assert!(stats.cleaner_bytes > 2 * MIB, "{stats:?}");
    assert!(stats.user_bytes > 45 * MIB, "places were used again");
    (stats.checkpoint_written_bytes == before.checkpoint_written_bytes).then_some(machine)
}

#[test]
fn segments_below_a_checkpoint_are_freed_and_used_again_without_a_newer_one() {
    let machine = (0..5)
        .find_map(|_| used_again())
        .expect("a checkpoint was taken each time");
    let records = machine.records();
    let replay = Replay::new(seed::replayed().unwrap_or(3));
    for round in 0..seed::count("HELIUM_CRASHES", 12) {
        let Some(case) = replay.case(round) else {
            continue;
        };
        let mut rng = case.rng();
        let record = records.choose(&mut rng).unwrap();
        let _tells = Tells(|| format!("{} puts were flushed", record.note[0]));
        let mut images = record.crash(&mut rng);
        case.keep(&images);
        check(&Machine::with_images(0, images.clone()), record.note[0]);
        assert!(destroy_checkpoint(&mut images[0]), "there is a checkpoint");
        check(&Machine::with_images(0, images), record.note[0]);
    }
}

/// Writes all of a small volume's items several times over; false if the volume was full.
fn overwrite(volume: &Volume, store: &Datastore, rounds: u64) -> bool {
    for put in 0..rounds * 20_000 {
        let number = put * 7 % 20_000;
        match store.put(key(number), value(number, put / 20_000)) {
            Ok(()) => {}
            Err(why) if why.kind() == ErrorKind::VolumeFull => return false,
            Err(why) => panic!("put {put}: {why}"),
        }
        if put % 100 == 0 {
            volume.background_step().unwrap();
        }
    }
    true
}

#[test]
fn the_cleaners_options_work_at_their_limits() {
    for (util, dirty, period) in [
        (0, 0, 0),
        (u32::MAX, u32::MAX, u64::MAX),
        (1, 100, 1),
        (100, 1, 0),
    ] {
        let machine = Machine::new(1, &[64 * MIB]);
        let volume = open_with(&machine, |options| {
            options.clean_util_pct = util;
            options.clean_dirty_pct = dirty;
            options.auto_clean_period_ms = period;
            options.retry_count = u32::MAX;
            options.retry_delay_us = u64::MAX;
        });
        let store = volume.create_datastore(b"store").unwrap();
        let what = format!("{util} {dirty} {period}");
        assert!(overwrite(&volume, &store, 4), "{what}");
        for number in 0..20_000 {
            let found = store.get(key(number)).unwrap();
            assert!(found == Some(value(number, 3)), "{what}: item {number}");
        }
        for _ in 0..10_000 {
            if !volume.background_step().unwrap() {
                break;
            }
        }
        assert!(!volume.background_step().unwrap(), "{what}: no end");
    }
}

/// Of what is wholly alive nothing can be cleaned: once that is known, nothing is tried any more.
#[test]
fn a_volume_without_anything_dead_refuses_and_rests() {
    let machine = Machine::new(1, &[64 * MIB]);
    let volume = open_with(&machine, |_| {});
    let store = volume.create_datastore(b"store").unwrap();
    let mut items = 0;
    while store
        .put(items.to_string().into_bytes(), [1; 4_000])
        .is_ok()
    {
        items += 1;
        volume.background_step().unwrap();
    }
    let rest = || {
        for _ in 0..10_000 {
            if !volume.background_step().unwrap() {
                return;
            }
        }
        panic!("the background work has no end");
    };
    rest();
    let written = volume.stats().written_bytes;
    for _ in 0..100 {
        let refused = store.put(b"one more", [1; 100_000]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::VolumeFull, "{refused}");
        rest();
    }
    assert!(
        volume.stats().written_bytes < written + MIB,
        "it goes on writing"
    );
    for number in 0..items {
        let found = store.get(number.to_string().into_bytes()).unwrap();
        assert_eq!(found, Some(vec![1; 4_000]), "item {number}");
    }
    assert!(store.delete(b"0").unwrap());
}
