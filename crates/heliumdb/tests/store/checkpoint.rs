//! Checkpoints: what recovery starts from, what of it may still change, and what if it is damaged.

use helium_sim::{DiskId, Image, Keeper, Machine, sim_options};
use heliumdb::host::VolumeExt;
use heliumdb::{Datastore, ErrorKind, Isolation, Volume};

use crate::common::{
    MIB, Session, after_kill, after_power_loss, both_kinds, changed, machine, noise, open,
    open_one, store,
};

fn put(store: &Datastore, numbers: std::ops::Range<u32>, value: &str) {
    for number in numbers {
        let key = format!("key{number:06}");
        store.put(key.as_bytes(), value.as_bytes()).unwrap();
    }
}

fn items(store: &Datastore) -> Vec<(Vec<u8>, Vec<u8>)> {
    store.iter().map(Result::unwrap).collect()
}

fn reopen(machine: &Machine) -> (Volume, Datastore) {
    let volume = open_one(machine).unwrap();
    let store = volume.datastore(b"store").unwrap();
    (volume, store)
}

#[test]
fn only_what_is_behind_a_checkpoint_is_replayed() {
    let (machine, volume, store) = store();
    put(&store, 0..3000, "one");
    volume.checkpoint().unwrap();
    put(&store, 10..15, "two");
    assert!(store.delete(b"key000020").unwrap());
    store.put(b"long", vec![7; 600_000]).unwrap();
    volume.flush().unwrap();
    let (wanted, live) = (items(&store), volume.stats().live_bytes);
    let (again, found) = reopen(&after_kill(&machine, 1));
    assert_eq!(again.stats().recovered_items, 7);
    assert!(items(&found) == wanted);
    assert_eq!(
        again.stats().live_bytes,
        live,
        "as if it had never been closed"
    );
    // A close takes one itself; the next open replays nothing.
    again.close().unwrap();
    volume.close().unwrap();
    let (last, found) = reopen(&after_kill(&machine, 2));
    assert_eq!(last.stats().recovered_items, 0);
    assert!(items(&found) == wanted);
    assert_eq!(found.get(b"long").unwrap(), Some(vec![7; 600_000]));
}

#[test]
fn only_pages_that_changed_are_written() {
    let (machine, volume, store) = store();
    put(&store, 0..20_000, "one");
    let before = volume.stats().used_bytes;
    volume.checkpoint().unwrap();
    let all = volume.stats().checkpoint_bytes;
    assert!(all > 100_000 && before > 0, "{all}");
    let machine = after_kill(&machine, 0);
    for round in 0..3 {
        let (volume, store) = reopen(&machine);
        put(&store, 700 * round..700 * round + 3, "two");
        let live = volume.stats().live_bytes;
        let written = bytes_written(&machine, || volume.checkpoint().unwrap());
        assert!(written < all as usize / 3, "{written} of {all} bytes");
        assert!(volume.stats().live_bytes < live + 40_000, "old pages die");
        drop((store, volume));
    }
}

/// Pages that stay keep the room of what was beside them: where files can grow that is had without writing the rest.
#[test]
fn no_other_pages_are_written_where_files_can_grow() {
    const ITEMS: u64 = 1_800_000;
    let machine = Machine::new(1, &[0]);
    machine.allow_growth(DiskId(0), 2_000 * MIB);
    let options = sim_options().limit_bytes(1_000 * MIB);
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    let key = |number: u64| {
        let mut key = number.to_be_bytes().to_vec();
        key.extend(noise(number, 40));
        key
    };
    for number in 0..ITEMS {
        store.put(key(number), b"one").unwrap();
    }
    volume.checkpoint().unwrap();
    let before = volume.stats();
    // Every other stretch of pages.
    for number in (0..ITEMS).filter(|number| number / 6_000 % 2 == 0) {
        if number % 50 == 0 {
            store.put(key(number), b"two").unwrap();
        }
    }
    volume.checkpoint().unwrap();
    let after = volume.stats();
    let written = after.checkpoint_written_bytes - before.checkpoint_written_bytes;
    let all = before.checkpoint_bytes;
    assert!(written < all * 11 / 20, "{written} of {all} bytes");
}

/// Bytes that are not the same after `work`.
fn bytes_written(machine: &Machine, work: impl FnOnce()) -> usize {
    let read = |image: &Image| {
        let mut bytes = vec![0; image.len() as usize];
        image.read(&mut bytes, 0);
        bytes
    };
    let before = read(&machine.images()[0]);
    work();
    let after = read(&machine.images()[0]);
    before.iter().zip(&after).filter(|(a, b)| a != b).count()
}

