//! Random operations of several transactions over two volumes, in lockstep with a model.

use helium_sim::{Driver, Machine, Replay, seed};

use crate::common::{busy_options, driver_options, in_parallel};

const OPERATIONS_PER_ROUND: u64 = 20_000;

#[test]
fn random_operations_agree_with_the_model() {
    let operations = seed::count("HELIUM_MODEL_OPS", 200_000);
    let rounds = operations.div_ceil(OPERATIONS_PER_ROUND);
    in_parallel(seed::seeds(rounds), |seed| {
        let _replay = Replay::new(seed);
        let (disks, mut options) = driver_options(seed);
        options.reopen = 0.001;
        options.keys = [8, 60, 400][(seed / 3) as usize % 3];
        let machine = Machine::new(seed, &disks);
        let mut driver = Driver::create(&machine, options, seed).expect("create");
        for step in 0..operations.min(OPERATIONS_PER_ROUND) {
            if let Err(why) = driver.step() {
                panic!("step {step}: {why}");
            }
        }
        driver.reopen().expect("reopen at the end");
    });
}

const CLEANED_OPERATIONS: u64 = 2_000;

#[test]
fn random_operations_agree_with_the_model_while_cleaning() {
    let operations = seed::count("HELIUM_CLEAN_MODEL_OPS", 12_000);
    let rounds = operations.div_ceil(CLEANED_OPERATIONS);
    in_parallel(seed::seeds(rounds), |seed| {
        cleaned(seed, operations.min(CLEANED_OPERATIONS));
    });
}

/// A tombstone was dropped in the round that moved what a reader had below it: opened again, the item was back.
#[test]
fn what_is_removed_above_what_a_reader_keeps_stays_so() {
    in_parallel([24, 33, 36, 78].into_iter(), |seed| {
        cleaned(seed, CLEANED_OPERATIONS)
    });
}

fn cleaned(seed: u64, operations: u64) {
    let _replay = Replay::new(seed);
    let (disks, mut options) = busy_options(seed);
    options.reopen = 0.003;
    options.keys = [8, 60, 100][seed as usize % 3];
    let machine = Machine::new(seed, &disks);
    let mut driver = Driver::create(&machine, options, seed).expect("create");
    for step in 0..operations {
        if let Err(why) = driver.step() {
            panic!("step {step}: {why}");
        }
    }
    let moved = driver.volumes().iter().map(|v| v.stats().cleaner_bytes);
    let moved: u64 = moved.sum();
    driver.reopen().expect("reopen at the end");
    eprintln!("moved {moved} bytes since the last time it was opened");
}
