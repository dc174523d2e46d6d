//! What keeps a segment from being freed or reused, and who may not write at all.

use super::*;
use crate::{
    ErrorKind,
    device::{Device, FileDevice},
    log::table,
};
use std::{
    sync::atomic::Ordering::Acquire,
    time::{Duration, Instant},
};

fn steps(log: &OpenLog) {
    for _ in 0..20 {
        log.background_step().unwrap();
    }
}

fn in_use(log: &Log, at: Location) -> bool {
    let ledger = log.ledger.lock();
    ledger.in_use.values().any(|id| *id == at.address() / MIB)
}

/// Some segments full of dead items.
fn filler(log: &Log, seq: u64) {
    for i in 0..10 {
        log.mark_dead(put(log, seq + i, b"filler", &[0; 200_000]).locations[0]);
    }
}

fn prepare(log: &Log, number: u64, value: Option<&[u8]>) -> (GlobalTxn, Appended) {
    let global = GlobalTxn {
        decider: crate::VolumeId([9; 16]),
        number,
    };
    let mut batch = Batch::new(BatchKind::Prepare {
        global,
        participants: vec![log.medium.volume_id()],
    });
    batch.push(1, number, false, b"prepared", value);
    (global, log.append(&mut batch, true).unwrap())
}

#[test]
fn a_prepared_batch_stays_until_it_is_resolved() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    // A tombstone: nothing in it is live, and nothing older could come back.
    let (global, prepared) = prepare(&log, 1, None);
    filler(&log, 10);
    steps(&log);
    assert!(in_use(&log, prepared.locations[0]));
    log.append_resolve(global, false).unwrap();
    filler(&log, 30);
    steps(&log);
    assert!(!in_use(&log, prepared.locations[0]));
}

#[test]
fn a_resolve_record_stays_as_long_as_its_batch() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    let keep = put(&log, 1, b"keep", b"v").locations[0];
    let (global, prepared) = prepare(&log, 2, Some(b"v"));
    log.mark_dead(prepared.locations[0]);
    filler(&log, 10);
    log.append_resolve(global, false).unwrap();
    let beside = put(&log, 20, b"beside", b"v").locations[0];
    log.mark_dead(beside);
    filler(&log, 30);
    steps(&log);
    assert!(in_use(&log, beside), "the record's segment");
    log.mark_dead(keep);
    steps(&log);
    steps(&log);
    assert!(!in_use(&log, prepared.locations[0]) && !in_use(&log, beside));
}

/// Batches over the ends of segments, of which all but the first item is dead: the segment that such
/// a batch ends in says that it is whole.
fn all_but_the_first_are_dead(kind: &BatchKind) -> (OpenLog, Vec<Location>) {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    let mut places = Vec::new();
    for i in 0..6u64 {
        let mut batch = Batch::new(kind.clone());
        for j in 0..4 {
            let seq = 4 * i + j + 1;
            batch.push(1, seq, false, &seq.to_be_bytes(), Some(&[0; 200_000]));
        }
        let appended = match kind {
            BatchKind::Checkpoint => log.append_checkpoint(&mut batch),
            _ => log.append(&mut batch, false),
        };
        places.extend(appended.unwrap().locations);
    }
    places[1..].iter().for_each(|at| log.mark_dead(*at));
    filler(&log, 100);
    steps(&log);
    (log, places)
}

#[test]
fn a_batch_over_two_segments_keeps_the_second_for_the_first() {
    let (log, places) = all_but_the_first_are_dead(&BatchKind::Commit);
    assert!(in_use(&log, places[0]) && in_use(&log, places[5]));
}

#[test]
fn pages_of_a_checkpoint_keep_only_their_own_segments() {
    let (log, places) = all_but_the_first_are_dead(&BatchKind::Checkpoint);
    assert!(in_use(&log, places[0]));
    let first = places[0].address() / MIB;
    for at in places.iter().filter(|at| at.address() / MIB != first) {
        assert!(!in_use(&log, *at), "{at:?}");
    }
}

#[test]
fn a_freed_segment_waits_for_readers_that_may_hold_a_place_in_it() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = create(&disk);
    let reader = crossbeam_epoch::pin();
    let at = put(&log, 1, b"old", b"v").locations[0];
    log.mark_dead(at);
    filler(&log, 10);
    steps(&log);
    let segment = log.table.get(at.address() / MIB).unwrap();
    assert!(!in_use(&log, at));
    assert_eq!(segment.state.load(Acquire), table::LEAVING);
    drop(reader);
    // Other tests' threads are pinned now and then.
    let patience = Instant::now() + Duration::from_secs(60);
    while segment.state.load(Acquire) != table::FREE {
        assert!(Instant::now() < patience, "never admitted again");
        steps(&log);
    }
}

