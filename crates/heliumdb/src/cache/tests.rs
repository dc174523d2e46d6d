//! The cache against a map, under many threads, and under a scan.

use super::*;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::{collections::HashMap, sync::atomic::AtomicUsize};

/// An item that says where it belongs, of a length that its position decides.
fn item(position: u64) -> Vec<u8> {
    let len = 24 + (mix(position) % 1000) as usize;
    let mut item = vec![position as u8; len];
    item[..8].copy_from_slice(&position.to_le_bytes());
    item
}

fn is_right(position: u64, found: &[u8]) -> bool {
    found == item(position)
}

/// Reads like the log does: what is not there is brought in. Whether it was there.
fn read(cache: &Cache, position: u64) -> bool {
    let guard = crossbeam_epoch::pin();
    match cache.find(position, By::Point, &guard) {
        Some(found) => {
            assert!(is_right(position, found), "another item at {position}");
            true
        }
        None => {
            keep(cache, position, &item(position), By::Point, &guard);
            false
        }
    }
}

fn keep(cache: &Cache, position: u64, item: &[u8], by: By, guard: &Guard) -> bool {
    cache.insert(position, item, by, &|| true, guard)
}

/// As [`read`], on the way of a walk.
fn pass(cache: &Cache, position: u64) -> bool {
    let guard = crossbeam_epoch::pin();
    let found = cache.find(position, By::Walk, &guard).is_some();
    if !found {
        keep(cache, position, &item(position), By::Walk, &guard);
    }
    found
}

fn any(random: &mut SmallRng) -> By {
    if random.random() { By::Point } else { By::Walk }
}

