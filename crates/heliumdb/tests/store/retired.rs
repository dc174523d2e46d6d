//! A datastore that was emptied or removed is over in the log, too: nothing of it is appended behind
//! the mark that says so, and the mark is found as long as anything of it is left.

use helium_sim::{DiskId, Image, Latch, Machine, Operation, Verdict, sim_options};
use heliumdb::{
    Datastore, DatastoreOptions, Durability, ErrorKind, Volume,
    upkeep::{BackupFrom, Salvage},
};

use crate::common::{MIB, Released, after_power_loss, held_store, machine, open_one};

/// The names of what salvage finds on a disk, each with the number of its items.
fn salvaged(image: Image) -> Vec<(String, u64)> {
    let machine = Machine::with_images(0, vec![image]);
    let target = memory();
    let report = Salvage::on_devices(machine.devices(&[DiskId(0)]))
        .run(&target, &mut |_| true)
        .unwrap();
    // Behind the log's end there may be bytes of before that salvage cannot tell from damage.
    let lost = report.lost_segments + report.damaged_frames + report.broken_batches;
    assert_eq!(lost, 0, "{report:?}");
    assert!(report.datastores.iter().all(|s| !s.renamed), "{report:?}");
    counts(&target)
}

fn backed_up(volume: &Volume) -> Vec<(String, u64)> {
    let target = memory();
    volume
        .backup(BackupFrom::Newest, &target, &mut |_| true)
        .unwrap();
    counts(&target)
}

fn memory() -> Volume {
    let mut options = sim_options();
    options.exclusive = true;
    Volume::open(&format!("he://./_{}", 128 * MIB), &options).unwrap()
}

fn counts(volume: &Volume) -> Vec<(String, u64)> {
    let stores = volume.datastores().into_iter();
    stores
        .map(|info| {
            let store = volume.datastore_by_id(info.id).unwrap();
            let name = String::from_utf8_lossy(&info.name).into_owned();
            (name, store.len())
        })
        .collect()
}

/// How a datastore ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Removed,
    Emptied,
    EmptiedAtOpen,
    MadeUnordered,
}

const ENDS: [End; 4] = [
    End::Removed,
    End::Emptied,
    End::EmptiedAtOpen,
    End::MadeUnordered,
];

fn end(volume: &Volume, store: &Datastore, how: End) {
    let mut options = DatastoreOptions::default();
    options.truncate = true;
    options.unordered = matches!(how, End::MadeUnordered);
    match how {
        End::Removed => volume.drop_datastore(store.id()).unwrap(),
        End::Emptied => volume.truncate_datastore(store.id()).unwrap(),
        End::EmptiedAtOpen | End::MadeUnordered => {
            let name = store.info().unwrap().name;
            drop(volume.open_datastore(&name, &options).unwrap());
        }
    }
}

/// Removals too, and values in pieces.
fn fill_and_thin_out(store: &Datastore) {
    for number in 0..400u32 {
        let bytes = if number % 50 == 0 { 1_200_000 } else { 20_000 };
        store
            .put(number.to_be_bytes(), vec![number as u8; bytes])
            .unwrap();
    }
    for number in (0..400u32).filter(|n| n % 3 != 0) {
        assert!(store.delete(number.to_be_bytes()).unwrap());
    }
}

#[test]
fn a_round_of_cleaning_moves_nothing_of_what_is_over() {
    for how in ENDS {
        for steps in 1..8 {
            let machine = machine(0, 1);
            let volume = open_one(&machine).unwrap();
            let store = volume.create_datastore(b"store").unwrap();
            fill_and_thin_out(&store);
            volume.checkpoint().unwrap();
            let mut is_under_way = true;
            for _ in 0..steps {
                is_under_way &= volume.clean_step().unwrap();
            }
            assert!(is_under_way || steps > 3, "nothing is cleaned");
            end(&volume, &store, how);
            let moved = volume.stats().cleaner_bytes;
            while volume.clean_step().unwrap() {}
            let more = volume.stats().cleaner_bytes - moved;
            // The catalog's records may be among them.
            assert!(
                more < 1_000,
                "{how:?}, {steps} steps: {more} bytes were moved"
            );
            volume.flush().unwrap();
            let left: Vec<_> = match how {
                End::Removed => vec![],
                _ => vec![("store".to_owned(), 0)],
            };
            assert_eq!(backed_up(&volume), left, "{how:?}, {steps} steps");
            assert_eq!(salvaged(machine.images().remove(0)), left);
        }
    }
}