#[test]
fn a_commit_taken_back_after_a_checkpoint_is_absent() {
    for cancels in [false, true] {
        for (machine, volume, store) in both_kinds() {
            let keeper = Keeper::new();
            store.put(b"k", b"old").unwrap();
            let mut session = Session::begin(&keeper, Isolation::Snapshot);
            session.put(&store, "k", "new").unwrap();
            session.put(&store, "other", "new").unwrap();
            session.commit_unpublished().unwrap();
            volume.checkpoint_as_of(&*keeper).unwrap();
            if cancels {
                session.cancel().unwrap();
            }
            let (again, found) = reopen(&after_power_loss(&machine, 3));
            let wanted: (&[u8], _) = match cancels {
                true => (b"old", None),
                false => (b"new", Some(b"new".to_vec())),
            };
            assert_eq!(found.get(b"k").unwrap().as_deref(), Some(wanted.0));
            assert_eq!(found.get(b"other").unwrap(), wanted.1);
            assert!(
                again.stats().recovered_items == 0,
                "the checkpoint was used"
            );
        }
    }
}

#[test]
fn what_was_overtaken_before_a_checkpoint_stays_overtaken() {
    for (machine, volume, store) in both_kinds() {
        let keeper = Keeper::new();
        let mut slow = Session::begin(&keeper, Isolation::ReadCommitted);
        slow.put(&store, "k", "slow").unwrap();
        let mut fast = Session::begin(&keeper, Isolation::ReadCommitted);
        fast.put(&store, "k", "fast").unwrap();
        fast.commit().unwrap();
        volume.checkpoint_as_of(&*keeper).unwrap();
        slow.commit().unwrap();
        volume.settle(&*keeper);
        assert_eq!(store.get(b"k").unwrap(), Some(b"fast".to_vec()));
        let (_, found) = reopen(&after_power_loss(&machine, 4));
        assert_eq!(found.get(b"k").unwrap(), Some(b"fast".to_vec()));
    }
}

/// What is said of those that have overtaken others takes room only as long as any of the others may yet come.
#[test]
fn what_overtook_is_forgotten_when_nothing_can_come_below_it() {
    let (_machine, volume, store) = store();
    let elsewhere = volume.create_datastore(b"elsewhere").unwrap();
    let mut idle = volume.begin().unwrap();
    idle.put(&elsewhere, b"mine", b"v").unwrap();
    for number in 0..2_000 {
        let key = format!("{number:0250}");
        let mut txn = volume.begin().unwrap();
        txn.put(&store, &key, b"overtaken").unwrap();
        store.put(&key, b"overtakes").unwrap();
        txn.rollback();
    }
    let bytes_of_one = || {
        volume.background_step().unwrap();
        let before = volume.stats().checkpoint_written_bytes;
        volume.checkpoint().unwrap();
        volume.stats().checkpoint_written_bytes - before
    };
    // With the pages.
    bytes_of_one();
    let beside_idle = bytes_of_one();
    assert!(beside_idle > 500_000, "{beside_idle}");
    idle.rollback();
    let alone = bytes_of_one();
    assert!(alone < 100_000, "{alone}");
}

/// Nor what was reserved only, though that has the higher number: it changed nothing.
#[test]
fn what_was_reserved_before_a_checkpoint_overtakes_nobody() {
    for (machine, volume, store) in both_kinds() {
        let keeper = Keeper::new();
        store.put(b"k", b"base").unwrap();
        let mut slow = Session::begin(&keeper, Isolation::ReadCommitted);
        slow.put(&store, "k", "slow").unwrap();
        let mut fast = Session::begin(&keeper, Isolation::ReadCommitted);
        fast.reserve(&store, "k").unwrap();
        fast.put(&store, "other", "fast").unwrap();
        fast.commit().unwrap();
        volume.checkpoint_as_of(&*keeper).unwrap();
        slow.commit().unwrap();
        assert_eq!(store.get(b"k").unwrap(), Some(b"slow".to_vec()));
        let (_, found) = reopen(&after_power_loss(&machine, 4));
        assert_eq!(found.get(b"k").unwrap(), Some(b"slow".to_vec()));
        assert_eq!(found.get(b"other").unwrap(), Some(b"fast".to_vec()));
    }
}

