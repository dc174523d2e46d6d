//! Commits over several volumes that are taken back, beside checkpoints, the cleaner and settling: a
//! cancel that returned holds on all volumes, and one that comes too late is refused.

use std::{sync::Arc, thread};

use helium_sim::{DiskId, Keeper, Latch, Machine, Operation, Verdict, seed, sim_options};
use heliumdb::host::VolumeExt;
use heliumdb::{
    Datastore, ErrorKind, Isolation, Volume, VolumeOptions,
    host::{Change, Horizon, Mode, TxnId, TxnSnapshot, open_all_devices},
    upkeep::Salvage,
};

use crate::{
    common::{Session, after_power_loss, machine, open},
    several_volumes::{commit_on, ordered, stores, values},
};

/// Two volumes, the first of which decides, on devices with a latch for each.
fn held(options: &VolumeOptions) -> (Machine, [Arc<Latch>; 2], Vec<Volume>, Vec<Datastore>) {
    let (machine, volumes, stores_) = ordered(2);
    drop(stores_);
    volumes.iter().for_each(|volume| volume.close().unwrap());
    drop(volumes);
    let machine = Machine::with_images(0, machine.images());
    let latches = [Latch::new(), Latch::new()];
    let volumes = [0, 1].map(|disk| {
        let device = latches[disk].guard(machine.device(DiskId(disk)));
        (vec![device], options.clone())
    });
    let volumes = open_all_devices(volumes.into()).unwrap();
    let stores_ = stores(&volumes);
    (machine, latches, volumes, stores_)
}

/// A transaction that has set `k` to "new" on all volumes and is committed, and not published.
fn committed(keeper: &Arc<Keeper>, all: &[Datastore]) -> Session {
    let mut session = Session::begin(keeper, Isolation::Snapshot);
    for store in all {
        session.put(store, "k", "new").unwrap();
    }
    session.commit_unpublished().unwrap();
    session
}

fn old() -> [Option<String>; 2] {
    ["old", "old"].map(|value| Some(value.to_owned()))
}

/// What both volumes hold under `k` after a power loss: the same.
fn after(machine: &Machine, seed: u64) -> Vec<Option<String>> {
    let found = values(
        &stores(&open(&after_power_loss(machine, seed), &[0, 1]).unwrap()),
        "k",
    );
    assert_eq!(found[0], found[1], "half a transaction");
    found
}

/// A checkpoint writes its manifest while a cancel is on its way to the medium.
#[test]
fn a_manifest_beside_a_cancel_does_not_keep_the_decision() {
    let (machine, latches, volumes, all) = held(&sim_options());
    let keeper = Keeper::new();
    commit_on(&keeper, &[&all[0], &all[1]], "k", "old").unwrap();
    // From now on it is known that cancels may come.
    committed(&keeper, &all).cancel().unwrap();
    let session = committed(&keeper, &all);
    // Something for a page, so that the checkpoint is held up before its manifest.
    all[0].put(b"page", b"v").unwrap();
    let decider = &volumes[0];
    let frames = || decider.stats().frames;
    latches[0].hold(|operation| *operation == Operation::Sync);
    thread::scope(|scope| {
        let checkpoint = scope.spawn(|| decider.checkpoint_as_of(&*keeper).unwrap());
        latches[0].await_held(1);
        let before = frames();
        let cancel = scope.spawn(|| session.cancel().unwrap());
        while frames() == before {
            thread::yield_now();
        }
        let cancelling = frames();
        // The pages are durable, and the manifest is written; the cancel is not durable yet.
        latches[0].release_one(Verdict::Go);
        while frames() < cancelling + 2 {
            thread::yield_now();
        }
        latches[0].release(Verdict::Go);
        checkpoint.join().unwrap();
        cancel.join().unwrap();
    });
    assert_eq!(values(&all, "k"), old());
    for seed in 0..10 {
        assert_eq!(after(&machine, seed), old());
    }
}

