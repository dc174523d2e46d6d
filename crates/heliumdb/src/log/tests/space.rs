//! Space: limits, promises, the reserve, and segments that are freed when nothing needs them.

use super::*;
use crate::{ErrorKind, limits::DELETES_WHEN_FULL};

fn settle(log: &OpenLog) {
    for _ in 0..20 {
        log.background_step().unwrap();
    }
}

fn fill(log: &Log, value: &[u8]) -> Vec<Location> {
    let mut places = Vec::new();
    let mut batch = Batch::new(BatchKind::Commit);
    for i in 0u64.. {
        batch.clear(BatchKind::Commit);
        batch.push(1, i + 1, false, &i.to_le_bytes(), Some(value));
        match log.append(&mut batch, false) {
            Ok(appended) => places.extend(appended.locations),
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::VolumeFull, "{e}");
                return places;
            }
        }
    }
    places
}

#[test]
fn a_full_volume_still_takes_the_stated_number_of_synced_deletes() {
    for disk in [
        Disk::new("disk", 64 * MIB),
        Disk::growing("disk", 100 * MIB),
    ] {
        let log = create(&disk);
        // Of no more of them than there are items.
        let items = fill(&log, &[5; 10_000]).len() as u64;
        assert!(items > DELETES_WHEN_FULL, "{items}");
        assert_eq!(
            log.extend(&mut log.no_promise(), 1_000_000)
                .unwrap_err()
                .kind(),
            ErrorKind::VolumeFull
        );
        let mut batch = Batch::new(BatchKind::Commit);
        for i in 0..DELETES_WHEN_FULL {
            batch.clear(BatchKind::Commit);
            batch.push(1, 1_000_000 + i, false, &i.to_le_bytes(), None);
            let end = log
                .append(&mut batch, true)
                .unwrap_or_else(|e| panic!("delete {i}: {e}"))
                .end;
            log.sync_to(end).unwrap();
        }
        abandon(log);
        let (_, model) = open(&disk).unwrap();
        let gone = model.live.values().filter(|(_, at)| at.is_none()).count();
        assert_eq!(gone as u64, DELETES_WHEN_FULL);
    }
}

/// What leaves so much alone as may ever be set aside need not know how much is: it may not be less, nor much more.
#[test]
fn nothing_more_is_set_aside_than_is_said_at_most() {
    let log = create(&Disk::new("disk", 64 * MIB));
    let much = 1 << 40;
    let mut most = 0;
    for items in [0, 1, DELETES_WHEN_FULL - 70, DELETES_WHEN_FULL, much] {
        log.keep_for_items(items, 0);
        for checkpoint in [0, 1, 100_000, 10 * MIB] {
            log.keep_for_checkpoint(checkpoint, checkpoint.min(60_000));
            for more in [0, 1, MIB, 3 * MIB, much] {
                let kept = log.reserve_beside(more);
                assert!(kept <= log.reserve.at_most(), "{items}, {checkpoint}");
                assert!(log.cleaner_bytes() <= log.reserve.at_most());
                most = most.max(kept);
            }
            // What one that is under way has taken is not free any more, and only that makes it less.
            log.reserve.checkpoint_takes(1_000);
            assert!(log.reserve_beside(much) <= log.reserve.at_most());
            log.end_checkpoint();
        }
    }
    assert_eq!(most, log.reserve.at_most());
}

#[test]
fn a_limit_on_growth_is_kept() {
    let disk = Disk::growing("disk", 1 << 40);
    let options = VolumeOptions {
        limit_bytes: Some(80 * MIB),
        ..quiet()
    };
    let log = OpenLog::create(vec![disk.device()], &options).unwrap();
    fill(&log, &[5; 50_000]);
    assert!(crate::device::Device::len(&disk) <= 80 * MIB);
    let too_small = VolumeOptions {
        limit_bytes: Some(60 * MIB),
        ..quiet()
    };
    let disk = Disk::growing("disk", 1 << 40);
    assert_eq!(
        OpenLog::create(vec![disk.device()], &too_small)
            .err()
            .unwrap()
            .kind(),
        ErrorKind::VolumeTooSmall
    );
}

