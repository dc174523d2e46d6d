//! Which items are popular: YCSB's Zipfian numbers (Gray and others, 1994), 0.99 steep.

use rand::Rng;

const STEEPNESS: f64 = 0.99;
/// Weights that are summed one by one.
const SUMMED: u64 = 1 << 20;

/// Numbers below `items`, low ones more often.
#[derive(Clone, Copy, Debug)]
pub struct Zipf {
    items: f64,
    zeta: f64,
    eta: f64,
}

impl Zipf {
    /// Over so many items.
    pub fn new(items: u64) -> Self {
        let all = zeta(items);
        let eta = (1.0 - (2.0 / items as f64).powf(1.0 - STEEPNESS)) / (1.0 - zeta(2) / all);
        Self {
            items: items as f64,
            zeta: all,
            eta,
        }
    }

    /// The next one.
    pub fn next(&self, random: &mut impl Rng) -> u64 {
        let u: f64 = random.random();
        let scaled = u * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5_f64.powf(STEEPNESS) {
            return 1.min(self.items as u64 - 1);
        }
        let rank = self.items * (self.eta * u - self.eta + 1.0).powf(1.0 / (1.0 - STEEPNESS));
        (rank as u64).min(self.items as u64 - 1)
    }
}

/// The sum of the first weights. Of many, those behind the first million are integrated, which
/// is exact to many digits and does not take longer the more there are.
fn zeta(items: u64) -> f64 {
    let summed = items.min(SUMMED);
    let first: f64 = (1..=summed).map(|n| (n as f64).powf(-STEEPNESS)).sum();
    let power = 1.0 - STEEPNESS;
    let integral = |n: u64| (n as f64 + 0.5).powf(power) / power;
    first + integral(items) - integral(summed)
}

#[cfg(test)]
mod tests {
    use super::{STEEPNESS, SUMMED, Zipf, zeta};
    use rand::{SeedableRng, rngs::SmallRng};

    #[test]
    fn many_weights_are_summed_well() {
        let items = 4 * SUMMED;
        let sum: f64 = (1..=items).map(|n| (n as f64).powf(-STEEPNESS)).sum();
        assert!((zeta(items) - sum).abs() < 1e-9 * sum);
    }

    #[test]
    fn low_numbers_are_popular_and_none_is_too_high() {
        for items in [1, 2, 3, 1000] {
            let zipf = Zipf::new(items);
            let mut random = SmallRng::seed_from_u64(7);
            let drawn: Vec<u64> = (0..100_000).map(|_| zipf.next(&mut random)).collect();
            assert!(drawn.iter().all(|number| *number < items), "{items}");
            if items == 1000 {
                let zeros = drawn.iter().filter(|number| **number == 0).count();
                // 1 / zeta(1000, 0.99) is 0.129.
                assert!((12_000..14_000).contains(&zeros), "{zeros}");
            }
        }
    }
}
