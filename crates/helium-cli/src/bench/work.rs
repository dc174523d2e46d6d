//! One thread's part of a piece of work: an operation after the other.

use heliumdb::{Datastore, Error, Position};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::{
    keys::{self, Values},
    run::Clock,
    zipf::Zipf,
};
use crate::failure::{Code, Failure, Result};

/// Items that an operation of YCSB E scans at most.
const SCAN_ITEMS: u64 = 100;
/// Items that a sequential read takes in one go.
const STEP_ITEMS: u64 = 1024;

/// A piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// New items, in no order.
    Insert,
    /// All items in the order of their keys.
    SequentialRead,
    /// New values for all items, in no order.
    Update,
    /// Items in no order.
    RandomRead,
    /// All items, in no order.
    Delete,
    /// What the mixes start from: new items.
    Load,
    /// Half reads, half updates.
    A,
    /// 95 % reads, 5 % updates.
    B,
    /// Reads.
    C,
    /// 95 % reads of what is new, 5 % inserts.
    D,
    /// 95 % scans, 5 % inserts.
    E,
    /// Half reads, half reads that write back.
    F,
}

impl Work {
    /// What reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::SequentialRead => "sequential read",
            Self::Update => "update",
            Self::RandomRead => "random read",
            Self::Delete => "delete",
            Self::Load => "YCSB load",
            Self::A => "YCSB A",
            Self::B => "YCSB B",
            Self::C => "YCSB C",
            Self::D => "YCSB D",
            Self::E => "YCSB E",
            Self::F => "YCSB F",
        }
    }

    /// Whether its time includes making what it wrote durable.
    pub fn writes(self) -> bool {
        !matches!(self, Self::SequentialRead | Self::RandomRead | Self::C)
    }

    /// Percent of operations that do not write.
    fn reads_percent(self) -> u32 {
        match self {
            Self::A | Self::F => 50,
            Self::B | Self::D | Self::E => 95,
            _ => 100,
        }
    }
}

/// One thread at work.
pub struct Worker<'a> {
    /// Which thread.
    pub number: u64,
    /// Of how many.
    pub threads: u64,
    /// Operations of each of them.
    pub operations: u64,
    /// Where.
    pub datastore: &'a Datastore,
    /// Values.
    pub values: &'a Values,
    /// Popularity, for the mixes.
    pub zipf: Option<Zipf>,
    /// What random numbers start from.
    pub seed: u64,
    /// Which mix this is, counted: inserts of each get items of their own.
    pub round: u64,
}

impl Worker<'_> {
    /// Does its part of `work`.
    pub fn run(&self, work: Work, clock: &mut Clock<'_>) -> Result<()> {
        match work {
            Work::Insert | Work::Load | Work::Update => self.insert(clock),
            Work::SequentialRead => self.sequential(clock),
            Work::RandomRead => self.random(clock),
            Work::Delete => self.delete(clock),
            mix => self.mix(mix, clock),
        }
    }

    /// Items that were inserted or loaded, of all threads.
    fn items(&self) -> u64 {
        self.threads * self.operations
    }

    fn own(&self) -> std::ops::Range<u64> {
        self.number * self.operations..(self.number + 1) * self.operations
    }

    fn insert(&self, clock: &mut Clock<'_>) -> Result<()> {
        for item in self.own() {
            self.datastore
                .put(keys::key(item), self.values.value(item))?;
            clock.tick()?;
        }
        Ok(())
    }

    fn delete(&self, clock: &mut Clock<'_>) -> Result<()> {
        for item in self.own() {
            Error::item_not_found_unless(self.datastore.delete(keys::key(item))?)?;
            clock.tick()?;
        }
        Ok(())
    }

    fn random(&self, clock: &mut Clock<'_>) -> Result<()> {
        let mut random = self.random_numbers();
        let mut value = Vec::new();
        for _ in 0..self.operations {
            self.read(random.random_range(0..self.items()), &mut value)?;
            clock.tick()?;
        }
        Ok(())
    }

    /// The part of all keys that is this thread's, which may be a little more or less than others'.
    fn sequential(&self, clock: &mut Clock<'_>) -> Result<()> {
        let mut from = keys::first_of(self.number, self.threads).to_vec();
        let to = keys::first_of(self.number + 1, self.threads);
        let mut position = Position::AtOrAfter(&from);
        loop {
            let mut last = None;
            let mut left = STEP_ITEMS;
            let mut ticked = Ok(());
            self.datastore.visit(position, &mut |key, value| {
                if key >= to.as_slice() {
                    last = None;
                    return false;
                }
                std::hint::black_box(value);
                ticked = clock.tick();
                left -= 1;
                if left == 0 {
                    last = Some(key.to_vec());
                }
                left > 0 && ticked.is_ok()
            })?;
            ticked?;
            let Some(last) = last else {
                return Ok(());
            };
            from = last;
            position = Position::After(&from);
        }
    }

    fn mix(&self, work: Work, clock: &mut Clock<'_>) -> Result<()> {
        let mut random = self.random_numbers();
        let mut value = Vec::new();
        // Behind what was loaded, and what other mixes and threads insert.
        let first = self.items() * (1 + self.round) + self.number * self.operations;
        let mut inserted = 0;
        for _ in 0..self.operations {
            let reads = random.random_ratio(work.reads_percent(), 100);
            match (work, reads) {
                (Work::D | Work::E, false) => {
                    let item = first + inserted;
                    self.datastore
                        .put(keys::key(item), self.values.value(item))?;
                    inserted += 1;
                }
                (Work::D, true) => {
                    let back = self.popular(&mut random);
                    let item = match back < inserted {
                        true => first + inserted - 1 - back,
                        false => self.items() - 1 - (back - inserted) % self.items(),
                    };
                    self.read(item, &mut value)?;
                }
                (Work::E, true) => self.scan(
                    self.scattered(&mut random),
                    random.random_range(1..=SCAN_ITEMS),
                )?,
                (_, true) => self.read(self.scattered(&mut random), &mut value)?,
                (_, false) => {
                    let item = self.scattered(&mut random);
                    if work == Work::F {
                        self.read(item, &mut value)?;
                    }
                    let number = random.random();
                    self.datastore
                        .put(keys::key(item), self.values.value(number))?;
                }
            }
            clock.tick()?;
        }
        Ok(())
    }

    fn random_numbers(&self) -> SmallRng {
        SmallRng::seed_from_u64(keys::mix(self.seed ^ (self.number << 32) ^ self.round))
    }

    fn popular(&self, random: &mut SmallRng) -> u64 {
        match &self.zipf {
            Some(zipf) => zipf.next(random),
            None => random.random_range(0..self.items()),
        }
    }

    /// A popular item, but not the neighbour of other popular ones.
    fn scattered(&self, random: &mut SmallRng) -> u64 {
        keys::mix(self.popular(random)) % self.items()
    }

    fn read(&self, item: u64, value: &mut Vec<u8>) -> Result<()> {
        if self.datastore.get_into(keys::key(item), value)? {
            return Ok(());
        }
        Err(Failure::new(
            Code::Damaged,
            format!("item {item}, which was written before, is not there"),
        ))
    }

    fn scan(&self, item: u64, items: u64) -> Result<()> {
        let mut left = items;
        self.datastore
            .visit(Position::AtOrAfter(&keys::key(item)), &mut |_, value| {
                std::hint::black_box(value);
                left -= 1;
                left > 0
            })?;
        Ok(())
    }
}
