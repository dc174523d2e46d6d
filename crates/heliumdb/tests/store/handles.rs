//! What a handle promises: the last one to go closes the volume, whoever opens it meanwhile waits,
//! and nobody gets a handle that is not what was asked for.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use helium_sim::{DiskId, Latch, Operation, Verdict, sim_options};
use heliumdb::{Datastore, DatastoreOptions, ErrorKind, Volume, VolumeOptions, device::Device};

use crate::common::{machine, open_one};

fn url(path: &Path) -> String {
    format!("he://{}", path.display())
}

fn small() -> VolumeOptions {
    let mut options = sim_options();
    options.background_thread = true;
    options
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("volume");
    (folder, path)
}

/// The background thread is at work, and the device holds it up: the drop of the last handle waits for
/// it, closes the volume, and leaves everything on the disk.
#[test]
fn the_drop_of_the_last_handle_closes_though_the_background_thread_is_at_work() {
    let machine = machine(0, 1);
    let latch = Latch::new();
    let device = latch.guard(machine.device(DiskId(0)));
    let mut options = small();
    options.auto_commit_period_ms = 100;
    let volume = Volume::open_devices(vec![device], &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    drop(volume);
    let is_upkeep = || std::thread::current().name() == Some("helium-upkeep");
    latch.hold(move |op| *op == Operation::Sync && is_upkeep());
    store.put(b"first", b"v").unwrap();
    // Buffered writes are made durable in the background.
    latch.await_held(1);
    store.put(b"second", b"v").unwrap();
    let is_dropped = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            drop(store);
            is_dropped.store(true, Ordering::SeqCst);
        });
        for _ in 0..10_000 {
            std::thread::yield_now();
        }
        assert!(!is_dropped.load(Ordering::SeqCst), "nothing is closed yet");
        latch.release(Verdict::Go);
    });
    let again = open_one(&crate::common::after_power_loss(&machine, 3)).unwrap();
    let store = again.datastore(b"store").unwrap();
    assert_eq!(store.len(), 2);
}

/// A copy of the file has everything, right after the drop, however often.
#[test]
fn a_copy_of_the_file_right_after_the_drop_has_everything() {
    let (folder, path) = folder();
    let copy = folder.path().join("copy");
    for round in 0..30u32 {
        let volume = Volume::open(&url(&path), &small()).unwrap();
        let mut how = DatastoreOptions::default();
        how.create = true;
        let store = volume.open_datastore(b"store", &how).unwrap();
        store.put(round.to_be_bytes(), [1; 5_000]).unwrap();
        // Has the background thread work.
        volume.clean().unwrap();
        drop(volume);
        drop(store);
        std::fs::copy(&path, &copy).unwrap();
        let copied = Volume::open(&url(&copy), &sim_options()).unwrap();
        let store = copied.datastore(b"store").unwrap();
        assert_eq!(store.len(), u64::from(round) + 1);
    }
}

/// A device whose callback may have the last handle.
struct Holding {
    device: Box<dyn Device>,
    held: Arc<Mutex<Option<(Volume, Datastore)>>>,
}

impl Device for Holding {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.device.read_at(buffer, offset)
    }
    fn write_at(&self, buffer: &[u8], offset: u64) -> std::io::Result<()> {
        self.device.write_at(buffer, offset)
    }
    fn discard(&self, offset: u64, len: u64) -> std::io::Result<()> {
        let is_background = std::thread::current()
            .name()
            .is_some_and(|name| name.starts_with("helium-"));
        if is_background {
            // The last handle goes in a thread of the volume's own: it does not wait for itself.
            let last = self.held.lock().unwrap().take();
            drop(last);
        }
        self.device.discard(offset, len)
    }
    fn sync(&self) -> std::io::Result<()> {
        self.device.sync()
    }
    fn len(&self) -> u64 {
        self.device.len()
    }
    fn grow(&self, bytes: u64) -> std::io::Result<()> {
        self.device.grow(bytes)
    }
    fn can_grow(&self) -> bool {
        self.device.can_grow()
    }
    fn name(&self) -> &str {
        "holding"
    }
}

#[test]
fn a_last_handle_that_goes_in_a_background_thread_waits_for_nobody() {
    let machine = machine(0, 1);
    let held = Arc::new(Mutex::new(None));
    let device = Holding {
        device: machine.device(DiskId(0)),
        held: held.clone(),
    };
    let volume = Volume::open_devices(vec![Box::new(device)], &small()).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    *held.lock().unwrap() = Some((volume.clone(), store.clone()));
    for round in 0..400u32 {
        store.put(b"same", vec![round as u8; 100_000]).unwrap();
        if round % 50 == 0 {
            volume.checkpoint().unwrap();
        }
    }
    volume.checkpoint().unwrap();
    drop((volume, store));
    // What was freed is given back in the background, which drops the handles. If it was all given
    // back before, they go here.
    for _ in 0..200_000 {
        if held.lock().unwrap().is_none() {
            break;
        }
        std::thread::yield_now();
    }
    // Not under the lock: closing waits for the thread that may be about to take them.
    let left = held.lock().unwrap().take();
    drop(left);
}