/// Compacting goes on while the datastore ends: the latch holds up one of its reads.
#[test]
fn compacting_moves_nothing_of_what_is_over() {
    for how in ENDS {
        let (machine, latch, volume, store) = held_store(&sim_options());
        for number in 0..6_000u32 {
            let scattered = number.wrapping_mul(2_654_435_761);
            store.put(scattered.to_be_bytes(), [1; 2_000]).unwrap();
        }
        volume.flush().unwrap();
        std::thread::scope(|scope| {
            latch.hold(|op| matches!(op, Operation::Read { .. }));
            let compacting = scope.spawn(|| store.compact());
            latch.await_held(1);
            let moved = volume.stats().cleaner_bytes;
            end(&volume, &store, how);
            latch.release(Verdict::Go);
            compacting.join().unwrap().unwrap();
            let more = volume.stats().cleaner_bytes - moved;
            assert_eq!(more, 0, "{how:?}: bytes were moved");
        });
        volume.flush().unwrap();
        assert!(
            salvaged(machine.images().remove(0))
                .iter()
                .all(|s| s.1 == 0)
        );
    }
}

/// A put that comes while a datastore is emptied is one of the datastore as it is afterwards: it is
/// not lost though it was acknowledged, nor appended behind the mark.
#[test]
fn a_write_beside_a_truncation_is_not_lost() {
    for removal in [false, true] {
        let (_machine, latch, volume, store) = held_store(&sim_options());
        store.put(b"old", b"v").unwrap();
        volume.flush().unwrap();
        let acknowledged = std::thread::scope(|scope| {
            latch.hold(|op| *op == Operation::Sync);
            let ending = scope.spawn(|| match removal {
                true => volume.drop_datastore(store.id()),
                false => volume.truncate_datastore(store.id()),
            });
            latch.await_held(1);
            let writers = [
                scope.spawn(|| store.put(b"put", b"v")),
                scope.spawn(|| {
                    store
                        .update_fetch(b"merged", |_| Some(b"v".to_vec()))
                        .map(drop)
                }),
                scope.spawn(|| store.try_insert(b"old", b"w")),
                scope.spawn(|| {
                    let mut batch = volume.batch();
                    batch.put(&store, b"batched", b"v")?;
                    batch.commit(Durability::Buffered)
                }),
            ];
            for _ in 0..10_000 {
                std::thread::yield_now();
            }
            latch.release(Verdict::Go);
            ending.join().unwrap().unwrap();
            writers.map(|writer| writer.join().unwrap().is_ok())
        });
        if removal {
            assert_eq!(acknowledged, [false; 4], "there is nothing to write to");
            continue;
        }
        assert_eq!(acknowledged, [true; 4]);
        assert_eq!(store.get(b"put").unwrap(), Some(b"v".to_vec()));
        assert_eq!(store.get(b"merged").unwrap(), Some(b"v".to_vec()));
        assert_eq!(store.get(b"old").unwrap(), Some(b"w".to_vec()));
        assert_eq!(store.get(b"batched").unwrap(), Some(b"v".to_vec()));
        assert_eq!(store.len(), 4);
    }
}

