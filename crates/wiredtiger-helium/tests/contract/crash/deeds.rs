//! Transactions over both volumes, and what must be left of them.
//!
//! Transaction `n` of a thread inserts row `n` on both volumes, removes row `n - WINDOW` on
//! both, and sets `last` to `n` on both. So after a kill with `last = n`, exactly the rows
//! `n - WINDOW + 1 ..= n` are there, on both volumes, and `n` is the last acknowledged
//! number or (if the kill came between commit and acknowledgement) one more.

use super::acknowledgements::Acknowledgements;
use crate::common::*;

pub const THREADS: usize = 3;
const WINDOW: u64 = 20;
const FORMATS: &str = "key_format=S,value_format=S";
const NAME: &str = "t";

pub fn create(arena: &Arena) {
    for volume in [1, 2] {
        arena.create_on(volume, &arena.session(), NAME, FORMATS);
    }
}

pub fn compact(arena: &Arena) {
    for volume in [1, 2] {
        let uri = arena.uri_on(volume, NAME);
        arena.session().compact(&uri).unwrap();
    }
}

pub fn verify(arena: &Arena) {
    for volume in [1, 2] {
        let uri = arena.uri_on(volume, NAME);
        arena.session().verify(&uri).unwrap();
    }
}

/// Goes on with transactions until the process is killed.
pub fn work(arena: &Arena, thread: usize) {
    let session = arena.snapshot_session();
    let cursors = [1, 2].map(|volume| session.cursor(&arena.uri_on(volume, NAME), "").unwrap());
    let mut acknowledgements = Acknowledgements::open(arena.folder(), thread);
    for number in acknowledgements.last() + 1.. {
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
        acknowledgements.add(number);
    }
}

/// What a transaction does, on both volumes.
fn step(cursors: &[Cursor<'_>; 2], thread: usize, number: u64) {
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
pub fn check(arena: &Arena, thread: usize, acknowledged: u64, place: &str) -> u64 {
    let session = arena.session();
    let lasts = [1, 2].map(|volume| {
        let cursor = session.cursor(&arena.uri_on(volume, NAME), "").unwrap();
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
        assert_eq!(found, expected, "thread {thread}, volume {volume}, {place}");
        assert_eq!(
            cursor.get(&format!("ghost {thread}")).unwrap(),
            None,
            "{place}"
        );
        last
    });
    assert_eq!(
        lasts[0], lasts[1],
        "a transaction of thread {thread} is there by half: {place}"
    );
    assert!(
        lasts[0] == acknowledged || lasts[0] == acknowledged + 1,
        "of thread {thread}, {} is there, {acknowledged} was acknowledged: {place}",
        lasts[0]
    );
    lasts[0]
}

fn row(thread: usize, number: u64) -> String {
    format!("row {thread} {number:09}")
}

/// Values of many sizes, some over several blocks.
fn value(thread: usize, number: u64) -> String {
    let size = [10, 300, 5_000, 40_000][(number % 13 / 4) as usize];
    format!("{thread}/{number}/").repeat(size / 4 + 1)[..size].to_owned()
}
