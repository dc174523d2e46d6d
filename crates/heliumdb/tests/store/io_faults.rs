//! A fault at every operation of a fixed workload: after a failed write or sync nothing more is
//! acknowledged, and opening the volumes again finds a prefix with all that was.

use helium_sim::{Driver, Fault, FaultKind, History, Machine, On, Replay, seed};
use heliumdb::{Error, ErrorKind};

use crate::common::{after_kill, after_power_loss, driver_options, in_parallel};

const STEPS: usize = 80;

const CHANGES: [FaultKind; 6] = [
    FaultKind::Eio,
    FaultKind::Enospc,
    FaultKind::Short,
    FaultKind::SyncKeepsCache,
    FaultKind::SyncRevertsCache,
    FaultKind::Late,
];

/// Each kind of fault, once and for ever, at each of the workload's first `operations`.
fn faults(on: On, kinds: &[FaultKind], operations: u64) -> Vec<Fault> {
    let mut faults = Vec::new();
    for &kind in kinds {
        for for_ever in [false, true] {
            faults.extend((0..operations).map(|nth| Fault {
                on,
                nth,
                for_ever,
                kind,
            }));
        }
    }
    faults
}

fn create(machine: &Machine, seed: u64) -> Result<Driver, Error> {
    let (_, options) = driver_options(seed);
    Driver::create(machine, options, seed)
}

/// How many changes and reads the workload makes of itself.
fn measure(seed: u64) -> (u64, u64) {
    let machine = Machine::new(seed, &driver_options(seed).0);
    let mut driver = create(&machine, seed).expect("create");
    let (changes, reads) = (machine.changes(), machine.reads());
    for _ in 0..STEPS {
        driver.step().expect("nothing is wrong with the machine");
    }
    (machine.changes() - changes, machine.reads() - reads)
}

/// Runs the workload with `fault`, and judges what it leaves.
fn round(seed: u64, fault: Fault) {
    let (disks, options) = driver_options(seed);
    let machine = Machine::new(seed, &disks);
    let mut driver = create(&machine, seed).expect("create");
    machine.plan(fault);
    let failed = (0..STEPS).find_map(|_| driver.step().err());
    machine.heal();
    if let Some(why) = &failed {
        // An operation said so, and not with just any words.
        assert!(why.to_string().len() > 20, "{why}");
        // To be full is no failure: see `no_room`.
        let is_full = fault.kind == FaultKind::Enospc && why.kind() == ErrorKind::VolumeFull;
        if fault.on != On::Read && !is_full {
            nothing_is_acknowledged(&driver);
        }
    }
    let note = driver.note();
    let histories = driver.histories().to_vec();
    // The process ends without closing anything.
    machine.power_off();
    drop(driver);
    for after in [after_kill(&machine, seed), after_power_loss(&machine, seed)] {
        let found = match Driver::recover(&after, &options) {
            Ok(found) => found,
            Err(why) => panic!("{fault:?}: opening again: {why}"),
        };
        let mut prefixes = Vec::new();
        for (volume, found) in found.iter().enumerate() {
            let states = histories[volume].states();
            let (acknowledged, begun) = (note[volume] as usize, note[volume + 2] as usize);
            let possible = History::prefixes(&states, acknowledged, begun, found);
            assert!(
                !possible.is_empty(),
                "{fault:?}: volume {volume} is no prefix of at least {acknowledged} of {begun} events: {}",
                helium_sim::difference(&states[acknowledged], found)
            );
            prefixes.push(possible);
        }
        assert!(
            History::agree(&histories, &prefixes),
            "{fault:?}: one volume only"
        );
    }
}

/// At least one volume has failed; one that has refuses everything but reads.
fn nothing_is_acknowledged(driver: &Driver) {
    let mut poisoned = 0;
    for (index, volume) in driver.volumes().iter().enumerate() {
        let store = &driver.stores()[2 * index];
        let Err(why) = store.put(b"after", b"a failure") else {
            continue;
        };
        assert_eq!(why.kind(), ErrorKind::Poisoned, "{why}");
        poisoned += 1;
        assert!(
            volume.flush().is_err(),
            "a flush was acknowledged after {why}"
        );
        assert!(volume.create_datastore(b"after").is_err());
        assert!(store.delete(b"after").is_err());
        for item in store.iter() {
            item.expect("reads go on");
        }
    }
    assert!(poisoned > 0, "a write or sync failed, and no volume minds");
}

/// Each of them is a case of its seed.
fn every_fault(on: On, kinds: &[FaultKind], operations: impl Fn(u64) -> u64) {
    // The first workload at every operation; `HELIUM_FAULT_SEEDS` more of them.
    for seed in seed::seeds(seed::count("HELIUM_FAULT_SEEDS", 1)) {
        let all = faults(on, kinds, operations(seed));
        assert!(!all.is_empty());
        let replay = Replay::new(seed);
        in_parallel(0..all.len() as u64, |index| {
            if let Some(_case) = replay.case(index) {
                round(seed, all[index as usize]);
            }
        });
    }
}

#[test]
fn after_a_failed_write_or_sync_nothing_more_is_acknowledged() {
    every_fault(On::Change, &CHANGES, |seed| measure(seed).0);
}

#[test]
fn after_a_failed_sync_nothing_more_is_acknowledged() {
    every_fault(On::Sync, &CHANGES[3..5], |_| 30);
}

#[test]
fn a_failed_read_fails_its_operation_alone() {
    let kinds = [FaultKind::Eio, FaultKind::Short, FaultKind::FlippedBit];
    every_fault(On::Read, &kinds, |seed| measure(seed).1.clamp(1, 60));
}

/// Faults while the volumes are opened after a power loss: an error, or the truth.
#[test]
fn recovery_that_fails_can_be_repeated() {
    let seed = seed::replayed().unwrap_or(1);
    let replay = Replay::new(seed);
    let (disks, options) = driver_options(seed);
    let machine = Machine::new(seed, &disks);
    let mut driver = create(&machine, seed).expect("create");
    machine.record(&driver.note());
    for _ in 0..STEPS {
        driver.step().expect("nothing is wrong with the machine");
    }
    let record = machine.records().pop().expect("some were made");
    let images = record.crash(&mut seed::rng(seed));
    let again = |images: &[helium_sim::Image]| Machine::with_images(seed, images.to_vec());
    let wanted = Driver::recover(&again(&images), &options).expect("recover");
    let mut all = faults(On::Change, &CHANGES, 24);
    all.extend(faults(On::Read, &[FaultKind::Eio, FaultKind::Short], 60));
    all.extend(faults(On::Read, &[FaultKind::FlippedBit], 150));
    in_parallel(0..all.len() as u64, |index| {
        let Some(_case) = replay.case(index) else {
            return;
        };
        let fault = all[index as usize];
        let machine = again(&images);
        machine.plan(fault);
        match Driver::recover(&machine, &options) {
            // A bit that flips in the unsynced tail looks as if the tail was torn.
            Ok(found) if fault.kind != FaultKind::FlippedBit => assert!(found == wanted),
            Ok(_) => return,
            Err(why) => assert!(why.to_string().len() > 20, "{why}"),
        }
        machine.heal();
        machine.power_off();
        for after in [after_kill(&machine, seed), after_power_loss(&machine, seed)] {
            match Driver::recover(&after, &options) {
                Ok(found) if fault.kind != FaultKind::FlippedBit => {
                    assert!(found == wanted, "{fault:?}")
                }
                Ok(_) => {}
                Err(why) => panic!("{fault:?}: opening again: {why}"),
            }
        }
    });
}
