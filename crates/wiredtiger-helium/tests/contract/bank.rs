//! Money moves between accounts on two volumes, from several threads; none comes, none goes.
//!
//! Readers check the sum under a snapshot while it happens. In the end, and again after
//! reopening, every balance must be what the ledger of committed transfers says.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wiredtiger_testkit::Result;

use crate::common::*;

const ACCOUNTS: u64 = 40;
const START: i64 = 1_000;
const WRITERS: u64 = 3;
const FORMATS: &str = "key_format=S,value_format=S";

on_every_kind! {
    fn no_money_is_made_or_lost(arena) {
        let seed = seed("bank");
        open_accounts(arena);
        let moved = trade(arena, seed);
        assert!(moved > 0, "nothing was moved");
        audit(arena, moved);
        arena.reopen();
        audit(arena, moved);
    }
}

/// Account tables on both volumes and a ledger on the second.
fn open_accounts(arena: &Arena) {
    let session = arena.session();
    arena.create_on(2, &session, "ledger", FORMATS);
    for volume in [1, 2] {
        let uri = arena.create_on(volume, &session, "accounts", FORMATS);
        let cursor = session.cursor(&uri, "").unwrap();
        for account in 0..ACCOUNTS {
            cursor.put(&name(account), &START.to_string()).unwrap();
        }
    }
}

/// Lets everyone trade for a while; how many transfers were committed.
fn trade(arena: &Arena, seed: u64) -> u64 {
    let end = Instant::now() + Duration::from_secs(setting("HELIUM_BANK_SECONDS", 2));
    let (stop, moved) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let moved = &moved;
                scope.spawn(move || write(arena, seed, writer, end, moved))
            })
            .collect();
        let readers: Vec<_> = [0, 20]
            .into_iter()
            .map(|pause_ms| {
                let stop = &stop;
                scope.spawn(move || read(arena, pause_ms, stop))
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().unwrap() > 0, "no reader looked");
        }
    });
    moved.into_inner()
}

fn write(arena: &Arena, seed: u64, writer: u64, end: Instant, moved: &AtomicU64) {
    let mut random = SmallRng::seed_from_u64(seed.wrapping_add(writer));
    let session = arena.snapshot_session();
    let teller = Teller::new(arena, &session);
    let mut number = 0;
    while Instant::now() < end {
        session.begin("").unwrap();
        let (from, to) = (place(&mut random), place(&mut random));
        let amount = random.random_range(1..100);
        match teller.transfer(from, to, amount, &format!("{writer}/{number:06}")) {
            Ok(()) if random.random_bool(0.1) => session.rollback().unwrap(),
            Ok(()) => {
                session.commit().unwrap();
                number += 1;
                moved.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                assert_eq!(error.code, Code::ROLLBACK, "{error}");
                session.rollback().unwrap();
            }
        }
    }
}

/// Sums up again and again; how often.
fn read(arena: &Arena, pause_ms: u64, stop: &AtomicBool) -> u64 {
    let session = arena.snapshot_session();
    let teller = Teller::new(arena, &session);
    let mut looks = 0;
    while !stop.load(Ordering::Relaxed) || looks == 0 {
        session.begin("").unwrap();
        let before = teller.balances();
        std::thread::sleep(Duration::from_millis(pause_ms));
        let after = teller.balances();
        session.commit().unwrap();
        assert_eq!(
            before.iter().sum::<i64>(),
            START * 2 * ACCOUNTS as i64,
            "the sum is off"
        );
        assert_eq!(before, after, "the snapshot moved");
        looks += 1;
    }
    looks
}

/// A volume and an account.
type Place = (usize, u64);

fn place(random: &mut SmallRng) -> Place {
    (random.random_range(0..2), random.random_range(0..ACCOUNTS))
}

fn name(account: u64) -> String {
    format!("account {account:03}")
}

/// One session's cursors.
struct Teller<'session> {
    accounts: [Cursor<'session>; 2],
    ledger: Cursor<'session>,
}

impl<'session> Teller<'session> {
    fn new(arena: &Arena, session: &'session Session<'_>) -> Self {
        let open = |volume, name| session.cursor(&arena.uri_on(volume, name), "").unwrap();
        Self {
            accounts: [open(1, "accounts"), open(2, "accounts")],
            ledger: open(2, "ledger"),
        }
    }

    fn transfer(&self, from: Place, to: Place, amount: i64, number: &str) -> Result<()> {
        self.add(from, -amount)?;
        self.add(to, amount)?;
        let entry = format!("{} {} {} {} {amount}", from.0, from.1, to.0, to.1);
        self.ledger.put(number, &entry)
    }

    fn add(&self, (volume, account): Place, amount: i64) -> Result<()> {
        let cursor = &self.accounts[volume];
        let balance: i64 = cursor.get(&name(account))?.unwrap().parse().unwrap();
        cursor.change(&name(account), &(balance + amount).to_string())
    }

    fn balances(&self) -> Vec<i64> {
        let both = self
            .accounts
            .iter()
            .flat_map(|cursor| cursor.rows().unwrap());
        both.map(|(_, value)| String::from_utf8(value).unwrap().parse().unwrap())
            .collect()
    }
}

/// Compares every balance with the ledger.
fn audit(arena: &Arena, moved: u64) {
    let session = arena.session();
    let teller = Teller::new(arena, &session);
    let ledger = teller.ledger.rows().unwrap();
    assert_eq!(
        ledger.len() as u64,
        moved,
        "committed transfers and ledger differ"
    );
    let mut expected = vec![START; 2 * ACCOUNTS as usize];
    for (_, entry) in ledger {
        let entry = String::from_utf8(entry).unwrap();
        let numbers: Vec<i64> = entry
            .split(' ')
            .map(|number| number.parse().unwrap())
            .collect();
        let index = |volume: i64, account: i64| (volume * ACCOUNTS as i64 + account) as usize;
        expected[index(numbers[0], numbers[1])] -= numbers[4];
        expected[index(numbers[2], numbers[3])] += numbers[4];
    }
    assert_eq!(teller.balances(), expected);
}
