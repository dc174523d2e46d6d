//! Killed while an index is made beside checkpoints: it is there, or it can be made, and it never
//! has entries of rows that are gone.
//!
//! An index that a kill found half filled may be there half filled, if WiredTiger's log kept its
//! metadata: so it is with native ones.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::fs::File;
use std::os::unix::process::parent_id;
use std::time::Duration;
use wiredtiger_testkit::pack;

use super::OPTIONS;
use super::life::judged;
use crate::common::*;

const ROWS: usize = 100;
const TABLE: &str = "key_format=S,value_format=S,columns=(k,v)";

#[test]
fn made_beside_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = SmallRng::seed_from_u64(seed("indices"));
    for _ in 0..setting("HELIUM_CRASH_ROUNDS", 20).div_ceil(3) {
        let _ = std::fs::remove_file(judged(folder.path()));
        let child = Child::running("crash::indices::child", folder.path());
        let mut victim = Victim::start(child);
        victim.wait_until(|| judged(folder.path()).exists());
        victim.kill_after(Duration::from_millis(random.random_range(1..400)));
    }
    judge(&Arena::at(folder.path(), Kind::Table, OPTIONS));
}

#[test]
#[ignore = "the victim of the test beside it"]
fn child() {
    let Some(folder) = Child::folder() else {
        return;
    };
    end_with_the_first_panic();
    let parent = parent_id();
    let arena = Arena::at(&folder, Kind::Table, OPTIONS);
    let session = arena.session();
    session
        .create(&arena.uri("t"), &arena.formats(TABLE))
        .unwrap();
    judge(&arena);
    File::create(judged(&folder)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for generation in 0.. {
                let session = arena.session();
                session.drop(&index(&arena), "").unwrap();
                fill(&arena, &session, generation);
                create(&arena, &session).unwrap();
            }
        });
        while parent_id() == parent {
            session.checkpoint("").unwrap();
        }
        std::process::exit(1);
    });
}

/// Gives all rows other values than they have: those of this process and this generation.
fn fill(arena: &Arena, session: &Session<'_>, generation: u32) {
    let cursor = session.cursor(&arena.uri("t"), "").unwrap();
    session.begin("").unwrap();
    for row in 0..ROWS {
        let value = format!("{} {generation} {row}", std::process::id());
        cursor.put(&format!("{row:03}"), &value).unwrap();
    }
    session.commit().unwrap();
}

/// The index can be opened, or else be made; and then it has no other entries than of rows.
fn judge(arena: &Arena) {
    let session = arena.session();
    if session.cursor(&index(arena), "raw").is_err() {
        // WiredTiger itself may know half of an index whose drop was cut short: the index, but
        // not its source. It drops that only if it is forced to.
        session.drop(&index(arena), "force").unwrap();
        create(arena, &session).unwrap();
    }
    let table = session.cursor(&arena.uri("t"), "").unwrap();
    let rows = table.rows().unwrap();
    let packed = |bytes: &[u8]| pack::string(std::str::from_utf8(bytes).unwrap());
    let entries: Vec<_> = rows
        .iter()
        .map(|(key, value)| [packed(value), packed(key)].concat())
        .collect();
    let cursor = session.cursor(&index(arena), "raw").unwrap();
    for (entry, _) in cursor.rows().unwrap() {
        assert!(entries.contains(&entry), "{}", entry.escape_ascii());
    }
}

fn create(arena: &Arena, session: &Session<'_>) -> wiredtiger_testkit::Result<()> {
    session.create(&index(arena), &arena.formats("columns=(v),exclusive"))
}

fn index(arena: &Arena) -> String {
    format!("index:{}:i", arena.uri("t").strip_prefix("table:").unwrap())
}
