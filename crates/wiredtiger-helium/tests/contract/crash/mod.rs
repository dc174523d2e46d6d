//! Killed at random moments and opened again: every acknowledged transaction is there, none
//! by half.
//!
//! A child process lives on a database until it is killed with SIGKILL: it opens it, which
//! recovers it from the kill before, compares what it finds with the acknowledgements of all
//! lives before ([`deeds`], [`catalog`]), and goes on from there with transactions over both
//! volumes, checkpoints and changes of the catalog ([`life`]). So one process start is one
//! round, and what a kill left is judged by the next life, the last one's by this process.
//!
//! A kill comes while the database is being opened and recovered, right after, or in the
//! middle of work; within each, at any moment.

mod acknowledgements;
mod catalog;
mod deeds;
mod indices;
mod life;
mod renames;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::*;
use acknowledgements::Acknowledgements;

/// Makes native tables durable; a volume is so by default. WiredTiger reads the whole file of
/// its log when it recovers, so that its default of 100 MB would be most of a round.
const OPTIONS: &str =
    "log=(enabled,file_max=1MB,prealloc=false),transaction_sync=(enabled,method=fsync)";
/// After so many kills a database is judged, and another one begun.
const ROUNDS_PER_DATABASE: u64 = 25;

/// Kills, of those with objects and those with tables together.
fn kills() -> u64 {
    setting("HELIUM_CRASH_ROUNDS", 20)
}

#[test]
fn native() {
    // It proves the test, for which it need not be killed that often.
    rounds(Kind::Native, kills().div_ceil(20));
}

#[test]
fn object() {
    rounds(Kind::Object, kills().div_ceil(2));
}

#[test]
fn table() {
    rounds(Kind::Table, kills().div_ceil(2));
}

fn rounds(kind: Kind, rounds: u64) {
    let seed = seed("crash");
    let mut random = SmallRng::seed_from_u64(seed);
    let mut acknowledged = [0; acknowledgements::WRITERS];
    let start = Instant::now();
    for first in (0..rounds).step_by(ROUNDS_PER_DATABASE as usize) {
        let last = rounds.min(first + ROUNDS_PER_DATABASE);
        let deeds = database(kind, &mut random, first..last, seed);
        for (sum, deeds) in acknowledged.iter_mut().zip(deeds) {
            *sum += deeds;
        }
    }
    println!(
        "crash {}: {rounds} kills in {:.1} s; acknowledged by each writer: {acknowledged:?}",
        kind.name(),
        start.elapsed().as_secs_f64()
    );
    assert!(
        acknowledged[..deeds::THREADS].iter().sum::<u64>() >= rounds,
        "hardly anything was acknowledged: {acknowledged:?}"
    );
}

/// One database from its creation to its last kill; what was acknowledged, by each writer.
fn database(
    kind: Kind,
    random: &mut SmallRng,
    rounds: std::ops::Range<u64>,
    seed: u64,
) -> [u64; acknowledgements::WRITERS] {
    let folder = tempfile::tempdir().unwrap();
    let mut arena = Arena::at(folder.path(), kind, OPTIONS);
    deeds::create(&arena);
    arena.close();
    for round in rounds.clone() {
        // The first one at work, so that even a short run has something to lose.
        let moment = match round == rounds.start {
            true => Moment::at_work(random),
            false => Moment::choose(random),
        };
        println!("round {round}: {moment:?}");
        live_and_kill(kind, folder.path(), moment, random.random());
    }
    let place = format!("after round {}, HELIUM_SEED={seed}", rounds.end - 1);
    arena.open();
    judge(&arena, &place);
    deeds::verify(&arena);
    // A clean close changes nothing.
    arena.reopen();
    judge(&arena, &place);
    Acknowledgements::of_all(folder.path())
}

/// Compares a database that was just opened with all acknowledgements.
fn judge(arena: &Arena, place: &str) {
    for thread in 0..deeds::THREADS {
        let mut acknowledgements = Acknowledgements::open(arena.folder(), thread);
        let last = deeds::check(arena, thread, acknowledgements.last(), place);
        acknowledgements.adopt(last);
    }
    catalog::judge(arena, place);
}

/// When a child is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after the start of the process: mostly while it recovers the database.
    Opening(Duration),
    /// So long after it found everything as it must be.
    Judged(Duration),
    /// So long after its first acknowledgement.
    AtWork(Duration),
}

impl Moment {
    fn choose(random: &mut SmallRng) -> Self {
        let mut up_to = |most| Duration::from_micros(random.random_range(0..most));
        let (short, medium) = (up_to(10_000), up_to(80_000));
        match random.random_range(0..10) {
            0..3 => Self::Opening(medium),
            3 => Self::Judged(short),
            _ => Self::at_work(random),
        }
    }

    fn at_work(random: &mut SmallRng) -> Self {
        Self::AtWork(Duration::from_micros(random.random_range(0..180_000)))
    }
}

/// One life, and its end.
fn live_and_kill(kind: Kind, folder: &Path, moment: Moment, seed: u64) {
    let _ = std::fs::remove_file(life::judged(folder));
    let child = Child::running("crash::life::child", folder)
        .env("HELIUM_CRASH_KIND", kind.name())
        .env("HELIUM_CRASH_SEED", &seed.to_string());
    let mut victim = Victim::start(child);
    let (Moment::Opening(time) | Moment::Judged(time) | Moment::AtWork(time)) = moment;
    if !matches!(moment, Moment::Opening(_)) {
        victim.wait_until(|| life::judged(folder).exists());
    }
    if matches!(moment, Moment::AtWork(_)) {
        let before = Acknowledgements::of_all(folder);
        victim.wait_until(|| Acknowledgements::of_all(folder) != before);
    }
    victim.kill_after(time);
}
