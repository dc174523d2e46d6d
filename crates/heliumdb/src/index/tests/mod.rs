//! Tests of the index. A failure prints the seed that replays it.

mod concurrent;
mod figures;
mod load;
mod memory;
mod model;
mod shape;

use super::*;
use crossbeam_epoch::pin;

/// Everything in the tree, in the order in which a walk passes it.
fn walk(tree: &Tree, from: Bound<'_>, direction: Direction) -> Vec<(Vec<u8>, u64)> {
    let guard = pin();
    let mut iter = tree.iter(from, direction, &guard);
    let mut items = Vec::new();
    while let Some((key, word)) = iter.next() {
        items.push((key.to_vec(), word));
    }
    items
}

fn set(tree: &Tree, key: &[u8], word: u64) -> u64 {
    tree.update(key, &pin(), |old| (word, old))
}

/// As many steps, but few under miri, which is slow.
fn scaled(steps: usize) -> usize {
    if cfg!(miri) { steps / 300 } else { steps }
}

/// Stores `new` if the word of `key` is `old`; else fails with what it is.
fn exchange(tree: &Tree, key: &[u8], old: u64, new: u64) -> Result<(), u64> {
    tree.update(key, &pin(), |word| match word {
        word if word == old => (new, Ok(())),
        word => (word, Err(word)),
    })
}
