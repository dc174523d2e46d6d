//! Objects that are created, renamed and dropped, over and over, under the same two names.
//!
//! Of every three steps the first creates `made` and puts a row into it, the second renames
//! it to `moved`, the third drops that. So the number of steps says which one is there.
//! Only for objects: a `table:` has several entries in WiredTiger's metadata and a native
//! one a file, and WiredTiger changes these one after the other.

use super::acknowledgements::Acknowledgements;
use super::deeds;
use crate::common::*;

/// The number of the one who does this, behind all threads with transactions.
pub const WRITER: usize = deeds::THREADS;
const FORMATS: &str = "key_format=S,value_format=S";
const NAMES: [&str; 2] = ["made", "moved"];

/// Goes on with steps until the process is killed.
pub fn work(arena: &Arena) {
    let mut acknowledgements = Acknowledgements::open(arena.folder(), WRITER);
    let session = arena.session();
    for number in acknowledgements.last() + 1.. {
        let [made, moved] = uris(arena, number);
        match number % 3 {
            1 => {
                session
                    .create(&made, &format!("{FORMATS},exclusive"))
                    .unwrap();
                assert_eq!(rows(&session, &made), Vec::<String>::new());
                put(&session, &made, number);
            }
            2 => session.rename(&made, &moved).unwrap(),
            _ => session.drop(&moved, "").unwrap(),
        }
        acknowledgements.add(number);
    }
}

/// Compares the objects that are there with the acknowledgements, and puts right what a kill
/// may leave undone: the row of an object that was just created.
pub fn judge(arena: &Arena, place: &str) {
    if arena.kind() != Kind::Object {
        return;
    }
    let mut acknowledgements = Acknowledgements::open(arena.folder(), WRITER);
    let acknowledged = acknowledgements.last();
    let session = arena.session();
    let found = objects(arena, &session);
    let number = (acknowledged..=acknowledged + 1)
        .find(|&number| expected(arena, number) == found)
        .unwrap_or_else(|| panic!("{found:?} after {acknowledged} steps: {place}"));
    if let [uri] = &found[..] {
        let rows = rows(&session, uri);
        if rows.is_empty() && number == acknowledged + 1 && number % 3 == 1 {
            put(&session, uri, number);
        } else {
            assert_eq!(rows, [format!("row={}", number / 3)], "{uri}: {place}");
        }
        session.verify(uri).unwrap();
    }
    acknowledgements.adopt(number);
}

/// The two names of the object of a step; every other one is on the second volume.
fn uris(arena: &Arena, number: u64) -> [String; 2] {
    let volume = if ((number - 1) / 3).is_multiple_of(2) {
        1
    } else {
        2
    };
    NAMES.map(|name| arena.uri_on(volume, name))
}

/// What is there after `number` steps.
fn expected(arena: &Arena, number: u64) -> Vec<String> {
    match number % 3 {
        0 => Vec::new(),
        state => vec![uris(arena, number)[state as usize - 1].clone()],
    }
}

/// What is there.
fn objects(arena: &Arena, session: &Session<'_>) -> Vec<String> {
    let all = [1, 2].map(|volume| NAMES.map(|name| arena.uri_on(volume, name)));
    let known = session.cursor("metadata:", "").unwrap();
    all.into_iter()
        .flatten()
        .filter(|uri| known.get(uri).unwrap().is_some())
        .collect()
}

fn rows(session: &Session<'_>, uri: &str) -> Vec<String> {
    session.cursor(uri, "").unwrap().list().unwrap()
}

fn put(session: &Session<'_>, uri: &str, number: u64) {
    let cursor = session.cursor(uri, "").unwrap();
    cursor.put("row", &(number / 3).to_string()).unwrap();
}
