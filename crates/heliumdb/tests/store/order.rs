//! What has to be durable before something else happens: a crash in between finds all that was.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use helium_sim::{DiskId, Image, Machine, Operation, Verdict, seed, sim_options};
use heliumdb::{Datastore, Volume, VolumeOptions};

use crate::common::{MIB, Released, held_store, open_one};

fn no_checkpoints() -> VolumeOptions {
    let mut options = sim_options();
    options.checkpoint_log_bytes = Some(1 << 40);
    options
}

/// Neighbours in the log are not neighbours in order.
fn key(number: u64) -> Vec<u8> {
    (number * 7_919 % 65_521).to_be_bytes().to_vec()
}

fn put(store: &Datastore, numbers: std::ops::Range<u64>, fill: u8) {
    for number in numbers {
        store.put(key(number), [fill; 1_000]).unwrap();
    }
}

fn rest(volume: &Volume) {
    while volume.background_step().unwrap() {}
}

/// After any crash now: as `value` says of each number below `count`.
fn check(machine: &Machine, count: u64, value: impl Fn(u64) -> Option<u8>) {
    for seed in 0..6 {
        let crashed = Machine::with_images(seed, machine.crash(&mut seed::rng(seed)));
        check_one(&crashed, count, &value);
    }
}

/// After a crash that has happened.
fn check_one(crashed: &Machine, count: u64, value: impl Fn(u64) -> Option<u8>) {
    let volume = open_one(crashed).unwrap();
    let store = volume.datastore(b"store").unwrap();
    for number in 0..count {
        let found = store.get(key(number)).unwrap();
        let wanted = value(number).map(|fill| vec![fill; 1_000]);
        assert!(found == wanted, "item {number} is another");
    }
}

/// Whether the newest of a segment's header slots says that all of its blocks exist.
fn says_written(image: &Image, segment: u64) -> bool {
    let slots = [0, 4_096].map(|slot| {
        let mut slot_bytes = [0; 16];
        image.read(&mut slot_bytes, segment + slot);
        let generation = u64::from_le_bytes(*slot_bytes.last_chunk().unwrap());
        (generation, slot_bytes[7] & 1 == 1)
    });
    slots.into_iter().max().unwrap().1
}

/// Says so when it is dropped, so that a test that fails ends.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// When blocks are given back it is durable that they may be gone.
#[test]
fn a_discard_comes_after_what_says_so_is_durable() {
    let (machine, latch, volume, store) = held_store(&no_checkpoints());
    for round in 0..4 {
        put(&store, 0..9_000, round);
        volume.flush().unwrap();
    }
    volume.checkpoint().unwrap();
    latch.hold(|operation| matches!(operation, Operation::Discard { .. }));
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _in_the_end = Done(&is_done);
        // Readers in other tests' threads may keep what was freed for a while.
        let stepped = scope.spawn(|| {
            while !is_done.load(Ordering::Acquire) {
                volume.background_step().unwrap();
            }
        });
        let held = latch.await_held(1);
        let Operation::Discard { offset, .. } = held[0] else {
            panic!("{held:?}");
        };
        let crashes = (0..40).map(|seed| machine.crash(&mut seed::rng(seed)));
        let crashes: Vec<Vec<Image>> = crashes.collect();
        is_done.store(true, Ordering::Release);
        latch.release(Verdict::Go);
        stepped.join().unwrap();
        for images in crashes {
            assert!(!says_written(&images[0], offset - 8_192));
        }
    });
    assert!(volume.stats().trimmed_bytes > 0);
}

/// Until it is durable that there is a newer checkpoint the one before needs all that replay from it reads: here
/// items in the places that they were moved from.
#[test]
fn nothing_is_freed_while_the_superblock_that_names_a_checkpoint_is_written() {
    let (machine, latch, volume, store) = held_store(&no_checkpoints());
    put(&store, 0..500, 1);
    volume.checkpoint().unwrap();
    // Few enough segments that emptying them asks for no checkpoint: only the one that is held up is taken.
    put(&store, 500..5_000, 2);
    store.compact().unwrap();
    latch.hold(Operation::is_superblock);
    let crashes = thread::scope(|scope| {
        let _released = Released(&latch);
        let checkpoint = scope.spawn(|| volume.checkpoint());
        latch.await_held(1);
        rest(&volume);
        let crashes = (0..6).map(|seed| machine.crash(&mut seed::rng(seed)));
        let crashes: Vec<Vec<Image>> = crashes.collect();
        latch.release(Verdict::Go);
        checkpoint.join().unwrap().unwrap();
        crashes
    });
    let value = |number| Some(if number < 500 { 1 } else { 2 });
    for (seed, images) in crashes.into_iter().enumerate() {
        check_one(&Machine::with_images(seed as u64, images), 5_000, value);
    }
    // And then it is.
    let used_bytes = volume.stats().used_bytes;
    rest(&volume);
    assert!(volume.stats().used_bytes < used_bytes);
}

/// Nor is anything of the checkpoint before, which is the one that a crash finds.
#[test]
fn a_checkpoint_stays_while_the_superblock_that_names_the_next_is_written() {
    const ITEMS: u32 = 12_000;
    // To clean would be to say so in the superblock first.
    let options = no_checkpoints().clean_dirty_pct(100);
    let (machine, latch, volume, store) = held_store(&options);
    let put_all = |value: &[u8]| {
        for number in 0..ITEMS {
            // So long that pages fill segments of their own.
            let mut key = number.to_be_bytes().to_vec();
            key.resize(250, 7);
            store.put(key, value).unwrap();
        }
    };
    put_all(b"old");
    volume.checkpoint().unwrap();
    put_all(b"new");
    latch.hold(Operation::is_superblock);
    let crashed = thread::scope(|scope| {
        let _released = Released(&latch);
        let checkpoint = scope.spawn(|| volume.checkpoint());
        latch.await_held(1);
        rest(&volume);
        let crashed = machine.crash(&mut seed::rng(1));
        latch.release(Verdict::Go);
        checkpoint.join().unwrap().unwrap();
        crashed
    });
    let again = open_one(&Machine::with_images(1, crashed)).unwrap();
    assert_eq!(again.stats().recovered_items, u64::from(ITEMS));
    // And then it goes.
    let used_bytes = volume.stats().used_bytes;
    rest(&volume);
    assert!(volume.stats().used_bytes + MIB < used_bytes);
}

/// Items that replay reads, moved by `compact`, and found so by replay: it needs them where they were
/// until the next checkpoint.
#[test]
fn what_replay_finds_moved_from_behind_a_checkpoint_keeps_its_place() {
    let machine = Machine::new(1, &[64 * MIB]);
    let open = |machine: &Machine| {
        Volume::open_devices(machine.devices(&[DiskId(0)]), &no_checkpoints()).unwrap()
    };
    let volume = open(&machine);
    let store = volume.create_datastore(b"store").unwrap();
    put(&store, 0..500, 1);
    volume.checkpoint().unwrap();
    put(&store, 500..9_000, 2);
    store.compact().unwrap();
    volume.flush().unwrap();
    let machine = Machine::with_images(2, machine.images());
    let volume = open(&machine);
    let store = volume.datastore(b"store").unwrap();
    rest(&volume);
    // In the place of what was freed, if anything was.
    put(&store, 20_000..22_000, 9);
    volume.flush().unwrap();
    rest(&volume);
    check(&machine, 9_000, |number| {
        Some(if number < 500 { 1 } else { 2 })
    });
}
