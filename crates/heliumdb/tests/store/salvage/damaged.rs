//! Random work, then random damage: what is salvaged is what the format says is left.

use std::iter;

use helium_sim::{DiskId, Driver, Image, Machine, Replay, seed, sim_options};
use heliumdb::host::open_all_devices;
use rand::{Rng, rngs::SmallRng};

use super::{
    damaged,
    oracle::{Damage, Datastores, Oracle},
    salvage, same,
};
use crate::common::{driver_options, in_parallel};

/// The disks of two volumes after random work, and what is in each volume.
pub(super) struct Worked {
    pub(super) volumes: Vec<Vec<Image>>,
    pub(super) contents: Vec<Datastores>,
}

pub(super) fn work(seed: u64, steps: usize) -> Worked {
    let (disks, mut options) = driver_options(seed);
    options.huge_values = 0.01;
    options.value_bytes = 60_000;
    let volumes_disks = options.volumes.clone();
    options.reopen = 0.002;
    let machine = Machine::new(seed, &disks);
    let mut driver = Driver::create(&machine, options, seed).expect("create");
    for step in 0..steps {
        if let Err(why) = driver.step() {
            panic!("step {step}: {why}");
        }
    }
    driver.roll_back();
    let volumes = driver.volumes();
    for volume in volumes {
        volume.flush().expect("flush");
    }
    let contents = volumes.iter().map(super::contents).collect();
    for volume in volumes {
        volume.close().expect("close");
    }
    drop(driver);
    // What was closed before its decider was told at the next opening.
    let again = volumes_disks
        .iter()
        .map(|disks| (machine.devices(disks), sim_options()));
    for volume in open_all_devices(again.collect()).expect("open") {
        volume.close().expect("close");
    }
    let images = machine.images();
    Worked {
        volumes: vec![images[..1].to_vec(), images[1..].to_vec()],
        contents,
    }
}

#[test]
fn an_undamaged_volume_is_salvaged_whole() {
    in_parallel(seed::seeds(4), |seed| {
        let _replay = Replay::new(seed);
        let worked = work(seed, 3000);
        for (images, wanted) in worked.volumes.iter().zip(&worked.contents) {
            let (report, found) = salvage(images, |s| s);
            assert!(report.is_lossless(), "{report:?}");
            same(&found, wanted);
            assert_eq!(found.len(), wanted.len());
            same(&Oracle::new(images).survivors(&Damage::new()), wanted);
        }
    });
}

fn spoil(rng: &mut SmallRng, kind: u64) -> impl FnMut(&mut [u8]) + '_ {
    move |block| match kind {
        // A block of zeros would be none the worse.
        0 if block.iter().any(|&byte| byte != 0) => block.fill(0),
        0 | 1 => rng.fill(block),
        _ => {
            // One bit is as good as all, wherever there is something.
            let used: Vec<usize> = (0..block.len()).filter(|&at| block[at] != 0).collect();
            if let Some(&at) = used.get(rng.random_range(0..used.len().max(1))) {
                block[at] ^= 1 << rng.random_range(0..8);
            }
            // The others die with it, so that it is certain that something did.
            block.iter_mut().for_each(|byte| *byte ^= 0x55);
        }
    }
}

#[test]
fn what_damage_leaves_is_salvaged_and_nothing_else() {
    let rounds = seed::count("HELIUM_SALVAGES", 12);
    in_parallel(seed::seeds(rounds), |seed| {
        let replay = Replay::new(seed);
        let worked = work(seed, 3000);
        for (images, volume) in worked.volumes.iter().zip(0..) {
            let oracle = Oracle::new(images);
            let blocks = oracle.blocks();
            for round in 0..6u64 {
                let Some(case) = replay.case(volume * 6 + round) else {
                    continue;
                };
                let mut rng = case.rng();
                let mut damage = Damage::new();
                for _ in 0..rng.random_range(1..=8) {
                    damage.insert(blocks[rng.random_range(0..blocks.len())]);
                }
                if rng.random_bool(0.3) {
                    damage.extend(oracle.segment_blocks(rng.random_range(0..100)));
                }
                // Superblocks, of some disks or all.
                for disk in 0..images.len() {
                    if rng.random_bool(0.5) {
                        damage.extend([(disk, 0), (disk, 4096)]);
                    }
                }
                if !oracle.knows_any(&damage) {
                    continue;
                }
                let mut spoil = spoil(&mut rng, round % 3);
                let after = damaged(images, &damage, &mut spoil);
                case.keep(&after);
                let (report, found) = salvage(&after, |s| s);
                same(&found, &oracle.survivors(&damage));
                check_made_up(&report, &found);
            }
        }
    });
}

/// What has no record any more has a name that says so.
fn check_made_up(report: &heliumdb::upkeep::SalvageReport, found: &Datastores) {
    for store in &report.datastores {
        let (name, _) = &found[&store.id.0];
        assert_eq!(*name, store.name);
        assert!(store.renamed || name.starts_with(b"store"));
    }
}

/// With everything asked for, each item that can still be read by its place is there: in its datastore, or, if
/// the record that gave that one its tree is gone, in the one that the tree is salvaged to.
#[test]
fn with_doubtful_items_whatever_can_be_read_is_there() {
    in_parallel(seed::seeds(6), |seed| {
        let _replay = Replay::new(seed);
        let worked = work(seed, 3000);
        let mut rng = seed::rng(seed);
        let images = &worked.volumes[0];
        let oracle = Oracle::new(images);
        let blocks = oracle.ordinary_blocks();
        let damage: Damage = (0..6)
            .map(|_| blocks[rng.random_range(0..blocks.len())])
            .collect();
        // A volume that was opened before the damage knows every place.
        let machine = Machine::with_images(seed, images.clone());
        let volume = crate::common::open_one(&machine).unwrap();
        let device = machine.device(DiskId(0));
        for (_, offset) in &damage {
            device.write_at(&[0xee; 4096], *offset).unwrap();
        }
        let (report, found) = salvage(&machine.images(), |s| {
            s.partial_batches(true).doubtful_items(true)
        });
        let renamed = report.datastores.iter().filter(|store| store.renamed);
        let renamed: Vec<u32> = renamed.map(|store| store.id.0).collect();
        for (id, (_, items)) in &worked.contents[0] {
            let store = volume.datastore_by_id(heliumdb::DatastoreId(*id)).unwrap();
            for (key, value) in items {
                if store.get(key).is_ok() && found.contains_key(id) {
                    let renamed = renamed.iter().filter_map(|id| found.get(id));
                    let mut places = iter::once(&found[id]).chain(renamed);
                    assert!(
                        places.any(|(_, items)| items.get(key) == Some(value)),
                        "{} is lost or wrong",
                        key.escape_ascii()
                    );
                }
            }
        }
    });
}
