//! The pieces of work: how many threads do what, and how often.
//!
//! Keys are computed and not kept: looking one up would cost a cache miss that is not the store's.

use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::{Engine, figures::key, latency::Latencies};

/// Items written in one call while loading.
const LOAD_BATCH_ITEMS: usize = 100;
/// Items of one scan.
pub const SCAN_ITEMS: usize = 100;
/// Items of one short range.
const RANGE_ITEMS: usize = 10;

/// What is done before the clock runs, so that caches have what the work is about: this part of the time.
const WARM_UP: u32 = 2;
const WARM_UP_SEED: u64 = 100;

/// The data: random 16-byte keys, and values of one length.
pub struct Data {
    items: usize,
    value: Vec<u8>,
}

impl Data {
    /// `items` items with values of `value_bytes`, always the same ones.
    pub fn new(items: usize, value_bytes: usize) -> Self {
        let mut random = SmallRng::seed_from_u64(1);
        Self {
            items,
            value: (0..value_bytes).map(|_| random.random()).collect(),
        }
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        self.items
    }

    /// The key of an item. In the order of their numbers they are in random order.
    pub fn key(&self, number: usize) -> [u8; 16] {
        key(number as u64)
    }

    /// The value of all items.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// A key chosen by chance.
    pub fn any_key(&self, random: &mut SmallRng) -> [u8; 16] {
        self.key(random.random_range(0..self.items))
    }
}

/// One piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// All items, in random order, in batches.
    Load,
    /// Gets of random keys.
    Get,
    /// Scans from random keys; counts items.
    Scan,
    /// Short ranges from random keys; counts ranges.
    Range,
    /// Updates of random keys, not synced.
    Update,
    /// Half gets, half updates.
    Mixed,
    /// Updates of random keys, each durable.
    Durable,
}

/// The table's rows: a title, the work and the number of threads.
pub const ALL: &[(&str, Work, usize)] = &[
    ("load, batches of 100", Work::Load, 1),
    ("random get, 1 thread", Work::Get, 1),
    ("random get, 2 threads", Work::Get, 2),
    ("scans of 100, items/s, 1 thread", Work::Scan, 1),
    ("scans of 100, items/s, 2 threads", Work::Scan, 2),
    ("ranges of 10, 1 thread", Work::Range, 1),
    ("ranges of 10, 2 threads", Work::Range, 2),
    ("random update, not synced, 1 thread", Work::Update, 1),
    ("random update, not synced, 2 threads", Work::Update, 2),
    ("half and half, 2 threads", Work::Mixed, 2),
    ("durable commit, 1 thread", Work::Durable, 1),
    ("durable commits, 8 threads", Work::Durable, 8),
];

/// Does the work for about `time` (loading: until all is loaded), after this part of it that does not count; returns
/// operations a second.
pub fn measure(
    engine: &dyn Engine,
    data: &Data,
    work: Work,
    threads: usize,
    time: Duration,
) -> Result<f64> {
    if work == Work::Load {
        return load(engine, data);
    }
    let rates = by_threads(threads, |thread| {
        repeat(engine, data, work, WARM_UP_SEED + thread, time / WARM_UP)?;
        repeat(engine, data, work, thread, time)
    })?;
    Ok(rates.iter().sum())
}

/// Does the work for about `time`, and says how long each call took.
pub fn latencies(
    engine: &dyn Engine,
    data: &Data,
    work: Work,
    threads: usize,
    time: Duration,
) -> Result<Latencies> {
    let mut all = Latencies::new()?;
    for one in by_threads(threads, |thread| timed(engine, data, work, thread, time))? {
        all.add(&one)?;
    }
    Ok(all)
}

/// What each of some threads, which begin together, makes of its number.
fn by_threads<T: Send>(threads: usize, work: impl Fn(u64) -> Result<T> + Sync) -> Result<Vec<T>> {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads as u64)
            .map(|thread| {
                let (barrier, work) = (&barrier, &work);
                scope.spawn(move || {
                    barrier.wait();
                    work(thread)
                })
            })
            .collect();
        let done = workers.into_iter().map(|worker| {
            let done = worker.join();
            done.map_err(|_| anyhow::anyhow!("a worker panicked"))?
        });
        done.collect()
    })
}

fn load(engine: &dyn Engine, data: &Data) -> Result<f64> {
    let mut batch = Vec::with_capacity(LOAD_BATCH_ITEMS);
    let mut spent = Duration::ZERO;
    for first in (0..data.items).step_by(LOAD_BATCH_ITEMS) {
        batch.clear();
        let numbers = first..(first + LOAD_BATCH_ITEMS).min(data.items);
        batch.extend(numbers.map(|number| (data.key(number).to_vec(), data.value.clone())));
        let started = Instant::now();
        engine.load(&batch)?;
        spent += started.elapsed();
    }
    Ok(data.items as f64 / spent.as_secs_f64())
}

fn repeat(engine: &dyn Engine, data: &Data, work: Work, seed: u64, time: Duration) -> Result<f64> {
    let mut random = SmallRng::seed_from_u64(seed + 3);
    let mut value = Vec::new();
    let mut done = 0;
    let started = Instant::now();
    while started.elapsed() < time {
        let calls = if work == Work::Durable { 1 } else { 32 };
        for _ in 0..calls {
            done += once(engine, data, work, &mut random, &mut value)?;
        }
    }
    Ok(done as f64 / started.elapsed().as_secs_f64())
}

fn timed(
    engine: &dyn Engine,
    data: &Data,
    work: Work,
    seed: u64,
    time: Duration,
) -> Result<Latencies> {
    let mut random = SmallRng::seed_from_u64(seed + 1003);
    let mut value = Vec::new();
    let mut latencies = Latencies::new()?;
    let started = Instant::now();
    while started.elapsed() < time {
        latencies.time(|| once(engine, data, work, &mut random, &mut value))?;
    }
    Ok(latencies)
}

fn once(
    engine: &dyn Engine,
    data: &Data,
    work: Work,
    random: &mut SmallRng,
    value: &mut Vec<u8>,
) -> Result<usize> {
    let key = &data.any_key(random);
    match work {
        Work::Get => check(engine.get(key, value)?, value, data)?,
        Work::Scan => return engine.scan(key, SCAN_ITEMS),
        // Near the last key there are fewer.
        Work::Range => ensure!(
            engine.range(key, RANGE_ITEMS)? > 0,
            "a key that was loaded is missing"
        ),
        Work::Mixed if random.random() => check(engine.get(key, value)?, value, data)?,
        Work::Update | Work::Mixed => engine.update(key, &data.value)?,
        Work::Durable => engine.update_durably(key, &data.value)?,
        Work::Load => {}
    }
    Ok(1)
}

fn check(is_found: bool, value: &[u8], data: &Data) -> Result<()> {
    ensure!(is_found, "a key that was loaded is missing");
    ensure!(value.len() == data.value.len(), "a wrong value");
    Ok(())
}
