//! The C connector killed at random moments, and then opened by ours, over and over.
//!
//! A child process works with the C connector until it is killed with SIGKILL. Now and then a child with
//! our extension is killed while it opens what is left, which is while it takes over. Then this process
//! opens it with ours, compares it with what was acknowledged, does some work of its own on top, and
//! closes it for the next life, which compares it once more.
//!
//! What the C connector promises: a commit is on the volume that has the outcomes when it returns, with
//! everything before it there; another volume is only made durable by a checkpoint. So on the first
//! volume every acknowledged transaction must be there, wholly, and nothing else; on the second one a
//! prefix, which has all that was there at the last checkpoint. See [`deeds`].

mod deeds;
mod life;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;

use super::{Database, Which};
use crate::common::*;
use deeds::Notes;

const ROUNDS_PER_DATABASE: u64 = 10;

#[test]
fn every_acknowledged_commit_comes_over_and_nothing_else() {
    let seed = seed("c_connector");
    let mut random = SmallRng::seed_from_u64(seed);
    let rounds = setting("HELIUM_C_CRASH_ROUNDS", 6);
    let mut acknowledged = 0;
    let mut taken_over = 0;
    for first in (0..rounds).step_by(ROUNDS_PER_DATABASE as usize) {
        let Some(database) = Database::new() else {
            return;
        };
        let connection = database.open(Which::C);
        deeds::create(&connection);
        connection.close().unwrap();
        for round in first..rounds.min(first + ROUNDS_PER_DATABASE) {
            let place = format!("round {round}, HELIUM_SEED={seed}");
            taken_over += self::round(&database, &mut random, &place);
        }
        acknowledged += Notes::of_all(database.folder());
    }
    println!("{rounds} kills, {acknowledged} acknowledged, {taken_over} stores taken over");
    assert!(acknowledged >= rounds, "hardly anything was acknowledged");
    assert!(
        taken_over >= rounds,
        "there was hardly anything to take over"
    );
}

/// One life of the C connector, its end, and what ours makes of it; how many stores had something to
/// be taken over.
fn round(database: &Database, random: &mut SmallRng, place: &str) -> u64 {
    let before = Notes::of_all(database.folder());
    let time = Duration::from_micros(random.random_range(0..400_000));
    kill(
        database,
        Which::C,
        || Notes::of_all(database.folder()) > before + 3,
        time,
    );
    while random.random_bool(0.4) {
        let time = Duration::from_micros(random.random_range(0..60_000));
        kill(database, Which::Ours, || true, time);
    }
    let connection = database.open(Which::Ours);
    let told = connection.take_events();
    let taken = told.iter().filter(|event| event.text.contains("took over"));
    let taken = taken.count() as u64;
    deeds::judge(&connection, database.folder(), place);
    deeds::a_few(&connection, database.folder());
    deeds::judge(&connection, database.folder(), place);
    connection.close().unwrap();
    taken
}

/// Starts a child, and kills it some time after it was ready.
fn kill(database: &Database, which: Which, ready: impl Fn() -> bool, time: Duration) {
    let child = Child::running("c_connector::kill::life::child", database.folder())
        .env("HELIUM_CRASH_KIND", life::name(which));
    let mut victim = Victim::start(child);
    victim.wait_until(ready);
    victim.kill_after(time);
}