/// A checkpoint of either volume before, between or behind commit and cancel; the power goes at any
/// change.
#[test]
fn a_checkpoint_at_any_step_changes_nothing_about_a_cancel() {
    for plan in 0..64u32 {
        let (machine, volumes, all) = ordered(2);
        let keeper = Keeper::new();
        let checkpoints = |step: u32| {
            for (disk, volume) in volumes.iter().enumerate() {
                if plan >> (2 * step + disk as u32) & 1 == 1 {
                    volume.checkpoint_as_of(&*keeper).unwrap();
                }
            }
        };
        commit_on(&keeper, &[&all[0], &all[1]], "k", "old").unwrap();
        machine.record(&[0]);
        checkpoints(0);
        let session = committed(&keeper, &all);
        checkpoints(1);
        session.cancel().unwrap();
        machine.note(&[1]);
        checkpoints(2);
        volumes.iter().for_each(|volume| volume.flush().unwrap());
        let records = machine.records();
        // Each plan crashes at every third change, another third than its neighbours.
        for (index, record) in records
            .iter()
            .enumerate()
            .skip(plan as usize % 3)
            .step_by(3)
        {
            let mut rng = seed::rng(u64::from(plan) << 32 | index as u64);
            let crashed = Machine::with_images(0, record.crash(&mut rng));
            let found = values(&stores(&open(&crashed, &[0, 1]).unwrap()), "k");
            assert_eq!(found[0], found[1], "plan {plan}, change {index}");
            assert!(
                record.note[0] == 0 || found == old(),
                "plan {plan}, change {index}"
            );
        }
    }
}

/// Fills the segment that the log ends in, and some more, with what is dead at once.
fn bury(volume: &Volume, store: &Datastore) {
    for _ in 0..12 {
        store.put(b"filler", [7; 200_000]).unwrap();
    }
    volume.flush().unwrap();
}

/// What a salvage finds under `k`.
fn salvaged(salvage: Salvage) -> Option<String> {
    let target = Volume::open_devices(machine(0, 1).devices(&[DiskId(0)]), &sim_options()).unwrap();
    salvage.run(&target, &mut |_| true).unwrap();
    values(&[target.datastore(b"store").unwrap()], "k").remove(0)
}

/// The cleaner takes decisions along only when nobody can take them back.
#[test]
fn a_decision_does_not_move_away_from_its_batch() {
    for plan in 0..8 {
        let [scan, is_checkpointed, is_freed] = [0, 1, 2].map(|bit| plan >> bit & 1 == 1);
        let (machine, _latches, volumes, all) = held(&sim_options());
        let keeper = Keeper::new();
        commit_on(&keeper, &[&all[0], &all[1]], "k", "old").unwrap();
        let session = committed(&keeper, &all);
        bury(&volumes[0], &all[0]);
        if is_checkpointed {
            volumes[0].checkpoint_as_of(&*keeper).unwrap();
        }
        volumes[0].clean().unwrap();
        assert!(volumes[0].stats().cleaner_bytes > 0);
        if is_freed {
            volumes[0].free().unwrap();
        }
        session.cancel().unwrap();
        let after = after_power_loss(&machine, 1);
        let opened = [0, 1].map(|disk| {
            let mut options = sim_options();
            options.scan = scan;
            (after.devices(&[DiskId(disk)]), options)
        });
        let decider = after.devices(&[DiskId(0)]);
        let salvage = Salvage::on_devices(after.devices(&[DiskId(1)])).decider_devices(decider);
        assert_eq!(salvaged(salvage), old()[1], "plan {plan}");
        let found = stores(&open_all_devices(opened.into()).unwrap());
        assert_eq!(values(&found, "k"), old(), "plan {plan}");
    }
}

/// The power goes between what a cancel writes: decisions that the cleaner has met, or a manifest, do
/// not count without the batches that are taken back. Other writes before each cancel put it at every
/// place of a sector.
#[test]
fn a_cancel_that_is_cut_short_is_whole_or_absent() {
    const CANCELS: usize = 32;
    let key = |number: usize| format!("k{number}");
    for scan in [false, true] {
        let (machine, _latches, volumes, all) = held(&sim_options());
        let keeper = Keeper::new();
        // From now on it is known that cancels may come.
        committed(&keeper, &all).cancel().unwrap();
        let commit = |number| {
            let mut session = Session::begin(&keeper, Isolation::Snapshot);
            let each = all.iter();
            each.for_each(|store| session.put(store, &key(number), "new").unwrap());
            session.commit_unpublished().unwrap();
            session
        };
        let sessions: Vec<Session> = (0..CANCELS).map(commit).collect();
        bury(&volumes[0], &all[0]);
        match scan {
            true => volumes[0].clean().unwrap(),
            false => volumes[0].checkpoint_as_of(&*keeper).unwrap(),
        }
        volumes.iter().for_each(|volume| volume.flush().unwrap());
        machine.record(&[]);
        for (number, session) in sessions.into_iter().enumerate() {
            all[0].put(b"pad", vec![0; 16 * number]).unwrap();
            session.cancel().unwrap();
        }
        for (index, record) in machine.records().iter().enumerate() {
            for round in 0..4 {
                let mut rng = seed::rng(index as u64 * 4 + round);
                let crashed = Machine::with_images(0, record.crash(&mut rng));
                let opened = [0, 1].map(|disk| {
                    let mut options = sim_options();
                    options.scan = scan;
                    (crashed.devices(&[DiskId(disk)]), options)
                });
                let found = stores(&open_all_devices(opened.into()).unwrap());
                for number in 0..CANCELS {
                    let both = values(&found, &key(number));
                    assert_eq!(both[0], both[1], "scan {scan}, change {index}, {number}");
                }
            }
        }
    }
}

