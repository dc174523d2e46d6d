//! Limits that the system sets the program: each is an error with a sentence, nothing ends the program, and the volume is
//! sound.
//!
//! They are set once WiredTiger is open, in a process of its own.

use heliumdb::{Volume, VolumeOptions};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::Path;
use wiredtiger_testkit::helium;

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";
const ENOMEM: Code = Code(12);
const ENOSPC: Code = Code(28);
const MIB: u64 = 1 << 20;

/// Runs `child` in a process of its own, and looks through the volume that it leaves.
fn run(child: &str, kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let output = Child::running(child, folder.path())
        .env("HELIUM_KIND", kind.name())
        .finish();
    let accepted = output.lines().find_map(|l| l.strip_prefix("ACCEPTED "));
    let accepted: u64 = accepted.unwrap().parse().unwrap();
    let arena = Arena::at(folder.path(), kind, "");
    let session = arena.session();
    session.verify(&arena.uri("t")).unwrap();
    let cursor = session.cursor(&arena.uri("t"), "").unwrap();
    let mut found = 0;
    while cursor.next().is_ok() {
        found += 1;
    }
    assert_eq!(found, accepted, "{output}");
}

macro_rules! in_a_child {
    ($($name:ident = $child:literal, $kind:ident;)*) => {$(
        #[test]
        fn $name() {
            run($child, Kind::$kind);
        }
    )*};
}

in_a_child! {
    a_file_that_may_not_grow_is_a_full_volume = "limits::files", Object;
    a_file_that_may_not_grow_is_a_full_volume_for_a_table = "limits::files", Table;
    memory_that_may_not_be_had_is_an_error = "limits::memory", Object;
    memory_that_may_not_be_had_is_an_error_for_a_table = "limits::memory", Table;
}

#[test]
#[ignore = "the body of the tests above"]
fn files() {
    let Some(folder) = Child::folder() else {
        return;
    };
    let mut arena = child_arena(&folder);
    set(Resource::Fsize, Some(64 * MIB));
    let accepted = fill(&arena, 8, 100_000, ENOSPC);
    // One that would be new, and one that is longer than it may be.
    let new = [volume(3, &folder).with("helium_o_volume_create=true")];
    arena.close();
    for limit in [MIB, 16 * MIB] {
        set(Resource::Fsize, Some(limit));
        let home = folder.join("other");
        let _ = std::fs::create_dir(&home);
        let connection = Connection::open(&home, "create").unwrap();
        let path = helium::extension_path().unwrap();
        let config = helium::config(&new, "");
        let loaded = connection.load_extension(&path, &config);
        let said = connection.errors().join("\n");
        assert!(loaded.is_ok() || loaded.code() == ENOSPC, "{said}");
        assert!(loaded.is_ok() || said.contains("dev3"), "{said}");
        drop(connection);
        arena.open();
        let session = arena.session();
        let cursor = session.cursor(&arena.uri("t"), "").unwrap();
        assert!(cursor.next().is_ok());
        drop(cursor);
        drop(session);
        arena.close();
    }
    set(Resource::Fsize, None);
    println!("\nACCEPTED {accepted}");
}

#[test]
#[ignore = "the body of the tests above"]
fn memory() {
    let Some(folder) = Child::folder() else {
        return;
    };
    let mut arena = child_arena(&folder);
    set(Resource::As, Some(address_space() + 200 * MIB));
    let accepted = fill(&arena, 2_000, 0, ENOMEM);
    set(Resource::As, None);
    arena.close();
    println!("\nACCEPTED {accepted}");
}

fn child_arena(folder: &Path) -> Arena {
    let kind = Kind::named(&std::env::var("HELIUM_KIND").unwrap()).unwrap();
    let arena = Arena::at(folder, kind, "cache_size=64MB,log=(enabled=false)");
    arena.create(&arena.session(), "t", FORMATS);
    arena
}

/// Inserts rows until one is refused, with this number and a sentence. What is there can be read and removed. How many
/// rows there are then.
fn fill(arena: &Arena, key_bytes: usize, value_bytes: usize, refusal: Code) -> u64 {
    let session = arena.session();
    let cursor = session.cursor(&arena.uri("t"), "").unwrap();
    let value = "v".repeat(value_bytes);
    let key = |number: u64| format!("{:0key_bytes$}", number * 7_919 % 1_000_003);
    let mut accepted = 0;
    let refused = loop {
        match cursor.put(&key(accepted), &value) {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 1_000_000, "nothing was refused");
    };
    assert_eq!(refused.code, refusal, "after {accepted} rows: {refused}");
    let said = arena.connection().errors().join("\n");
    assert!(said.contains("dev1") || said.contains("memory"), "{said}");
    // Refused again, in a transaction too, which can only be rolled back. What a checkpoint has freed meanwhile is
    // taken first.
    session.begin("").unwrap();
    let mut more = accepted + 1..accepted + 1_000_000;
    let again = more.find_map(|number| cursor.put(&key(number), &value).err());
    assert_eq!(again.map(|error| error.code), Some(refusal));
    session.rollback().unwrap();
    assert_eq!(cursor.get(&key(0)).unwrap(), Some(value));
    cursor.set_key_str(&key(0)).unwrap();
    cursor.remove().unwrap();
    cursor.reset().unwrap();
    accepted - 1
}

/// An index that is too large is found out while it is built, from a checkpoint and from the log.
#[test]
fn an_index_that_is_too_large_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dev1.helium");
    let url = format!("he://{}", path.display());
    let volume = Volume::open(&url, &VolumeOptions::default()).unwrap();
    let store = volume.create_datastore(b"d").unwrap();
    let mut key = vec![0; 2_000];
    for number in 0..200_000u64 {
        key[..8].copy_from_slice(&(number * 7_919 % 1_000_003).to_be_bytes());
        store.put(&key, b"").unwrap();
    }
    volume.flush().unwrap();
    let before = folder.path().join("dev2.helium");
    std::fs::copy(&path, &before).unwrap();
    drop(store);
    volume.close().unwrap();
    let said = Child::running("limits::too_large", folder.path()).finish();
    assert!(said.contains("BOTH REFUSED"), "{said}");
}

#[test]
#[ignore = "the body of the test above"]
fn too_large() {
    let Some(folder) = Child::folder() else {
        return;
    };
    let home = folder.join("home");
    std::fs::create_dir(&home).unwrap();
    let path = helium::extension_path().unwrap();
    let connection = Connection::open(&home, "create,cache_size=16MB").unwrap();
    for number in [1, 2] {
        let caches = "helium_read_cache=16MB,helium_write_cache=16MB";
        let config = helium::config(&[volume(number, &folder).with(caches)], "");
        // What the library keeps, and something of an index.
        set(Resource::As, Some(address_space() + (192 + 300) * MIB));
        let loaded = connection.load_extension(&path, &config);
        set(Resource::As, None);
        let said = connection.errors().join("\n");
        assert_eq!(loaded.code(), ENOMEM, "{said}");
        assert!(said.contains(&format!("dev{number}")), "{said}");
        assert!(said.contains("no memory for the volume's index"), "{said}");
    }
    let config = helium::config(&[volume(1, &folder)], "");
    connection.load_extension(&path, &config).unwrap();
    drop(connection);
    println!("\nBOTH REFUSED");
}

/// Bytes of addresses that the process has.
fn address_space() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmSize:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib * 1024
}

fn set(what: Resource, current: Option<u64>) {
    let maximum = getrlimit(what).maximum;
    let current = current.or(maximum);
    setrlimit(what, Rlimit { current, maximum }).unwrap();
}
