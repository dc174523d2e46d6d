//! A bank with its accounts on two volumes: transfers, cancels, checkpoints, cleaning, faults of the
//! disks and power losses in any order, and never is there money too much or too little, or half a
//! transfer, or one of which it was said that it did not happen.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::*},
    },
    thread,
};

use helium_sim::{DiskId, Fault, FaultKind, Keeper, Machine, On, Replay, seed};
use heliumdb::host::VolumeExt;
use heliumdb::{
    Datastore, ErrorKind, Isolation, Result, Volume, VolumeOptions,
    host::{Horizon, open_all_devices},
};
use rand::{Rng, rngs::SmallRng};

use crate::{
    common::{MIB, Session, machine},
    several_volumes::stores,
};

const ACCOUNTS: u64 = 8;
const MONEY: i64 = 1_000;
/// Whoever transfers at the same time.
const TELLERS: usize = 3;
/// What fills segments, so that there is something to clean.
const FILLER_BYTES: usize = 150_000;

fn options(rng: &mut SmallRng) -> VolumeOptions {
    let mut options = helium_sim::sim_options();
    options.checkpoint_log_bytes = Some([u64::MAX, 300 << 10, 3 << 20][rng.random_range(0..3)]);
    options.auto_clean_period_ms = 0;
    options.clean_dirty_pct = 1;
    options.clean_util_pct = 100;
    options.scan = rng.random_bool(0.3);
    options
}

/// The volumes, the decider first.
fn open(machine: &Machine, rng: &mut SmallRng) -> Result<Vec<Volume>> {
    let volumes = [0, 1].map(|disk| (machine.devices(&[DiskId(disk)]), options(rng)));
    let mut volumes = open_all_devices(volumes.into())?;
    volumes.sort_by_key(Volume::id);
    Ok(volumes)
}

/// What a teller knows of its transfers: each leaves its number on both volumes.
#[derive(Default)]
struct Teller {
    /// The last that was acknowledged and not taken back.
    done: AtomicU64,
    /// The last that was begun.
    begun: AtomicU64,
    /// Those that were taken back, or never happened.
    cancelled: Mutex<HashSet<u64>>,
}

/// What is counted outside transactions, on one volume.
#[derive(Default)]
struct Visitors {
    /// How many may be: none of those of whom it was said that they are not.
    begun: AtomicU64,
    counted: AtomicU64,
    /// How many were counted before a flush that succeeded.
    flushed: AtomicU64,
}

struct Bank<'a> {
    keeper: Arc<Keeper>,
    volumes: &'a [Volume],
    stores: Vec<Datastore>,
    tellers: &'a [Teller],
    visitors: &'a [Visitors; 2],
    /// Something failed: the power is gone.
    is_over: AtomicBool,
}

fn account(number: u64) -> String {
    format!("account {number}")
}

fn number(text: Option<&[u8]>) -> u64 {
    text.map_or(0, |text| {
        String::from_utf8_lossy(text).parse().expect("a number")
    })
}

fn balance(session: &mut Session, store: &Datastore, account: &str) -> Result<i64> {
    let text = session.get(store, account)?;
    Ok(text.map_or(MONEY, |text| text.parse().expect("a number")))
}