/// A keeper that says when readers need nothing older any more, and until when it may take back.
struct Says {
    oldest: TxnId,
    final_below: TxnId,
    snapshots: Option<Vec<Arc<TxnSnapshot>>>,
}

impl Horizon for Says {
    fn oldest(&self) -> TxnId {
        self.oldest
    }

    fn final_below(&self) -> TxnId {
        self.final_below
    }

    fn snapshots(&self) -> Option<Vec<Arc<TxnSnapshot>>> {
        self.snapshots.clone()
    }
}

/// What everyone sees, and may still be taken back, neither settles nor is resolved.
#[test]
fn a_cancel_holds_though_no_reader_needs_what_was_before() {
    let (machine, volumes, all) = ordered(2);
    let keeper = Keeper::new();
    commit_on(&keeper, &[&all[0], &all[1]], "k", "old").unwrap();
    let session = committed(&keeper, &all);
    let horizon = Says {
        oldest: 3,
        final_below: 2,
        snapshots: None,
    };
    for _ in 0..3 {
        for volume in &volumes {
            volume.settle(&horizon);
            volume.flush().unwrap();
            volume.checkpoint_as_of(&horizon).unwrap();
        }
    }
    session.cancel().unwrap();
    assert_eq!(values(&all, "k"), old());
    volumes.iter().for_each(|volume| volume.flush().unwrap());
    assert_eq!(after(&machine, 3), old());
}

/// Nor does anything go from the middle of a chain that shows again when what is above is taken back.
#[test]
fn what_is_below_a_version_that_may_be_taken_back_stays() {
    let (_machine, volumes, all) = ordered(2);
    let keeper = Keeper::new();
    commit_on(&keeper, &[&all[0], &all[1]], "k", "first").unwrap();
    commit_on(&keeper, &[&all[0], &all[1]], "k", "old").unwrap();
    let session = committed(&keeper, &all);
    let horizon = Says {
        oldest: 2,
        final_below: 3,
        snapshots: Some(vec![Arc::new(TxnSnapshot::new(&[], 4))]),
    };
    volumes
        .iter()
        .for_each(|volume| _ = volume.settle(&horizon));
    session.cancel().unwrap();
    assert_eq!(values(&all, "k"), old());
}

/// Once one of its volumes has heard that it cannot be taken back, it stays, on all of them.
#[test]
fn a_cancel_below_the_horizon_is_refused_and_changes_nothing() {
    for hearer in [0, 1] {
        for checkpoints in [false, true] {
            let (machine, volumes, all) = ordered(2);
            let keeper = Keeper::new();
            commit_on(&keeper, &[&all[0], &all[1]], "k", "old").unwrap();
            let session = committed(&keeper, &all);
            let horizon = Says {
                oldest: 3,
                final_below: 3,
                snapshots: None,
            };
            match checkpoints {
                true => volumes[hearer].checkpoint_as_of(&horizon).unwrap(),
                false => drop(volumes[hearer].settle(&horizon)),
            }
            let refused = session.cancel().unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
            let new = ["new", "new"].map(|value| Some(value.to_owned()));
            assert_eq!(values(&all, "k"), new);
            // Nothing is wrong with the volumes.
            commit_on(&keeper, &[&all[0], &all[1]], "other", "v").unwrap();
            assert_eq!(after(&machine, 4), new);
        }
    }
}

/// Closing the decider ends all doubt: what comes later is refused, and nothing is half there.
#[test]
fn a_cancel_after_the_close_is_refused() {
    let (machine, volumes, all) = ordered(2);
    let keeper = Keeper::new();
    let session = committed(&keeper, &all);
    volumes[0].close().unwrap();
    let refused = session.cancel().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
    let change = Change::Put(b"v");
    let mut other = Session::begin(&keeper, Isolation::Snapshot);
    other.write(&all[1], b"other", change, Mode::Any).unwrap();
    other.commit().unwrap();
    let new = ["new", "new"].map(|value| Some(value.to_owned()));
    assert_eq!(after(&machine, 5), new);
}
