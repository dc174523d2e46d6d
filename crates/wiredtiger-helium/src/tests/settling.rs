//! Versions settle once the host's oldest id moves, and the thread moves it.

use super::sim::{Connection, Sim};
use crate::nudge::{self, Mover};
use heliumdb::Isolation::Snapshot;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const URI: &str = "helium:dev1/rows";

/// Moves the oldest id as slowly as WiredTiger does.
struct SlowMover {
    connection: Arc<Connection>,
    steps: u32,
}

impl Mover for SlowMover {
    fn step(&mut self) -> Result<(), String> {
        self.steps += 1;
        if self.steps.is_multiple_of(23) {
            self.connection.sim().move_oldest();
        }
        Ok(())
    }
}

#[test]
fn the_thread_settles_what_writers_leave_and_readers_keep_theirs() {
    let connection = Arc::new(Connection::open());
    connection.create(URI, "").expect("created");
    let mut mover = SlowMover {
        connection: Arc::clone(&connection),
        steps: 0,
    };
    let source = Arc::clone(&connection.source);
    let settler = std::thread::spawn(move || {
        nudge::run::<Sim>(&source, &mut mover);
        mover.steps
    });
    let mut writer = connection.cursor(1, URI);
    writer.insert("k0", "first").expect("inserted");
    connection.begin(2, Snapshot);
    let mut reader = connection.cursor(2, URI);
    assert_eq!(reader.get("k0").expect("there"), "first");
    for round in 0..20_000 {
        let key = format!("k{}", round % 10);
        writer.insert(&key, "more").expect("inserted");
    }
    assert_eq!(reader.get("k0").expect("its snapshot stays"), "first");
    assert_eq!(reader.keys(), "k0");
    connection.rollback(2);
    writer.insert("k0", "last").expect("inserted");
    let deadline = Instant::now() + Duration::from_secs(20);
    while connection.source.version_bytes() > 0 {
        assert!(Instant::now() < deadline, "versions do not settle");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(reader.get("k0").expect("there"), "last");
    connection.source.pulse().stop();
    let steps = settler.join().expect("ends");
    assert!(steps > 0);
}
