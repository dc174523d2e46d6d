//! Power cuts and damage: what was synced is found, and what is damaged is named.

use super::*;
use crate::{ErrorKind, device::Device};
use rand::{Rng, SeedableRng, rngs::SmallRng};

/// Checks that exactly a prefix of `appended` batches is there, at least `synced` of them.
fn check_prefix(model: &Model, log: &Log, synced: usize, appended: usize, what: &str) {
    let found = model.live.len();
    assert!(
        found >= synced && found <= appended,
        "{what}: {found} of {synced}..={appended}"
    );
    for i in 0..found {
        let value = model.value(log, 1, &(i as u64).to_le_bytes());
        assert_eq!(value, Some(filler(i)), "{what}: batch {i} of {found}");
    }
}

fn filler(i: usize) -> Vec<u8> {
    vec![i as u8; [30, 3000, 60_000, 300_000][i % 7 % 4]]
}

#[test]
fn any_power_cut_leaves_a_prefix_with_all_that_was_synced() {
    for seed in 0..60 {
        let mut random = SmallRng::seed_from_u64(seed);
        let disk = Disk::growing("disk", 256 * MIB);
        let log = create(&disk);
        let (mut synced, mut appended) = (0, 0);
        for _ in 0..random.random_range(1..60) {
            put(
                &log,
                appended as u64 + 1,
                &(appended as u64).to_le_bytes(),
                &filler(appended),
            );
            appended += 1;
            if random.random_range(0..4) == 0 {
                log.sync_to(log.reach.end()).unwrap();
                synced = appended;
            }
        }
        log.flush(false).unwrap();
        let mut disk = disk.after_crash(&mut random, [0, 20, 50, 90, 100][seed as usize % 5]);
        abandon(log);
        // Power goes again and again while recovery is at work.
        for round in 0..random.random_range(0..4) {
            disk.fail_after(Some(random.random_range(0..6)), None);
            if let Ok((log, model)) = open(&disk) {
                check_prefix(
                    &model,
                    &log,
                    synced,
                    appended,
                    &format!("seed {seed} round {round}"),
                );
                synced = model.live.len();
                abandon(log);
            }
            disk = disk.after_crash(&mut random, 50);
        }
        let (log, model) = open(&disk).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        check_prefix(&model, &log, synced, appended, &format!("seed {seed}"));
        // What is written now comes back too, and nothing of what was discarded.
        let n = model.live.len();
        put_synced(&log, n as u64 + 1, &(n as u64).to_le_bytes(), &filler(n));
        abandon(log);
        let (log, model) = open(&disk).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        check_prefix(&model, &log, n + 1, n + 1, &format!("seed {seed} after"));
        abandon(log);
    }
}

fn ten_commits() -> (Disk, Vec<(u64, u64)>) {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    let mut frames = Vec::new();
    for i in 0..10u64 {
        let appended = put(&log, i + 1, &i.to_le_bytes(), &[i as u8; 100]);
        log.sync_to(appended.end).unwrap();
        let start = log.medium.place(appended.locations[0].address()).1 - 80;
        frames.push((
            start,
            start + appended.end % log.medium.segment_bytes()
                - appended.batch_id % log.medium.segment_bytes(),
        ));
    }
    abandon(log);
    (disk, frames)
}

#[test]
fn a_last_write_torn_at_any_byte_is_the_end() {
    let (disk, frames) = ten_commits();
    let (from, to) = frames[9];
    for at in from..to {
        let torn = disk.copy();
        // The last 8 bytes are padding: zeros already.
        let mut changed = false;
        for byte in at..to {
            torn.edit(byte, |b| {
                changed |= *b != 0;
                *b = 0;
            });
        }
        let (log, model) = open(&torn).unwrap();
        assert_eq!(
            model.live.len(),
            if changed { 9 } else { 10 },
            "torn at {at} of {from}..{to}"
        );
        abandon(log);
    }
}

#[test]
fn damage_below_the_horizon_is_an_error_that_names_the_place() {
    let (disk, frames) = ten_commits();
    for (i, (from, to)) in frames.iter().enumerate().take(8) {
        for at in (*from..*to).step_by(13) {
            let damaged = disk.copy();
            damaged.edit(at, |b| *b ^= 0x10);
            let error = open(&damaged)
                .err()
                .unwrap_or_else(|| panic!("frame {i} byte {at}"));
            assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
            assert!(
                error
                    .to_string()
                    .contains(&format!("disk is damaged at offset {from}")),
                "{error}"
            );
        }
    }
}

#[test]
fn a_flipped_bit_in_a_segment_header_is_survived() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    put_synced(&log, 1, b"a", b"1");
    put_synced(&log, 2, b"b", b"2");
    abandon(log);
    for slot in 0..2 {
        let damaged = disk.copy();
        damaged.edit(MIB + slot * 4096 + 40, |b| *b ^= 1);
        assert_eq!(open(&damaged).unwrap().1.live.len(), 2);
    }
    disk.edit(MIB + 40, |b| *b ^= 1);
    disk.edit(MIB + 4096 + 40, |b| *b ^= 1);
    assert_eq!(open(&disk).err().unwrap().kind(), ErrorKind::Damaged);
}

#[test]
fn frames_of_an_older_epoch_never_chain() {
    // Batch 1 is lost, batch 2 and a whole later segment survive unsynced.
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    put_synced(&log, 1, b"a", b"1");
    let lost = put(&log, 2, b"lost", b"x");
    for i in 0..20 {
        put(&log, i + 3, b"late", &[1; 200_000]);
    }
    log.flush(false).unwrap();
    let at = log.medium.place(lost.locations[0].address()).1;
    let epoch = log.reach.epoch();
    abandon(log);
    let disk = disk.copy();
    disk.edit(at, |b| *b ^= 1);
    for _ in 0..3 {
        let (log, model) = open(&disk).unwrap();
        assert_eq!(model.live.len(), 1);
        abandon(log);
    }
    let (log, _) = open(&disk).unwrap();
    assert!(log.stats().used_bytes == MIB);
    put_synced(&log, 100, b"b", b"2");
    assert!(log.reach.epoch() > epoch);
    abandon(log);
    assert_eq!(open(&disk).unwrap().1.live.len(), 2);
}

#[test]
fn a_batch_over_many_segments_is_whole_or_absent() {
    for seed in 0..20 {
        let mut random = SmallRng::seed_from_u64(seed);
        let disk = Disk::new("disk", 64 * MIB);
        let log = create(&disk);
        put_synced(&log, 1, b"a", b"1");
        let mut batch = Batch::new(BatchKind::Commit);
        for i in 0..40u64 {
            batch.push(20, i + 2, false, &i.to_le_bytes(), Some(&[3; 100_000]));
        }
        let appended = log.append(&mut batch, false).unwrap();
        if seed % 4 == 0 {
            log.sync_to(appended.end).unwrap();
        } else {
            log.flush(false).unwrap();
        }
        let disk = disk.after_crash(&mut random, if seed % 2 == 0 { 100 } else { 97 });
        abandon(log);
        let (_, model) = open(&disk).unwrap();
        assert!(
            model.live.len() == 41 || (seed % 4 != 0 && model.live.len() == 1),
            "{}",
            model.live.len()
        );
    }
}

#[test]
fn growing_files_that_lost_their_end_are_refused() {
    let disk = Disk::growing("disk", 256 * MIB);
    let log = create(&disk);
    put_synced(&log, 1, b"a", b"1");
    log.close().unwrap();
    disk.cut_to(disk.len() - MIB);
    assert_eq!(open(&disk).err().unwrap().kind(), ErrorKind::DeviceMismatch);
}
