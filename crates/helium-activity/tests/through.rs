//! Reading a volume through whoever has it open: what is seen, and what a reader may take.

use std::{
    io::{Read, Write},
    ops::Bound,
    os::unix::net::UnixStream,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use helium_activity::{Limits, Publisher, Reading, Remote, Walk, Wanted, find};
use heliumdb::{
    Datastore, DatastoreOptions, ErrorKind, Volume, VolumeOptions,
    host::{Change, Mode},
};

/// Longest time that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

struct Scene {
    _folder: tempfile::TempDir,
    url: String,
    volume: Volume,
    store: Datastore,
}

fn key(number: u32) -> Vec<u8> {
    format!("{number:05}").into_bytes()
}

impl Scene {
    fn new() -> Self {
        Self::with(&VolumeOptions::default())
    }

    fn with(options: &VolumeOptions) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("he:///{}", folder.path().join("v").display());
        let volume = Volume::open(&url, options).expect("a volume");
        let store = volume
            .open_datastore(
                "store",
                &DatastoreOptions::new().create(true).attributes("about it"),
            )
            .expect("made");
        Self {
            _folder: folder,
            url,
            volume,
            store,
        }
    }

    fn publish(&self, limits: Limits) -> Publisher {
        Publisher::start_with(&self.volume, "test", Reading::Snapshots, limits).expect("a socket")
    }

    fn remote(&self) -> heliumdb::Result<Remote> {
        Remote::open(&self.url).map(|found| found.expect("it is open"))
    }

    fn socket(&self) -> PathBuf {
        let found = find(Some(&self.url)).expect("the folder");
        found[0].0.with_extension("read")
    }

    /// Waits until nothing that a reader saw is kept any more.
    fn await_let_go(&self) {
        self.until("a reader's moment is kept", || {
            self.volume.background_step().expect("a step");
            self.volume.version_bytes() == 0
        });
    }

    fn until(&self, complaint: &str, mut done: impl FnMut() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < PATIENCE, "{complaint}");
            thread::yield_now();
        }
    }
}

fn walk(low: Bound<Vec<u8>>, high: Bound<Vec<u8>>, backward: bool, wanted: Wanted) -> Walk {
    Walk {
        low,
        high,
        backward,
        wanted,
        ..Walk::all(wanted)
    }
}

#[test]
fn a_reader_sees_the_moment_at_which_it_came() {
    let scene = Scene::new();
    let (volume, store) = (&scene.volume, &scene.store);
    // More than a chunk, and the longest value.
    for number in 0..3_000 {
        store.put(key(number), [number as u8; 200]).expect("put");
    }
    let longest = vec![7; heliumdb::limits::VALUE_BYTES_MAX];
    store.put(b"long", &longest).expect("put");
    let mut how = DatastoreOptions::default();
    (how.create, how.unordered) = (true, true);
    let hashed = volume.open_datastore(b"hashed", &how).expect("made");
    for number in 0..3_000 {
        hashed.put(key(number), [1; 200]).expect("put");
    }
    let mut open = volume.begin().expect("a transaction");
    open.put(store, b"uncommitted", b"no").expect("put");
    let _publisher = scene.publish(Limits::default());
    let mut remote = scene.remote().expect("connected");
    // None of this shows.
    open.commit().expect("committed");
    store.delete_range(key(10)..).expect("deleted");
    store.put(key(1), b"new").expect("put");
    volume.truncate_datastore(hashed.id()).expect("emptied");
    volume.create_datastore(b"late").expect("made");
    volume
        .rename_datastore(store.id(), b"renamed")
        .expect("renamed");

    assert_eq!(remote.id(), volume.id());
    assert_eq!(remote.process(), u64::from(std::process::id()));
    assert_eq!(remote.command(), "test");
    let stores = remote.datastores().expect("a list");
    let names: Vec<_> = stores
        .iter()
        .map(|store| store.info.name.as_slice())
        .collect();
    assert_eq!(names, [b"hashed".as_slice(), b"store"]);
    assert_eq!(stores[1].info.attributes, b"about it");
    assert!(stores[0].info.unordered && !stores[1].info.unordered);
    let id = store.id();
    assert_eq!(remote.get(id, &key(1)).expect("read"), Some(vec![1; 200]));
    assert_eq!(remote.get(id, b"uncommitted").expect("read"), None);
    assert_eq!(remote.get(id, b"long").expect("read"), Some(longest));
    let items: Vec<_> = remote
        .items(&stores[1].info)
        .collect::<heliumdb::Result<_>>()
        .expect("all");
    assert_eq!(items.len(), 3_001);
    assert!(items.is_sorted());
    for (number, (found, value)) in items[..3_000].iter().enumerate() {
        assert_eq!(
            (found, value),
            (&key(number as u32), &vec![number as u8; 200])
        );
    }
    let mut unordered: Vec<_> = remote
        .items(&stores[0].info)
        .map(|item| item.expect("an item").0)
        .collect();
    unordered.sort();
    assert_eq!(unordered, (0..3_000).map(key).collect::<Vec<_>>());
    let (low, high) = (Bound::Excluded(key(5)), Bound::Included(key(2_000)));
    for backward in [false, true] {
        let mut wanted: Vec<_> = (6..=2_000).map(key).collect();
        if backward {
            wanted.reverse();
        }
        let asked = walk(low.clone(), high.clone(), backward, Wanted::Keys);
        let found = remote
            .range(id, asked.clone())
            .map(|item| item.expect("a key"));
        let found: Vec<_> = found
            .map(|(key, value)| {
                assert!(value.is_empty());
                key
            })
            .collect();
        assert_eq!(found, wanted);
        let some = Walk { most: 700, ..asked };
        assert_eq!(remote.range(id, some).count(), 700);
    }
    let lengths = walk(
        Bound::Included(b"l".to_vec()),
        Bound::Unbounded,
        false,
        Wanted::Lengths,
    );
    let mut lengths = remote.range(id, lengths);
    let length = lengths.next_length().expect("one").expect("its length");
    assert_eq!(
        length,
        (b"long".to_vec(), heliumdb::limits::VALUE_BYTES_MAX as u64)
    );
    assert!(lengths.next_length().is_none());
    let figures = remote.figures().expect("figures");
    let items = figures.iter().find(|(name, _)| name == "items");
    assert_eq!(items.expect("known").1, volume.stats().items);
    drop(remote);
    scene.await_let_go();
}

