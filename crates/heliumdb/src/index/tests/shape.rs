//! How much memory trees take, and that they give it back.

use super::*;
use rand::{SeedableRng, rngs::SmallRng, seq::SliceRandom};

fn numbered(i: usize) -> Vec<u8> {
    (i as u64).to_be_bytes().to_vec()
}

/// Bytes per item beyond the keys' own.
fn overhead(tree: &Tree, key_bytes: u64) -> f64 {
    (tree.memory_bytes() as f64 - (tree.len() * key_bytes) as f64) / tree.len() as f64
}

#[test]
fn loads_in_order_leave_full_leaves() {
    let count = scaled(200_000);
    let fill = |order: &mut dyn Iterator<Item = usize>| {
        let tree = Tree::new();
        order.for_each(|i| assert_eq!(set(&tree, &numbered(i), 1), 0));
        assert_eq!(tree.len(), count as u64);
        overhead(&tree, 8)
    };
    let up = fill(&mut (0..count));
    let down = fill(&mut (0..count).rev());
    // Four streams, each rising, taking turns.
    let streams = fill(&mut (0..count).map(|i| i % 4 * (count / 4) + i / 4));
    println!("up {up:.1} down {down:.1} streams {streams:.1}");
    if !cfg!(miri) {
        assert!(up < 8.0 && down < 8.0 && streams < 8.5);
    }
}

#[test]
fn random_loads_stay_within_22_bytes_per_item() {
    let mut rng = SmallRng::seed_from_u64(7);
    let mut order: Vec<usize> = (0..scaled(200_000)).collect();
    order.shuffle(&mut rng);
    let tree = Tree::new();
    for &i in &order {
        set(
            &tree,
            format!("{:016x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).as_bytes(),
            1,
        );
    }
    let overhead = overhead(&tree, 16);
    println!("random {overhead:.1}");
    assert!(cfg!(miri) || overhead < 22.0);
}

#[test]
fn an_emptied_tree_gives_its_memory_back() {
    let count = scaled(100_000);
    let mut shuffled: Vec<usize> = (0..count).collect();
    shuffled.shuffle(&mut SmallRng::seed_from_u64(3));
    let orders: [Vec<usize>; 3] = [(0..count).collect(), (0..count).rev().collect(), shuffled];
    for order in &orders {
        let tree = Tree::new();
        let empty = tree.memory_bytes();
        (0..count).for_each(|i| _ = set(&tree, &numbered(i), 1));
        let full = tree.memory_bytes();
        order
            .iter()
            .for_each(|&i| assert_eq!(set(&tree, &numbered(i), 0), 1));
        let left = tree.memory_bytes() - empty;
        assert!(
            left < 4096 && left < full / 4,
            "{left} of {full} bytes are left"
        );
        assert_eq!(tree.len(), 0);
    }
}

#[test]
fn a_thinned_out_tree_shrinks() {
    let count = scaled(100_000);
    let tree = Tree::new();
    (0..count).for_each(|i| _ = set(&tree, &numbered(i), 1));
    (0..count)
        .filter(|i| i % 20 > 0)
        .for_each(|i| _ = set(&tree, &numbered(i), 0));
    println!("thinned out {:.1}", overhead(&tree, 8));
    assert!(cfg!(miri) || overhead(&tree, 8) < 22.0);
}

#[test]
fn draining_passes_each_word_once_and_empties() {
    let mut tree = Tree::new();
    let count = scaled(10_000) as u64;
    (1..=count).for_each(|i| _ = set(&tree, &i.to_be_bytes(), i));
    let mut words = Vec::new();
    tree.drain_words(|word| words.push(word));
    assert!(words.into_iter().eq(1..=count));
    assert_eq!(
        (tree.len(), tree.memory_bytes()),
        (0, Tree::new().memory_bytes())
    );
}

#[test]
fn a_panic_in_an_update_changes_nothing_and_blocks_nobody() {
    let tree = Tree::new();
    set(&tree, b"key", 1);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        tree.update(b"key", &pin(), |_| -> (u64, ()) { panic!("as intended") });
    }));
    assert!(outcome.is_err());
    assert_eq!(set(&tree, b"key", 2), 1);
}

#[test]
fn a_walk_sees_what_changes_before_it() {
    let tree = Tree::new();
    let count = if cfg!(miri) { 40 } else { 1000 };
    (0..count).for_each(|i| _ = set(&tree, &(i * 2u64).to_be_bytes(), 1));
    let guard = pin();
    let mut iter = tree.iter(Bound::Unbounded, Direction::Forward, &guard);
    for i in 0..count {
        assert_eq!(iter.next(), Some((&(i * 2).to_be_bytes()[..], 1)));
        set(&tree, &(i * 2 + 1).to_be_bytes(), 2);
        assert_eq!(iter.next(), Some((&(i * 2 + 1).to_be_bytes()[..], 2)));
        set(&tree, &(i * 2).to_be_bytes(), 0);
    }
    assert_eq!(iter.next(), None);
    set(&tree, &[0xff], 3);
    assert_eq!(iter.next(), Some((&[0xff][..], 3)));
}
