//! The pieces of work: how many threads do what, and how often.

use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rand::{Rng, SeedableRng, rngs::SmallRng, seq::SliceRandom};

use crate::Engine;

/// Items written in one call while loading.
const LOAD_BATCH_ITEMS: usize = 100;
/// Items of one scan.
pub const SCAN_ITEMS: usize = 100;

/// The data: random 16-byte keys, and values of one length.
pub struct Data {
    keys: Vec<[u8; 16]>,
    value: Vec<u8>,
}

impl Data {
    /// `items` items with values of `value_bytes`, always the same ones.
    pub fn new(items: usize, value_bytes: usize) -> Self {
        let mut random = SmallRng::seed_from_u64(1);
        Self {
            keys: (0..items).map(|_| random.random()).collect(),
            value: (0..value_bytes).map(|_| random.random()).collect(),
        }
    }

    /// All keys.
    pub fn keys(&self) -> &[[u8; 16]] {
        &self.keys
    }

    /// The value of all items.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// A key chosen by chance.
    pub fn key(&self, random: &mut SmallRng) -> &[u8] {
        &self.keys[random.random_range(0..self.keys.len())]
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
    ("random update, not synced, 1 thread", Work::Update, 1),
    ("random update, not synced, 2 threads", Work::Update, 2),
    ("half and half, 2 threads", Work::Mixed, 2),
    ("durable commit, 1 thread", Work::Durable, 1),
    ("durable commits, 8 threads", Work::Durable, 8),
];

/// Does the work for about `time` (loading: until all is loaded); returns operations a second.
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
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    repeat(engine, data, work, thread as u64, time)
                })
            })
            .collect();
        let mut rate = 0.0;
        for worker in workers {
            rate += worker
                .join()
                .map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        Ok(rate)
    })
}

fn load(engine: &dyn Engine, data: &Data) -> Result<f64> {
    let mut order: Vec<_> = data.keys.iter().collect();
    order.shuffle(&mut SmallRng::seed_from_u64(2));
    let mut batch = Vec::with_capacity(LOAD_BATCH_ITEMS);
    let mut spent = Duration::ZERO;
    for keys in order.chunks(LOAD_BATCH_ITEMS) {
        batch.clear();
        batch.extend(keys.iter().map(|key| (key.to_vec(), data.value.clone())));
        let started = Instant::now();
        engine.load(&batch)?;
        spent += started.elapsed();
    }
    Ok(data.keys.len() as f64 / spent.as_secs_f64())
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

fn once(
    engine: &dyn Engine,
    data: &Data,
    work: Work,
    random: &mut SmallRng,
    value: &mut Vec<u8>,
) -> Result<usize> {
    let key = data.key(random);
    match work {
        Work::Get => ensure!(engine.get(key, value)?, "a key that was loaded is missing"),
        Work::Scan => return engine.scan(key, SCAN_ITEMS),
        Work::Mixed if random.random() => ensure!(engine.get(key, value)?, "a key is missing"),
        Work::Update | Work::Mixed => engine.update(key, &data.value)?,
        Work::Durable => engine.update_durably(key, &data.value)?,
        Work::Load => {}
    }
    Ok(1)
}
