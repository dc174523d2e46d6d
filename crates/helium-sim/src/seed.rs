//! Seeds: where a test's random numbers start, and the line that replays a failure.

use std::fmt;

use rand::{Rng, SeedableRng, rngs::SmallRng};

/// The seed to replay, from the environment's `HELIUM_SEED`, if it is there.
pub fn replayed() -> Option<u64> {
    std::env::var("HELIUM_SEED").ok()?.parse().ok()
}

/// A number from the environment, or `default`.
pub fn count(variable: &str, default: u64) -> u64 {
    let set = std::env::var(variable).ok();
    set.and_then(|text| text.replace('_', "").parse().ok())
        .unwrap_or(default)
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

/// Says, if the thread panics while this lives, how to see it again.
pub struct Replay {
    test: &'static str,
    seed: u64,
}

impl Replay {
    /// For round `seed` of `test`.
    pub fn new(test: &'static str, seed: u64) -> Self {
        Self { test, seed }
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "replay with HELIUM_SEED={} cargo test -p heliumdb {}",
            self.seed, self.test
        )
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{self}");
        }
    }
}
