//! Calls beside a transaction whose commit a device holds up: it is sealed, and shown to nobody yet. None of them sleeps, and
//! none goes by how long others take.
#![expect(unsafe_code, reason = "calls what C calls")]

use std::{
    ffi::{CString, c_char, c_int, c_void},
    fs, mem,
    path::Path,
    ptr,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use helium_sim::{DiskId, Latch, Machine, Operation, Verdict, sim_options};

use super::{
    exports::*,
    layouts::{HeEnv3, HeItem, HeT},
};
use crate::{
    code::Code,
    store,
    volumes::{self, OpenVolume},
};

const CREATE: c_int = 1;
const TRUNCATE: c_int = 2;

/// A handle, for any thread.
#[derive(Clone, Copy, PartialEq, Debug)]
struct He(usize);

impl He {
    fn of(handle: HeT) -> Self {
        assert!(!handle.is_null(), "{}", errno::errno());
        Self(handle.addr())
    }

    fn get(self) -> HeT {
        ptr::without_provenance_mut(self.0)
    }
}

fn item(key: &[u8], value: &mut [u8]) -> HeItem {
    HeItem {
        key: key.as_ptr().cast_mut().cast(),
        val: value.as_mut_ptr().cast(),
        key_len: key.len(),
        val_len: value.len(),
    }
}

/// What a call left: its code, and what it read.
type Done = (c_int, Option<Vec<u8>>);
type Call = fn(He) -> Done;

fn put(how: unsafe extern "C" fn(HeT, *const HeItem) -> c_int, he: He, value: &str) -> c_int {
    let mut value = value.as_bytes().to_vec();
    // SAFETY: key and value live for the call.
    unsafe { how(he.get(), &item(b"k", &mut value)) }
}

fn read(
    how: unsafe extern "C" fn(HeT, *mut HeItem, usize, usize) -> c_int,
    he: He,
) -> (c_int, Option<Vec<u8>>) {
    let mut buffer = vec![0; 100];
    let mut asked = item(b"k", &mut buffer);
    // SAFETY: key and buffer live for the call, and the buffer has so much room.
    let code = unsafe { how(he.get(), &mut asked, 0, 100) };
    buffer.truncate(asked.val_len);
    (code, (code == 0).then_some(buffer))
}

fn insert(he: He) -> Done {
    (put(he_insert, he, "outside"), None)
}

fn replace(he: He) -> Done {
    (put(he_replace, he, "outside"), None)
}

fn delete(he: He) -> Done {
    // SAFETY: the key lives for the call.
    (unsafe { he_delete(he.get(), &item(b"k", &mut [])) }, None)
}

fn delete_lookup(he: He) -> Done {
    read(he_delete_lookup, he)
}

/// Adds a plus to what is there, and tells what that was.
fn merge(he: He) -> Done {
    unsafe extern "C" fn add(seen: *mut c_void, item: *mut HeItem) -> c_int {
        // SAFETY: the call below passes these, and what is left there lives until it returns.
        unsafe {
            let seen = &mut *seen.cast::<Vec<u8>>();
            seen.clear();
            if !(*item).val.is_null() {
                let old = std::slice::from_raw_parts((*item).val.cast::<u8>(), (*item).val_len);
                seen.extend_from_slice(old);
            }
            seen.push(b'+');
            (*item).val = seen.as_mut_ptr().cast();
            (*item).val_len = seen.len();
        }
        0
    }
    let mut left: Vec<u8> = Vec::new();
    // SAFETY: the key lives for the call, and the function takes what it is given.
    let code = unsafe {
        let argument = ptr::from_mut(&mut left).cast();
        he_merge(he.get(), &item(b"k", &mut []), Some(add), argument)
    };
    (code, (code == 0).then_some(left))
}

/// A volume on a device with a latch, under the name of a file that is there.
struct Scene {
    latch: Arc<Latch>,
    volume: Arc<OpenVolume>,
    url: CString,
    he: He,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("volume");
        // A volume is known by its file, so the file's number must be nobody else's while some handle is left.
        mem::forget(fs::File::create(&path).unwrap());
        let url = format!("he://{}", path.display());
        let machine = Machine::new(0, &[64 << 20]);
        let latch = Latch::new();
        let made = || {
            let devices = vec![latch.guard(machine.device(DiskId(0)))];
            let volume = heliumdb::Volume::open_devices(devices, &sim_options()).unwrap();
            Ok(store::Volume::of(volume))
        };
        let (volume, _) = volumes::open(&url, made).unwrap();
        let url = CString::new(url).unwrap();
        let he = He::of(open(&url, "d", CREATE));
        Self {
            latch,
            volume,
            url,
            he,
            _folder: folder,
        }
    }

    /// A transaction that sets the item, or removes it.
    fn transaction(&self, value: Option<&str>) -> He {
        let tx = He::of(he_transaction(self.he.get()));
        let code = match value {
            Some(value) => put(he_update, tx, value),
            None => delete(tx).0,
        };
        assert_eq!(code, 0);
        tx
    }

    fn value(&self) -> Option<Vec<u8>> {
        read(he_lookup, self.he).1
    }

    /// Does `meanwhile` while the transaction's commit is held up, and then lets it go on: its code.
    fn beside_commit<R>(
        &self,
        tx: He,
        verdict: Verdict,
        meanwhile: impl FnOnce() -> R,
    ) -> (c_int, R) {
        self.latch.hold(|operation| *operation == Operation::Sync);
        let _in_the_end = LetGo(&self.latch);
        let commit = thread::spawn(move || he_commit(tx.get()));
        self.latch.await_held(1);
        let done = meanwhile();
        self.latch.release(verdict);
        (commit.join().unwrap(), done)
    }
}