#[test]
fn there_are_no_more_readers_than_may_be() {
    let scene = Scene::new();
    let limits = Limits {
        readers: 2,
        ..Limits::default()
    };
    let publisher = scene.publish(limits);
    let first = scene.remote().expect("connected");
    let mut second = scene.remote().expect("connected");
    let refused = scene.remote().err().expect("one too many");
    assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
    assert!(refused.to_string().contains("2 others"), "{refused}");
    drop(first);
    scene.until("its place is not given to others", || {
        scene.remote().is_ok()
    });
    // The end of the publisher ends them, and says so.
    drop(publisher);
    let ended = second.figures().expect_err("nobody is there");
    assert!(ended.to_string().contains("closes the volume"), "{ended}");
}

#[test]
fn a_reader_is_let_go_when_its_lease_ends() {
    let scene = Scene::new();
    let limits = Limits {
        lease: Duration::from_millis(300),
        ..Limits::default()
    };
    let _publisher = scene.publish(limits);
    let mut remote = scene.remote().expect("connected");
    let mut ended = None;
    scene.until("a lease never ends", || {
        ended = remote.figures().err();
        ended.is_some()
    });
    let ended = ended.expect("it was told");
    assert_eq!(ended.kind(), ErrorKind::Busy, "{ended}");
    assert!(ended.to_string().contains("let this reader go"), "{ended}");
}

#[test]
fn a_reader_that_asks_for_nothing_is_let_go() {
    let scene = Scene::new();
    scene.store.put(b"a", b"1").expect("put");
    let limits = Limits {
        idle: Duration::from_millis(200),
        ..Limits::default()
    };
    let _publisher = scene.publish(limits);
    let mut remote = scene.remote().expect("connected");
    scene.store.put(b"a", b"2").expect("put");
    scene.await_let_go();
    let told = remote.get(scene.store.id(), b"a").expect_err("too late");
    assert!(told.to_string().contains("asked for nothing"), "{told}");
}

/// It asks, and takes no answers: the buffers between the two fill up.
#[test]
fn a_reader_that_takes_no_answers_is_let_go() {
    let scene = Scene::new();
    scene.store.put(b"a", vec![1; 4 << 20]).expect("put");
    let limits = Limits {
        patience: Duration::from_millis(300),
        ..Limits::default()
    };
    let _publisher = scene.publish(limits);
    let mut reader = UnixStream::connect(scene.socket()).expect("connected");
    reader.write_all(&hello(1)).expect("sent");
    let mut answer = [0; 4];
    reader.read_exact(&mut answer).expect("it answers");
    scene.store.put(b"a", b"2").expect("put");
    let mut get = vec![4];
    get.extend(scene.store.id().0.to_le_bytes());
    get.extend(1u32.to_le_bytes());
    get.push(b'a');
    reader.write_all(&frame(&get)).expect("sent");
    scene.await_let_go();
    drop(reader);
}

