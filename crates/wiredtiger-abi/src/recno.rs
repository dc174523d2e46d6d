//! Record numbers as keys: WiredTiger's packed unsigned integer, format `r`.
//!
//! Invariant: the bytes are those of `struct_pack("r")`, so they sort as the numbers do
//! and a volume can be read by anything that knows WiredTiger's packing.

const ONE_BYTE: u8 = 0x80;
const TWO_BYTES: u8 = 0xc0;
const MORE_BYTES: u8 = 0xe0;
const ONE_BYTE_MAX: u64 = (1 << 6) - 1;
const TWO_BYTES_MAX: u64 = ONE_BYTE_MAX + (1 << 13);

/// Replaces what is in `out` by the packed `recno`.
pub fn pack(recno: u64, out: &mut Vec<u8>) {
    out.clear();
    if recno <= ONE_BYTE_MAX {
        out.push(ONE_BYTE | recno as u8);
    } else if recno <= TWO_BYTES_MAX {
        let rest = (recno - ONE_BYTE_MAX - 1) as u16;
        out.extend_from_slice(&(u16::from(TWO_BYTES) << 8 | rest).to_be_bytes());
    } else {
        let rest = recno - TWO_BYTES_MAX - 1;
        // Zero takes a byte too, or the encoding would get shorter here and no longer sort.
        let length = (8 - rest.leading_zeros() as usize / 8).max(1);
        out.push(MORE_BYTES | length as u8);
        out.extend_from_slice(&rest.to_be_bytes()[8 - length..]);
    }
}

/// The record number that `key` is, if it is exactly one.
pub fn unpack(key: &[u8]) -> Option<u64> {
    let (&first, rest) = key.split_first()?;
    match first {
        0x80..=0xbf if rest.is_empty() => Some(u64::from(first - ONE_BYTE)),
        0xc0..=0xdf if rest.len() == 1 => {
            Some((u64::from(first - TWO_BYTES) << 8 | u64::from(rest[0])) + ONE_BYTE_MAX + 1)
        }
        0xe1..=0xe8 if rest.len() == usize::from(first - MORE_BYTES) => {
            let value = rest.iter().fold(0, |n, &byte| n << 8 | u64::from(byte));
            value.checked_add(TWO_BYTES_MAX + 1)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `wiredtiger_struct_pack("r")` of WiredTiger 3.2.1 writes.
    const KNOWN: &[(u64, &[u8])] = &[
        (1, &[0x81]),
        (63, &[0xbf]),
        (64, &[0xc0, 0]),
        (65, &[0xc0, 1]),
        (8255, &[0xdf, 0xff]),
        (8256, &[0xe1, 0]),
        (8257, &[0xe1, 1]),
        (8511, &[0xe1, 0xff]),
        (8512, &[0xe2, 1, 0]),
        (70000, &[0xe2, 0xf1, 0x30]),
        (1_000_000, &[0xe3, 0x0f, 0x22, 0]),
        (1 << 32, &[0xe4, 0xff, 0xff, 0xdf, 0xc0]),
        (
            u64::MAX,
            &[0xe8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xdf, 0xbf],
        ),
    ];

    #[test]
    fn bytes_are_wiredtigers() {
        let mut packed = Vec::new();
        for &(recno, bytes) in KNOWN {
            pack(recno, &mut packed);
            assert_eq!(packed, bytes, "{recno}");
            assert_eq!(unpack(bytes), Some(recno));
        }
    }

    #[test]
    fn keys_sort_as_numbers_do() {
        let near_steps = (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        let mut numbers: Vec<u64> = near_steps.chain(0..70_000).chain([u64::MAX]).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut last = Vec::new();
        let mut packed = Vec::new();
        for recno in numbers {
            pack(recno, &mut packed);
            assert!(packed.len() <= 9);
            assert!(last < packed, "{recno}");
            assert_eq!(unpack(&packed), Some(recno));
            last.clone_from(&packed);
        }
    }

    #[test]
    fn what_is_not_a_record_number_is_refused() {
        for bytes in [
            &[][..],
            &[0x7f],
            &[0x81, 0],
            &[0xc0],
            &[0xe0],
            &[0xe9; 10],
            &[0xe8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(unpack(bytes), None, "{bytes:?}");
        }
    }
}
