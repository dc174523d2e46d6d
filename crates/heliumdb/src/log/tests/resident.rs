//! Segments in memory: how many, which ones, and that nothing is served from one that is gone.

use super::*;
use crate::{ErrorKind, location::Location};

const SEGMENTS: u64 = 64;

fn with_caches(disk: &Disk, write_mib: u64, read_mib: u64) -> OpenLog {
    let options = VolumeOptions {
        write_cache_bytes: write_mib * MIB,
        read_cache_bytes: read_mib * MIB,
        ..quiet()
    };
    OpenLog::create(vec![disk.device()], &options).unwrap()
}

/// The segments whose bytes are in memory.
fn in_memory(log: &Log) -> Vec<u64> {
    let guard = crossbeam_epoch::pin();
    let ids = 0..SEGMENTS;
    ids.filter(|id| {
        let segment = log.table.get(*id);
        segment.is_some_and(|s| s.buffer(&guard).is_some())
    })
    .collect()
}

fn get(log: &Log, purpose: Purpose, at: Location, key: &[u8]) -> Result<Option<Vec<u8>>> {
    read(log, purpose, (at, 1, key))
}

#[test]
fn no_more_segments_are_in_memory_than_the_write_cache_has_room_for() {
    let disk = Disk::new("disk", SEGMENTS * MIB);
    let log = with_caches(&disk, 8, 0);
    let mut most = 0;
    for i in 0..200u64 {
        put(&log, i + 1, b"filler", &[0; 200_000]);
        most = most.max(in_memory(&log).len());
    }
    // Two more are spare.
    assert_eq!(most, 6);
}

#[test]
fn what_the_cleaner_has_in_memory_leaves_room_for_fewer_segments() {
    let disk = Disk::new("disk", SEGMENTS * MIB);
    let log = with_caches(&disk, 8, 0);
    let fill = || {
        for i in 0..40u64 {
            put(&log, i + 1, b"filler", &[0; 200_000]);
        }
        log.flush(true).unwrap();
        in_memory(&log).len()
    };
    assert_eq!(fill(), 6);
    log.lend_to_cleaner(3 * MIB as usize);
    assert_eq!(in_memory(&log).len(), 3);
    log.lend_to_cleaner(100 * MIB as usize);
    assert!(in_memory(&log).len() <= 1, "none but the one being filled");
    assert!(fill() <= 2);
    log.lend_to_cleaner(0);
    assert_eq!(fill(), 6);
}

#[test]
fn segments_stay_in_what_the_read_cache_does_not_use_and_go_as_it_grows() {
    const WRITE_MIB: u64 = 4;
    const READ_MIB: u64 = 16;
    let disk = Disk::new("disk", SEGMENTS * MIB);
    let log = with_caches(&disk, WRITE_MIB, READ_MIB);
    let within_budget = || {
        let segments = in_memory(&log).len() as u64;
        let cache = log.stats().cache.bytes;
        assert!(
            segments * MIB + cache <= (WRITE_MIB + READ_MIB) * MIB,
            "{segments} segments, and {cache} bytes of the read cache"
        );
        (segments, cache)
    };
    let mut items = Vec::new();
    for i in 0..30_000u64 {
        let key = i.to_be_bytes();
        items.push((put(&log, i + 1, &key, &[i as u8; 1000]).locations[0], key));
        within_budget();
    }
    let (before, cache) = within_budget();
    assert!(
        before > WRITE_MIB + READ_MIB / 8 * 5,
        "{before} segments stay"
    );
    // The youngest are there: no device is asked.
    for (at, key) in &items[20_000..] {
        assert!(get(&log, Purpose::Point, *at, key).unwrap().is_some());
    }
    assert_eq!(
        (log.stats().device_reads, within_budget()),
        (0, (before, cache))
    );
    // The oldest are not, and in the end their items have all of the read cache: sooner or later, as blocks of it
    // are filled again only when readers elsewhere are gone.
    for _ in 0..20 {
        for (i, (at, key)) in items[..20_000].iter().enumerate() {
            let value = get(&log, Purpose::Point, *at, key).unwrap();
            assert_eq!(value.as_deref(), Some(&[i as u8; 1000][..]));
            within_budget();
            crossbeam_epoch::pin().flush();
        }
        if within_budget().1 > READ_MIB * MIB / 5 * 4 {
            break;
        }
    }
    let (after, cache) = within_budget();
    assert!(
        cache > READ_MIB * MIB / 5 * 4,
        "{cache} bytes in the read cache"
    );
    assert!(
        after <= WRITE_MIB + READ_MIB / 5,
        "{after} segments are left"
    );
    // It is the youngest that are left.
    assert!(get(&log, Purpose::Walk, items[29_999].0, &items[29_999].1).is_ok());
    let reads = log.stats().device_reads;
    assert!(get(&log, Purpose::Walk, items[28_500].0, &items[28_500].1).is_ok());
    assert_eq!(log.stats().device_reads, reads);
}

/// What is checked is the device, however long its bytes stay in memory.
#[test]
fn a_check_looks_past_a_written_segment_in_memory() {
    let disk = Disk::new("disk", SEGMENTS * MIB);
    let log = with_caches(&disk, 4, 16);
    let at = put(&log, 1, b"key", b"value").locations[0];
    assert!(get(&log, Purpose::Check, at, b"key").unwrap().is_some());
    for i in 0..10 {
        put(&log, 2 + i, b"filler", &[0; 200_000]);
    }
    log.flush(true).unwrap();
    let (_, offset) = log.medium.place(at.address());
    disk.edit(offset + 28, |b| *b ^= 1);
    let found = get(&log, Purpose::Check, at, b"key");
    assert_eq!(found.unwrap_err().kind(), ErrorKind::Damaged);
    let value = get(&log, Purpose::Point, at, b"key").unwrap();
    assert_eq!(value.as_deref(), Some(&b"value"[..]));
}

/// The same key at the same place in every use of a segment, with room in memory for all of them.
#[test]
fn a_segment_that_is_freed_leaves_memory_before_it_is_used_again() {
    let disk = Disk::new("disk", SEGMENTS * MIB);
    let log = with_caches(&disk, 4, 200);
    let mut uses = std::collections::HashMap::<u64, u64>::new();
    for i in 0..1_500u64 {
        let value = i.to_le_bytes();
        let at = put(&log, 2 * i + 1, b"key", &value).locations[0];
        let filler = put(&log, 2 * i + 2, b"filler", &[0; 200_000]);
        log.mark_dead(filler.locations[0]);
        let found = get(&log, Purpose::Point, at, b"key").unwrap();
        assert_eq!(found.as_deref(), Some(&value[..]), "item {i}");
        log.mark_dead(at);
        *uses.entry(at.address()).or_default() += 1;
        while log.background_step().unwrap() {}
        // Nothing lives but what is in the segment being filled: all others were freed.
        let segments = in_memory(&log);
        let in_use = log.ledger.lock().in_use.len();
        assert!(segments.len() <= in_use, "{segments:?} of {in_use} in use");
        // What was freed comes back when no thread can look at it; other tests' threads count too.
        while log.space.lock().free_segments() < 8 {
            crossbeam_epoch::pin().flush();
            std::thread::yield_now();
        }
    }
    assert_eq!(log.stats().device_reads, 0);
    assert!(
        uses.values().any(|uses| *uses > 3),
        "no place is used again"
    );
    // What was freed is not counted as being in memory either: others would go for it.
    let listed = log.residency.count();
    assert_eq!(listed, in_memory(&log).len());
}
