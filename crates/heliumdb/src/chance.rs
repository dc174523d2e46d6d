//! Chance: ids of volumes and devices, secrets and nonces; the only module that asks the system for random bytes.
//!
//! Invariant: what comes of a seed is the same in each run, and different in each call. Who seeds it is a simulation:
//! nobody else's ids may be guessed.

use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::error::{Error, Result};

/// Where a volume takes its random bytes from: the system, unless it is a simulation.
#[derive(Clone, Debug, Default)]
pub struct Chance(Option<Arc<Seeded>>);

#[derive(Debug)]
struct Seeded {
    seed: u64,
    calls: AtomicU64,
}

impl Chance {
    /// What comes of `seed`; clones go on with each other.
    pub fn seeded(seed: u64) -> Self {
        let calls = AtomicU64::new(0);
        Self(Some(Arc::new(Seeded { seed, calls })))
    }

    pub(crate) fn bytes(&self) -> Result<[u8; 16]> {
        match &self.0 {
            None => random(),
            Some(seeded) => {
                let call = seeded.calls.fetch_add(1, Relaxed);
                Ok(xxh3_128_with_seed(&call.to_le_bytes(), seeded.seed).to_le_bytes())
            }
        }
    }
}

/// Random bytes of the system.
#[expect(
    clippy::disallowed_types,
    reason = "no device: the kernel's own source"
)]
pub(crate) fn random() -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|e| Error::io("read /dev/urandom", e))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_the_same_again_and_nothing_twice() {
        let run = |seed| {
            let chance = Chance::seeded(seed);
            [(); 3].map(|()| chance.bytes().unwrap())
        };
        assert_eq!(run(1), run(1));
        let mut all = [run(1), run(2)].concat();
        all.push(Chance::default().bytes().unwrap());
        all.push(Chance::default().bytes().unwrap());
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 8);
    }
}
