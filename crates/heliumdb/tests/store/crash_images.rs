//! Power losses: the volumes after any of them are a prefix of what was done, with everything in
//! it that was acknowledged, and transactions over both volumes wholly there or wholly not.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use helium_sim::{
    Driver, DriverOptions, Fault, FaultKind, History, Machine, On, Recorded, State, seed,
};
use rand::{Rng, rngs::SmallRng, seq::IndexedRandom};

use crate::common::{busy_options, destroy_checkpoint, driver_options, in_parallel};

const STEPS: u64 = 150;
const IMAGES_PER_GENERATION: u64 = 100;
const GENERATIONS: u64 = 4;

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

/// A volume made by a first driver, and then generation after generation: work, crash anywhere,
/// go on with one of the images.
fn generations(
    seed: u64,
    (disks, options): (Vec<u64>, DriverOptions),
    mut judge: impl FnMut(&Deeds, &Recorded, &mut SmallRng),
) {
    let mut rng = seed::rng(seed);
    let mut machine = Machine::new(seed, &disks);
    let mut driver = Driver::create(&machine, options.clone(), seed).expect("create");
    for generation in 1..=GENERATIONS {
        let (deeds, records) = work(driver, &machine);
        for _ in 0..IMAGES_PER_GENERATION {
            let record = records.choose(&mut rng).expect("some were made");
            judge(&deeds, record, &mut rng);
        }
        let last = records.choose(&mut rng).expect("some were made");
        machine = Machine::with_images(seed, last.crash(&mut rng));
        driver = match Driver::open(
            &machine,
            options.clone(),
            seed.wrapping_mul(GENERATIONS) + generation,
        ) {
            Ok(driver) => driver,
            Err(why) => panic!("after a power loss: {why}"),
        };
    }
}

#[test]
fn a_power_loss_leaves_a_prefix_with_all_that_was_acknowledged() {
    let images = seed::count("HELIUM_CRASH_IMAGES", 2_000);
    let rounds = images.div_ceil(IMAGES_PER_GENERATION * GENERATIONS);
    in_parallel(seed::seeds(rounds), |seed| {
        let _replay = seed::Replay::new("a_power_loss_leaves_a_prefix", seed);
        let (disks, options) = driver_options(seed);
        generations(seed, (disks, options.clone()), |deeds, record, rng| {
            let machine = Machine::with_images(seed, record.crash(rng));
            deeds.check(&record.note, &recover(&machine, &options));
        });
    });
}

/// The same between moving, checkpoint and freeing: the cleaner works all the time.
#[test]
fn a_power_loss_while_cleaning_leaves_a_prefix_with_all_that_was_acknowledged() {
    let images = seed::count("HELIUM_CLEAN_CRASH_IMAGES", 1_200);
    let rounds = images.div_ceil(IMAGES_PER_GENERATION * GENERATIONS);
    in_parallel(seed::seeds(rounds), |seed| {
        let _replay = seed::Replay::new("a_power_loss_while_cleaning_leaves_a_prefix", seed);
        let (disks, options) = busy_options(seed);
        generations(seed, (disks, options.clone()), |deeds, record, rng| {
            let machine = Machine::with_images(seed, record.crash(rng));
            deeds.check(&record.note, &recover(&machine, &options));
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
        let _replay = seed::Replay::new("a_destroyed_checkpoint_costs_nothing_but_time", seed);
        let (disks, mut options) = busy_options(seed);
        options.checkpoint_log_bytes = 1 << 20;
        generations(seed, (disks, options.clone()), |deeds, record, rng| {
            let mut images = record.crash(rng);
            let was_there = destroy_checkpoint(&mut images[0]);
            judged.fetch_add(1, Ordering::Relaxed);
            destroyed.fetch_add(u64::from(was_there), Ordering::Relaxed);
            let machine = Machine::with_images(seed, images);
            deeds.check(&record.note, &recover(&machine, &options));
        });
    });
    let (judged, destroyed) = (judged.into_inner(), destroyed.into_inner());
    assert!(
        destroyed > judged / 4,
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
        let _replay = seed::Replay::new("a_power_loss_in_recovery_changes_nothing", seed);
        let (disks, options) = driver_options(seed);
        generations(seed, (disks, options.clone()), |deeds, record, rng| {
            let mut images = record.crash(rng);
            for _ in 0..rng.random_range(1..4) {
                let machine = Machine::with_images(seed, images);
                machine.power_off_at(rng.random_range(0..12));
                let _ = Driver::recover(&machine, &options);
                cut_short.fetch_add(u64::from(!machine.is_powered()), Ordering::Relaxed);
                images = machine.crash(rng);
            }
            let machine = Machine::with_images(seed, images);
            let found = recover(&machine, &options);
            deeds.check(&record.note, &found);
            // Whoever opened a volume has seen what is in it.
            let again = Machine::with_images(seed, machine.crash(rng));
            assert!(
                found == recover(&again, &options),
                "what a recovery returned was different after the next power loss"
            );
        });
    });
    assert!(cut_short.into_inner() > 0, "no recovery was cut short");
}

/// The process is killed: the page cache keeps every write that it had made.
#[test]
fn a_killed_process_leaves_a_prefix() {
    in_parallel(seed::seeds(4), |seed| {
        let _replay = seed::Replay::new("a_killed_process_leaves_a_prefix", seed);
        let (disks, options) = driver_options(seed);
        for at in 0..60 {
            let machine = Machine::new(seed, &disks);
            let mut driver = Driver::create(&machine, options.clone(), seed).expect("create");
            machine.record(&driver.note());
            machine.power_off_at(at);
            while driver.step().is_ok() {}
            let (deeds, note) = (Deeds::of(&driver), driver.note());
            drop(driver);
            let machine = crate::common::after_kill(&machine, seed);
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