fn seed() -> u64 {
    let seed = std::env::var("HELIUM_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| rand::rng().random());
    println!("HELIUM_SEED={seed}");
    seed
}

#[test]
fn what_is_found_is_what_was_put_in() {
    let mut random = SmallRng::seed_from_u64(seed());
    for budget in [1 << 20, 3 << 20, 40 << 20] {
        let cache = Cache::new(budget).unwrap();
        let mut put = HashMap::new();
        let mut found = 0;
        for _ in 0..40_000 {
            let position = random.random_range(0..20_000u64) * 16;
            let guard = crossbeam_epoch::pin();
            if random.random() {
                let bytes = item(position);
                keep(&cache, position, &bytes, By::Point, &guard);
                put.insert(position, bytes);
            } else if let Some(bytes) = cache.find(position, any(&mut random), &guard) {
                assert_eq!(Some(bytes), put.get(&position).map(Vec::as_slice));
                found += 1;
            }
            assert!(cache.stats().bytes <= budget as u64);
        }
        assert!(found > 100, "nothing is ever found");
    }
}

#[test]
fn all_of_what_fits_is_found_again() {
    let cache = Cache::new(32 << 20).unwrap();
    let positions: Vec<u64> = (0..20_000u64).map(|i| i * 4096 + 16).collect();
    positions.iter().for_each(|position| {
        read(&cache, *position);
    });
    let hits = positions.iter().filter(|p| read(&cache, **p)).count();
    // Buckets overflow now and then.
    assert!(hits > 19_900, "{hits} of 20000 found");
    let stats = cache.stats();
    assert_eq!(stats.hits, hits as u64);
    assert_eq!(stats.misses, 20_000 + 20_000 - hits as u64);
}

#[test]
fn memory_is_taken_by_and_by_and_never_beyond_the_budget() {
    for budget in [1 << 20, 5_000_000, 64 << 20, (256 << 20) + 12_345] {
        let cache = Cache::new(budget).unwrap();
        let first = cache.stats().bytes;
        assert!(first <= budget as u64 / 8, "{first} bytes when it is empty");
        let many = budget as u64 / 100;
        for i in 0..many.min(200_000) {
            read(&cache, i * 16);
            if i % 1000 == 0 {
                assert!(cache.stats().bytes <= budget as u64);
            }
        }
        let full = cache.stats().bytes;
        assert!(full <= budget as u64, "{full} of {budget}");
        if many < 200_000 {
            assert!(full > budget as u64 / 10 * 8, "{full} of {budget} only");
        }
    }
    assert!(Cache::new((1 << 20) - 1).is_none());
}

#[test]
fn what_is_too_long_is_not_kept() {
    let cache = Cache::new(1 << 20).unwrap();
    let guard = crossbeam_epoch::pin();
    keep(&cache, 16, &vec![1; 300_000], By::Point, &guard);
    assert!(cache.find(16, By::Point, &guard).is_none());
    // The longest piece of a long value is kept by a cache of a usual size.
    let cache = Cache::new(64 << 20).unwrap();
    let longest = vec![1; 24 + (256 << 10)];
    keep(&cache, 16, &longest, By::Point, &guard);
    assert!(cache.find(16, By::Point, &guard) == Some(longest.as_slice()));
}

/// The part of the hot set that is found.
fn hit_rate(cache: &Cache, hot: &[u64]) -> f64 {
    let hits = hot.iter().filter(|p| read(cache, **p)).count();
    hits as f64 / hot.len() as f64
}

/// The hit rate of `hot` once `use_it` was called often enough. How often that is depends on others:
/// while some thread of this process holds an epoch guard, no block comes free, and nothing goes in.
fn settled_rate(cache: &Cache, hot: &[u64], mut use_it: impl FnMut()) -> f64 {
    let mut rate = 0.0;
    for _ in 0..50 {
        (0..100_000).for_each(|_| use_it());
        rate = hit_rate(cache, hot);
        if rate > 0.95 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    rate
}

#[test]
fn a_walk_over_everything_leaves_what_is_used() {
    let mut random = SmallRng::seed_from_u64(seed());
    let cache = Cache::new(8 << 20).unwrap();
    // A third of the budget.
    let hot: Vec<u64> = (0..5_000u64).map(|i| i * 160).collect();
    let before = settled_rate(&cache, &hot, || {
        read(&cache, hot[random.random_range(0..hot.len())]);
        read(
            &cache,
            (1 << 30) + random.random_range(0..1_000_000u64) * 16,
        );
    });
    assert!(before > 0.9, "{before} of the hot set is found");
    // A walk over everything, and point reads of everything, once each, displace probation alone.
    for i in 0..100_000u64 {
        pass(&cache, (1 << 40) + i * 16);
    }
    let after = hit_rate(&cache, &hot);
    assert!(after > 0.8, "{after} is left of {before} by a walk");
    for i in 0..100_000u64 {
        read(&cache, (1 << 41) + i * 16);
    }
    let after = hit_rate(&cache, &hot);
    assert!(after > 0.8, "{after} is left of {before}");
}

#[test]
fn a_range_that_is_walked_again_and_again_stays() {
    let cache = Cache::new(8 << 20).unwrap();
    let hot: Vec<u64> = (0..5_000u64).map(|i| i * 160).collect();
    let walk = || hot.iter().filter(|at| pass(&cache, **at)).count() as f64 / hot.len() as f64;
    // As for [`settled_rate`]: how often it takes depends on others.
    let mut rate = 0.0;
    for _ in 0..50 {
        rate = walk();
        if rate > 0.95 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(rate > 0.95, "{rate} of the range is found");
    for _ in 0..5 {
        walk();
    }
    // One pass over ten times the budget, which leaves nothing of what is kept by age alone.
    for i in 0..100_000u64 {
        pass(&cache, (1 << 40) + i * 16);
    }
    let after = walk();
    assert!(after > 0.3, "{after} is left of {rate}");
}

/// What it may not take others have, and what it has it uses again.
#[test]
fn a_walk_takes_no_memory_that_it_may_not_have() {
    let cache = Cache::new(8 << 20).unwrap();
    let before = cache.stats().bytes;
    let guard = crossbeam_epoch::pin();
    for position in (0..1_000u64).map(|i| i * 16) {
        let grew = cache.insert(position, &item(position), By::Walk, &|| false, &guard);
        assert!(!grew && cache.find(position, By::Walk, &guard).is_none());
    }
    assert_eq!(cache.stats().bytes, before);
    assert!(cache.is_small());
    keep(&cache, 0, &item(0), By::Point, &guard);
    cache.insert(16, &item(16), By::Walk, &|| false, &guard);
    assert!(cache.find(16, By::Walk, &guard).is_some());
}

#[test]
fn what_is_used_takes_the_place_of_what_was() {
    let mut random = SmallRng::seed_from_u64(seed());
    let cache = Cache::new(8 << 20).unwrap();
    for base in [0u64, 1 << 30, 2 << 30] {
        let hot: Vec<u64> = (0..7_000u64).map(|i| base + i * 16).collect();
        let rate = settled_rate(&cache, &hot, || {
            read(&cache, hot[random.random_range(0..hot.len())]);
        });
        assert!(rate > 0.9, "{rate} of the new hot set is found");
    }
}

#[test]
fn readers_never_see_a_place_that_is_used_again() {
    // Miri is slow, and watches each access.
    let rounds = if cfg!(miri) { 1_500 } else { 60_000 };
    let seed = seed();
    let cache = Cache::new(1 << 20).unwrap();
    let hits = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (cache, hits) = (&cache, &hits);
            scope.spawn(move || {
                let mut random = SmallRng::seed_from_u64(seed + thread);
                for _ in 0..rounds {
                    let position = random.random_range(0..4_000u64) * 16;
                    let guard = crossbeam_epoch::pin();
                    let Some(found) = cache.find(position, any(&mut random), &guard) else {
                        keep(cache, position, &item(position), By::Point, &guard);
                        continue;
                    };
                    // Others insert and make room meanwhile.
                    assert!(is_right(position, found), "HELIUM_SEED={seed}");
                    if random.random_range(0..64) == 0 {
                        std::thread::yield_now();
                        assert!(is_right(position, found), "HELIUM_SEED={seed}");
                    }
                    hits.fetch_add(1, Relaxed);
                }
            });
        }
    });
    assert!(hits.load(Relaxed) > rounds / 60);
    assert!(cache.stats().bytes <= 1 << 20);
}

#[test]
fn what_is_removed_makes_room() {
    let cache = Cache::new(64 << 20).unwrap();
    let mut kept = std::collections::VecDeque::new();
    for turn in 0..20_000u64 {
        let guard = crossbeam_epoch::pin();
        let name = named(cache.new_name());
        keep(&cache, name, &[turn as u8; 10_000], By::Walk, &guard);
        if cache.has(name, &guard) {
            kept.push_back((name, turn as u8));
        }
        if kept.len() > 100 {
            let (gone, _) = kept.pop_front().unwrap();
            cache.remove(gone, &guard);
            cache.remove(gone, &guard);
            assert!(!cache.has(gone, &guard));
        }
    }
    // A hundred of them take a megabyte; each of four shards is filling a block.
    let blocks = cache.blocks_in_use();
    assert!(blocks <= 8, "{blocks}");
    let guard = crossbeam_epoch::pin();
    let left = kept.iter().filter(|(name, turn)| {
        let found = cache.find(*name, By::Walk, &guard);
        found.is_some_and(|found| found == [*turn; 10_000])
    });
    // Readers of other tests may look at what is free: then there is no room for some.
    assert!(left.count() > 50);
}
