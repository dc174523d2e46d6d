//! Items of the log on their way into the index: many at a time, by all cores.
//!
//! Invariant: items of one key are applied in the order in which they were queued, by one thread.
//! Whatever needs more than that order (the numbers of keys, above all) is applied by one thread alone.

use std::{collections::HashMap, thread};

use crossbeam_epoch as epoch;
use xxhash_rust::xxh3::xxh3_64;

use super::numbers::{Numbers, Overtakers};
use crate::{
    index::Tree as Index,
    location::{Location, Slot, Word},
    log::Live,
    threads,
};

/// Items that are queued before they are applied.
const QUEUED: usize = 16 << 10;
/// Bytes of keys that are queued.
const QUEUED_BYTES: usize = 4 << 20;
/// Fewer are not worth a thread.
const QUEUED_FOR_THREADS: usize = 1 << 10;
/// Items whose places in the index are looked for together.
const TOGETHER: usize = 32;
const THREADS_MAX: usize = 8;

/// What an item says: where its key's value is from now on, or that it is gone.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) tree: u32,
    pub(super) sequence: u64,
    pub(super) key: &'a [u8],
    /// `None` is a tombstone.
    pub(super) location: Option<Location>,
    pub(super) indirect: bool,
}

/// A [`Place`] in the queue.
#[derive(Clone, Copy)]
struct Item {
    tree: u32,
    /// Bits that are the same for the same key.
    share: u32,
    key_start: usize,
    key_len: usize,
    sequence: u64,
    location: Option<Location>,
    /// It counts only if its key's item is there.
    from: Option<Location>,
    indirect: bool,
    overtakes: bool,
}

/// See the module.
pub(super) struct Queue {
    items: Vec<Item>,
    keys: Vec<u8>,
    /// Some item overtakes others.
    overtakes: bool,
    /// What was counted, by each thread.
    counted: Vec<Live>,
}

/// What else says whether an item counts.
#[derive(Default)]
pub(super) struct Judges {
    /// Keys of which older items may follow newer ones.
    pub(super) overtakers: Overtakers,
    /// The highest number of each key, where items may be in the log in any order.
    pub(super) numbers: Option<Numbers>,
}

impl Default for Queue {
    fn default() -> Self {
        Self::new(1, &Live::default())
    }
}

impl Queue {
    /// A queue that is applied by up to so many threads, which count beside `live`.
    pub(super) fn new(threads: usize, live: &Live) -> Self {
        let threads = threads.clamp(1, THREADS_MAX);
        Self {
            items: Vec::new(),
            keys: Vec::new(),
            overtakes: false,
            counted: (0..threads).map(|_| live.beside()).collect(),
        }
    }

    /// Queues an item; true if it is time to apply what is queued.
    pub(super) fn push(&mut self, place: &Place<'_>, overtakes: bool) -> bool {
        self.push_from(place, overtakes, None)
    }

    /// Queues an item that counts if its key's item is at `from`.
    pub(super) fn push_moved(&mut self, place: &Place<'_>, from: Location) -> bool {
        self.push_from(place, false, Some(from))
    }

    fn push_from(&mut self, place: &Place<'_>, overtakes: bool, from: Option<Location>) -> bool {
        // Neighbours go to one thread: two would get in each other's way.
        let (neighbours, _) = place.key.split_at(place.key.len().saturating_sub(1));
        self.overtakes |= overtakes;
        self.items.push(Item {
            tree: place.tree,
            share: (xxh3_64(neighbours) >> 32) as u32,
            key_start: self.keys.len(),
            key_len: place.key.len(),
            sequence: place.sequence,
            location: place.location,
            from,
            indirect: place.indirect,
            overtakes,
        });
        self.keys.extend_from_slice(place.key);
        self.items.len() >= QUEUED || self.keys.len() >= QUEUED_BYTES
    }

