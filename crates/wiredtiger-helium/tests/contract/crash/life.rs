//! What a child does until it is killed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::fs::File;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use super::{OPTIONS, catalog, deeds, judge};
use crate::common::*;

/// The file that says that the child found everything as it must be.
pub fn judged(folder: &Path) -> PathBuf {
    folder.join("judged")
}

#[test]
#[ignore = "the victim of the tests beside it"]
fn child() {
    let Some(folder) = Child::folder() else {
        return;
    };
    end_with_the_first_panic();
    let parent = parent_id();
    let kind = Kind::named(&std::env::var("HELIUM_CRASH_KIND").unwrap()).unwrap();
    let arena = Arena::at(&folder, kind, OPTIONS);
    judge(&arena, "after the kill before");
    File::create(judged(&folder)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..deeds::THREADS {
            let arena = &arena;
            scope.spawn(move || deeds::work(arena, thread));
        }
        if kind == Kind::Object {
            scope.spawn(|| catalog::work(&arena));
        }
        checkpoints(&arena, parent);
    });
}

/// A checkpoint now and then, as a program would, and a compaction, for as long as there is someone
/// to kill us.
fn checkpoints(arena: &Arena, parent: u32) {
    let mut random = SmallRng::seed_from_u64(setting("HELIUM_CRASH_SEED", 1));
    let session = arena.session();
    while parent_id() == parent {
        std::thread::sleep(Duration::from_millis(random.random_range(1..60)));
        // Of what changed only, and whole ones.
        let config = ["", "force=true"][random.random_range(0..2)];
        session.checkpoint(config).unwrap();
        if arena.kind() == Kind::Object && random.random_range(0..4) == 0 {
            deeds::compact(arena);
        }
    }
    process::exit(1);
}