impl Bank<'_> {
    /// Moves money between two accounts, each on either volume, and leaves the teller's mark on both.
    fn transfer(&self, teller: usize, rng: &mut SmallRng) -> Result<()> {
        let state = &self.tellers[teller];
        let number = state.begun.fetch_add(1, SeqCst) + 1;
        let mut session = Session::begin(&self.keeper, Isolation::Snapshot);
        let amount = rng.random_range(1..100);
        let from = (
            rng.random_range(0..2),
            account(rng.random_range(0..ACCOUNTS)),
        );
        let to = (
            rng.random_range(0..2),
            account(rng.random_range(0..ACCOUNTS)),
        );
        if from == to {
            return Ok(());
        }
        let moved: Result<()> = (|| {
            for ((volume, account), more) in [(from, -amount), (to, amount)] {
                let store = &self.stores[volume];
                let new = balance(&mut session, store, &account)? + more;
                session.put(store, &account, &new.to_string())?;
            }
            for store in &self.stores {
                session.put(store, &format!("teller {teller}"), &number.to_string())?;
            }
            session.commit_unpublished()
        })();
        if let Err(why) = moved {
            if why.kind() != ErrorKind::OutcomeUnknown {
                state.cancelled.lock().expect("whole").insert(number);
            }
            session.abort();
            return match why.kind() {
                ErrorKind::Conflict => Ok(()),
                _ => Err(why),
            };
        }
        if rng.random_bool(0.3) {
            session.cancel()?;
            state.cancelled.lock().expect("whole").insert(number);
        } else {
            state.done.store(number, SeqCst);
            session.view.end();
        }
        Ok(())
    }

    /// Anything else that may happen to a volume.
    fn upkeep(&self, rng: &mut SmallRng) -> Result<()> {
        let index = rng.random_range(0..self.volumes.len());
        let (volume, store) = (&self.volumes[index], &self.stores[index]);
        let visitors = &self.visitors[index];
        match rng.random_range(0..14) {
            0 => volume.checkpoint_as_of(&*self.keeper),
            1 => volume.checkpoint(),
            2 => volume.clean(),
            3 => {
                let counted = visitors.counted.load(SeqCst);
                volume.flush()?;
                visitors.flushed.fetch_max(counted, SeqCst);
                Ok(())
            }
            4 => volume.free(),
            5 => volume.background_step().map(drop),
            6..8 => store.put(b"filler", [7; FILLER_BYTES]),
            8..12 => {
                visitors.begun.fetch_add(1, SeqCst);
                let one_more =
                    |old: Option<&[u8]>| Some((number(old) + 1).to_string().into_bytes());
                store
                    .update_fetch(b"visitors", one_more)
                    .inspect_err(|why| {
                        if why.kind() != ErrorKind::OutcomeUnknown {
                            visitors.begun.fetch_sub(1, SeqCst);
                        }
                    })?;
                visitors.counted.fetch_add(1, SeqCst);
                Ok(())
            }
            _ => {
                volume.settle(&*self.keeper as &dyn Horizon);
                Ok(())
            }
        }
    }
}

/// Holds what is there against what was said.
fn audit(volumes: &[Volume], tellers: &[Teller], visitors: &[Visitors; 2]) {
    let keeper = Keeper::new();
    let stores = stores(volumes);
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    let accounts = (0..ACCOUNTS).map(account);
    let both =
        accounts.flat_map(|account| stores.iter().map(move |store| (store, account.clone())));
    let sum: i64 = both
        .map(|(store, account)| balance(&mut session, store, &account).unwrap())
        .sum();
    assert_eq!(sum, MONEY * 2 * ACCOUNTS as i64);
    for (index, teller) in tellers.iter().enumerate() {
        let mark = format!("teller {index}");
        let marks = [0, 1].map(|v| session.get(&stores[v], &mark).unwrap());
        assert_eq!(marks[0], marks[1], "half of a transfer of {mark}");
        let found: u64 = marks[0].as_ref().map_or(0, |mark| mark.parse().unwrap());
        let [done, begun] = [&teller.done, &teller.begun].map(|n| n.load(SeqCst));
        let cancelled = teller.cancelled.lock().expect("whole");
        assert!(
            found >= done,
            "{mark}: {done} was acknowledged, {found} is there"
        );
        assert!(found <= begun);
        assert!(
            !cancelled.contains(&found),
            "{mark}: {found} was taken back"
        );
        // What it may have been is settled now.
        teller.done.store(found, SeqCst);
    }
    for (visitors, store) in visitors.iter().zip(&stores) {
        let found = number(store.get(b"visitors").unwrap().as_deref());
        let [flushed, begun] = [&visitors.flushed, &visitors.begun].map(|n| n.load(SeqCst));
        assert!(
            (flushed..=begun).contains(&found),
            "{flushed}, {found}, {begun}"
        );
        for counter in [&visitors.begun, &visitors.counted, &visitors.flushed] {
            counter.store(found, SeqCst);
        }
    }
}

fn fresh() -> (Machine, Vec<Teller>) {
    let machine = machine(0, 2);
    let volumes = open(&machine, &mut seed::rng(0)).unwrap();
    for volume in &volumes {
        volume.create_datastore(b"store").unwrap();
        volume.close().unwrap();
    }
    assert!(machine.images().iter().all(|image| image.len() == 64 * MIB));
    let machine = Machine::with_images(0, machine.images());
    (machine, (0..TELLERS).map(|_| Teller::default()).collect())
}

