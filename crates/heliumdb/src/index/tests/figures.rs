//! Bytes and nanoseconds per item. Run with
//! `cargo test --release -p heliumdb index::tests::figures -- --ignored --nocapture`.

use super::*;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::{hint::black_box, thread, time::Instant};

#[test]
#[ignore = "measures"]
fn figures() {
    let counts = match std::env::var("HELIUM_ITEMS") {
        Ok(count) => vec![count.parse().unwrap()],
        Err(_) => vec![2_000_000, 10_000_000],
    };
    for count in counts {
        measure("random, 16 bytes", count, |i| {
            (u128::from(mix(i)) << 64 | u128::from(mix(!i))).to_be_bytes()
        });
        measure("sorted, 16 bytes", count, |i| u128::from(i).to_be_bytes());
        measure("sorted, 8 bytes", count, u64::to_be_bytes);
    }
}

/// A permutation of the numbers that looks random.
fn mix(i: u64) -> u64 {
    let x = (i ^ i >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

fn measure<const N: usize>(name: &str, count: u64, key: impl Fn(u64) -> [u8; N] + Sync) {
    let resident_before = resident_bytes();
    let mut tree = Tree::new();
    let insert = nanoseconds(count, || {
        (0..count).for_each(|i| _ = set(&tree, &key(i), i + 1));
    });
    let per_item = |bytes: u64| bytes as f64 / count as f64 - N as f64;
    let bytes = per_item(tree.memory_bytes());
    let resident = per_item(resident_bytes().saturating_sub(resident_before));
    let gets = 4_000_000;
    let get = nanoseconds(gets, || get_randomly(&tree, count, gets, 1, &key));
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| get_randomly(&tree, count, gets, 2, &key));
        scope.spawn(|| get_randomly(&tree, count, gets, 3, &key));
    });
    let get_by_2 = start.elapsed().as_nanos() as f64 / (gets * 2) as f64;
    let update = nanoseconds(gets, || {
        let mut rng = SmallRng::seed_from_u64(4);
        (0..gets).for_each(|i| _ = set(&tree, &key(rng.random_range(0..count)), i + 1));
    });
    let forward = nanoseconds(count, || pass_all(&tree, Direction::Forward, count));
    let backward = nanoseconds(count, || pass_all(&tree, Direction::Backward, count));
    let drain = nanoseconds(count, || tree.drain_words(|word| _ = black_box(word)));
    println!(
        "{count} {name}: {bytes:.1} B/item beyond the key ({resident:.1} resident); \
         ns: insert {insert:.0}, get {get:.0}, by 2 threads {get_by_2:.0}, update {update:.0}, \
         next {forward:.1}, previous {backward:.1}, drain {drain:.1}"
    );
}

fn get_randomly<const N: usize>(
    tree: &Tree,
    count: u64,
    gets: u64,
    seed: u64,
    key: &impl Fn(u64) -> [u8; N],
) {
    let mut rng = SmallRng::seed_from_u64(seed);
    for _ in 0..gets {
        let i = rng.random_range(0..count);
        assert_eq!(tree.get(&key(i), &pin()), i + 1);
    }
}

fn pass_all(tree: &Tree, direction: Direction, count: u64) {
    let guard = pin();
    let mut iter = tree.iter(Bound::Unbounded, direction, &guard);
    let mut passed = 0;
    while let Some(item) = iter.next() {
        black_box(item);
        passed += 1;
    }
    assert_eq!(passed, count);
}

/// Time that the thread was on a processor: others may be busy on the machine too.
fn nanoseconds(operations: u64, run: impl FnOnce()) -> f64 {
    let start = thread_nanoseconds();
    run();
    (thread_nanoseconds() - start) as f64 / operations as f64
}

fn thread_nanoseconds() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    statistics.split(' ').next().unwrap().parse().unwrap()
}

/// What the process takes, as the kernel sees it.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
