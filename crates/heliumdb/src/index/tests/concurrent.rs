//! Threads against each other.

use super::*;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::{
    collections::BTreeSet,
    sync::{
        atomic::{AtomicBool, AtomicU64},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

const KEYS: u64 = if cfg!(miri) { 300 } else { 6_000 };

fn duration() -> Duration {
    Duration::from_millis(if cfg!(miri) { 200 } else { 1_500 })
}

/// Keys of many lengths that share starts: those whose number is a multiple of 8 stay.
fn key(number: u64) -> Vec<u8> {
    let mut key = format!("{:04}", number / 8).into_bytes();
    key.extend(vec![b'x'; (number % 8) as usize * 3]);
    key
}

fn is_kept(number: u64) -> bool {
    number.is_multiple_of(8)
}

#[test]
fn walks_and_gets_see_what_is_always_there_while_others_write() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let tree = Tree::new();
    (0..KEYS)
        .filter(|&n| is_kept(n))
        .for_each(|n| _ = set(&tree, &key(n), n + 1));
    let end = Instant::now() + duration();
    let steps = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..3 {
            let (tree, steps) = (&tree, &steps);
            scope.spawn(move || {
                write_until(tree, end, SmallRng::seed_from_u64(seed + thread), steps);
            });
        }
        for direction in [Direction::Forward, Direction::Backward] {
            let tree = &tree;
            scope.spawn(move || {
                while Instant::now() < end {
                    assert_walk(tree, direction);
                }
            });
        }
        let tree = &tree;
        scope.spawn(move || {
            let mut rng = SmallRng::seed_from_u64(seed);
            while Instant::now() < end {
                let number = rng.random_range(0..KEYS) / 8 * 8;
                assert_eq!(tree.get(&key(number), &pin()), number + 1);
            }
        });
        scope.spawn(|| {
            let mut rng = SmallRng::seed_from_u64(seed ^ 2);
            while Instant::now() < end {
                let count = rng.random_range(0..20);
                let numbers: Vec<_> = (0..count)
                    .map(|_| rng.random_range(0..KEYS) / 8 * 8)
                    .collect();
                let keys: Vec<_> = numbers.iter().map(|&n| key(n)).collect();
                let mut words = Vec::new();
                tree.get_many(keys.iter().map(|k| &k[..]), &pin(), |word| words.push(word));
                let expected: Vec<_> = numbers.iter().map(|n| n + 1).collect();
                assert_eq!(words, expected);
            }
        });
    });
    println!("{} writes", steps.into_inner());
    let there = walk(&tree, Bound::Unbounded, Direction::Forward);
    assert_eq!(there.len() as u64, tree.len());
}

/// Inserts and removes in waves, so that nodes split and merge all the time.
fn write_until(tree: &Tree, end: Instant, mut rng: SmallRng, steps: &AtomicU64) {
    while Instant::now() < end {
        let from = rng.random_range(0..KEYS);
        let to = (from + rng.random_range(0..KEYS / 4)).min(KEYS);
        let removes = rng.random::<bool>();
        for number in (from..to).filter(|&n| !is_kept(n)) {
            set(tree, &key(number), if removes { 0 } else { number + 1 });
        }
        steps.fetch_add(to - from, Ordering::Relaxed);
    }
}

fn assert_walk(tree: &Tree, direction: Direction) {
    let guard = pin();
    let mut iter = tree.iter(Bound::Unbounded, direction, &guard);
    let mut kept: BTreeSet<Vec<u8>> = (0..KEYS).filter(|&n| is_kept(n)).map(key).collect();
    let mut last: Option<Vec<u8>> = None;
    while let Some((key, word)) = iter.next() {
        if let Some(last) = &last {
            let in_order = match direction {
                Direction::Forward => key > &last[..],
                Direction::Backward => key < &last[..],
            };
            assert!(in_order, "{key:?} comes after {last:?} {direction:?}");
        }
        assert_eq!(super::concurrent::key(word - 1), key);
        kept.remove(key);
        last = Some(key.to_vec());
    }
    assert!(kept.is_empty(), "not seen {direction:?}: {kept:?}");
}

#[test]
fn each_of_concurrent_changes_counts() {
    let tree = Tree::new();
    let rounds = scaled(20_000) as u64;
    let keys = 97u64;
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for i in 0..rounds {
                    let key = (i * 31 % keys).to_be_bytes();
                    tree.update(&key, &pin(), |word| (word + 1, ()));
                    // A slot that comes and goes beside it makes new blocks.
                    let other = (i * 31 % keys + 1000).to_be_bytes();
                    tree.update(&other, &pin(), |word| (word ^ 1, ()));
                }
            });
        }
    });
    let sum: u64 = (0..keys).map(|n| tree.get(&n.to_be_bytes(), &pin())).sum();
    assert_eq!(sum, rounds * 3);
}

#[test]
fn an_exchange_succeeds_for_one_of_many() {
    let tree = Tree::new();
    let wins = AtomicU64::new(0);
    let rounds = scaled(20_000) as u64;
    thread::scope(|scope| {
        for thread in 1..=3u64 {
            let (tree, wins) = (&tree, &wins);
            scope.spawn(move || {
                for i in 0..rounds {
                    let won = exchange(tree, &i.to_be_bytes(), 0, thread);
                    wins.fetch_add(u64::from(won.is_ok()), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!((wins.into_inner(), tree.len()), (rounds, rounds));
}

#[test]
fn a_key_added_while_one_waits_for_the_latch_is_seen() {
    let tree = Tree::new();
    // Enough for a block with spare slots, in which the new key is appended.
    (0..40u64).for_each(|i| _ = set(&tree, &(i * 2).to_be_bytes(), 1));
    let key = 15u64.to_be_bytes();
    let (latched, wait) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            tree.update(&key, &pin(), |old| {
                latched.send(()).unwrap();
                // Long enough for the other to find no such key and come to the latch.
                thread::sleep(Duration::from_millis(50));
                (old + 1, ())
            });
        });
        wait.recv().unwrap();
        tree.update(&key, &pin(), |old| (old + 1, ()));
    });
    assert_eq!((tree.get(&key, &pin()), tree.len()), (2, 41));
    assert_eq!(walk(&tree, Bound::Unbounded, Direction::Forward).len(), 41);
}

#[test]
fn threads_that_fill_and_empty_leave_nothing() {
    let tree = Tree::new();
    let empty = tree.memory_bytes();
    let rounds = if cfg!(miri) { 1 } else { 5 };
    let each = scaled(20_000) as u64;
    let failed = AtomicBool::new(false);
    thread::scope(|scope| {
        for thread in 0..3u64 {
            let (tree, failed) = (&tree, &failed);
            scope.spawn(move || {
                let key = |i: u64| (i * 3 + thread).to_be_bytes();
                for _ in 0..rounds {
                    (0..each).for_each(|i| _ = set(tree, &key(i), i + 1));
                    for i in 0..each {
                        if set(tree, &key(i), 0) != i + 1 {
                            failed.store(true, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    assert!(!failed.into_inner());
    assert_eq!(tree.len(), 0);
    // Where two threads got in each other's way, a merge may have been left out.
    let left = tree.memory_bytes() - empty;
    assert!(left < 64 << 10, "{left} bytes are left");
}