#[test]
fn a_transaction_over_volumes_stays_one_over_checkpoints() {
    for cancels in [false, true] {
        let machine = machine(0, 2);
        let volumes = open(&machine, &[0, 1]).unwrap();
        let create = |volume: &Volume| volume.create_datastore(b"store").unwrap();
        let stores: Vec<_> = volumes.iter().map(create).collect();
        let keeper = Keeper::new();
        let mut session = Session::begin(&keeper, Isolation::Snapshot);
        stores
            .iter()
            .for_each(|store| session.put(store, "k", "v").unwrap());
        session.commit_unpublished().unwrap();
        for volume in &volumes {
            volume.checkpoint_as_of(&*keeper).unwrap();
        }
        if cancels {
            session.cancel().unwrap();
        }
        let after = after_power_loss(&machine, 5);
        for _ in 0..2 {
            let again = open(&after, &[0, 1]).unwrap();
            for volume in &again {
                let found = volume.datastore(b"store").unwrap().get(b"k").unwrap();
                assert_eq!(found.is_some(), !cancels);
            }
        }
    }
}

#[test]
fn a_damaged_checkpoint_is_not_used_and_nothing_is_lost() {
    let (machine, volume, store) = store();
    put(&store, 0..3000, "one");
    assert!(store.delete(b"key000030").unwrap());
    volume.flush().unwrap();
    let before = machine.images();
    volume.checkpoint().unwrap();
    let after = machine.images();
    put(&store, 5..8, "two");
    volume.flush().unwrap();
    let wanted = items(&store);
    let now = machine.images();
    let mut fell_back = 0;
    // All blocks that the checkpoint wrote, pages, manifest and root among them.
    for block in 0..now[0].len() / 4096 {
        let read = |image: &Image| {
            let mut bytes = vec![0; 4096];
            image.read(&mut bytes, block * 4096);
            bytes
        };
        let bytes = read(&after[0]);
        let first = bytes.iter().position(|b| *b != 0).unwrap_or(0);
        if block < 256 || bytes == read(&before[0]) || bytes.starts_with(b"HeSg") {
            continue;
        }
        for at in [first + 700, 2048, 4000] {
            let at = at.min(4095);
            let images = changed(&now, 0, block * 4096 + at as u64, &[bytes[at] ^ 0x10]);
            let machine = Machine::with_images(0, images);
            match open_one(&machine) {
                Ok(volume) => {
                    let store = volume.datastore(b"store").unwrap();
                    assert!(items(&store) == wanted, "block {block}, byte {at}");
                    let stats = volume.stats();
                    let fell = stats.recovered_items > 3000;
                    assert_eq!(fell, stats.checkpoint_bytes == 0);
                    fell_back += usize::from(fell);
                }
                // A frame's header, or the zeros behind its end.
                Err(why) => assert_eq!(why.kind(), ErrorKind::Damaged, "{why}"),
            }
        }
    }
    assert!(fell_back > 10, "{fell_back}");
}

/// Position of the newest checkpoint's start.
fn start_of(image: &Image) -> u64 {
    let number = |block: u64, at: u64| {
        let mut bytes = [0; 8];
        image.read(&mut bytes, block * 4096 + at);
        u64::from_le_bytes(bytes)
    };
    // Where docs/format.md has the generation and the start.
    let newest = if number(0, 16) > number(1, 16) { 0 } else { 1 };
    number(newest, 96)
}

/// What lies below the start is in the checkpoint: the log is not read from there, not even in the
/// segment that the start is in.
#[test]
fn damage_below_the_start_costs_only_what_is_damaged() {
    for cancels in [false, true] {
        let (machine, volume, store) = store();
        put(&store, 0..300, "one");
        if cancels {
            // Then the log is read twice.
            let keeper = Keeper::new();
            let mut session = Session::begin(&keeper, Isolation::Snapshot);
            session.put(&store, "cancelled", "new").unwrap();
            session.commit_unpublished().unwrap();
            session.cancel().unwrap();
        }
        volume.checkpoint().unwrap();
        put(&store, 300..310, "two");
        volume.flush().unwrap();
        let wanted = items(&store);
        let images = machine.images();
        let start = start_of(&images[0]);
        assert!(start % MIB > 20_000, "the test is about a segment's middle");
        let segment = MIB;
        let mut bytes = vec![0; (start % MIB) as usize];
        images[0].read(&mut bytes, segment);
        let place = |number: u32| {
            let key = key(number);
            let at = bytes.windows(9).position(|window| window == key).unwrap();
            segment + at as u64
        };
        // Flips a bit of the item's value, or of its frame's header.
        for (number, back) in [(0, -9), (150, -9), (299, -9), (3, 60), (151, 60)] {
            let at = place(number) as i64 - back;
            let mut byte = [0];
            images[0].read(&mut byte, at as u64);
            let damaged = changed(&images, 0, at as u64, &[byte[0] ^ 4]);
            let (volume, store) = reopen(&Machine::with_images(0, damaged));
            assert_eq!(volume.stats().recovered_items, 10, "from the checkpoint");
            for (found_key, value) in &wanted {
                match store.get(found_key) {
                    Ok(found) => assert!(found.as_ref() == Some(value)),
                    Err(why) => {
                        assert_eq!(why.kind(), ErrorKind::Damaged, "{why}");
                        assert!(back < 0 && *found_key == key(number), "{why}");
                    }
                }
            }
            assert_eq!(store.get(key(number)).is_err(), back < 0);
            // It goes on as if nothing was: the next open replays what comes now.
            store.put(b"more", b"three").unwrap();
            volume.close().unwrap();
        }
        // Nothing of all that is left but the segment's header.
        let zeros = vec![0; (start % MIB) as usize - 8192];
        let damaged = changed(&images, 0, segment + 8192, &zeros);
        let store = open_one(&Machine::with_images(0, damaged)).map(|v| v.datastore(b"store"));
        match store {
            // The catalog's own record was there.
            Err(why) => assert_eq!(why.kind(), ErrorKind::Damaged, "{why}"),
            Ok(_) => panic!("the catalog was destroyed"),
        }
        // From the start on each frame is needed.
        for at in [start, start + 40] {
            let damaged = changed(&images, 0, segment + at % MIB, &[0xee]);
            let why = open_one(&Machine::with_images(0, damaged)).unwrap_err();
            assert_eq!(why.kind(), ErrorKind::Damaged, "{why}");
            assert!(why.to_string().contains("salvage"), "{why}");
        }
    }
}