    /// Applies all that is queued.
    pub(super) fn apply(&mut self, trees: &mut HashMap<u32, Index>, judges: &mut Judges) {
        let mut last = None;
        for item in &self.items {
            if last != Some(item.tree) && item.from.is_none() {
                trees.entry(item.tree).or_insert_with(Index::new);
                last = Some(item.tree);
            }
        }
        let Self {
            items,
            keys,
            counted,
            ..
        } = self;
        let one_by_one = items.len() < QUEUED_FOR_THREADS
            || self.overtakes
            || judges.numbers.is_some()
            || !judges.overtakers.is_empty();
        match counted.split_first_mut() {
            Some((live, others)) if !one_by_one && !others.is_empty() => {
                let threads = others.len() as u32 + 1;
                let run = |thread: u32, live: &mut Live| {
                    let ours = items.iter().filter(|item| item.share % threads == thread);
                    Applier { trees, keys, live }.run(ours, |_, _| true);
                };
                let mut left = Vec::new();
                thread::scope(|scope| {
                    for (live, thread) in others.iter_mut().zip(1..) {
                        let work = move || run(thread, live);
                        if threads::help(scope, "helium-apply", work).is_none() {
                            left.push(thread);
                        }
                    }
                    run(0, live);
                });
                // Where no thread can be made, this one does their parts.
                for thread in left {
                    run(thread, &mut others[thread as usize - 1]);
                }
            }
            Some((live, _)) => {
                let admits = |item: &Item, key: &[u8]| judges.admit(item, key);
                Applier { trees, keys, live }.run(items.iter(), admits);
            }
            None => {}
        }
        self.items.clear();
        self.keys.clear();
        self.overtakes = false;
    }

    /// What all threads have counted.
    pub(super) fn counted(&self) -> &[Live] {
        &self.counted
    }
}

impl Judges {
    /// Whether an item counts. What it says to those that follow is noted.
    fn admit(&mut self, item: &Item, key: &[u8]) -> bool {
        let (tree, sequence) = (item.tree, item.sequence);
        let numbers = self.numbers.as_mut();
        // A moved item counts by the place that it was moved from.
        let counts = item.from.is_some()
            || numbers.is_none_or(|numbers| numbers.admits(tree, key, sequence))
                && self.overtakers.admit(tree, key, sequence);
        if item.overtakes {
            self.overtakers.add(tree, key, sequence);
        }
        counts
    }
}

/// Puts items into the index.
struct Applier<'a> {
    trees: &'a HashMap<u32, Index>,
    keys: &'a [u8],
    live: &'a mut Live,
}

impl<'a> Applier<'a> {
    fn run(
        &mut self,
        items: impl Iterator<Item = &'a Item>,
        mut admits: impl FnMut(&Item, &[u8]) -> bool,
    ) {
        let mut together = Vec::with_capacity(TOGETHER);
        let mut items = items.peekable();
        while items.peek().is_some() {
            together.extend(items.by_ref().take(TOGETHER));
            let guard = epoch::pin();
            for run in together.chunk_by(|a: &&Item, b| a.tree == b.tree) {
                let Some(index) = run.first().and_then(|item| self.trees.get(&item.tree)) else {
                    continue;
                };
                index.warm(run.iter().map(|item| self.key(item)), &guard);
                for item in run {
                    let key = self.key(item);
                    if admits(item, key) {
                        self.apply(index, item, key, &guard);
                    }
                }
            }
            together.clear();
        }
    }

