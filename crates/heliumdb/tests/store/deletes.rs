//! Deletes, and whatever else gives room, are accepted as long as something is dead that cleaning can
//! free; what is set aside for that is set aside before a write is accepted, and nothing else takes it.

use heliumdb::{Datastore, ErrorKind, Isolation::Snapshot, Volume};

use crate::common::{MIB, begin_spilling, sized_store};

/// Neighbours in the log are not neighbours in order.
fn key(number: u64, len: usize) -> Vec<u8> {
    let mut key = number
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .to_be_bytes()
        .to_vec();
    key.resize(len, 7);
    key
}

fn step(volume: &Volume) {
    for _ in 0..4 {
        if !volume.background_step().unwrap() {
            return;
        }
    }
}

/// Deletes all that is there, each delete synced alone: more of them than any reserve has room for.
fn delete_all(volume: &Volume, store: &Datastore) {
    let keys: Vec<Vec<u8>> = store.iter().map(|item| item.unwrap().0).collect();
    assert!(keys.len() as u64 > heliumdb::limits::DELETES_WHEN_FULL);
    for (number, key) in keys.iter().enumerate() {
        let deleted = store.delete(key).and_then(|was_there| {
            assert!(was_there);
            volume.flush()
        });
        deleted.unwrap_or_else(|why| panic!("delete {number}: {why}: {:?}", volume.stats()));
    }
    assert!(store.is_empty());
}

/// What lies behind something that was spilled stays until that is committed or over: neither moving it nor
/// checkpoints give any room, but both take some.
#[test]
fn nothing_is_moved_and_no_checkpoint_taken_in_vain_beside_a_spill() {
    let (volume, store) = sized_store(4 * MIB, 64 * MIB);
    for number in 0..6_000 {
        store.put(key(number, 16), [1; 1_000]).unwrap();
    }
    let mut spilling = begin_spilling(&volume, Snapshot, 1 << 20);
    let mut number = 0;
    let mut put = || {
        number += 1;
        spilling.put(&store, key(100_000 + number, 16), [2; 1_000])?;
        store.put(key(number * 7 % 6_000, 16), [3; 1_000])
    };
    for round in 0.. {
        match put() {
            Ok(()) if round % 16 == 0 => step(&volume),
            Ok(()) => {}
            Err(why) => {
                assert_eq!(why.kind(), ErrorKind::VolumeFull, "{why}");
                break;
            }
        }
    }
    let stats = volume.stats();
    assert!(
        stats.checkpoint_written_bytes < 2 * MIB && stats.cleaner_bytes < 16 * MIB,
        "{stats:?}"
    );
    spilling.rollback();
    delete_all(&volume, &store);
}

/// The index is made by one transaction, while nothing else happens.
#[test]
fn an_index_that_grew_within_a_transaction_has_room_for_its_checkpoint() {
    for commits in [false, true] {
        let (volume, store) = sized_store(u64::MAX, 64 * MIB);
        for number in 0..100 {
            store.put(key(number, 250), b"early").unwrap();
        }
        volume.checkpoint().unwrap();
        let mut txn = begin_spilling(&volume, Snapshot, 64 << 20);
        let full = (100..).find_map(|number| txn.put(&store, key(number, 250), [1; 20]).err());
        assert_eq!(full.unwrap().kind(), ErrorKind::VolumeFull);
        if commits {
            // As much as went in before.
            txn.rollback();
            txn = begin_spilling(&volume, Snapshot, 64 << 20);
            for number in 100..20_000 {
                txn.put(&store, key(number, 250), [1; 20]).unwrap();
            }
            txn.commit().unwrap();
        } else {
            txn.rollback();
            for number in 100..20_000 {
                store.put(key(number, 250), [1; 20]).unwrap();
            }
        }
        delete_all(&volume, &store);
    }
}

/// Segments with the ends of batches that lie in several stay as long as the others: to empty them takes room and
/// gives none, and of the room that a round takes and gives back a checkpoint has to wait for the second.
#[test]
fn what_cleaning_takes_comes_back_before_more_is_taken() {
    let (volume, store) = sized_store(8 * MIB, 96 * MIB);
    let mut number = 0;
    for _ in 0..2 {
        let mut txn = begin_spilling(&volume, Snapshot, 20 << 20);
        loop {
            number += 1;
            let mut put = txn.put(&store, key(number, 16), [1; 1_000]);
            if put.is_ok() && number % 5 == 0 {
                put = store.put(key(1_000_000 + number, 16), [2; 1_000]);
            }
            if let Err(why) = put {
                assert_eq!(why.kind(), ErrorKind::VolumeFull, "{why}");
                break;
            }
        }
        let _ = txn.commit();
    }
    delete_all(&volume, &store);
}

/// Nobody but those who write does anything, and each of them a little.
#[test]
fn an_index_that_grew_by_many_writes_has_room_for_its_checkpoint() {
    let (volume, store) = sized_store(u64::MAX, 64 * MIB);
    let full = (0..).find_map(|number| store.put(key(number, 250), [1; 20]).err());
    assert_eq!(full.unwrap().kind(), ErrorKind::VolumeFull);
    volume.checkpoint().unwrap();
}

/// Nothing of the index was committed at the checkpoint by which the next one is reckoned.
#[test]
fn what_a_checkpoint_left_out_has_room_in_the_next() {
    let (volume, store) = sized_store(u64::MAX, 128 * MIB);
    let mut txn = begin_spilling(&volume, Snapshot, 64 << 20);
    for number in 0..70_000 {
        txn.put(&store, key(number, 250), b"").unwrap();
    }
    volume.checkpoint().unwrap();
    txn.commit().unwrap();
    let large = |number| store.put(key(number, 16), [1; 100_000]);
    let full = (100_000..).find_map(|number| large(number).err());
    assert_eq!(full.unwrap().kind(), ErrorKind::VolumeFull);
    volume.checkpoint().unwrap();
}