fn key(number: u32) -> Vec<u8> {
    format!("key{number:06}").into_bytes()
}

#[test]
fn writers_go_on_while_checkpoints_are_taken() {
    let (machine, volume, store) = store();
    let rounds = 40;
    std::thread::scope(|scope| {
        for writer in 0..2u32 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..rounds {
                    let from = writer * 1000;
                    put(store, from..from + 300, &format!("{round}"));
                    store
                        .delete(format!("key{:06}", from + round).as_bytes())
                        .unwrap();
                }
            });
        }
        for _ in 0..rounds {
            volume.checkpoint().unwrap();
        }
    });
    volume.flush().unwrap();
    let wanted = items(&store);
    let (_, found) = reopen(&after_kill(&machine, 6));
    assert!(items(&found) == wanted);
}

/// A tombstone behind the newest checkpoint is all that says so: its segment stays.
#[test]
fn a_removal_behind_a_checkpoint_outlives_its_segment() {
    let (machine, volume, store) = store();
    store.put(b"gone", b"there").unwrap();
    put(&store, 0..10, "one");
    volume.checkpoint().unwrap();
    assert!(store.delete(b"gone").unwrap());
    for round in 0..30u8 {
        store.put(b"filler", vec![round; 200_000]).unwrap();
        put(&store, 0..10, "two");
        volume.flush().unwrap();
        while volume.background_step().unwrap() {}
    }
    let (again, found) = reopen(&after_kill(&machine, 7));
    assert_eq!(found.get(b"gone").unwrap(), None);
    assert_eq!(found.get(b"key000003").unwrap(), Some(b"two".to_vec()));
    assert!(again.stats().recovered_items > 0);
}

/// To who opens the volume without its checkpoint, the checkpoint's pages are dead; the superblock names them still.
#[test]
fn a_checkpoint_that_was_not_used_may_go_and_stays_named() {
    let (machine, volume, store) = store();
    let other = volume.create_datastore("other").unwrap();
    other.put("kept", "item").unwrap();
    // The page of the other datastore stays where the first checkpoint has put it, and the second one starts elsewhere.
    for number in 0..30 {
        if number % 15 == 0 {
            volume.checkpoint().unwrap();
        }
        store.put("filler", vec![number; 150_000]).unwrap();
    }
    volume.flush().unwrap();
    let mut options = sim_options();
    options.scan = true;
    options.checkpoint_log_bytes = Some(u64::MAX);
    (options.clean_dirty_pct, options.clean_util_pct) = (1, 100);
    let machine = after_power_loss(&machine, 0);
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let used = volume.stats().used_bytes;
    let check = || {
        volume.flush().unwrap();
        let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
        let [store, other] = ["store", "other"].map(|name| volume.datastore(name).unwrap());
        assert_eq!(other.get("kept").unwrap().unwrap(), b"item");
        assert_eq!(store.get("filler").unwrap().unwrap(), vec![29; 150_000]);
    };
    check();
    while volume.clean_step().unwrap() {
        check();
    }
    for _ in 0..10 {
        volume.background_step().unwrap();
        check();
    }
    assert!(volume.stats().used_bytes < used);
    assert_eq!(volume.stats().checkpoint_written_bytes, 0);
}
