//! A child of fork leaves alone what its parent has open: nothing of it works there, closing and dropping it
//! do nothing, and opening meets the parent's lock. The children are real ones.
//!
//! A process of their own, and one after the other: a child keeps what any test had open (a block device stays
//! claimed until it ends), and one that opens a volume is to be forked while no other thread is in a call.
#![expect(
    clippy::disallowed_methods,
    reason = "tests have files, threads and times of their own"
)]
#![expect(unsafe_code, reason = "forks")]

mod memory;

use std::{
    ffi::c_int,
    io::Read,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use heliumdb::{
    Datastore, ErrorKind, Position, Readable, Result, Volume, VolumeOptions, upkeep::BackupFrom,
};

unsafe extern "C" {
    fn fork() -> c_int;
    fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn _exit(status: c_int) -> !;
    fn kill(process: c_int, signal: c_int) -> c_int;
    fn close(descriptor: c_int) -> c_int;
    fn fcntl(descriptor: c_int, command: c_int, ...) -> c_int;
    fn write(descriptor: c_int, bytes: *const u8, count: usize) -> isize;
}

const NO_WAIT: c_int = 1;
const GET_FLAGS: c_int = 1;
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A child, which tells what went wrong, if anything did, through a file.
struct Child<'a> {
    process: c_int,
    complaint: &'a Path,
}

impl<'a> Child<'a> {
    fn start(complaint: &'a Path, work: impl FnOnce() -> Result<(), String>) -> Self {
        // SAFETY: the child uses what a copy of this process may use: its own memory and descriptors.
        let process = unsafe { fork() };
        assert!(process >= 0, "fork");
        if process == 0 {
            let why = match catch_unwind(AssertUnwindSafe(work)) {
                Ok(Ok(())) => String::new(),
                Ok(Err(why)) => why,
                Err(_) => "it panicked".to_owned(),
            };
            if !why.is_empty() {
                let _ = std::fs::write(complaint, &why);
            }
            // SAFETY: ends the child at once, without what the test's process would do at its end.
            unsafe { _exit(c_int::from(!why.is_empty())) };
        }
        Self { process, complaint }
    }

    /// Waits for it, and says what it said.
    #[track_caller]
    fn ends(self) {
        let start = Instant::now();
        let mut status = 0;
        // SAFETY: the child is ours, and the status a number.
        while unsafe { waitpid(self.process, &mut status, NO_WAIT) } == 0 {
            if start.elapsed() > PATIENCE {
                // SAFETY: as above.
                unsafe { kill(self.process, 9) };
                panic!("the child hangs");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let why = std::fs::read_to_string(self.complaint).unwrap_or_default();
        assert_eq!((status, why.as_str()), (0, ""));
    }
}

#[track_caller]
fn in_child(complaint: &Path, work: impl FnOnce() -> Result<(), String>) {
    Child::start(complaint, work).ends();
}

fn url(folder: &tempfile::TempDir) -> String {
    format!("he://./{}/v", folder.path().display())
}

fn refused<T>(what: &str, done: Result<T>) -> Result<(), String> {
    match done {
        Err(why) if why.kind() == ErrorKind::Forked => Ok(()),
        Err(why) => Err(format!("{what}: {why} ({:?})", why.kind())),
        Ok(_) => Err(format!("{what} worked")),
    }
}

/// All that a child may try with what it inherited.
fn all_refused(volume: &Volume, items: &Datastore) -> Result<(), String> {
    refused("get", items.get(b"a"))?;
    refused("put", items.put(b"a", b"child"))?;
    refused("delete", items.delete(b"a"))?;
    refused("take", items.remove(b"a"))?;
    refused("merge", items.update_fetch(b"a", |_| None))?;
    refused("contains", items.contains_key(b"a"))?;
    refused("multi_get", items.multi_get(&[b"a"]))?;
    refused("nearest", items.nearest(Position::First))?;
    refused("compact", items.compact())?;
    refused("remove_damaged", items.remove_damaged(&mut |_, _| {}))?;
    refused("flush", volume.flush())?;
    refused("begin", volume.begin())?;
    refused("snapshot", volume.snapshot())?;
    refused("checkpoint", volume.checkpoint())?;
    refused("create", volume.create_datastore(b"child"))?;
    refused("datastore", volume.datastore(b"items"))?;
    refused("truncate", volume.truncate_datastore(items.id()))?;
    refused("remove", volume.drop_datastore(items.id()))?;
    refused("verify", volume.verify(&mut |_| true))?;
    refused("clean", volume.clean())?;
    refused(
        "backup",
        volume.backup(BackupFrom::Newest, volume, &mut |_| true),
    )?;
    refused(
        "batch",
        volume
            .batch()
            .put(items, b"a", b"child")
            .and_then(|b| b.commit(heliumdb::Durability::Synced)),
    )?;
    refused("close", volume.close())
}

#[test]
fn a_child_is_refused_and_its_parent_goes_on() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let complaint = folder.path().join("complaint");
    let volume = Volume::open(&url(&folder), &VolumeOptions::default()).unwrap();
    let items = volume.create_datastore(b"items").unwrap();
    items.put(b"a", b"parent").unwrap();
    let mut txn = volume.begin().unwrap();
    txn.put(&items, b"b", b"parent").unwrap();
    let snapshot = volume.snapshot().unwrap();
    let mut range = items.iter();
    let (mut inherited, copy, iterated) = (
        Some((volume, items, txn, snapshot)),
        url(&folder),
        &mut range,
    );
    in_child(&complaint, || {
        let (volume, items, mut txn, snapshot) = inherited.take().ok_or("nothing inherited")?;
        all_refused(&volume, &items)?;
        refused("get of a snapshot", snapshot.get(&items, b"a"))?;
        refused("get of a transaction", txn.get(&items, b"a"))?;
        refused("put of a transaction", txn.put(&items, b"c", b"child"))?;
        refused(
            "a walk",
            iterated
                .next()
                .unwrap_or(Err(heliumdb::Error::new(ErrorKind::Closed, "nothing"))),
        )?;
        refused("commit", txn.commit())?;
        drop((snapshot, items, volume));
        match Volume::open(&copy, &VolumeOptions::default()) {
            Err(why) if why.kind() == ErrorKind::VolumeInUse => Ok(()),
            opened => Err(format!("opened beside the parent: {opened:?}")),
        }
    });
    let (volume, items, txn, snapshot) = inherited.take().unwrap();
    txn.commit().unwrap();
    drop((snapshot, range));
    items.put(b"c", b"parent").unwrap();
    volume.close().unwrap();
    drop((volume, items));
    let volume = Volume::open(&url(&folder), &VolumeOptions::default()).unwrap();
    let items = volume.datastore(b"items").unwrap();
    let found: Vec<_> = items.iter().map(|item| item.unwrap()).collect();
    let expected = [b"a", b"b", b"c"].map(|key| (key.to_vec(), b"parent".to_vec()));
    assert_eq!(found, expected);
}

/// Whatever the parent's threads hold when it forks: they are not there to let go of it.
#[test]
fn children_of_a_busy_parent_end() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let complaint = folder.path().join("complaint");
    let volume = Volume::open(&url(&folder), &VolumeOptions::default()).unwrap();
    let items = volume.create_datastore(b"items").unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3u32)
            .map(|writer| {
                let (volume, items, stop) = (&volume, &items, &stop);
                scope.spawn(move || {
                    let mut written = 0u32;
                    while !stop.load(Ordering::Relaxed) {
                        let key = [writer.to_be_bytes(), written.to_be_bytes()].concat();
                        items.put(&key, [7; 100]).unwrap();
                        written += 1;
                        if written.is_multiple_of(64) {
                            volume.flush().unwrap();
                        }
                    }
                    written
                })
            })
            .collect();
        let mut inherited = Some((volume.clone(), items.clone()));
        for _ in 0..20 {
            in_child(&complaint, || {
                let (volume, items) = inherited.take().ok_or("nothing inherited")?;
                refused("get", items.get(b"a"))?;
                refused("put", items.put(b"a", b"child"))?;
                // The last handles of the child's copy, as far as it knows.
                drop(volume.close());
                drop((volume, items));
                Ok(())
            });
        }
        stop.store(true, Ordering::Relaxed);
        let written: u32 = writers.into_iter().map(|w| w.join().unwrap()).sum();
        assert_eq!(items.iter().count() as u32, written);
    });
    volume.close().unwrap();
    drop((volume, items));
    let volume = Volume::open(&url(&folder), &VolumeOptions::default()).unwrap();
    assert_eq!(volume.verify(&mut |_| true).unwrap().damaged, 0);
}

