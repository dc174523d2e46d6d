//! The forty faults of the C connector, by number: where each is tested, or why it cannot be
//! tested from outside.
//!
//! | fault | tested by |
//! |---|---|
//! | 1 recovery of one volume empties what all share | here, and `crash` |
//! | 2, 3 the cleaner forgets outcomes: ghosts appear, commits vanish | here |
//! | 4 an update that finds nothing discards others' pending versions | here |
//! | 5 transaction ids outlive a restart | `restart::ids_starting_anew_confuse_nothing` |
//! | 6 a commit flushes one volume only | `crash`; the order of syncs by the store's simulated disk, since a kill loses no page cache |
//! | 7 not atomic with native tables | a documented limit; the outcome while the process lives: `several_volumes` |
//! | 8 a version without an owner after a failed registration | `several_volumes`, `conflicts::a_transaction_with_a_conflict_cannot_commit` |
//! | 9 truncate is no transaction | `truncate` |
//! | 10 exclusive create empties what is there | `schema::exclusive_and_truncate_destroy_nothing` |
//! | 11 a checkpoint commits the first volume only | here; without power loss commits are there anyway, so the syncs are counted by the store's own tests |
//! | 12 the cleaner's errors end it silently | not reachable from outside: needs a failing device, which the store's simulated disk has |
//! | 13 internal names collide with users' | `schema::any_name_is_free` |
//! | 14 rename | `schema`: to another volume, over another object, of a missing one, in use |
//! | 15 many versions of a hot key | here; the value limit: `sizes` |
//! | 16 versions that nobody can see stay | `memory_bound` |
//! | 17 reserve crashes | `conflicts::a_reservation_*` |
//! | 18 every error becomes WT_ERROR | each test that names a code |
//! | 19 dropping what is missing makes it, then panics | `schema::what_is_missing_is_missing` |
//! | 20 a second create changes the formats | `schema::other_formats_for_an_object_that_is_there_are_refused` |
//! | 21 the cleaner walks a list that drop frees | here |
//! | 22 no volume: null pointer; a failed start leaks | `config::no_volume_at_all_is_refused`, `config::after_a_refused_start_the_next_one_works` |
//! | 23 a failed allocation is success with a null cursor | not testable from outside; the boundary's unit tests cover its answers |
//! | 24 a search moves the end of an append | `recno_append` |
//! | 25 one-bit fields are not bit fields | `bitfields` |
//! | 26 `search_near` looks three times | `search_near::the_side_fits_the_key_under_concurrent_changes` |
//! | 27 two places read at different times | here |
//! | 28 prepared counts as visible | `prepared` |
//! | 29 a failed lookup of an outcome shows aborted rows | there is no such lookup: outcomes are kept in memory; damage: `verify_compact_salvage::a_flipped_bit_is_found` |
//! | 30 long formats are cut | `schema::long_formats_are_kept` |
//! | 31 verbose | `config::verbose_goes_to_the_message_handler`, `config::two_databases_in_one_process_do_not_meet` |
//! | 32 verify always succeeds, no compact, no salvage | `verify_compact_salvage` |
//! | 33 `checkpoint=`, `next_random`, `bulk` ignored | `cursors` |
//! | 34 wrong URIs | `schema::wrong_uris_are_refused` |
//! | 35 open cursors at close | here |
//! | 36 the last cleaning depends on what may be gone | here |
//! | 37 keys longer than a fixed buffer | `sizes` |
//! | 38 the cleaner's trigger | `memory_bound` |
//! | 39 a transaction that failed can commit | `conflicts` |
//! | 40 drop and rename are not undone | here, as far as native tables do it |

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";

