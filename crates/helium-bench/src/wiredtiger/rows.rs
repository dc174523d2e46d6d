//! The rows of the table: what is done, by how many threads.

use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use rand::{SeedableRng, rngs::SmallRng};
use wiredtiger_testkit::{Cursor, Outcome, Session};

use super::database::{Database, Durability};
use crate::{
    process::ran_ns,
    work::{Data, SCAN_ITEMS},
};

/// Items written by one transaction while loading.
const LOAD_TRANSACTION_ITEMS: usize = 100;

/// One row.
pub struct Row {
    pub title: &'static str,
    pub durability: Durability,
    work: Work,
    threads: usize,
}

/// How fast something went.
#[derive(Clone, Copy, Default)]
pub struct Rate {
    /// Operations (items, of a scan) a second.
    pub per_second: f64,
    /// Processor time of an operation in the thread that asked for it: on a machine that does
    /// other things too it says more than the rate.
    pub cpu_nanos: f64,
}

/// When a thread's work began.
struct Clock {
    started: Instant,
    cpu: u64,
}

impl Clock {
    fn start() -> Result<Self> {
        Ok(Self {
            started: Instant::now(),
            cpu: ran_ns(),
        })
    }

    fn rate(&self, done: usize) -> Result<Rate> {
        Ok(Rate {
            per_second: done as f64 / self.started.elapsed().as_secs_f64(),
            cpu_nanos: (ran_ns() - self.cpu) as f64 / done as f64,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Load,
    Get,
    Scan,
    ScanInTransaction,
    All,
    AllBack,
    Update,
    Both,
}

const fn row(title: &'static str, work: Work, durability: Durability, threads: usize) -> Row {
    Row {
        title,
        durability,
        work,
        threads,
    }
}

/// All rows, in the order in which their work is done.
pub const ROWS: &[Row] = &[
    row(
        "load, transactions of 100",
        Work::Load,
        Durability::Buffered,
        1,
    ),
    row("random get, 1 thread", Work::Get, Durability::Buffered, 1),
    row("random get, 2 threads", Work::Get, Durability::Buffered, 2),
    row("scans of 100, items", Work::Scan, Durability::Buffered, 1),
    row(
        "scans of 100 in a transaction, items",
        Work::ScanInTransaction,
        Durability::Buffered,
        1,
    ),
    row(
        "whole scan forward, items",
        Work::All,
        Durability::Buffered,
        1,
    ),
    row(
        "whole scan backward, items",
        Work::AllBack,
        Durability::Buffered,
        1,
    ),
    row(
        "random update, buffered, 1 thread",
        Work::Update,
        Durability::Buffered,
        1,
    ),
    row(
        "random update, buffered, 2 threads",
        Work::Update,
        Durability::Buffered,
        2,
    ),
    row(
        "durable commit, 1 thread",
        Work::Update,
        Durability::Synced,
        1,
    ),
    row(
        "durable commits, 8 threads",
        Work::Update,
        Durability::Synced,
        8,
    ),
    row(
        "durable commit over two tables, 1 thread",
        Work::Both,
        Durability::Synced,
        1,
    ),
    row(
        "durable commits over two tables, 8 threads",
        Work::Both,
        Durability::Synced,
        8,
    ),
];

impl Row {
    /// Whether the other rows need it.
    pub fn is_load(&self) -> bool {
        self.work == Work::Load
    }

    /// Does the work.
    pub fn measure(&self, database: &Database, data: &Data, time: Duration) -> Result<Rate> {
        match self.work {
            Work::Load => return load(database, data),
            Work::All => return whole(database, data, |cursor| cursor.next()),
            Work::AllBack => return whole(database, data, |cursor| cursor.prev()),
            _ => {}
        }
        let barrier = Barrier::new(self.threads);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads)
                .map(|thread| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        barrier.wait();
                        self.repeat(database, data, thread as u64, time)
                    })
                })
                .collect();
            let mut all = Rate::default();
            for worker in workers {
                let rate = worker.join().map_err(|_| anyhow!("a worker panicked"))??;
                all.per_second += rate.per_second;
                all.cpu_nanos += rate.cpu_nanos / self.threads as f64;
            }
            Ok(all)
        })
    }

    fn repeat(&self, database: &Database, data: &Data, seed: u64, time: Duration) -> Result<Rate> {
        let session = database.session()?;
        let cursors = [database.cursor(&session, 0)?, database.cursor(&session, 1)?];
        let mut random = SmallRng::seed_from_u64(seed + 3);
        let calls = match self.durability {
            Durability::Buffered => 32,
            Durability::Synced => 1,
        };
        let mut done = 0;
        let clock = Clock::start()?;
        while clock.started.elapsed() < time {
            for _ in 0..calls {
                let key = data.any_key(&mut random);
                done += self.once(&session, &cursors, &key, data.value())?;
            }
        }
        clock.rate(done)
    }

    fn once(
        &self,
        session: &Session<'_>,
        [first, second]: &[Cursor<'_>; 2],
        key: &[u8],
        value: &[u8],
    ) -> Result<usize> {
        match self.work {
            Work::Get => {
                first.set_key(key)?;
                first.search().context("a key that was loaded is missing")?;
                first.value_with(|value| std::hint::black_box(value.len()))?;
                first.reset()?;
            }
            Work::Scan => return scan(first, key),
            Work::ScanInTransaction => {
                session.begin("")?;
                let items = scan(first, key)?;
                session.commit()?;
                return Ok(items);
            }
            Work::Update => loop {
                // One that meets a conflict is done again, by WiredTiger or here.
                match put(first, key, value) {
                    Ok(()) => break,
                    Err(why) if why.code == wiredtiger_testkit::Code::ROLLBACK => {}
                    Err(why) => return Err(why.into()),
                }
            },
            Work::Both => loop {
                session.begin("")?;
                let done = put(first, key, value).and_then(|()| put(second, key, value));
                match done.and_then(|()| session.commit()) {
                    Ok(()) => break,
                    Err(why) if why.code == wiredtiger_testkit::Code::ROLLBACK => {
                        session.rollback()?;
                    }
                    Err(why) => return Err(why.into()),
                }
            },
            Work::Load | Work::All | Work::AllBack => {}
        }
        Ok(1)
    }
}

