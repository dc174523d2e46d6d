//! Killed at random moments and opened again: every acknowledged transaction is there, none
//! by half.
//!
//! A child process runs transactions over two volumes from several threads. Each thread
//! writes the number of every committed transaction into a file of its own, after the commit
//! returned. The parent kills it with SIGKILL, opens the database and compares. Rounds go on
//! with the same database, so that recovered volumes are killed again.
//!
//! Transaction `n` of a thread inserts row `n` on both volumes, removes row `n - WINDOW` on
//! both, and sets `last` to `n` on both. So after recovery with `last = n`, exactly the rows
//! `n - WINDOW + 1 ..= n` are there, on both volumes, and `n` is the last acknowledged
//! number or (if the kill came between commit and acknowledgement) one more.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::*;

const THREADS: u64 = 3;
const WINDOW: u64 = 20;
const FORMATS: &str = "key_format=S,value_format=S";
/// Makes native tables durable; a volume is so by default.
const OPTIONS: &str = "log=(enabled),transaction_sync=(enabled,method=fsync)";

#[test]
fn native() {
    rounds(Kind::Native);
}

#[test]
fn object() {
    rounds(Kind::Object);
}

#[test]
fn table() {
    rounds(Kind::Table);
}

fn rounds(kind: Kind) {
    let seed = seed("crash");
    let mut random = SmallRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut reached = [0; THREADS as usize];
    {
        let mut arena = Arena::at(folder.path(), kind, OPTIONS);
        for volume in [1, 2] {
            arena.create_on(volume, &arena.session(), "t", FORMATS);
        }
        arena.close();
    }
    for round in 0..setting("HELIUM_CRASH_ROUNDS", 10) {
        let life = Duration::from_micros(random.random_range(0..150_000));
        run_and_kill(kind, folder.path(), life);
        for thread in 0..THREADS {
            let acknowledged = acknowledged(folder.path(), thread);
            assert!(acknowledged >= reached[thread as usize]);
            reached[thread as usize] = acknowledged;
        }
        let mut arena = Arena::at(folder.path(), kind, OPTIONS);
        for thread in 0..THREADS {
            let place = format!("round {round}, thread {thread}, HELIUM_SEED={seed}");
            let last = check(&arena, thread, reached[thread as usize], &place);
            // The next life goes on from what is there.
            fs::write(file(folder.path(), thread), number_line(last)).unwrap();
            reached[thread as usize] = last;
        }
        arena.close();
    }
    assert!(
        reached.iter().sum::<u64>() > 0,
        "no transaction was ever acknowledged"
    );
    println!("crash {}: {reached:?} transactions", kind.name());
}

/// One life: from the first acknowledgement, `life` long.
fn run_and_kill(kind: Kind, folder: &Path, life: Duration) {
    let sizes = || {
        (0..THREADS)
            .map(|thread| length(&file(folder, thread)))
            .sum::<u64>()
    };
    let before = sizes();
    let mut child = Child::running("crash::child", folder)
        .env("HELIUM_CRASH_KIND", kind.name())
        .start();
    let patience = Instant::now() + Duration::from_secs(60);
    while sizes() == before {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the child ended by itself"
        );
        assert!(Instant::now() < patience, "the child never committed");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(life);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What the child does until it is killed.
#[test]
#[ignore = "the victim of the tests above"]
fn child() {
    let Some(folder) = Child::folder() else {
        return;
    };
    let kind = Kind::named(&std::env::var("HELIUM_CRASH_KIND").unwrap()).unwrap();
    let arena = Arena::at(&folder, kind, OPTIONS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (arena, folder) = (&arena, &folder);
            scope.spawn(move || live(arena, folder, thread));
        }
        // A checkpoint now and then, as a program would.
        let session = arena.session();
        loop {
            std::thread::sleep(Duration::from_millis(50));
            session.checkpoint("").unwrap();
        }
    });
}

fn live(arena: &Arena, folder: &Path, thread: u64) {
    let session = arena.snapshot_session();
    let cursors = [1, 2].map(|volume| session.cursor(&arena.uri_on(volume, "t"), "").unwrap());
    let start = acknowledged(folder, thread);
    let mut acknowledgements = File::options()
        .append(true)
        .create(true)
        .open(file(folder, thread))
        .unwrap();
    for number in start + 1.. {
        session.begin("").unwrap();
        step(&cursors, thread, number);
        // Now and then one that must leave nothing.
        if number % 7 == 0 {
            cursors[0].put(&format!("ghost {thread}"), "").unwrap();
            session.rollback().unwrap();
            session.begin("").unwrap();
            step(&cursors, thread, number);
        }
        session.commit().unwrap();
        acknowledgements
            .write_all(number_line(number).as_bytes())
            .unwrap();
    }
}

/// What a transaction does, on both volumes.
fn step(cursors: &[Cursor<'_>; 2], thread: u64, number: u64) {
    for cursor in cursors {
        cursor
            .put(&row(thread, number), &value(thread, number))
            .unwrap();
        if number > WINDOW {
            cursor.take(&row(thread, number - WINDOW)).unwrap();
        }
        cursor
            .put(&format!("last {thread}"), &number.to_string())
            .unwrap();
    }
}

/// Compares both volumes with the acknowledgements; the last transaction that is there.
fn check(arena: &Arena, thread: u64, acknowledged: u64, place: &str) -> u64 {
    let session = arena.session();
    let lasts = [1, 2].map(|volume| {
        let cursor = session.cursor(&arena.uri_on(volume, "t"), "").unwrap();
        let last: u64 = cursor
            .get(&format!("last {thread}"))
            .unwrap()
            .map_or(0, |text| text.parse().unwrap());
        let first = (last + 1).saturating_sub(WINDOW).max(1);
        let expected: Vec<_> = (first..=last)
            .map(|number| format!("{}={}", row(thread, number), value(thread, number)))
            .collect();
        let prefix = format!("row {thread} ");
        let found: Vec<_> = cursor
            .list()
            .unwrap()
            .into_iter()
            .filter(|row| row.starts_with(&prefix))
            .collect();
        assert_eq!(found, expected, "volume {volume}, {place}");
        assert_eq!(
            cursor.get(&format!("ghost {thread}")).unwrap(),
            None,
            "{place}"
        );
        last
    });
    assert_eq!(
        lasts[0], lasts[1],
        "a transaction is there by half: {place}"
    );
    assert!(
        lasts[0] == acknowledged || lasts[0] == acknowledged + 1,
        "{} is there, {acknowledged} was acknowledged: {place}",
        lasts[0]
    );
    lasts[0]
}

fn row(thread: u64, number: u64) -> String {
    format!("row {thread} {number:09}")
}

/// Values of many sizes, some over several blocks.
fn value(thread: u64, number: u64) -> String {
    let size = [10, 300, 5_000, 40_000][(number % 13 / 4) as usize];
    format!("{thread}/{number}/")
        .chars()
        .cycle()
        .take(size)
        .collect()
}

fn file(folder: &Path, thread: u64) -> PathBuf {
    folder.join(format!("acknowledged-{thread}"))
}

fn length(file: &Path) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}

fn number_line(number: u64) -> String {
    format!("{number:020}\n")
}

/// The last whole line. A kill may cut the last one short.
fn acknowledged(folder: &Path, thread: u64) -> u64 {
    let text = fs::read_to_string(file(folder, thread)).unwrap_or_default();
    text.split_inclusive('\n')
        .rfind(|line| line.len() == number_line(0).len())
        .map_or(0, |line| line.trim_end().parse().unwrap())
}