#[test]
fn a_child_opens_it_itself_once_the_parent_has_closed_it() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let complaint = folder.path().join("complaint");
    let volume = Volume::open(&url(&folder), &VolumeOptions::default()).unwrap();
    volume.create_datastore(b"items").unwrap();
    let (mut closed, told) = std::io::pipe().unwrap();
    let mut told = Some(told);
    let child = Child::start(&complaint, || {
        // Its copy of this end would keep it waiting.
        told.take();
        closed.read(&mut [0]).map_err(|why| why.to_string())?;
        let why = |why: heliumdb::Error| why.to_string();
        let own = Volume::open(&url(&folder), &VolumeOptions::default()).map_err(why)?;
        own.datastore(b"items")
            .map_err(why)?
            .put(b"a", b"child")
            .map_err(why)?;
        own.close().map_err(why)
    });
    volume.close().unwrap();
    drop(told);
    child.ends();
    drop(volume);
    let volume = Volume::open(&url(&folder), &VolumeOptions::default()).unwrap();
    let items = volume.datastore(b"items").unwrap();
    assert_eq!(items.get(b"a").unwrap().unwrap(), b"child");
}

/// A program that has closed its standard descriptors, and prints all the same.
#[test]
fn what_a_program_prints_never_goes_into_a_volume() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let complaint = folder.path().join("complaint");
    in_child(&complaint, || {
        for descriptor in 0..3 {
            // SAFETY: nobody in this process prints before the end of the test.
            unsafe { close(descriptor) };
        }
        let why = |why: heliumdb::Error| why.to_string();
        let volume = Volume::open(&url(&folder), &VolumeOptions::default()).map_err(why)?;
        let items = volume.create_datastore(b"items").map_err(why)?;
        items.put(b"a", b"value").map_err(why)?;
        for descriptor in 0..3 {
            let line = b"a line that somebody prints\n";
            // SAFETY: only asks, and writes a line to where nothing is.
            let (flags, wrote) = unsafe {
                (
                    fcntl(descriptor, GET_FLAGS),
                    write(descriptor, line.as_ptr(), line.len()),
                )
            };
            if flags != -1 || wrote != -1 {
                return Err(format!("something is kept under {descriptor}"));
            }
        }
        volume.close().map_err(why)
    });
    let volume = Volume::open(&url(&folder), &VolumeOptions::default()).unwrap();
    let items = volume.datastore(b"items").unwrap();
    assert_eq!(items.get(b"a").unwrap().unwrap(), b"value");
}
