//! Random operations, against `BTreeMap`.

use super::*;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::{collections::BTreeMap, ops};

pub(super) type Model = BTreeMap<Vec<u8>, u64>;

/// How keys are made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Few different bytes, short: many neighbours, prefixes of each other, the empty key.
    Dense,
    /// As tables make them: a shared start and a number.
    Numbered,
    /// 16 random bytes.
    Random,
    /// Any length, random bytes.
    Ragged,
    /// Runs of 0xff and 0x00 of any length.
    Runs,
    /// Up to the longest, with long shared starts.
    Huge,
    /// All of them.
    Mixed,
}

pub(super) const SHAPES: [Shape; 7] = [
    Shape::Dense,
    Shape::Numbered,
    Shape::Random,
    Shape::Ragged,
    Shape::Runs,
    Shape::Huge,
    Shape::Mixed,
];

impl Shape {
    fn key(self, rng: &mut SmallRng) -> Vec<u8> {
        match self {
            Self::Dense => {
                let len = rng.random_range(0..7);
                (0..len).map(|_| rng.random_range(0..4) * 85).collect()
            }
            Self::Numbered => format!("table:{:09}", rng.random_range(0..20_000)).into_bytes(),
            Self::Random => rng.random::<[u8; 16]>().to_vec(),
            Self::Ragged => (0..rng.random_range(0..40)).map(|_| rng.random()).collect(),
            Self::Runs => {
                let mut key = vec![0xff; rng.random_range(0..70)];
                key.extend(vec![0; rng.random_range(0..70)]);
                key.truncate(rng.random_range(0..=key.len()));
                key
            }
            Self::Huge => {
                let longest = if cfg!(miri) {
                    2_000
                } else {
                    crate::limits::KEY_BYTES_MAX
                };
                let len = rng.random_range(0..=longest);
                let mut key = vec![b'a' + rng.random_range(0..3); len];
                if let Some(last) = key.last_mut() {
                    *last = rng.random();
                }
                key
            }
            Self::Mixed => SHAPES[rng.random_range(0..6)].key(rng),
        }
    }

    pub(super) fn steps(self) -> usize {
        match self {
            Self::Huge => 600,
            Self::Mixed => 3_000,
            _ => 30_000,
        }
    }
}

#[test]
fn does_what_a_sorted_map_does() {
    for shape in SHAPES {
        let seed = rand::random();
        println!("shape {shape:?} seed {seed}");
        agree(shape, shape.steps(), seed);
    }
}

fn agree(shape: Shape, steps: usize, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let tree = Tree::new();
    let mut model = Model::new();
    let empty = tree.memory_bytes();
    let steps = scaled(steps);
    for step in 0..steps {
        // Grows, then shrinks, then stays.
        let removes = [20, 80, 50][step * 3 / steps];
        change(&tree, &mut model, shape, removes, &mut rng);
        if rng.random_range(0..steps / 20 + 1) == 0 {
            let key = some_key(&model, shape, &mut rng);
            assert_same_walks(&tree, &model, &key);
        }
    }
    assert_same_walks(&tree, &model, &some_key(&model, shape, &mut rng));
    for key in model.keys() {
        assert_ne!(set(&tree, key, 0), 0);
    }
    assert_eq!(tree.len(), 0);
    assert!(walk(&tree, Bound::Unbounded, Direction::Backward).is_empty());
    let left = tree.memory_bytes() - empty;
    assert!(left < 4096, "{left} bytes are left of an emptied tree");
}

pub(super) fn change(
    tree: &Tree,
    model: &mut Model,
    shape: Shape,
    removes: u32,
    rng: &mut SmallRng,
) {
    let guard = pin();
    let key = some_key(model, shape, rng);
    let had = model.get(&key).copied().unwrap_or(0);
    assert_eq!(tree.get(&key, &guard), had);
    let word = if rng.random_range(0..100) < removes {
        0
    } else {
        rng.random_range(1..u64::MAX)
    };
    match rng.random_range(0..4) {
        0 => assert_eq!(
            exchange(tree, &key, had ^ 1, word),
            Err(had),
            "must not be exchanged"
        ),
        1 => {
            assert_eq!(exchange(tree, &key, had, word), Ok(()));
            note(model, key, word);
        }
        _ => {
            assert_eq!(tree.update(&key, &guard, |old| (word, old)), had);
            note(model, key, word);
        }
    }
    assert_eq!(tree.len(), model.len() as u64);
}

fn note(model: &mut Model, key: Vec<u8>, word: u64) {
    if word == 0 {
        model.remove(&key);
    } else {
        model.insert(key, word);
    }
}

/// Half of the time one that is there, if near a new one.
pub(super) fn some_key(model: &Model, shape: Shape, rng: &mut SmallRng) -> Vec<u8> {
    let key = shape.key(rng);
    if rng.random() {
        return key;
    }
    let from = (ops::Bound::Included(&key[..]), ops::Bound::Unbounded);
    match model.range::<[u8], _>(from).next() {
        Some((there, _)) => there.clone(),
        None => key,
    }
}

pub(super) fn assert_same_walks(tree: &Tree, model: &Model, key: &[u8]) {
    use ops::Bound::{Excluded, Included, Unbounded};
    let bounds = [
        (Bound::Unbounded, Unbounded),
        (Bound::Included(key), Included(key)),
        (Bound::Excluded(key), Excluded(key)),
    ];
    for (from, there) in bounds {
        let up = model.range::<[u8], _>((there, Unbounded));
        let up: Vec<_> = up.map(|(key, word)| (key.clone(), *word)).collect();
        assert!(
            up == walk(tree, from, Direction::Forward),
            "from {from:?} up"
        );
        let down = model.range::<[u8], _>((Unbounded, there)).rev();
        let down: Vec<_> = down.map(|(key, word)| (key.clone(), *word)).collect();
        assert!(
            down == walk(tree, from, Direction::Backward),
            "from {from:?} down"
        );
    }
}
