//! Threads: money moves between accounts, and every snapshot adds up to the same.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use helium_sim::{DiskId, Keeper, Machine, Replay, seed, sim_options};
use heliumdb::host::VolumeExt;
use heliumdb::{Datastore, Isolation, Result, Volume, host::open_all_devices};
use rand::Rng;

use crate::common::{MIB, Session, after_power_loss};

pub(crate) const ACCOUNTS: u64 = 40;
pub(crate) const START: u64 = 1_000;

fn open(machine: &Machine, volumes: usize) -> Vec<Volume> {
    let mut options = sim_options();
    options.background_thread = true;
    let devices = (0..volumes).map(|disk| (machine.devices(&[DiskId(disk)]), options.clone()));
    open_all_devices(devices.collect()).expect("open")
}

pub(crate) fn place(stores: &[Datastore], account: u64) -> (&Datastore, String) {
    let store = &stores[account as usize % stores.len()];
    (store, format!("account{account:03}"))
}

fn balance(session: &mut Session, stores: &[Datastore], account: u64) -> Result<u64> {
    let (store, key) = place(stores, account);
    let text = session.get(store, &key)?.unwrap_or_default();
    Ok(text
        .parse()
        .unwrap_or_else(|_| panic!("{key} has {text:?}")))
}

pub(crate) fn transfer(
    keeper: &Arc<Keeper>,
    stores: &[Datastore],
    rng: &mut impl Rng,
) -> Result<()> {
    let (from, to) = (rng.random_range(0..ACCOUNTS), rng.random_range(0..ACCOUNTS));
    if from == to {
        return Ok(());
    }
    let mut session = Session::begin(keeper, Isolation::Snapshot);
    let amount = rng
        .random_range(0..50)
        .min(balance(&mut session, stores, from)?);
    let (left, more) = (
        balance(&mut session, stores, from)? - amount,
        balance(&mut session, stores, to)? + amount,
    );
    for (account, balance) in [(from, left), (to, more)] {
        let (store, key) = place(stores, account);
        session.put(store, &key, &balance.to_string())?;
    }
    if rng.random_bool(0.05) {
        session.abort();
        return Ok(());
    }
    session.commit()
}

fn sum(keeper: &Arc<Keeper>, stores: &[Datastore], isolation: Isolation) -> Result<u64> {
    let mut session = Session::begin(keeper, isolation);
    let mut sum = 0;
    for store in stores {
        for (_, balance) in session.scan(store)? {
            sum += balance
                .parse::<u64>()
                .unwrap_or_else(|_| panic!("{balance:?}"));
        }
    }
    Ok(sum)
}

fn bank(volumes: usize) {
    let transfers = seed::count("HELIUM_TRANSFERS", 1_500);
    let seed = seed::replayed().unwrap_or(1);
    let _replay = Replay::new(seed);
    let machine = Machine::new(seed, &vec![64 * MIB; volumes]);
    let opened = open(&machine, volumes);
    let create = |volume: &Volume| volume.create_datastore(b"accounts").expect("create");
    let stores: Vec<Datastore> = opened.iter().map(create).collect();
    for account in 0..ACCOUNTS {
        let (store, key) = place(&stores, account);
        store
            .put(key.as_bytes(), START.to_string().as_bytes())
            .expect("put");
    }
    let keeper = Keeper::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|thread| {
                let (keeper, stores) = (&keeper, &stores);
                scope.spawn(move || {
                    let mut rng = seed::rng(seed * 100 + thread);
                    let mut moved = 0;
                    while moved < transfers {
                        match transfer(keeper, stores, &mut rng) {
                            Ok(()) => moved += 1,
                            Err(why) => assert!(why.kind().is_retryable(), "{why}"),
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            // Once at least, however threads are scheduled.
            loop {
                let sum = sum(&keeper, &stores, Isolation::Snapshot).expect("a snapshot");
                assert_eq!(sum, ACCOUNTS * START, "a snapshot does not add up");
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                opened.iter().for_each(|volume| _ = volume.settle(&*keeper));
                std::thread::yield_now();
            }
        });
        let results: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        done.store(true, Ordering::Relaxed);
        results
            .into_iter()
            .for_each(|result| result.expect("a writer"));
    });
    let reopened = open(&after_power_loss(&machine, seed), volumes);
    let stores: Vec<Datastore> = reopened
        .iter()
        .map(|volume| volume.datastore(b"accounts").expect("there"))
        .collect();
    let left = sum(&Keeper::new(), &stores, Isolation::ReadCommitted).expect("read");
    assert_eq!(left, ACCOUNTS * START, "after a power loss");
}

#[test]
fn transfers_on_one_volume_always_add_up() {
    bank(1);
}

#[test]
fn transfers_over_two_volumes_always_add_up() {
    bank(2);
}
