//! Trees built of sorted entries, and what walks say has changed: against `BTreeMap`.

use super::{
    model::{Model, SHAPES, Shape, assert_same_walks, change, some_key},
    *,
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::ops;

/// Loads what the model holds, in parts cut anywhere.
fn load(model: &Model, rng: &mut SmallRng) -> Tree {
    let mut parts = Vec::new();
    let mut builder = PartBuilder::new(b"");
    let most = rng.random_range(2..2_000);
    let mut count = 0;
    for (key, &word) in model {
        if count > 0 && rng.random_range(0..most) == 0 {
            let full = std::mem::replace(&mut builder, PartBuilder::new(key));
            parts.push(full.finish(Some(key)).expect("keys in order"));
            count = 0;
        }
        assert!(builder.push(key, word));
        count += 1;
    }
    assert!(model.is_empty() || !builder.push(b"", 1), "out of order");
    parts.push(builder.finish(None).expect("keys in order"));
    Tree::of_parts(parts)
}

/// Brings `copy` up to what the tree holds, by the ranges that have changed alone.
fn follow(tree: &Tree, copy: &mut Model) -> usize {
    let mut ranges = Vec::new();
    tree.take_changes(
        |_| false,
        |low, high| ranges.push((low.to_vec(), high.map(<[u8]>::to_vec))),
    );
    for (low, high) in &ranges {
        let end = high
            .clone()
            .map_or(ops::Bound::Unbounded, ops::Bound::Excluded);
        let gone: Vec<_> = copy
            .range((ops::Bound::Included(low.clone()), end))
            .map(|(key, _)| key.clone())
            .collect();
        gone.iter().for_each(|key| _ = copy.remove(key));
        let guard = pin();
        let mut iter = tree.iter(Bound::Included(low), Direction::Forward, &guard);
        while let Some((key, word)) = iter.next() {
            if high.as_deref().is_some_and(|high| key >= high) {
                break;
            }
            copy.insert(key.to_vec(), word);
        }
    }
    ranges.len()
}

#[test]
fn loaded_trees_work_and_say_what_changed() {
    for shape in SHAPES {
        let seed = rand::random();
        println!("shape {shape:?} seed {seed}");
        agree(shape, seed);
    }
}

fn agree(shape: Shape, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut tree = Tree::new();
    let (mut model, mut copy) = (Model::new(), Model::new());
    let steps = scaled(shape.steps());
    for step in 0..steps {
        let removes = [20, 80, 50][step * 3 / steps];
        change(&tree, &mut model, shape, removes, &mut rng);
        if rng.random_range(0..steps / 20 + 1) == 0 {
            follow(&tree, &mut copy);
            assert!(copy == model, "a change was not reported");
            assert_eq!(follow(&tree, &mut copy), 0, "reported twice");
        }
        if rng.random_range(0..steps / 10 + 1) == 0 {
            follow(&tree, &mut copy);
            tree = load(&model, &mut rng);
            assert_eq!(tree.len(), model.len() as u64);
            assert_same_walks(&tree, &model, &some_key(&model, shape, &mut rng));
            assert_eq!(follow(&tree, &mut copy), 0, "a loaded tree has not changed");
        }
    }
}

/// Ranges are reported while threads write: what was written before a walk is in it, or in an
/// earlier one.
#[test]
fn no_change_is_missed_while_others_write() {
    let tree = Tree::new();
    let mut seen = Model::new();
    let rounds = scaled(300).max(3) as u64;
    std::thread::scope(|scope| {
        for writer in 0..2u64 {
            let tree = &tree;
            scope.spawn(move || {
                let mut rng = SmallRng::seed_from_u64(writer);
                for i in 0..rounds * 300 {
                    let key = (rng.random_range(0..5_000u64) * 2 + writer).to_be_bytes();
                    set(
                        tree,
                        &key,
                        if rng.random_range(0..3) == 0 {
                            0
                        } else {
                            i + 1
                        },
                    );
                }
            });
        }
        for _ in 0..rounds {
            follow(&tree, &mut seen);
        }
    });
    follow(&tree, &mut seen);
    let there: Model = walk(&tree, Bound::Unbounded, Direction::Forward)
        .into_iter()
        .collect();
    assert!(seen == there, "a change was not reported");
}
