//! Transactions over two objects of the first volume, single rows on the second, and what must be
//! left of them.
//!
//! Transaction `n` of a thread inserts row `n` in both objects, removes row `n - WINDOW` from both and
//! sets `last` to `n` in both. So exactly the rows `n - WINDOW + 1 ..= n` are there in both, with `n` the
//! last acknowledged number or one more. On the second volume row `n` follows row `n - 1`.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::common::*;

pub const THREADS: usize = 3;
const WINDOW: u64 = 12;
const OBJECTS: [&str; 2] = ["helium:dev1/one", "helium:dev1/two"];
const OTHER: &str = "helium:dev2/other";
const FORMATS: &str = "key_format=S,value_format=S";
const ROWS_PER_CHECKPOINT: u64 = 10;

pub fn create(connection: &Connection) {
    let session = connection.session().unwrap();
    for uri in OBJECTS.into_iter().chain([OTHER]) {
        session.create(uri, FORMATS).unwrap();
    }
}

/// Numbers that were acknowledged, a line each, the last whole one of which counts.
pub struct Notes(PathBuf);

impl Notes {
    /// Those of a thread.
    fn of(folder: &Path, thread: usize) -> Self {
        Self(folder.join(format!("acknowledged-{thread}")))
    }

    /// Rows on the second volume that a checkpoint has made durable.
    fn durable(folder: &Path) -> Self {
        Self(folder.join("durable"))
    }

    fn last(&self) -> u64 {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        let mut whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        whole
            .next_back()
            .map_or(0, |line| line.trim().parse().unwrap())
    }

    fn add(&self, number: u64) {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(&self.0)
            .unwrap();
        // In one write, behind the end of what may be half a line.
        file.write_all(format!("\n{number}\n").as_bytes()).unwrap();
    }

    /// The sum of all threads' last numbers.
    pub fn of_all(folder: &Path) -> u64 {
        (0..THREADS)
            .map(|thread| Self::of(folder, thread).last())
            .sum()
    }
}

/// Goes on with transactions until the process is killed.
pub fn work(connection: &Connection, folder: &Path, thread: usize) {
    let last = Notes::of(folder, thread).last();
    transactions(connection, folder, thread, last + 1..=u64::MAX);
}

/// A few, in all threads' names.
pub fn a_few(connection: &Connection, folder: &Path) {
    for thread in 0..THREADS {
        let last = Notes::of(folder, thread).last();
        transactions(connection, folder, thread, last + 1..=last + 3);
    }
}

fn transactions(
    connection: &Connection,
    folder: &Path,
    thread: usize,
    numbers: std::ops::RangeInclusive<u64>,
) {
    let session = connection.session_with("isolation=snapshot").unwrap();
    let cursors = OBJECTS.map(|uri| session.cursor(uri, "").unwrap());
    let notes = Notes::of(folder, thread);
    for number in numbers {
        session.begin("").unwrap();
        step(&cursors, thread, number);
        // Now and then one that must leave nothing.
        if number % 5 == 0 {
            cursors[0].put(&format!("ghost {thread}"), "").unwrap();
            cursors[1].take(&row(thread, number)).unwrap();
            session.rollback().unwrap();
            session.begin("").unwrap();
            step(&cursors, thread, number);
        }
        session.commit().unwrap();
        notes.add(number);
    }
}

/// What a transaction does, in both objects.
fn step(cursors: &[Cursor<'_>; 2], thread: usize, number: u64) {
    for cursor in cursors {
        cursor.put(&row(thread, number), "first").unwrap();
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

/// Writes all the time, and never commits.
pub fn never_commit(connection: &Connection) {
    let session = connection.session_with("isolation=snapshot").unwrap();
    let cursors = OBJECTS.map(|uri| session.cursor(uri, "").unwrap());
    session.begin("").unwrap();
    for number in 0..2000 {
        cursors[number % 2]
            .put(&format!("ghost of {number}"), "running")
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Rows one after the other, with checkpoints.
pub fn work_on_the_other_volume(connection: &Connection, folder: &Path) {
    let session = connection.session().unwrap();
    let cursor = session.cursor(OTHER, "").unwrap();
    let durable = Notes::durable(folder);
    let first = cursor.list().unwrap().len() as u64 + 1;
    for number in first.. {
        cursor
            .put(&format!("{number:09}"), &number.to_string())
            .unwrap();
        if number % ROWS_PER_CHECKPOINT == 0 {
            session.checkpoint("").unwrap();
            durable.add(number);
        }
    }
}

/// Compares a database that was just opened with what was acknowledged, which from then on is what
/// was found.
pub fn judge(connection: &Connection, folder: &Path, place: &str) {
    let session = connection.session().unwrap();
    let lists = OBJECTS.map(|uri| session.cursor(uri, "").unwrap().list().unwrap());
    for list in &lists {
        let ghosts: Vec<_> = list.iter().filter(|row| row.starts_with("ghost")).collect();
        assert!(ghosts.is_empty(), "never committed: {ghosts:?}, {place}");
    }
    for thread in 0..THREADS {
        let notes = Notes::of(folder, thread);
        let acknowledged = notes.last();
        let found = lists.each_ref().map(|list| check(list, thread, place));
        assert_eq!(
            found[0], found[1],
            "a transaction of thread {thread} is there by half: {place}"
        );
        let found = found[0];
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "of thread {thread}, {found} is there, {acknowledged} was acknowledged: {place}"
        );
        if found != acknowledged {
            notes.add(found);
        }
    }
    let others = session.cursor(OTHER, "").unwrap().list().unwrap();
    let expected: Vec<_> = (1..=others.len() as u64)
        .map(|number| format!("{number:09}={number}"))
        .collect();
    assert_eq!(others, expected, "{place}");
    let durable = Notes::durable(folder);
    let (least, found) = (durable.last(), others.len() as u64);
    assert!(
        found >= least,
        "{found} rows on dev2, a checkpoint had {least}: {place}"
    );
    durable.add(found);
}

/// The last transaction of a thread, whose rows are as they must be then.
fn check(list: &[String], thread: usize, place: &str) -> u64 {
    let last = list
        .iter()
        .find_map(|row| row.strip_prefix(&format!("last {thread}=")));
    let last: u64 = last.map_or(0, |text| text.parse().unwrap());
    let first = (last + 1).saturating_sub(WINDOW).max(1);
    let expected: Vec<_> = (first..=last)
        .map(|number| format!("{}={}", row(thread, number), value(thread, number)))
        .collect();
    let prefix = format!("row {thread} ");
    let found: Vec<_> = list.iter().filter(|row| row.starts_with(&prefix)).collect();
    assert_eq!(
        found,
        expected.iter().collect::<Vec<_>>(),
        "thread {thread}, {place}"
    );
    last
}

fn row(thread: usize, number: u64) -> String {
    format!("row {thread} {number:09}")
}

/// Values of many sizes, of which some are longer than a block.
fn value(thread: usize, number: u64) -> String {
    let size = [10, 300, 6_000][(number % 9 / 3) as usize];
    format!("{thread}/{number}/").repeat(size / 4 + 1)[..size].to_owned()
}