/// Lets everybody go when a check fails, so that the test ends.
struct LetGo<'a>(&'a Latch);

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        self.0.release(Verdict::Go);
    }
}

fn open(url: &CString, name: &str, flags: c_int) -> HeT {
    let name = CString::new(name).unwrap();
    let name: *const c_char = name.as_ptr();
    // SAFETY: both texts live for the call.
    unsafe { he_open_v3(url.as_ptr(), name, flags, ptr::null::<HeEnv3>()) }
}

/// What has become of a call in a thread of its own.
enum Begun<T> {
    Done(T),
    /// It has come to where it sleeps until others have done something.
    Waits(JoinHandle<T>),
}

impl<T: Send + 'static> Begun<T> {
    fn of(call: impl FnOnce() -> T + Send + 'static) -> Self {
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let me = fs::read_link("/proc/thread-self").unwrap();
            tell.send(me).unwrap();
            call()
        });
        let stat = Path::new("/proc").join(told.recv().unwrap()).join("stat");
        // Not for a moment only, as who meets somebody at a lock does.
        let mut asleep = 0;
        while asleep < 100 {
            if thread.is_finished() {
                return Self::Done(thread.join().unwrap());
            }
            let stat = fs::read_to_string(&stat).unwrap_or_default();
            let state = stat
                .rsplit(") ")
                .next()
                .and_then(|rest| rest.chars().next());
            asleep = if state == Some('S') { asleep + 1 } else { 0 };
            thread::yield_now();
        }
        Self::Waits(thread)
    }

    #[track_caller]
    fn waits(self) -> JoinHandle<T> {
        match self {
            Self::Done(_) => panic!("it did not wait"),
            Self::Waits(thread) => thread,
        }
    }

    #[track_caller]
    fn done(self) -> T {
        match self {
            Self::Done(done) => done,
            Self::Waits(_) => panic!("it waits"),
        }
    }

    /// What comes of it, now or when it has waited, and whether it has.
    fn end(self) -> (T, bool) {
        match self {
            Self::Done(done) => (done, false),
            Self::Waits(thread) => (thread.join().unwrap(), true),
        }
    }
}

/// What a transaction does to the item: what is there before, and after it.
const COMMITS: [(Option<&str>, Option<&str>); 3] = [
    (None, Some("inside")),
    (Some("before"), Some("inside")),
    (Some("before"), None),
];

#[test]
fn what_depends_on_an_item_waits_for_its_commit() {
    let calls: [(&str, Call); 5] = [
        ("insert", insert),
        ("replace", replace),
        ("delete", delete),
        ("delete_lookup", delete_lookup),
        ("merge", merge),
    ];
    for (before, inside) in COMMITS {
        for (what, call) in calls {
            // What has nothing to do comes before.
            let has_something = match what {
                "merge" => true,
                "insert" => before.is_none(),
                _ => before.is_some(),
            };
            let scene = Scene::new();
            if let Some(before) = before {
                assert_eq!(put(he_update, scene.he, before), 0);
            }
            let tx = scene.transaction(inside);
            let he = scene.he;
            let (committed, call) = scene.beside_commit(tx, Verdict::Go, || {
                // Readers see what was there.
                assert_eq!(scene.value().as_deref(), before.map(str::as_bytes));
                Begun::of(move || call(he))
            });
            assert_eq!(committed, 0);
            let ((code, read), has_waited) = call.end();
            assert_eq!(has_waited, has_something, "{what}: {before:?}, {inside:?}");
            let seen = if has_something { inside } else { before };
            let wanted = match (what, seen) {
                ("merge", _) => 0,
                ("insert", Some(_)) => Code::ITEM_EXISTS.0,
                ("insert", None) | (_, Some(_)) => 0,
                (_, None) => Code::ITEM_NOT_FOUND.0,
            };
            assert_eq!(code, wanted, "{what}: {before:?}, {inside:?}");
            let plus = || [seen.unwrap_or_default(), "+"].concat();
            match what {
                "delete_lookup" => assert_eq!(read.as_deref(), seen.map(str::as_bytes)),
                "merge" => assert_eq!(read.unwrap(), plus().as_bytes()),
                _ => {}
            }
            let left = match (what, code) {
                ("merge", _) => Some(plus()),
                ("insert" | "replace", 0) => Some("outside".to_owned()),
                (_, 0) => None,
                _ => inside.map(str::to_owned),
            };
            assert_eq!(scene.value(), left.map(String::into_bytes), "{what}");
            assert_eq!(he_close(he.get()), 0);
        }
    }
}

