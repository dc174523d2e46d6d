//! Keys and values: 16 bytes that look random and are not twice the same, and bytes that do not
//! compress.

use rand::{RngCore, SeedableRng, rngs::SmallRng};

/// Bytes that values are cut from, beyond the longest value.
const SPARE_BYTES: usize = 1 << 16;

/// A key.
pub type Key = [u8; 16];

/// The key of item `number`; no other number has it.
pub fn key(number: u64) -> Key {
    let mut key = [0; 16];
    let (first, second) = key.split_at_mut(8);
    first.copy_from_slice(&mix(number).to_be_bytes());
    second.copy_from_slice(&mix(!number).to_be_bytes());
    key
}

/// The lowest key of part `part` of `parts` equal ones.
pub fn first_of(part: u64, parts: u64) -> Key {
    let first = (u128::from(part) << 64) / u128::from(parts);
    let mut key = [0; 16];
    if let (Ok(first), Some(place)) = (u64::try_from(first), key.first_chunk_mut()) {
        *place = first.to_be_bytes();
    } else {
        key = [u8::MAX; 16];
    }
    key
}

/// A bijection that scatters.
pub fn mix(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Where values come from.
pub struct Values {
    bytes: Vec<u8>,
    length: usize,
}

impl Values {
    /// Values of `length` bytes.
    pub fn new(length: usize, seed: u64) -> Self {
        let mut bytes = vec![0; length + SPARE_BYTES];
        SmallRng::seed_from_u64(seed).fill_bytes(&mut bytes);
        Self { bytes, length }
    }

    /// One of them.
    pub fn value(&self, number: u64) -> &[u8] {
        let start = mix(number) as usize % SPARE_BYTES;
        self.bytes
            .get(start..start + self.length)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_all_keys() {
        assert_eq!(first_of(0, 3), [0; 16]);
        assert_eq!(first_of(3, 3), [u8::MAX; 16]);
        assert!(first_of(1, 3) < first_of(2, 3));
    }

    #[test]
    fn values_have_their_length() {
        let values = Values::new(100, 1);
        assert!((0..1000).all(|number| values.value(number).len() == 100));
    }
}