/// Opens the bank after a power loss, looks at its books, does business until the next one; or until nothing is to be
/// had any more after a fault that `prepare` has planned.
fn sessions(
    seed: u64,
    power_losses: u64,
    prepare: impl Fn(&Machine, &mut SmallRng),
    business: impl Fn(&Bank<'_>, u64),
) {
    let mut rng = seed::rng(seed);
    let (mut machine, tellers) = fresh();
    let visitors = [Visitors::default(), Visitors::default()];
    for round in 0..power_losses {
        let volumes = open(&machine, &mut rng).unwrap();
        audit(&volumes, &tellers, &visitors);
        let bank = Bank {
            keeper: Keeper::new(),
            volumes: &volumes,
            stores: stores(&volumes),
            tellers: &tellers,
            visitors: &visitors,
            is_over: AtomicBool::new(false),
        };
        prepare(&machine, &mut rng);
        business(&bank, seed << 8 | round);
        machine.power_off();
        let images = machine.crash(&mut rng);
        drop(bank);
        drop(volumes);
        machine = Machine::with_images(seed, images);
    }
    audit(&open(&machine, &mut rng).unwrap(), &tellers, &visitors);
}

fn power_loss(machine: &Machine, rng: &mut SmallRng) {
    machine.power_off_at(rng.random_range(1..400));
}

/// Some operation of a disk fails, once or from then on.
fn fault(machine: &Machine, rng: &mut SmallRng) {
    let kinds = [
        (On::Sync, FaultKind::SyncKeepsCache),
        (On::Sync, FaultKind::SyncRevertsCache),
        (On::Change, FaultKind::Late),
        (On::Change, FaultKind::Eio),
        (On::Change, FaultKind::Short),
        (On::Write, FaultKind::Enospc),
    ];
    let (on, kind) = kinds[rng.random_range(0..kinds.len())];
    machine.plan(Fault {
        on,
        nth: rng.random_range(0..200),
        for_ever: rng.random_bool(0.3),
        kind,
    });
}

#[test]
fn money_stays_the_same_whatever_is_taken_back() {
    let rounds = seed::count("HELIUM_BANKS", 16);
    for seed in seed::seeds(rounds) {
        let _replay = Replay::new(seed);
        sessions(seed, 12, power_loss, |bank, seed| {
            let rng = &mut seed::rng(seed);
            loop {
                let done = match rng.random_bool(0.5) {
                    true => bank.transfer(rng.random_range(0..TELLERS), rng),
                    false => bank.upkeep(rng),
                };
                if let Err(why) = done {
                    assert!(why.to_string().contains("power"), "{why}");
                    return;
                }
            }
        });
    }
}

#[test]
fn money_stays_the_same_with_all_of_that_at_once() {
    let rounds = seed::count("HELIUM_BANKS", 16);
    for seed in seed::seeds(rounds) {
        let _replay = Replay::new(seed);
        sessions(seed, 8, power_loss, |bank, seed| {
            thread::scope(|scope| {
                for thread in 0..TELLERS + 2 {
                    scope.spawn(move || {
                        let rng = &mut seed::rng(seed << 4 | thread as u64);
                        while !bank.is_over.load(Relaxed) {
                            let done = match thread < TELLERS {
                                true => bank.transfer(thread, rng),
                                false => bank.upkeep(rng),
                            };
                            if let Err(why) = done {
                                assert!(why.to_string().contains("power"), "{why}");
                                bank.is_over.store(true, Relaxed);
                            }
                        }
                    });
                }
            });
        });
    }
}

/// The disks fail, and business goes on with whatever still works, until the power goes.
#[test]
fn money_stays_the_same_when_disks_fail() {
    let rounds = seed::count("HELIUM_BANKS", 16);
    for seed in seed::seeds(rounds) {
        let _replay = Replay::new(seed);
        sessions(seed, 8, fault, |bank, seed| {
            thread::scope(|scope| {
                for thread in 0..TELLERS + 2 {
                    scope.spawn(move || {
                        let rng = &mut seed::rng(seed << 4 | thread as u64);
                        let mut refused = 0;
                        for _ in 0..200 {
                            let done = match thread < TELLERS {
                                true => bank.transfer(thread, rng),
                                false => bank.upkeep(rng),
                            };
                            refused += u32::from(done.is_err());
                            if refused > 20 {
                                break;
                            }
                        }
                    });
                }
            });
        });
    }
}
