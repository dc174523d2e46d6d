//! `search_near` finds the key or a neighbour, and says on which side the neighbour is.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicBool, Ordering as Memory};

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";

on_every_kind! {
    fn an_exact_match_is_preferred(arena) {
        let session = arena.session();
        let cursor = filled(arena, &session, &["a", "b", "c"]);
        cursor.set_key_str("b").unwrap();
        assert_eq!(cursor.search_near().unwrap(), Ordering::Equal);
        assert_eq!((cursor.key_str().unwrap(), cursor.value_str().unwrap()), ("b".into(), "b!".into()));
    }

    fn a_neighbour_comes_with_its_side(arena) {
        let session = arena.session();
        let cursor = filled(arena, &session, &["b", "d"]);
        for (wanted, neighbours) in [("a", vec!["b"]), ("c", vec!["b", "d"]), ("e", vec!["d"])] {
            cursor.set_key_str(wanted).unwrap();
            let side = cursor.search_near().unwrap();
            let found = cursor.key_str().unwrap();
            assert!(neighbours.contains(&found.as_str()), "near {wanted}: {found}");
            assert_eq!(side, found.as_str().cmp(wanted), "near {wanted}: {found}");
            assert_eq!(cursor.value_str().unwrap(), format!("{found}!"));
        }
    }

    fn an_empty_table_has_no_neighbours(arena) {
        let session = arena.session();
        let cursor = filled(arena, &session, &[]);
        cursor.set_key_str("k").unwrap();
        assert_eq!(cursor.search_near().code(), Code::NOTFOUND);
    }

    fn removed_keys_are_no_neighbours(arena) {
        let session = arena.session();
        let cursor = filled(arena, &session, &["a", "b", "c", "d", "e"]);
        for key in ["b", "c", "d"] {
            cursor.take(key).unwrap();
        }
        cursor.set_key_str("c").unwrap();
        let side = cursor.search_near().unwrap();
        let found = cursor.key_str().unwrap();
        assert!(["a", "e"].contains(&found.as_str()), "{found}");
        assert_eq!(side, found.as_str().cmp("c"));
        for key in ["a", "e"] {
            cursor.take(key).unwrap();
        }
        cursor.set_key_str("c").unwrap();
        assert_eq!(cursor.search_near().code(), Code::NOTFOUND);
    }

    fn walking_goes_on_from_the_neighbour(arena) {
        let session = arena.session();
        let cursor = filled(arena, &session, &["b", "d", "f"]);
        for wanted in ["a", "b", "c", "d", "e", "f", "g"] {
            cursor.set_key_str(wanted).unwrap();
            cursor.search_near().unwrap();
            let mut forward = vec![cursor.key_str().unwrap()];
            while cursor.next().found().unwrap() {
                forward.push(cursor.key_str().unwrap());
            }
            cursor.set_key_str(wanted).unwrap();
            cursor.search_near().unwrap();
            let mut back = vec![cursor.key_str().unwrap()];
            while cursor.prev().found().unwrap() {
                back.insert(0, cursor.key_str().unwrap());
            }
            back.pop();
            back.extend(forward);
            assert_eq!(back, ["b", "d", "f"], "near {wanted}");
        }
    }

    fn what_others_did_not_commit_is_no_neighbour(arena) {
        let (one, two) = (arena.snapshot_session(), arena.session());
        let cursor = filled(arena, &one, &["a"]);
        let other = two.cursor(&arena.uri("t"), "").unwrap();
        one.begin("").unwrap();
        cursor.put("m", "mine").unwrap();
        other.set_key_str("m").unwrap();
        assert_eq!(other.search_near().unwrap(), Ordering::Less);
        assert_eq!(other.key_str().unwrap(), "a");
        cursor.set_key_str("m").unwrap();
        assert_eq!(cursor.search_near().unwrap(), Ordering::Equal);
        one.rollback().unwrap();
    }

    /// A single look: while one thread moves a key back and forth over the one searched for,
    /// in one transaction, the answer's side must always fit the key that it found.
    fn the_side_fits_the_key_under_concurrent_changes(arena) {
        let session = arena.session();
        drop(filled(arena, &session, &["a", "z"]));
        let (arena, stop) = (&*arena, AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let session = arena.snapshot_session();
                let cursor = session.cursor(&arena.uri("t"), "").unwrap();
                for round in 0..400 {
                    let (gone, come) = if round % 2 == 0 { ("l", "n") } else { ("n", "l") };
                    session.begin("").unwrap();
                    cursor.take(gone).unwrap();
                    cursor.put(come, &format!("{come}!")).unwrap();
                    session.commit().unwrap();
                }
                stop.store(true, Memory::Relaxed);
            });
            let session = arena.session();
            let cursor = session.cursor(&arena.uri("t"), "").unwrap();
            while !stop.load(Memory::Relaxed) {
                cursor.set_key_str("m").unwrap();
                let side = cursor.search_near().unwrap();
                let found = cursor.key_str().unwrap();
                assert_eq!(side, found.as_str().cmp("m"), "{found}");
                assert_eq!(cursor.value_str().unwrap(), format!("{found}!"));
            }
        });
    }
}

fn filled<'session>(
    arena: &Arena,
    session: &'session Session<'_>,
    keys: &[&str],
) -> Cursor<'session> {
    let uri = arena.create(session, "t", FORMATS);
    let cursor = session.cursor(&uri, "").unwrap();
    for key in keys {
        cursor.put(key, &format!("{key}!")).unwrap();
    }
    cursor
}