fn with_thread(disk: &Disk) -> OpenLog {
    let options = VolumeOptions {
        background_thread: true,
        ..quiet()
    };
    OpenLog::create(vec![disk.device()], &options).unwrap()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < patience, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_background_thread_writes_ahead_frees_and_is_joined() {
    let disk = Disk::growing("disk", 256 * MIB);
    let log = with_thread(&disk);
    // Nothing is, beside a log that has next to nothing.
    for i in 0..8 {
        log.mark_dead(put(&log, 2 + i, b"filler", &[0; 200_000]).locations[0]);
    }
    put_synced(&log, 1, b"a", b"v");
    wait_until("a segment written ahead", || {
        !log.space.lock().ready.is_empty()
    });
    for i in 0..200 {
        log.mark_dead(put(&log, 10 + i, b"filler", &[0; 200_000]).locations[0]);
    }
    // The one with the live item, and the one being filled.
    wait_until("dead segments freed", || {
        log.ledger.lock().in_use.len() <= 2
    });
    log.close().unwrap();
    assert!(!log.has_worker());
    drop(log);
    assert_eq!(open(&disk).unwrap().1.live.len(), 2);
}

#[test]
fn a_failure_in_the_background_poisons() {
    let disk = Disk::new("disk", 64 * MIB);
    let log = with_thread(&disk);
    put_synced(&log, 1, b"a", b"v");
    disk.fail_after(Some(0), None);
    let mut batch = Batch::new(BatchKind::Commit);
    batch.push(1, 2, false, b"b", Some(&[0; 200_000]));
    wait_until("poison", || {
        let _ = log.append(&mut batch, false);
        log.health.poisoned().is_some()
    });
    assert_eq!(
        log.append(&mut batch, false).unwrap_err().kind(),
        ErrorKind::Poisoned
    );
    assert!(log.close().is_err());
}

fn file(dir: &std::path::Path, read_only: bool) -> Result<Box<dyn Device>> {
    let name = dir.join("v").display().to_string();
    Ok(Box::new(FileDevice::open(&name, true, read_only)?))
}

#[test]
fn read_only_opens_share_the_file_and_leave_it_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let log = OpenLog::create(vec![file(dir.path(), false).unwrap()], &quiet()).unwrap();
    for i in 0..50u64 {
        put_synced(&log, i + 1, &i.to_le_bytes(), &[1; 3_000]);
    }
    put(&log, 51, b"lost", &[2; 20_000]);
    log.flush(false).unwrap();
    abandon(log);
    let before = std::fs::read(dir.path().join("v")).unwrap();
    let options = VolumeOptions {
        read_only: true,
        ..VolumeOptions::default()
    };
    let (mut one, mut two) = (Model::default(), Model::default());
    let first = OpenLog::open(vec![file(dir.path(), true).unwrap()], &options, &mut one).unwrap();
    let second = OpenLog::open(vec![file(dir.path(), true).unwrap()], &options, &mut two).unwrap();
    assert_eq!((one.live.len(), two.live.len()), (50, 50));
    assert_eq!(
        file(dir.path(), false).err().unwrap().kind(),
        ErrorKind::VolumeInUse
    );
    first.close().unwrap();
    second.close().unwrap();
    drop((first, second));
    assert!(std::fs::read(dir.path().join("v")).unwrap() == before);
}

#[test]
fn another_process_that_holds_the_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(file(dir.path(), false).unwrap());
    let mut command = std::process::Command::new("flock");
    command.args([
        dir.path().join("v").as_os_str(),
        "sleep".as_ref(),
        "60".as_ref(),
    ]);
    let Ok(mut holder) = command.spawn() else {
        return;
    };
    let mut message = String::new();
    wait_until("the lock", || match file(dir.path(), false) {
        Ok(_) => false,
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::VolumeInUse);
            message = e.to_string();
            true
        }
    });
    let pid = holder.id();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(
        message.contains(&format!("in use by process {pid} (flock)")),
        "{message}"
    );
}

#[test]
fn a_file_left_by_a_create_that_failed_is_taken_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let too_small = VolumeOptions {
        limit_bytes: Some(MIB),
        ..quiet()
    };
    let error = OpenLog::create(vec![file(dir.path(), false).unwrap()], &too_small).err();
    assert_eq!(error.map(|e| e.kind()), Some(ErrorKind::VolumeTooSmall));
    assert_eq!(std::fs::metadata(dir.path().join("v")).unwrap().len(), 0);
    let devices = vec![file(dir.path(), false).unwrap()];
    let log = OpenLog::open_or_create(devices, &quiet(), &mut Model::default()).unwrap();
    put_synced(&log, 1, b"a", b"v");
}

/// A file system of so many MiB; `None` where one cannot be mounted.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(mib: u64) -> Option<Self> {
        let dir = tempfile::tempdir().ok()?;
        let size = format!("size={mib}m");
        let mut mount = std::process::Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir.path());
        mount.stderr(std::process::Stdio::null());
        mount
            .status()
            .is_ok_and(|s| s.success())
            .then_some(Self(dir))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg(self.0.path())
            .status();
    }
}

#[test]
fn a_full_file_system_is_a_full_volume_and_loses_nothing() {
    let Some(mounted) = Mounted::new(100) else {
        return;
    };
    let log = OpenLog::create(vec![file(mounted.0.path(), false).unwrap()], &quiet()).unwrap();
    let mut batch = Batch::new(BatchKind::Commit);
    let mut count = 0u64;
    let error = loop {
        batch.clear(BatchKind::Commit);
        batch.push(
            1,
            count + 1,
            false,
            &count.to_le_bytes(),
            Some(&[1; 100_000]),
        );
        match log.append(&mut batch, false) {
            Ok(appended) => log.sync_to(appended.end).unwrap(),
            Err(e) => break e,
        }
        count += 1;
    };
    assert_eq!(error.kind(), ErrorKind::VolumeFull, "{error}");
    assert!(count > 100, "{count}");
    assert!(log.health.poisoned().is_none());
    batch.clear(BatchKind::Commit);
    batch.push(1, count + 1, false, &0u64.to_le_bytes(), None);
    let deleted = log.append(&mut batch, true).unwrap();
    log.sync_to(deleted.end).unwrap();
    drop(log);
    let mut model = Model::default();
    let device = file(mounted.0.path(), false).unwrap();
    let log = OpenLog::open(vec![device], &quiet(), &mut model).unwrap();
    assert_eq!(model.live.len() as u64, count);
    for i in 1..count {
        let value = model.value(&log, 1, &i.to_le_bytes());
        assert_eq!(value, Some(vec![1; 100_000]));
    }
}
