//! Sustained updates of the same keys, with WiredTiger otherwise idle, do not grow memory; and
//! a reader that holds a snapshot all the while still sees its own state.
//!
//! Runs in a process of its own, so that other tests' memory does not count. The full size
//! is `HELIUM_MEMORY_KEYS=1000000 HELIUM_MEMORY_UPDATES=5000000`.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::common::*;

/// How much the process may grow while it updates, in bytes: both caches' budgets (the read cache's
/// is small), spare segments, and what the cleaner and a checkpoint hold while they work.
const GROWTH_MAX: u64 = 256 << 20;
/// What an update may cost while a reader needs the value before it, in bytes.
const PINNED_BYTES_PER_UPDATE: u64 = 160;
const BATCH: u64 = 500;
const FORMATS: &str = "key_format=u,value_format=u";

macro_rules! in_a_child {
    ($($name:ident = $kind:ident, $reader:literal;)*) => {$(
        #[test]
        fn $name() {
            let folder = tempfile::tempdir().unwrap();
            let output = Child::running("memory_bound::child", folder.path())
                .env("HELIUM_MEMORY_KIND", Kind::$kind.name())
                .env("HELIUM_MEMORY_READER", $reader)
                .finish();
            print!("{output}");
        }
    )*};
}

in_a_child! {
    native = Native, "no";
    object = Object, "no";
    object_with_a_reader = Object, "yes";
    table = Table, "no";
}

#[test]
#[ignore = "the body of the tests above"]
fn child() {
    let Some(folder) = Child::folder() else {
        return;
    };
    let kind = Kind::named(&std::env::var("HELIUM_MEMORY_KIND").unwrap()).unwrap();
    let reader = std::env::var("HELIUM_MEMORY_READER").unwrap() == "yes";
    // WiredTiger's own tables show that the test measures right; a tenth of the work does.
    let part = if kind == Kind::Native { 10 } else { 1 };
    let (keys, updates) = (
        setting("HELIUM_MEMORY_KEYS", 50_000) / part,
        setting("HELIUM_MEMORY_UPDATES", 250_000) / part,
    );
    let mut arena = Arena::at(&folder, kind, "cache_size=64MB,log=(enabled=false)");
    arena.create(&arena.session(), "t", FORMATS);

    write(&arena, keys, 0..keys, 0);
    let loaded = resident();
    let peak = if reader {
        with_a_reader(&arena, keys, updates)
    } else {
        update(&arena, keys, updates)
    };
    check(&arena, keys, updates);
    let allowed = loaded
        + GROWTH_MAX
        + if reader {
            updates * PINNED_BYTES_PER_UPDATE
        } else {
            0
        };
    println!(
        "memory {} reader={reader}: {updates} updates of {keys} keys: {} MiB loaded, {} MiB at most, {} MiB allowed",
        kind.name(),
        loaded >> 20,
        peak >> 20,
        allowed >> 20
    );
    assert!(peak <= allowed, "{peak} bytes, {allowed} allowed");
    arena.close();
}

/// Random updates; the most memory seen.
fn update(arena: &Arena, keys: u64, updates: u64) -> u64 {
    let mut random = SmallRng::seed_from_u64(1);
    let mut peak = 0;
    for start in (1..=updates).step_by(10_000) {
        let batch: Vec<u64> = (start..=updates.min(start + 9_999))
            .map(|_| random.random_range(0..keys))
            .collect();
        write(arena, keys, batch, start);
        peak = peak.max(resident());
    }
    // Every key ends with a value that can be foretold.
    write(arena, keys, 0..keys, updates);
    peak.max(resident())
}

/// The same while a reader holds a snapshot from before.
fn with_a_reader(arena: &Arena, keys: u64, updates: u64) -> u64 {
    let session = arena.snapshot_session();
    let cursor = session.cursor(&arena.uri("t"), "").unwrap();
    session.begin("").unwrap();
    let look = || {
        for number in (0..keys).step_by(keys as usize / 1_000 + 1) {
            cursor.set_key(&key(number)).unwrap();
            cursor.search().unwrap();
            assert_eq!(
                cursor.value().unwrap(),
                value(number, 0),
                "the snapshot moved"
            );
        }
        cursor.reset().unwrap();
    };
    look();
    let peak = update(arena, keys, updates);
    look();
    session.rollback().unwrap();
    peak
}

fn write(arena: &Arena, keys: u64, numbers: impl IntoIterator<Item = u64>, version: u64) {
    let session = arena.session();
    let cursor = session.cursor(&arena.uri("t"), "").unwrap();
    session.begin("").unwrap();
    for (count, number) in (1..).zip(numbers) {
        assert!(number < keys);
        cursor.set_key(&key(number)).unwrap();
        cursor.set_value(&value(number, version)).unwrap();
        cursor.insert().unwrap();
        if count % BATCH == 0 {
            session.commit().unwrap();
            session.begin("").unwrap();
        }
    }
    session.commit().unwrap();
}

fn check(arena: &Arena, keys: u64, updates: u64) {
    let session = arena.session();
    let cursor = session.cursor(&arena.uri("t"), "").unwrap();
    let mut count = 0;
    while cursor.next().found().unwrap() {
        assert_eq!(cursor.key().unwrap(), key(count));
        assert_eq!(cursor.value().unwrap(), value(count, updates));
        count += 1;
    }
    assert_eq!(count, keys);
}

fn key(number: u64) -> Vec<u8> {
    format!("key {number:012}").into_bytes()
}

fn value(number: u64, version: u64) -> Vec<u8> {
    format!("{number:050}{version:050}").into_bytes()
}

/// The memory that this process has, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}