on_helium! {
    fn fault_01_a_kill_takes_no_volumes_rows(arena) {
        {
            let session = arena.session();
            for volume in [1, 2] {
                let uri = arena.create_on(volume, &session, "t", FORMATS);
                session.cursor(&uri, "").unwrap().put("k", "v").unwrap();
            }
        }
        let mut after = arena.killed();
        for _ in 0..2 {
            {
                let session = after.session();
                for volume in [1, 2] {
                    let cursor = session.cursor(&after.uri_on(volume, "t"), "").unwrap();
                    assert_eq!(cursor.list().unwrap(), ["k=v"], "volume {volume}");
                }
            }
            after = after.killed();
        }
    }

    fn fault_02_03_outcomes_are_not_forgotten(arena) {
        {
            let (one, two) = (arena.snapshot_session(), arena.session());
            let uri = arena.create(&one, "t", FORMATS);
            let other = arena.create_on(2, &one, "t", FORMATS);
            let (cursor, busy) = (one.cursor(&uri, "").unwrap(), two.cursor(&other, "").unwrap());
            cursor.put("kept", "1").unwrap();
            one.begin("").unwrap();
            cursor.put("ghost", "1").unwrap();
            cursor.change("kept", "2").unwrap();
            one.rollback().unwrap();
            // The other volume settles meanwhile, with and without work to do.
            for round in 0..2_000 {
                busy.put(&(round % 10).to_string(), "v").unwrap();
            }
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!(cursor.list().unwrap(), ["kept=1"]);
            one.begin("isolation=read-uncommitted").unwrap();
            assert_eq!(cursor.list().unwrap(), ["kept=1"]);
            one.commit().unwrap();
        }
        let after = arena.killed();
        let session = after.session();
        assert_eq!(session.cursor(&after.uri("t"), "").unwrap().list().unwrap(), ["kept=1"]);
        assert_eq!(session.cursor(&after.uri_on(2, "t"), "").unwrap().list().unwrap().len(), 10);
    }

    fn fault_04_a_failed_update_discards_nobodys_version(arena) {
        let (one, two) = (arena.snapshot_session(), arena.session());
        let uri = arena.create(&one, "t", FORMATS);
        let pending = one.cursor(&uri, "").unwrap();
        let strict = two.cursor(&uri, "overwrite=false").unwrap();
        one.begin("").unwrap();
        pending.put("k", "pending").unwrap();
        assert_eq!(strict.change("k", "x").code(), Code::NOTFOUND);
        assert_eq!(strict.take("k").code(), Code::NOTFOUND);
        assert_eq!(strict.get("k").unwrap(), None);
        one.commit().unwrap();
        assert_eq!(strict.get("k").unwrap().unwrap(), "pending");
    }

    fn fault_11_a_checkpoint_reaches_every_volume(arena) {
        {
            let session = arena.session();
            for volume in [1, 2] {
                let uri = arena.create_on(volume, &session, "t", FORMATS);
                session.cursor(&uri, "").unwrap().put("k", "v").unwrap();
            }
            session.checkpoint("").unwrap();
        }
        let after = arena.killed();
        for volume in [1, 2] {
            let session = after.session();
            let cursor = session.cursor(&after.uri_on(volume, "t"), "").unwrap();
            assert_eq!(cursor.list().unwrap(), ["k=v"], "volume {volume}");
        }
    }

    fn fault_15_a_hot_key_stays_readable(arena) {
        let (one, two) = (arena.session(), arena.snapshot_session());
        let uri = arena.create(&one, "t", "key_format=S,value_format=u");
        let (write, read) = (one.cursor(&uri, "").unwrap(), two.cursor(&uri, "").unwrap());
        let put = |round: u32| {
            write.set_key_str("hot").unwrap();
            write.set_value(&[round.to_le_bytes().as_slice(), &[7; 4_000]].concat()).unwrap();
            write.insert().unwrap();
        };
        let seen = || {
            read.set_key_str("hot").unwrap();
            read.search().unwrap();
            read.value().unwrap()[..4].to_vec()
        };
        put(0);
        two.begin("").unwrap();
        assert_eq!(seen(), 0_u32.to_le_bytes());
        // All the versions together are longer than a value may be.
        one.begin("").unwrap();
        for round in 1..=6_000 {
            put(round);
            if round % 100 == 0 {
                one.commit().unwrap();
                one.begin("").unwrap();
            }
        }
        one.commit().unwrap();
        assert_eq!(seen(), 0_u32.to_le_bytes());
        two.commit().unwrap();
        assert_eq!(seen(), 6_000_u32.to_le_bytes());
    }

    fn fault_21_objects_come_and_go_beside_writers(arena) {
        let session = arena.session();
        let busy = arena.create_on(2, &session, "busy", FORMATS);
        let (arena, stop) = (&*arena, AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let session = arena.session();
                let cursor = session.cursor(&busy, "").unwrap();
                for round in 0_u64.. {
                    cursor.put(&(round % 100).to_string(), "v").unwrap();
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            for round in 0..setting("HELIUM_CREATE_DROP_ROUNDS", 200) {
                let uri = arena.create(&session, &format!("t{}", round % 7), FORMATS);
                session.cursor(&uri, "").unwrap().put("k", "v").unwrap();
                session.drop(&uri, "").unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        });
    }

    /// While values change, a scan sees every key once and in order.
    fn fault_27_scans_miss_and_repeat_nothing(arena) {
        let session = arena.session();
        let uri = arena.create(&session, "t", FORMATS);
        let cursor = session.cursor(&uri, "").unwrap();
        let keys: Vec<String> = (0..200).map(|number| format!("k{number:03}")).collect();
        for key in &keys {
            cursor.put(key, "0").unwrap();
        }
        let (arena, stop) = (&*arena, AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let session = arena.session();
                let cursor = session.cursor(&uri, "").unwrap();
                for round in 0_usize.. {
                    cursor.put(&keys[round * 7 % keys.len()], &round.to_string()).unwrap();
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            for _ in 0..100 {
                let found: Vec<String> = strip(cursor.list().unwrap());
                assert!(found == keys, "forward: {found:?}");
                let mut found = strip(cursor.list_back().unwrap());
                found.reverse();
                assert!(found == keys, "back: {found:?}");
            }
            stop.store(true, Ordering::Relaxed);
        });
    }

    fn fault_35_open_cursors_do_not_disturb_the_close(arena) {
        {
            let session = arena.session();
            let uri = arena.create(&session, "t", FORMATS);
            let cursor = session.cursor(&uri, "").unwrap();
            for key in ["a", "b"] {
                cursor.put(key, "v").unwrap();
            }
            cursor.next().unwrap();
            std::mem::forget(cursor);
            std::mem::forget(session);
        }
        arena.reopen();
        let session = arena.session();
        assert_eq!(session.cursor(&arena.uri("t"), "").unwrap().list().unwrap().len(), 2);
    }

    /// A reader's snapshot at the moment of closing keeps nothing from being there later.
    fn fault_36_a_reader_at_the_close_costs_no_updates(arena) {
        {
            let (one, two) = (arena.session(), arena.snapshot_session());
            let uri = arena.create(&one, "t", FORMATS);
            let (write, read) = (one.cursor(&uri, "").unwrap(), two.cursor(&uri, "").unwrap());
            write.put("k", "old").unwrap();
            two.begin("").unwrap();
            assert_eq!(read.get("k").unwrap().unwrap(), "old");
            write.put("k", "new").unwrap();
            write.put("l", "new").unwrap();
            write.take("l").unwrap();
            std::mem::forget(read);
            std::mem::forget(two);
        }
        for round in 0..2 {
            arena.reopen();
            let session = arena.session();
            let list = session.cursor(&arena.uri("t"), "").unwrap().list().unwrap();
            assert_eq!(list, ["k=new"], "reopened {round}");
        }
    }

    /// A create that fails leaves nothing behind that a second one would meet.
    fn fault_40_a_failed_create_leaves_nothing(arena) {
        {
            let session = arena.session();
            let uri = arena.uri("t");
            let bad = arena.formats(&format!("{FORMATS},helium_o_compress=perhaps"));
            assert_ne!(session.create(&uri, &bad).code(), Code::OK);
            assert_eq!(session.cursor(&uri, "").err().unwrap().code, Code::ENOENT);
            session.create(&uri, &arena.formats(&format!("{FORMATS},exclusive"))).unwrap();
            session.cursor(&uri, "").unwrap().put("k", "v").unwrap();
        }
        let after = arena.killed();
        let session = after.session();
        assert_eq!(session.cursor(&after.uri("t"), "").unwrap().list().unwrap(), ["k=v"]);
    }
}

fn strip(rows: Vec<String>) -> Vec<String> {
    rows.into_iter()
        .map(|row| row.split('=').next().unwrap_or_default().to_owned())
        .collect()
}