#[test]
fn who_waits_for_a_commit_that_fails_is_told() {
    for call in [insert as Call, merge] {
        let scene = Scene::new();
        let (tx, he) = (scene.transaction(Some("inside")), scene.he);
        let meanwhile = || Begun::of(move || call(he).0).waits();
        let (committed, waiting) = scene.beside_commit(tx, Verdict::Fail, meanwhile);
        assert_eq!(committed, Code::DEVICE_WRITE.0);
        assert_eq!(waiting.join().unwrap(), Code::DEVICE_WRITE.0);
    }
}

/// An update comes after what is being committed, and waits for nobody.
#[test]
fn an_update_does_not_wait() {
    let scene = Scene::new();
    let (tx, he) = (scene.transaction(Some("inside")), scene.he);
    let update = || Begun::of(move || put(he_update, he, "after")).done();
    let done = scene.beside_commit(tx, Verdict::Go, update);
    assert_eq!(done, (0, 0));
    assert_eq!(scene.value().unwrap(), b"after");
}

/// However long that takes: what changes datastores, and a transaction that wants the same item.
#[test]
fn who_meets_a_commit_in_its_way_waits_for_its_end() {
    /// With the handle of the datastore, and of a second transaction.
    type Change = fn(He, He) -> c_int;
    /// Which datastores there are then, and what the item is.
    type Left = (&'static [&'static [u8]], Option<&'static [u8]>);
    let changes: [(&str, Left, Change); 5] = [
        ("he_truncate", (&[b"d"], None), |he, _| {
            he_truncate(he.get())
        }),
        ("he_discard", (&[b"d"], None), |he, _| he_discard(he.get())),
        ("he_rename", (&[b"other"], Some(b"inside")), |he, _| {
            // SAFETY: the name lives for the call.
            unsafe { he_rename(he.get(), c"other".as_ptr()) }
        }),
        ("he_remove", (&[], None), |he, _| he_remove(he.get())),
        ("he_commit", (&[b"d"], Some(b"second")), |_, second| {
            he_commit(second.get())
        }),
    ];
    for (what, (names, left), change) in changes {
        let scene = Scene::new();
        let [tx, second] = ["inside", "second"].map(|value| scene.transaction(Some(value)));
        let he = scene.he;
        let meanwhile = || Begun::of(move || change(he, second)).waits();
        let (committed, waiting) = scene.beside_commit(tx, Verdict::Go, meanwhile);
        assert_eq!((committed, waiting.join().unwrap()), (0, 0), "{what}");
        assert_eq!(scene.value().as_deref(), left, "{what}");
        assert_eq!(scene.volume.store.names(), names, "{what}");
    }
}

/// The last handle is closed while the commit goes on, which its transaction began through it.
#[test]
fn an_open_that_truncates_waits_for_a_commit_too() {
    let scene = Scene::new();
    let (tx, he) = (scene.transaction(Some("inside")), scene.he);
    let url = scene.url.clone();
    let (committed, (close, reopen)) = scene.beside_commit(tx, Verdict::Go, || {
        // What was written is made durable by that.
        let close = Begun::of(move || he_close(he.get())).waits();
        assert!(scene.volume.users().is_empty());
        let reopen = Begun::of(move || open(&url, "d", TRUNCATE).addr()).waits();
        (close, reopen)
    });
    assert_eq!((committed, close.join().unwrap()), (0, 0));
    let reopened = He(reopen.join().unwrap());
    assert_eq!(read(he_lookup, reopened).0, Code::ITEM_NOT_FOUND.0);
    assert_eq!(put(he_insert, reopened, "new"), 0);
}
