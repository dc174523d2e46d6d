//! Many short sessions on one volume: each goes on where the last one ended, and no end is
//! ever overrun by what an earlier session left behind it.

use super::*;
use crate::device::Device;
use rand::{Rng, SeedableRng, rngs::SmallRng};

fn value(i: u64) -> Vec<u8> {
    vec![i as u8; [40, 900, 5_000, 70_000, 400_000][i as usize * 7 % 5]]
}

/// Checks that exactly the first batches are there; returns how many.
fn check_prefix(log: &Log, model: &Model, synced: u64, appended: u64, what: &str) -> u64 {
    let found = model.live.len() as u64;
    assert!(
        (synced..=appended).contains(&found),
        "{what}: {found} of {synced}..={appended}"
    );
    for i in 0..found {
        let there = model.value(log, 1, &i.to_le_bytes());
        assert!(there == Some(value(i)), "{what}: batch {i} of {found}");
    }
    found
}

#[test]
fn two_hundred_sessions_of_one_write_share_a_segment() {
    for crash in [false, true] {
        let disk = Disk::new("disk", 64 * MIB);
        create(&disk).close().unwrap();
        let len = disk.len();
        for i in 0..200u64 {
            let (log, model) = open(&disk).unwrap();
            assert_eq!(model.live.len() as u64, i);
            put_synced(&log, i + 1, &i.to_le_bytes(), b"v");
            assert_eq!(log.stats().used_bytes, log.medium.segment_bytes());
            if crash {
                abandon(log);
            } else {
                log.close().unwrap();
            }
        }
        assert_eq!(disk.len(), len);
        let (_, model) = open(&disk).unwrap();
        assert_eq!(model.live.len(), 200);
    }
}

#[test]
fn a_session_that_writes_nothing_changes_nothing() {
    let disk = Disk::growing("disk", 256 * MIB);
    let log = create(&disk);
    put_synced(&log, 1, b"a", b"1");
    log.close().unwrap();
    for _ in 0..3 {
        disk.fail_after(Some(0), None);
        let (log, model) = open(&disk).unwrap();
        assert_eq!(model.live.len(), 1);
        while log.background_step().unwrap() {}
        log.close().unwrap();
        disk.fail_after(None, None);
    }
}

#[test]
fn a_torn_tail_is_marked_once() {
    let disk = Disk::growing("disk", 256 * MIB);
    let log = create(&disk);
    put_synced(&log, 1, b"a", b"1");
    let torn = put_synced(&log, 2, b"b", b"2");
    abandon(log);
    let at = MIB + torn.next_multiple_of(4096) % MIB - 4096;
    disk.edit(at + 81, |b| *b ^= 1);
    open(&disk).unwrap().0.close().unwrap();
    disk.fail_after(Some(0), None);
    let (log, model) = open(&disk).unwrap();
    assert_eq!(model.live.len(), 1);
    log.close().unwrap();
}

#[test]
fn a_damaged_last_frame_is_noticed_after_a_clean_close() {
    let disk = Disk::growing("disk", 256 * MIB);
    let log = create(&disk);
    put_synced(&log, 1, b"a", b"1");
    let last = put_synced(&log, 2, b"b", b"2");
    log.close().unwrap();
    disk.edit(
        (1 << 20) + last.next_multiple_of(4096) % MIB - 4096 + 81,
        |b| *b ^= 1,
    );
    let error = open(&disk).err().unwrap();
    assert_eq!(error.kind(), crate::ErrorKind::Damaged, "{error}");
}

#[test]
fn items_of_every_session_are_read_from_the_segment_they_share() {
    let disk = Disk::new("disk", 64 * MIB);
    create(&disk).close().unwrap();
    for i in 0..20u64 {
        let (log, model) = open(&disk).unwrap();
        let at = put(&log, i + 1, &i.to_le_bytes(), &[i as u8; 100]).locations[0];
        let mut out = Vec::new();
        assert!(log.read(at, 1, &i.to_le_bytes(), &mut out).unwrap());
        for earlier in 0..i {
            let there = model.value(&log, 1, &earlier.to_le_bytes());
            assert_eq!(there, Some(vec![earlier as u8; 100]));
        }
        log.close().unwrap();
    }
}