/// Writers need the memory that keeps a reader's moment: they get it.
#[test]
fn a_reader_does_not_use_up_the_memory_for_versions() {
    let mut options = VolumeOptions::default();
    options.version_budget_bytes = 64 << 10;
    let scene = Scene::with(&options);
    let _publisher = scene.publish(Limits::default());
    let mut remote = scene.remote().expect("connected");
    let mut number = 0;
    scene.until("writers are refused for ever", || {
        number += 1;
        let put = scene.store.put(key(number % 10_000), b"v");
        if let Err(why) = &put {
            assert_eq!(why.kind(), ErrorKind::VersionBudget, "{why}");
        }
        number > 10_000 && put.is_ok() && scene.volume.version_bytes() == 0
    });
    let told = remote.figures().expect_err("it was let go");
    assert!(told.to_string().contains("needs the memory"), "{told}");
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    let mut frame = (bytes.len() as u32).to_le_bytes().to_vec();
    frame.extend_from_slice(bytes);
    frame
}

fn hello(version: u32) -> Vec<u8> {
    let mut hello = vec![1, 12, 0, 0, 0];
    hello.extend_from_slice(b"helium reads");
    hello.extend(version.to_le_bytes());
    frame(&hello)
}

/// What the process that has the volume open says to who sends it `bytes`.
fn told(scene: &Scene, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(scene.socket()).expect("connected");
    stream.write_all(bytes).expect("sent");
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("nothing more");
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        // It has ended without having read all.
        Err(why) => assert_eq!(why.kind(), std::io::ErrorKind::ConnectionReset, "{why}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn strangers_on_the_socket_do_no_harm() {
    let scene = Scene::new();
    scene.store.put(b"a", b"1").expect("put");
    let _publisher = scene.publish(Limits::default());
    let hi = hello(1);
    assert!(told(&scene, &hello(99)).contains("version 99"));
    assert!(told(&scene, b"GET / HTTP/1.1\r\n\r\n").is_empty());
    assert!(told(&scene, &[0; 64]).is_empty());
    assert!(told(&scene, &[0xff; 64]).is_empty());
    assert!(told(&scene, &frame(&[9; 40])).contains("no reader begins"));
    for len in 0..hi.len() {
        assert!(told(&scene, &hi[..len]).is_empty(), "{len}");
    }
    let garbage = [&hi[..], &frame(&[200, 1, 2, 3])].concat();
    assert!(told(&scene, &garbage).contains("that is no request"));
    let cut = [&hi[..], &frame(&[4, 16, 0])].concat();
    assert!(told(&scene, &cut).contains("that is no request"));
    let nowhere = [&hi[..], &frame(&[6, 255, 255, 0, 0])].concat();
    assert!(told(&scene, &nowhere).contains("no datastore 65535"));
    let unasked = [&hi[..], &frame(&[7]), &frame(&[7])].concat();
    assert!(!told(&scene, &unasked).is_empty());
    let mut remote = scene.remote().expect("connected");
    assert_eq!(
        remote.get(scene.store.id(), b"a").expect("read"),
        Some(b"1".to_vec())
    );
}

/// Who keeps transactions itself goes on to, whoever asks.
#[test]
fn a_program_that_lets_nobody_read_is_left_alone() {
    let scene = Scene::new();
    let limits = Limits::default();
    let publisher = Publisher::start_with(&scene.volume, "test", Reading::Not, limits);
    let _publisher = publisher.expect("a socket");
    let refused = scene.remote().err().expect("refused");
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    struct All;
    impl heliumdb::host::View for All {
        fn own(&self) -> u64 {
            1
        }
        fn isolation(&self) -> heliumdb::Isolation {
            heliumdb::Isolation::Snapshot
        }
        fn sees(&self, _: u64) -> bool {
            true
        }
    }
    let mut txn = heliumdb::host::WriteSet::new(1);
    txn.write(&scene.store, &All, b"k", Change::Put(b"v"), Mode::Any)
        .expect("nobody else keeps transactions");
    txn.commit(heliumdb::Durability::Buffered)
        .expect("committed");
}
