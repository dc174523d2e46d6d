//! What a child does until it is killed.

use std::os::unix::process::parent_id;
use std::process;
use std::time::Duration;

use super::super::{Database, Which};
use super::deeds;
use crate::common::*;

pub fn name(which: Which) -> &'static str {
    match which {
        Which::C => "c",
        Which::Ours => "ours",
    }
}

#[test]
#[ignore = "the victim of the test beside it"]
fn child() {
    let Some(folder) = Child::folder() else {
        return;
    };
    end_with_the_first_panic();
    let parent = parent_id();
    let which = match std::env::var("HELIUM_CRASH_KIND").as_deref() {
        Ok("c") => Which::C,
        _ => Which::Ours,
    };
    let database = Database::at(&folder);
    let connection = database.open(which);
    deeds::judge(&connection, &folder, "in the next life");
    if which == Which::C {
        std::thread::scope(|scope| {
            for thread in 0..deeds::THREADS {
                let (connection, folder) = (&connection, &folder);
                scope.spawn(move || deeds::work(connection, folder, thread));
            }
            scope.spawn(|| deeds::work_on_the_other_volume(&connection, &folder));
            scope.spawn(|| deeds::never_commit(&connection));
            wait_for_the_end(parent);
        });
    }
    wait_for_the_end(parent);
}

fn wait_for_the_end(parent: u32) {
    while parent_id() == parent {
        std::thread::sleep(Duration::from_millis(10));
    }
    process::exit(1);
}