#[test]
fn the_segment_to_go_on_in_is_not_freed() {
    let disk = Disk::growing("disk", 256 * MIB);
    let log = create(&disk);
    let dead = put(&log, 1, b"a", b"1").locations[0];
    log.close().unwrap();
    let (log, _) = open(&disk).unwrap();
    log.mark_dead(dead);
    while log.background_step().unwrap() {}
    put_synced(&log, 2, b"a", b"2");
    while log.background_step().unwrap() {}
    abandon(log);
    let (log, model) = open(&disk).unwrap();
    assert_eq!(model.value(&log, 1, b"a"), Some(b"2".to_vec()));
}

/// Power goes at every write and every sync of a session's beginning.
#[test]
fn killed_at_any_step_of_going_on() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    for i in 0..3 {
        put_synced(&log, i + 1, &i.to_le_bytes(), &value(i));
    }
    log.close().unwrap();
    for step in 0..24u64 {
        let mut random = SmallRng::seed_from_u64(step);
        let mut now = disk.copy();
        let mut synced = 3;
        for round in 0..4 {
            let left = Some(step / 2);
            if step % 2 == 0 {
                now.fail_after(left, None);
            } else {
                now.fail_after(None, left);
            }
            let what = format!("step {step} round {round}");
            let mut appended = synced;
            if let Ok((log, model)) = open(&now) {
                synced = check_prefix(&log, &model, synced, u64::MAX, &what);
                appended = synced;
                for _ in 0..3 {
                    let mut batch = Batch::new(BatchKind::Commit);
                    let key = appended.to_le_bytes();
                    batch.push(1, appended + 1, false, &key, Some(&value(appended)));
                    let Ok(done) = log.append(&mut batch, false) else {
                        break;
                    };
                    appended += 1;
                    if log.sync_to(done.end).is_ok() {
                        synced = appended;
                    }
                }
                abandon(log);
            }
            now = now.after_crash(&mut random, [0, 50, 90][round % 3]);
            let (log, model) = open(&now).unwrap_or_else(|e| panic!("{what}: {e}"));
            synced = check_prefix(&log, &model, synced, appended, &what);
            abandon(log);
            now = now.after_crash(&mut random, 100);
        }
    }
}

#[test]
fn sessions_that_end_in_any_way_leave_a_prefix() {
    let seeds = std::env::var("HELIUM_SESSIONS").map_or(25, |n| n.parse().unwrap());
    for seed in 0..seeds {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut disk = if seed % 6 != 0 {
            Disk::new("disk", 256 * MIB)
        } else {
            Disk::growing("disk", 256 * MIB)
        };
        let mut log = create(&disk);
        let (mut synced, mut appended) = (0, 0);
        for session in 0..random.random_range(2..12) {
            for _ in 0..random.random_range(0..25) {
                put(
                    &log,
                    appended + 1,
                    &appended.to_le_bytes(),
                    &value(appended),
                );
                appended += 1;
                match random.random_range(0..6) {
                    0 | 1 => {
                        log.sync_to(log.reach.end()).unwrap();
                        synced = appended;
                    }
                    2 => log.flush(false).unwrap(),
                    _ => {}
                }
            }
            match random.random_range(0..3) {
                0 => {
                    log.close().unwrap();
                    synced = appended;
                    drop(log);
                }
                1 => {
                    let keep = random.random_range(0..=100);
                    let after = disk.after_crash(&mut random, keep);
                    abandon(log);
                    disk = after;
                }
                // Killed: what was written is there, synced or not.
                _ => abandon(log),
            }
            let what = format!("seed {seed} session {session}");
            if random.random_bool(0.3) {
                disk.fail_after(Some(random.random_range(0..5)), None);
                if let Ok((log, _)) = open(&disk) {
                    abandon(log);
                }
                disk = disk.after_crash(&mut random, 50);
            }
            let (again, model) = open(&disk).unwrap_or_else(|e| panic!("{what}: {e}"));
            appended = check_prefix(&again, &model, synced, appended, &what);
            // What was recovered stays.
            synced = appended;
            log = again;
        }
        abandon(log);
    }
}
