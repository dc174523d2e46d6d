//! Seeds: where a test's random numbers start, and what the environment says of them.
//!
//! Invariant: what the environment has and cannot be understood is a failure, and never a run with something else.

use rand::{Rng, SeedableRng, rngs::SmallRng};

/// The seed to replay, from the environment's `HELIUM_SEED`, if it is there.
pub fn replayed() -> Option<u64> {
    number("HELIUM_SEED")
}

/// A number from the environment, or `default`.
pub fn count(variable: &str, default: u64) -> u64 {
    number(variable).unwrap_or(default)
}

pub(crate) fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    match text.replace(['_', ','], "").parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{variable}={text} is not a number"),
    }
}

/// The seeds of a test's rounds: that of the environment alone, or `rounds` fixed ones, or, with
/// `HELIUM_RANDOM_SEEDS` set, as many that no run had before.
pub fn seeds(rounds: u64) -> impl Iterator<Item = u64> {
    let one = replayed();
    let start = match std::env::var_os("HELIUM_RANDOM_SEEDS") {
        Some(_) => rand::rng().random_range(0..u64::MAX >> 1),
        None => 1,
    };
    let (start, end) = one.map_or((start, start + rounds), |seed| (seed, seed + 1));
    start..end
}

/// Random numbers that start at `seed`.
pub fn rng(seed: u64) -> SmallRng {
    SmallRng::seed_from_u64(seed)
}

/// Random numbers of one of the many cases of a seed: they have nothing to do with those of another.
pub fn rng_of_case(seed: u64, case: u64) -> SmallRng {
    // The multiplier is odd, so that no two cases of a seed start at the same place.
    rng(seed.rotate_left(32) ^ case.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