pub(super) fn put(cursor: &Cursor<'_>, key: &[u8], value: &[u8]) -> wiredtiger_testkit::Result<()> {
    cursor.set_key(key)?;
    cursor.set_value(value)?;
    cursor.insert()
}

fn look(cursor: &Cursor<'_>) -> Result<()> {
    cursor.key_with(|key| std::hint::black_box(key.len()))?;
    cursor.value_with(|value| std::hint::black_box(value.len()))?;
    Ok(())
}

fn scan(cursor: &Cursor<'_>, from: &[u8]) -> Result<usize> {
    cursor.set_key(from)?;
    cursor.search_near()?;
    look(cursor)?;
    let mut items = 1;
    while items < SCAN_ITEMS && cursor.next().found()? {
        look(cursor)?;
        items += 1;
    }
    cursor.reset()?;
    Ok(items)
}

fn load(database: &Database, data: &Data) -> Result<Rate> {
    let session = database.session()?;
    let cursor = database.cursor(&session, 0)?;
    let clock = Clock::start()?;
    for first in (0..data.items()).step_by(LOAD_TRANSACTION_ITEMS) {
        session.begin("")?;
        for number in first..(first + LOAD_TRANSACTION_ITEMS).min(data.items()) {
            put(&cursor, &data.key(number), data.value())?;
        }
        session.commit()?;
    }
    clock.rate(data.items())
}

fn whole(
    database: &Database,
    data: &Data,
    step: impl Fn(&Cursor<'_>) -> wiredtiger_testkit::Result<()>,
) -> Result<Rate> {
    let session = database.session()?;
    let cursor = database.cursor(&session, 0)?;
    let clock = Clock::start()?;
    let mut items = 0;
    while step(&cursor).found()? {
        look(&cursor)?;
        items += 1;
    }
    ensure!(items == data.items(), "a scan found {items} items");
    clock.rate(items)
}