#[test]
fn options_that_an_open_volume_cannot_have_are_refused() {
    let (_folder, path) = folder();
    let url = url(&path);
    let volume = Volume::open(&url, &small()).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    store.put(b"k", b"v").unwrap();
    let changes: [fn(&mut VolumeOptions); 9] = [
        |o| o.truncate = true,
        |o| o.read_only = true,
        |o| o.exclusive = true,
        |o| o.limit_bytes = Some(100 << 20),
        |o| o.write_cache_bytes = 8 << 20,
        |o| o.auto_commit_period_ms = 5_000,
        |o| o.checkpoint_log_bytes = Some(u64::MAX),
        |o| o.no_trim = true,
        |o| o.scan = true,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut options = small();
        change(&mut options);
        let refused = Volume::open(&url, &options);
        let why = refused.err().unwrap_or_else(|| panic!("change {number}"));
        assert_eq!(why.kind(), ErrorKind::VolumeInUse, "change {number}: {why}");
    }
    // The same ones, and none at all, are no obstacle.
    for options in [small(), VolumeOptions::default()] {
        let again = Volume::open(&url, &options).unwrap();
        let store = again.datastore(b"store").unwrap();
        assert_eq!(store.get(b"k").unwrap(), Some(b"v".to_vec()));
    }
    drop((volume, store));
    let mut options = VolumeOptions::default();
    options.read_only = true;
    let volume = Volume::open(&url, &options).unwrap();
    let writing = Volume::open(&url, &VolumeOptions::default()).unwrap_err();
    assert_eq!(writing.kind(), ErrorKind::VolumeInUse, "{writing}");
    let reading = Volume::open(&url, &options).unwrap();
    assert_eq!(reading.id(), volume.id());
}

/// A file that was put in the place of an open one is another volume.
#[test]
fn an_open_of_a_path_opens_the_file_that_is_there_now() {
    let (folder, path) = folder();
    let old = Volume::open(&url(&path), &small()).unwrap();
    old.create_datastore(b"old").unwrap();
    // In each way: renamed over, removed, and reached by another name.
    let other = folder.path().join("other");
    let new = Volume::open(&url(&other), &small()).unwrap();
    new.create_datastore(b"new").unwrap();
    let new_id = new.id();
    drop(new);
    std::fs::rename(&other, &path).unwrap();
    let now = Volume::open(&url(&path), &small()).unwrap();
    assert_eq!(now.id(), new_id);
    assert!(now.datastore(b"new").is_ok());
    assert!(old.datastore(b"old").is_ok(), "the old one is open still");
    let link = folder.path().join("link");
    std::fs::hard_link(&path, &link).unwrap();
    let linked = Volume::open(&url(&link), &small()).unwrap();
    linked.datastore(b"new").unwrap().put(b"k", b"v").unwrap();
    assert_eq!(now.datastore(b"new").unwrap().len(), 1, "it is shared");
    std::fs::remove_file(&path).unwrap();
    let made = Volume::open(&url(&path), &small()).unwrap();
    assert!(made.id() != old.id() && made.id() != now.id());
    assert!(made.datastores().is_empty());
}

/// Opens beside closes, drops and other opens: each gives a handle that works.
#[test]
fn an_open_beside_a_close_waits_and_opens_anew() {
    let (_folder, path) = folder();
    let url = url(&path);
    let volume = Volume::open(&url, &small()).unwrap();
    volume.create_datastore(b"store").unwrap();
    drop(volume);
    let acknowledged = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let (url, acknowledged) = (&url, &acknowledged);
            scope.spawn(move || {
                for round in 0..60 {
                    let mut options = small();
                    // By itself, so that nobody else's close can be meant.
                    options.exclusive = thread == 0;
                    match Volume::open(url, &options) {
                        Ok(volume) => {
                            let store = volume.datastore(b"store").unwrap();
                            let key = [thread as u8, round];
                            store.put(key, b"v").unwrap();
                            assert!(store.contains_key(key).unwrap());
                            acknowledged.fetch_add(1, Ordering::SeqCst);
                            if thread == 0 {
                                volume.close().unwrap();
                            }
                        }
                        Err(why) => {
                            assert_eq!(why.kind(), ErrorKind::VolumeInUse, "{why}");
                            assert!(why.to_string().contains("by this process"), "{why}");
                        }
                    }
                }
            });
        }
    });
    let volume = Volume::open(&url, &small()).unwrap();
    let store = volume.datastore(b"store").unwrap();
    assert_eq!(store.len(), acknowledged.load(Ordering::SeqCst));
    assert!(!store.is_empty());
}

#[test]
fn a_handle_that_was_opened_read_only_writes_nothing() {
    let machine = machine(0, 1);
    let volume = open_one(&machine).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    store.put(b"k", b"v").unwrap();
    let reading = store.clone().read_only();
    let mut txn = volume.begin().unwrap();
    let mut batch = volume.batch();
    let refused: Vec<(&str, heliumdb::Result<()>)> = vec![
        ("put", reading.put(b"k", b"w")),
        ("insert", reading.try_insert(b"l", b"w")),
        ("replace", reading.replace(b"k", b"w")),
        ("delete", reading.delete(b"k").map(drop)),
        ("take", reading.remove(b"k").map(drop)),
        ("take of nothing", reading.remove(b"none").map(drop)),
        (
            "merge",
            reading
                .update_fetch(b"k", |_| Some(b"w".to_vec()))
                .map(drop),
        ),
        ("compact", reading.compact().map(drop)),
        (
            "remove_damaged",
            reading.remove_damaged(&mut |_, _| {}).map(drop),
        ),
        ("batch", batch.put(&reading, b"k", b"w").map(drop)),
        ("txn.take", txn.remove(&reading, b"none").map(drop)),
        ("txn.put", txn.put(&reading, b"k", b"w")),
    ];
    for (what, result) in refused {
        let why = result.err().unwrap_or_else(|| panic!("{what} was done"));
        assert_eq!(why.kind(), ErrorKind::ReadOnly, "{what}: {why}");
    }
    assert_eq!(reading.get(b"k").unwrap(), Some(b"v".to_vec()));
}