    fn key(&self, item: &Item) -> &'a [u8] {
        self.keys
            .get(item.key_start..item.key_start + item.key_len)
            .unwrap_or_default()
    }

    fn apply(&mut self, index: &Index, item: &Item, key: &[u8], guard: &epoch::Guard) {
        let new = item.location.map_or(Word::EMPTY, Word::at);
        let (old, counts) = index.update(key, guard, |old| match item.from {
            Some(from) if Word(old).slot() != Slot::At(from) => (old, (old, false)),
            _ => (new.0, (old, true)),
        });
        if !counts {
            return;
        }
        if let Slot::At(old) = Word(old).slot() {
            self.live.remove(old);
        }
        // Afterwards: it may be the same place again.
        if let Some(location) = item.location {
            let _ = self.live.add(location, item.indirect);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Bound, Direction};
    use rand::{Rng, SeedableRng, rngs::SmallRng};

    type Found = Vec<(u32, Vec<u8>, u64)>;

    /// What a log of `items` items comes to, applied by so many threads: the trees, and what was counted.
    fn replayed(seed: u64, threads: usize, items: u64) -> (Found, Vec<i64>) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut all = Live::default();
        let mut queue = Queue::new(threads, &all);
        let (mut trees, mut judges) = (HashMap::new(), Judges::default());
        let mut places: HashMap<(u32, Vec<u8>), Location> = HashMap::new();
        for number in 1..=items {
            let tree = rng.random_range(4..7);
            let key = rng.random_range(0..400u32).to_be_bytes();
            let at = Location::new(number << 14, rng.random_range(30..5000));
            let is_removal = rng.random_bool(0.1);
            let place = Place {
                tree,
                sequence: number,
                key: &key,
                location: (!is_removal).then_some(at),
                indirect: rng.random_bool(0.05),
            };
            // Some are moved, from where they are or from where they were once.
            let known = places.get(&(tree, key.to_vec())).copied();
            let is_due = match known.filter(|_| !is_removal && rng.random_bool(0.2)) {
                Some(from) => queue.push_moved(&place, from),
                None => queue.push(&place, false),
            };
            if rng.random_bool(0.7) {
                places.insert((tree, key.to_vec()), at);
            }
            if is_due || rng.random_bool(0.0002) {
                queue.apply(&mut trees, &mut judges);
            }
        }
        queue.apply(&mut trees, &mut judges);
        queue.counted().iter().for_each(|live| all.merge(live));
        let guard = epoch::pin();
        let mut found = Found::new();
        for tree in 4..7 {
            let index = trees.get(&tree).expect("every tree has items");
            let mut walk = index.iter(Bound::Unbounded, Direction::Forward, &guard);
            while let Some((key, word)) = walk.next() {
                found.push((tree, key.to_vec(), word));
            }
        }
        (found, all.granules().to_vec())
    }

    #[test]
    fn many_threads_come_to_what_one_comes_to() {
        for seed in 0..8 {
            let wanted = replayed(seed, 1, 30_000);
            assert!(wanted.0.len() > 900);
            for threads in [2, 3, 8] {
                let found = replayed(seed, threads, 30_000);
                assert!(found == wanted, "seed {seed}, {threads} threads");
            }
        }
    }

    #[test]
    fn what_was_overtaken_stays_so_however_it_is_queued() {
        let mut queue = Queue::new(2, &Live::default());
        let (mut trees, mut judges) = (HashMap::new(), Judges::default());
        let push = |queue: &mut Queue, key: u32, sequence, overtakes| {
            let place = Place {
                tree: 4,
                sequence,
                key: &key.to_be_bytes(),
                location: Some(Location::new(sequence << 10, 100)),
                indirect: false,
            };
            let _ = queue.push(&place, overtakes);
        };
        // The older item of a key comes later in the log, and so do enough others for threads.
        push(&mut queue, 7, 20, true);
        for number in 0..2 * QUEUED_FOR_THREADS as u64 {
            push(&mut queue, 1000 + number as u32, 100 + number, false);
        }
        queue.apply(&mut trees, &mut judges);
        push(&mut queue, 7, 10, false);
        queue.apply(&mut trees, &mut judges);
        let word = trees[&4].get(&7u32.to_be_bytes(), &epoch::pin());
        assert_eq!(
            Word(word).slot(),
            Slot::At(Location::new(20 << 10, 100)),
            "the newer one"
        );
    }
}
