//! Power losses: the volumes after any of them are a prefix of what was done, with everything in
//! it that was acknowledged, and transactions over both volumes wholly there or wholly not.
//!
//! Each image has a number of its own, and its own random numbers: the line that replays one judges no other.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use helium_sim::{
    Case, Driver, DriverOptions, Fault, FaultKind, History, Image, Machine, On, Recorded, Replay,
    State, Tells, last_case, seed,
};
use rand::{Rng, rngs::SmallRng, seq::IndexedRandom};

use crate::common::{busy_options, destroy_checkpoint, driver_options, in_parallel};

const STEPS: u64 = 150;
const IMAGES_PER_GENERATION: u64 = 100;
const GENERATIONS: u64 = 4;
/// So many of a volume's last events are told of an image that is wrong.
const EVENTS_TOLD: usize = 6;

/// What a driver did, for judging what a crash left of it.
struct Deeds {
    histories: Vec<History>,
    states: Vec<Vec<Arc<State>>>,
}

impl Deeds {
    fn of(driver: &Driver) -> Self {
        let histories = driver.histories().to_vec();
        let states = histories.iter().map(History::states).collect();
        Self { histories, states }
    }

    /// `found` is what may be left when `note` was the last note; otherwise, why it is not.
    fn judge(&self, note: &[u64], found: &[State]) -> Result<(), String> {
        let volumes = self.histories.len();
        let mut prefixes = Vec::new();
        for (volume, found) in found.iter().enumerate() {
            let (acknowledged, begun) = (note[volume] as usize, note[volumes + volume] as usize);
            let states = &self.states[volume];
            let possible = History::prefixes(states, acknowledged, begun, found);
            if possible.is_empty() {
                return Err(format!(
                    "volume {volume}: what is left is no prefix with all {acknowledged} acknowledged of {begun} \
                     events: it is prefix {:?}; from the acknowledged ones on, {}; from all, {}",
                    History::prefixes(states, 0, states.len() - 1, found),
                    helium_sim::difference(&states[acknowledged], found),
                    helium_sim::difference(&states[begun], found),
                ));
            }
            prefixes.push(possible);
        }
        if History::agree(&self.histories, &prefixes) {
            return Ok(());
        }
        Err(format!(
            "a transaction over both volumes is on one only: prefixes {prefixes:?}"
        ))
    }

    /// What was done last before `note`.
    fn last(&self, note: &[u64]) -> String {
        let volumes = self.histories.iter().enumerate().map(|(volume, history)| {
            let (acknowledged, begun) = (note[volume], note[self.histories.len() + volume]);
            let events = history.last(EVENTS_TOLD, begun as usize);
            format!("volume {volume}: {acknowledged} events acknowledged, {begun} begun; the last:{events}")
        });
        volumes.collect::<Vec<_>>().join("\n")
    }

    fn check(&self, note: &[u64], found: &[State]) {
        if let Err(why) = self.judge(note, found) {
            panic!("{why}");
        }
    }
}

/// Works, and returns what was done with the disks after every write and sync.
fn work(mut driver: Driver, machine: &Machine) -> (Deeds, Vec<Recorded>) {
    machine.record(&driver.note());
    for step in 0..STEPS {
        if let Err(why) = driver.step() {
            panic!("step {step}: {why}");
        }
    }
    let deeds = Deeds::of(&driver);
    (deeds, machine.records())
}

fn recover(machine: &Machine, options: &DriverOptions) -> Vec<State> {
    match Driver::recover(machine, options) {
        Ok(found) => found,
        Err(why) => panic!("after a power loss: {why}"),
    }
}

/// What the power left, for a judge.
struct Left<'a> {
    deeds: &'a Deeds,
    note: &'a [u64],
    images: Vec<Image>,
    rng: SmallRng,
}

