//! How a value is kept in its item: as it is, or compressed.
//!
//! Compressed it is its length (4 bytes) and an LZ4 block. Invariant: nothing is allocated
//! from a length that was not compared with its limit, and a block that does not give exactly
//! that many bytes gives none.

use crate::{limits::CHUNK_BYTES, scratch};
use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size,
};
use std::cell::RefCell;

/// Codec of a value that is kept as it is.
pub(crate) const PLAIN: u8 = 0;
/// Codec of a value that is kept as its length and an LZ4 block.
pub(crate) const LZ4: u8 = 1;
/// Bytes of the length before a block.
const LENGTH_BYTES: usize = 4;
/// Shorter values are not worth a try.
const WORTH_BYTES: usize = 32;

thread_local! {
    static TABLE: RefCell<CompressTable> = RefCell::default();
}

/// Compresses `value`, of [`CHUNK_BYTES`] at most, into `to`, which is cleared first; false if
/// that does not make it shorter.
pub(crate) fn compress(value: &[u8], to: &mut Vec<u8>) -> bool {
    to.clear();
    if value.len() < WORTH_BYTES || value.len() > CHUNK_BYTES {
        return false;
    }
    to.resize(LENGTH_BYTES + get_maximum_output_size(value.len()), 0);
    to[..LENGTH_BYTES].copy_from_slice(&(value.len() as u32).to_le_bytes());
    let block = &mut to[LENGTH_BYTES..];
    let done = scratch::lend(&TABLE, CompressTable::default, |table| {
        compress_into_with_table(value, block, table)
    });
    match done {
        Ok(len) if LENGTH_BYTES + len < value.len() => {
            to.truncate(LENGTH_BYTES + len);
            true
        }
        _ => false,
    }
}

/// Appends what [`compress`] was given to `to`; `None`, and nothing appended, if `stored` is not
/// of its making.
pub(crate) fn decompress(stored: &[u8], to: &mut Vec<u8>) -> Option<()> {
    let len = given_len(stored)?;
    let block = stored.get(LENGTH_BYTES..)?;
    let start = to.len();
    to.resize(start + len, 0);
    if decompress_into(block, &mut to[start..]).is_ok_and(|gave| gave == len) {
        return Some(());
    }
    to.truncate(start);
    None
}

/// The length of what [`compress`] was given to make `stored`; `None` if it says none that could be.
pub(crate) fn given_len(stored: &[u8]) -> Option<usize> {
    let len = u32::from_le_bytes(*stored.first_chunk::<LENGTH_BYTES>()?) as usize;
    (len <= CHUNK_BYTES).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_compressed_comes_back(
            seed in prop::collection::vec(any::<u8>(), 1..40), times in 1usize..3000,
        ) {
            let value = seed.repeat(times);
            let value = &value[..value.len().min(CHUNK_BYTES)];
            let (mut stored, mut again) = (Vec::new(), b"before".to_vec());
            if compress(value, &mut stored) {
                prop_assert!(stored.len() < value.len());
                prop_assert_eq!(decompress(&stored, &mut again), Some(()));
                prop_assert_eq!(&again[6..], value);
            }
        }

        #[test]
        fn damaged_blocks_give_nothing_or_as_much_as_they_say(
            at: prop::sample::Index, byte: u8, cut: prop::sample::Index,
        ) {
            let value: Vec<u8> = (0..2000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
            let mut stored = Vec::new();
            prop_assert!(compress(&value, &mut stored));
            let end = cut.index(stored.len());
            let mut again = b"before".to_vec();
            prop_assert_eq!(decompress(&stored[..end], &mut again), None);
            prop_assert_eq!(&again[..], b"before");
            let place = at.index(stored.len());
            stored[place] = byte;
            let said = u32::from_le_bytes(stored[..4].try_into().unwrap()) as usize;
            let gave = decompress(&stored, &mut again);
            prop_assert_eq!(again.len(), 6 + gave.map_or(0, |()| said));
        }

        #[test]
        fn arbitrary_bytes_are_no_block_and_do_no_harm(stored in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut to = Vec::new();
            let _ = decompress(&stored, &mut to);
            prop_assert!(to.len() <= CHUNK_BYTES);
        }
    }

    #[test]
    fn noise_and_short_values_are_kept_as_they_are() {
        let mut x = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1);
            (x >> 56) as u8
        })
        .take(5000)
        .collect();
        let mut stored = Vec::new();
        assert!(!compress(&noise, &mut stored));
        assert!(!compress(&[], &mut stored));
        assert!(!compress(&[7; WORTH_BYTES - 1], &mut stored));
        assert!(compress(&[7; WORTH_BYTES], &mut stored));
        assert!(compress(&[7; CHUNK_BYTES], &mut stored));
        assert!(!compress(&[7; CHUNK_BYTES + 1], &mut stored));
        let mut to = Vec::new();
        let longer = [&(CHUNK_BYTES as u32 + 1).to_le_bytes()[..], &[0; 64]].concat();
        assert_eq!(decompress(&longer, &mut to), None);
    }
}