/// What happens to a datastore behind the position that a copy of the newest state is of does not show in it, whatever the
/// devices hold up meanwhile: that of the volume, at each of its reads, or that of the copy.
#[test]
fn a_copy_has_what_was_removed_or_renamed_while_it_was_made() {
    type Deed = (&'static str, fn(&Volume, &Datastore));
    let deeds: [Deed; 5] = [
        ("removed", |volume, store| end(volume, store, End::Removed)),
        ("emptied", |volume, store| end(volume, store, End::Emptied)),
        ("unordered", |volume, store| {
            end(volume, store, End::MadeUnordered)
        }),
        ("renamed", |volume, store| {
            volume.rename_datastore(store.id(), b"other").unwrap();
        }),
        ("renamed and made again", |volume, store| {
            volume.rename_datastore(store.id(), b"other").unwrap();
            let again = volume.create_datastore(b"store").unwrap();
            again.put(b"later", b"v").unwrap();
        }),
    ];
    let is_read = |op: &Operation| matches!(op, Operation::Read { .. });
    for (what, deed) in deeds {
        for held in [Some(0), Some(1), Some(3), None] {
            let (machine, latch, volume, store) = held_store(&sim_options());
            let junk = volume.create_datastore(b"junk").unwrap();
            fill_and_thin_out(&store);
            volume.checkpoint().unwrap();
            let target_latch = Latch::new();
            let target_machine = Machine::new(1, &[128 * MIB]);
            let device = target_latch.guard(target_machine.device(DiskId(0)));
            let target = Volume::open_devices(vec![device], &sim_options()).unwrap();
            std::thread::scope(|scope| {
                let _in_the_end = [Released(&latch), Released(&target_latch)];
                match held {
                    Some(_) => latch.hold(is_read),
                    None => target_latch.hold(Operation::is_log_write),
                }
                let backup =
                    scope.spawn(|| volume.backup(BackupFrom::Newest, &target, &mut |_| true));
                for _ in 0..held.unwrap_or_default() {
                    latch.await_held(1);
                    latch.release_one(Verdict::Go);
                }
                match held {
                    // What it holds up stays held up; the store's own reads go on.
                    Some(_) => {
                        latch.await_held(1);
                        latch.hold(|_| false);
                    }
                    None => drop(target_latch.await_held(1)),
                }
                deed(&volume, &store);
                // All that is dead is freed, and its room used again, if nothing keeps it.
                for round in 0..30u8 {
                    junk.put([round % 4], [round; 100_000]).unwrap();
                }
                volume.free().unwrap();
                while volume.background_step().unwrap() {}
                latch.release(Verdict::Go);
                target_latch.release(Verdict::Go);
                let copied = backup.join().unwrap();
                copied.unwrap_or_else(|why| panic!("{what}, held at {held:?}: {why}"));
            });
            let mut copied = counts(&target);
            copied.sort();
            let all = [("junk".to_owned(), 0), ("store".to_owned(), 134)];
            assert_eq!(copied, all, "{what}, held at {held:?}");
            let copy = target.datastore(b"store").unwrap();
            for item in copy.iter() {
                let (key, value) = item.unwrap();
                let number = u32::from_be_bytes(key.try_into().unwrap());
                assert!(number % 3 == 0 && value[0] == number as u8, "{what}");
            }
            // And the volume itself is as the deed left it.
            volume.flush().unwrap();
            let again = open_one(&after_power_loss(&machine, 1)).unwrap();
            assert_eq!(counts(&again), counts(&volume), "{what}");
        }
    }
}

/// A truncation that cannot be made durable has not happened, and keeps nobody out.
#[test]
fn a_truncation_that_fails_leaves_the_datastore_as_it_was() {
    let (_machine, latch, volume, store) = held_store(&sim_options());
    store.put(b"k", b"v").unwrap();
    volume.flush().unwrap();
    let snapshot = volume.snapshot().unwrap();
    latch.hold(|op| *op == Operation::Sync);
    std::thread::scope(|scope| {
        let _in_the_end = Released(&latch);
        let ending = scope.spawn(|| volume.truncate_datastore(store.id()));
        latch.await_held(1);
        // Those who came meanwhile, and were kept out, hear what everybody hears from now on.
        let writers = [
            scope.spawn(|| store.put(b"put", b"v")),
            scope.spawn(|| store.delete(b"k").map(drop)),
            scope.spawn(|| {
                let mut batch = volume.batch();
                batch.put(&store, b"batched", b"v")?;
                batch.commit(Durability::Buffered)
            }),
        ];
        // Enough for those who do not wait.
        (0..10_000).for_each(|_| std::thread::yield_now());
        latch.release(Verdict::Fail);
        assert!(ending.join().unwrap().is_err());
        for writer in writers {
            let refused = writer.join().unwrap().unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Poisoned, "{refused}");
        }
    });
    use heliumdb::Readable;
    assert_eq!(store.get(b"k").unwrap(), Some(b"v".to_vec()));
    assert_eq!(snapshot.get(&store, b"k").unwrap(), Some(b"v".to_vec()));
    // Refused at once, because the volume is poisoned, instead of waiting for ever.
    assert!(store.put(b"k", b"w").is_err());
}

/// The record of a datastore goes with its segment, while items of it are left in others, beside what
/// is alive: then the mark alone says that they are over.
#[test]
fn what_is_over_is_known_by_its_mark_when_its_record_is_gone() {
    for how in ENDS {
        let machine = machine(0, 1);
        let volume = open_one(&machine).unwrap();
        let junk = volume.create_datastore(b"junk").unwrap();
        let store = volume.create_datastore(b"store").unwrap();
        let kept = volume.create_datastore(b"kept").unwrap();
        let churn = |rounds: u32| {
            for round in 0..rounds {
                junk.put([round as u8 % 4], [round as u8; 100_000]).unwrap();
            }
            volume.flush().unwrap();
        };
        // The records are in the first segments, with nothing but what dies.
        churn(60);
        for number in 0..600u32 {
            store.put(number.to_be_bytes(), [1; 1_000]).unwrap();
            kept.put(number.to_be_bytes(), [2; 9_000]).unwrap();
        }
        churn(20);
        end(&volume, &store, how);
        // Segments that are mostly alive are left alone; the first ones go, and are used again.
        for _ in 0..6 {
            churn(60);
            volume.checkpoint().unwrap();
            volume.free().unwrap();
            while volume.background_step().unwrap() {}
        }
        let mut left = vec![("junk".to_owned(), 4), ("kept".to_owned(), 600)];
        if !matches!(how, End::Removed) {
            left.push(("store".to_owned(), 0));
        }
        assert_eq!(backed_up(&volume), left, "{how:?}");
        volume.close().unwrap();
        assert_eq!(salvaged(machine.images().remove(0)), left, "{how:?}");
    }
}