/// A volume made by a first driver, and then generation after generation: work, crash anywhere,
/// go on with one of the images.
fn generations(
    seed: u64,
    (disks, options): (Vec<u64>, DriverOptions),
    mut judge: impl FnMut(Left<'_>),
) {
    let replay = Replay::new(seed);
    let mut machine = Machine::new(seed, &disks);
    let mut driver = Driver::create(&machine, options.clone(), seed).expect("create");
    for generation in 0..GENERATIONS {
        let (deeds, records) = work(driver, &machine);
        for image in 0..IMAGES_PER_GENERATION {
            let case = generation * IMAGES_PER_GENERATION + image;
            if let Some(case) = replay.case(case) {
                judge_one(&case, generation, (&deeds, &records), &mut judge);
            }
        }
        let next = generation + 1;
        if last_case().is_some_and(|case| case < next * IMAGES_PER_GENERATION) {
            return;
        }
        // As no image has this number, nothing depends on how many were judged.
        let mut rng = seed::rng_of_case(seed, GENERATIONS * IMAGES_PER_GENERATION + generation);
        let last = records.choose(&mut rng).expect("some were made");
        machine = Machine::with_images(seed, last.crash(&mut rng));
        let next = seed.wrapping_mul(GENERATIONS) + next;
        driver = match Driver::open(&machine, options.clone(), next) {
            Ok(driver) => driver,
            Err(why) => panic!("after a power loss: {why}"),
        };
    }
}

/// Has one image judged: of the disks after any of the changes that were made in its generation.
fn judge_one(
    case: &Case<'_>,
    generation: u64,
    (deeds, records): (&Deeds, &[Recorded]),
    judge: &mut impl FnMut(Left<'_>),
) {
    let mut rng = case.rng();
    let change = rng.random_range(0..records.len());
    let note = &records[change].note;
    let _tells = Tells(|| {
        format!(
            "generation {generation}, the power lost after change {change} of {} in it\n{}",
            records.len() - 1,
            deeds.last(note)
        )
    });
    let images = records[change].crash(&mut rng);
    case.keep(&images);
    judge(Left {
        deeds,
        note,
        images,
        rng,
    });
}

#[test]
fn a_power_loss_leaves_a_prefix_with_all_that_was_acknowledged() {
    let images = seed::count("HELIUM_CRASH_IMAGES", 2_000);
    let rounds = images.div_ceil(IMAGES_PER_GENERATION * GENERATIONS);
    in_parallel(seed::seeds(rounds), |seed| {
        let (disks, options) = driver_options(seed);
        generations(seed, (disks, options.clone()), |left| {
            let machine = Machine::with_images(seed, left.images);
            left.deeds.check(left.note, &recover(&machine, &options));
        });
    });
}

/// The same between moving, checkpoint and freeing: the cleaner works all the time.
#[test]
fn a_power_loss_while_cleaning_leaves_a_prefix_with_all_that_was_acknowledged() {
    let images = seed::count("HELIUM_CLEAN_CRASH_IMAGES", 1_200);
    let rounds = images.div_ceil(IMAGES_PER_GENERATION * GENERATIONS);
    in_parallel(seed::seeds(rounds), |seed| {
        let (disks, options) = busy_options(seed);
        generations(seed, (disks, options.clone()), |left| {
            let machine = Machine::with_images(seed, left.images);
            left.deeds.check(left.note, &recover(&machine, &options));
        });
    });
}

/// And if the checkpoint turns out to be destroyed: what is in the log says it all, wherever items
/// were moved to and whatever was freed.
#[test]
fn a_destroyed_checkpoint_costs_nothing_but_time() {
    let images = seed::count("HELIUM_CLEAN_CRASH_IMAGES", 800);
    let rounds = images.div_ceil(IMAGES_PER_GENERATION * GENERATIONS);
    let (judged, destroyed) = (AtomicU64::new(0), AtomicU64::new(0));
    in_parallel(seed::seeds(rounds), |seed| {
        let (disks, mut options) = busy_options(seed);
        options.checkpoint_log_bytes = 1 << 20;
        generations(seed, (disks, options.clone()), |mut left| {
            let was_there = destroy_checkpoint(&mut left.images[0]);
            judged.fetch_add(1, Ordering::Relaxed);
            destroyed.fetch_add(u64::from(was_there), Ordering::Relaxed);
            let machine = Machine::with_images(seed, left.images);
            left.deeds.check(left.note, &recover(&machine, &options));
        });
    });
    let (judged, destroyed) = (judged.into_inner(), destroyed.into_inner());
    assert!(
        last_case().is_some() || destroyed > judged / 4,
        "{destroyed} of {judged} were destroyed"
    );
}

/// Recovery is cut short, that of what is left, too, and so on; what recovery once returned stays.
#[test]
fn a_power_loss_in_recovery_changes_nothing() {
    let images = seed::count("HELIUM_NESTED_CRASH_IMAGES", 600);
    let rounds = images.div_ceil(IMAGES_PER_GENERATION * GENERATIONS);
    let cut_short = AtomicU64::new(0);
    in_parallel(seed::seeds(rounds), |seed| {
        let (disks, options) = driver_options(seed);
        generations(seed, (disks, options.clone()), |left| {
            let (mut images, mut rng) = (left.images, left.rng);
            for _ in 0..rng.random_range(1..4) {
                let machine = Machine::with_images(seed, images);
                machine.power_off_at(rng.random_range(0..12));
                let _ = Driver::recover(&machine, &options);
                cut_short.fetch_add(u64::from(!machine.is_powered()), Ordering::Relaxed);
                images = machine.crash(&mut rng);
            }
            let machine = Machine::with_images(seed, images);
            let found = recover(&machine, &options);
            left.deeds.check(left.note, &found);
            // Whoever opened a volume has seen what is in it.
            let again = Machine::with_images(seed, machine.crash(&mut rng));
            assert!(
                found == recover(&again, &options),
                "what a recovery returned was different after the next power loss"
            );
        });
    });
    let cut_short = cut_short.into_inner();
    assert!(
        last_case().is_some() || cut_short > 0,
        "no recovery was cut short"
    );
}

/// The process is killed: the page cache keeps every write that it had made.
#[test]
fn a_killed_process_leaves_a_prefix() {
    in_parallel(seed::seeds(4), |seed| {
        let (disks, options) = driver_options(seed);
        let replay = Replay::new(seed);
        for at in 0..60 {
            let Some(case) = replay.case(at) else {
                continue;
            };
            let machine = Machine::new(seed, &disks);
            let mut driver = Driver::create(&machine, options.clone(), seed).expect("create");
            machine.record(&driver.note());
            machine.power_off_at(at);
            while driver.step().is_ok() {}
            let (deeds, note) = (Deeds::of(&driver), driver.note());
            drop(driver);
            let _tells = Tells(|| format!("killed at change {at}\n{}", deeds.last(&note)));
            let machine = crate::common::after_kill(&machine, seed);
            case.keep(&machine.images());
            deeds.check(&note, &recover(&machine, &options));
        }
    });
}

/// Runs a driver on a machine with a planted `fault`, and says whether any crash shows it.
fn is_found_out(seed: u64, fault: Fault) -> bool {
    let (disks, options) = driver_options(seed);
    let machine = Machine::new(seed, &disks);
    let driver = Driver::create(&machine, options.clone(), seed).expect("create");
    machine.plan(fault);
    let (deeds, records) = work(driver, &machine);
    let mut rng = seed::rng(seed);
    (0..300).any(|_| {
        let record = records.choose(&mut rng).expect("some were made");
        let machine = Machine::with_images(seed, record.crash(&mut rng));
        match Driver::recover(&machine, &options) {
            Ok(found) => deeds.judge(&record.note, &found).is_err(),
            Err(_) => true,
        }
    })
}

/// The tests above would notice a disk, or a store, that skips a sync or a write.
#[test]
fn disks_that_lie_are_found_out() {
    let lies = [
        (On::Sync, 0, true),
        (On::Sync, 4, true),
        (On::Write, 2, false),
        (On::Write, 6, false),
        (On::Write, 6, true),
    ];
    for (on, nth, for_ever) in lies {
        let fault = Fault {
            on,
            nth,
            for_ever,
            kind: FaultKind::Lie,
        };
        assert!((1..5).any(|seed| is_found_out(seed, fault)), "{fault:?}");
    }
}