#[test]
fn promised_space_is_there_when_it_is_wanted() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    let mut batch = Batch::new(BatchKind::Commit);
    for i in 0..20u64 {
        batch.push(9, i + 1, false, &i.to_le_bytes(), Some(&[7; 200_000]));
    }
    let mut promise = log.no_promise();
    log.extend(&mut promise, batch.bytes() as u64).unwrap();
    fill(&log, &[5; 50_000]);
    let promised = promise.bytes();
    let more = log.extend(&mut promise, 30 * MIB);
    assert_eq!(more.unwrap_err().kind(), ErrorKind::VolumeFull);
    assert_eq!(promise.bytes(), promised, "what was promised stays");
    let mut other = Batch::new(BatchKind::Commit);
    other.push(1, 1, false, b"k", Some(&[0; 100_000]));
    assert_eq!(
        log.append(&mut other, false).unwrap_err().kind(),
        ErrorKind::VolumeFull
    );
    log.append_promised(&mut batch, &mut promise).unwrap();
    drop(promise);
    assert_eq!(log.space.lock().promised, 0);
}

#[test]
fn a_promise_grows_and_shrinks_as_it_is_needed() {
    let log = create(&Disk::new("disk", 64 * MIB));
    let mut promise = log.no_promise();
    for bytes in [1 << 20, 20 << 20, 5 << 20] {
        log.extend(&mut promise, bytes).unwrap();
        log.shrink(&mut promise, bytes);
        assert_eq!(log.space.lock().promised, promise.bytes());
        assert!((bytes..2 * (bytes + MIB)).contains(&promise.bytes()));
    }
    drop(promise);
    assert_eq!(log.space.lock().promised, 0);
}

#[test]
fn dead_segments_are_freed_and_used_again() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    let mut last: Option<Location> = None;
    // Five times the volume through one key.
    for i in 0..1600u64 {
        let at = put(&log, i + 1, b"key", &[i as u8; 200_000]).locations[0];
        if let Some(old) = last.replace(at) {
            log.mark_dead(old);
        }
        if i % 20 == 0 {
            settle(&log);
        }
    }
    log.sync_to(log.reach.end()).unwrap();
    settle(&log);
    assert!(
        log.stats().used_bytes <= 3 * MIB,
        "{}",
        log.stats().used_bytes
    );
    abandon(log);
    let (log, model) = open(&disk).unwrap();
    assert_eq!(
        model.value(&log, 1, b"key"),
        Some(vec![1599u64 as u8; 200_000])
    );
}

#[test]
fn a_tombstone_stays_until_no_older_item_can_come_back() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    let old = put(&log, 1, b"key", b"old").locations[0];
    let keep = put(&log, 2, b"keep", b"v").locations[0];
    let mut fillers = Vec::new();
    for i in 0..10 {
        fillers.push(put(&log, 10 + i, b"filler", &[0; 200_000]).locations[0]);
    }
    let mut batch = Batch::new(BatchKind::Commit);
    batch.push(1, 50, false, b"key", None);
    let tombstone = log.append(&mut batch, true).unwrap().locations[0];
    log.mark_dead(old);
    for i in 0..10 {
        fillers.push(put(&log, 60 + i, b"filler", &[0; 200_000]).locations[0]);
    }
    fillers.into_iter().for_each(|at| log.mark_dead(at));
    settle(&log);
    let in_use = |at: Location| {
        log.ledger
            .lock()
            .in_use
            .values()
            .any(|id| *id == at.address() / MIB)
    };
    assert!(
        in_use(old) && in_use(tombstone),
        "the old item's segment lives because of another item"
    );
    log.mark_dead(keep);
    settle(&log);
    settle(&log);
    assert!(!in_use(old) && !in_use(tombstone));
    log.sync_to(log.reach.end()).unwrap();
    abandon(log);
    let (_, model) = open(&disk).unwrap();
    assert!(!model.live.contains_key(&(1, b"key".to_vec())));
}

#[test]
fn a_cancel_stays_as_long_as_the_batch_it_cancels() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    put(&log, 1, b"keep", b"v");
    let gone = put(&log, 2, b"gone", b"v");
    log.mark_dead(gone.locations[0]);
    let mut fillers = Vec::new();
    for i in 0..10 {
        fillers.push(put(&log, 10 + i, b"filler", &[0; 200_000]).locations[0]);
    }
    log.append_cancel(gone.batch_id).unwrap();
    for i in 0..10 {
        fillers.push(put(&log, 60 + i, b"filler", &[0; 200_000]).locations[0]);
    }
    fillers.into_iter().for_each(|at| log.mark_dead(at));
    settle(&log);
    log.sync_to(log.reach.end()).unwrap();
    abandon(log);
    let (_, model) = open(&disk).unwrap();
    assert_eq!(model.cancels, [gone.batch_id]);
    assert!(!model.live.contains_key(&(1, b"gone".to_vec())));
}
