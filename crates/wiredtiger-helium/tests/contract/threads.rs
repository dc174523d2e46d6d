//! Where no more threads can be made, the extension works with fewer or says what it lacks, and no volume is worse
//! for it.
//!
//! The extension is loaded into a database that is open: where an open of WiredTiger itself gets no thread, it
//! signals one that is not there, and crashes.
//!
//! A limit of processes does not hold for root, so that the test runs as a user that nobody else is, which takes root
//! to begin with; without that, or where such a user cannot run this program, there is nothing to test.

use rustix::process::{Resource, Rlimit, setrlimit};
use std::path::Path;
use wiredtiger_testkit::helium::{self, Volume};

use crate::common::*;

/// The extension needs fewer.
const THREADS_MAX: u64 = 8;
/// What the child prints where it had nothing to test.
const NO_LIMIT: &str = "the limit does not hold";

#[test]
fn without_threads_it_works_or_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let Some(child) = Child::of_another_user("threads::child", folder.path()) else {
        return;
    };
    let said = child.finish();
    assert!(said.contains("WORKED") || said.contains(NO_LIMIT), "{said}");
}

#[test]
#[ignore = "the child of the test above"]
fn child() {
    let Some(folder) = Child::folder() else {
        return;
    };
    limit(Some(0));
    let holds = std::thread::Builder::new().spawn(|| ()).is_err();
    limit(None);
    if !holds {
        println!("{NO_LIMIT}");
        return;
    }
    let [mut worked, mut refused] = [0, 0];
    for extra in 0..THREADS_MAX {
        match loads_with(&folder.join(extra.to_string()), extra) {
            true => worked += 1,
            false => refused += 1,
        }
    }
    println!("WORKED {worked} refused {refused}");
    assert!(worked > 0 && refused > 0);
}

/// Whether the extension loads while so many more threads can be made. In any case it does later on.
fn loads_with(home: &Path, extra: u64) -> bool {
    std::fs::create_dir_all(home.join("home")).unwrap();
    let volumes = [volume(1, home).with("helium_o_volume_create=true")];
    let path = helium::extension_path().unwrap();
    let connection = Connection::open(&home.join("home"), "create").unwrap();
    let loaded = limited(extra, || {
        let loaded = connection.load_extension(&path, &helium::config(&volumes, ""));
        if loaded.is_ok() {
            works(&connection);
        }
        loaded
    });
    let told = connection.errors().join("\n");
    assert!(
        loaded.is_ok() || told.contains("thread"),
        "{loaded:?} {told}"
    );
    drop(connection);
    reopen(home, &volumes, loaded.is_ok());
    loaded.is_ok()
}

/// Everything is there, and works, when threads can be made again.
fn reopen(home: &Path, volumes: &[Volume], has_rows: bool) {
    let config = format!("create,{}", helium::extensions(volumes).unwrap());
    let connection = Connection::open(&home.join("home"), &config).unwrap();
    if has_rows {
        let session = connection.session().unwrap();
        let cursor = session.cursor("helium:dev1/t", "").unwrap();
        assert_eq!(cursor.list().unwrap().len(), 100);
    }
    works(&connection);
}

fn works(connection: &Connection) {
    let session = connection.session().unwrap();
    session
        .create("helium:dev1/t", "key_format=S,value_format=S")
        .unwrap();
    let cursor = session.cursor("helium:dev1/t", "").unwrap();
    session.begin("").unwrap();
    for number in 0..100 {
        cursor.put(&format!("{number:03}"), "value").unwrap();
    }
    session.commit().unwrap();
    cursor.reset().unwrap();
    session.checkpoint("").unwrap();
    session.compact("helium:dev1/t").unwrap();
    assert_eq!(cursor.list().unwrap().len(), 100);
}

fn limited<R>(extra: u64, work: impl FnOnce() -> R) -> R {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let threads = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    limit(Some(
        threads.unwrap().trim().parse::<u64>().unwrap() + extra,
    ));
    let result = work();
    limit(None);
    result
}

fn limit(processes: Option<u64>) {
    let hard = rustix::process::getrlimit(Resource::Nproc).maximum;
    let limit = Rlimit {
        current: processes.or(hard),
        maximum: hard,
    };
    setrlimit(Resource::Nproc, limit).unwrap();
}
