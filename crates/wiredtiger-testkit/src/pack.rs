//! WiredTiger's packing of columns into bytes, as raw cursors take them.
//!
//! Invariant: packed numbers sort as the numbers do.

/// A string column: its bytes and a zero.
pub fn string(text: &str) -> Vec<u8> {
    let mut packed = text.as_bytes().to_vec();
    packed.push(0);
    packed
}

/// A record number, or another unsigned number.
pub fn unsigned(number: u64) -> Vec<u8> {
    const ONE_BYTE_MAX: u64 = (1 << 6) - 1;
    const TWO_BYTES_MAX: u64 = (1 << 13) + ONE_BYTE_MAX;
    if number <= ONE_BYTE_MAX {
        return vec![0x80 | low_byte(number)];
    }
    if number <= TWO_BYTES_MAX {
        let rest = number - (ONE_BYTE_MAX + 1);
        return vec![0xc0 | low_byte(rest >> 8), low_byte(rest)];
    }
    let rest = (number - (TWO_BYTES_MAX + 1)).to_be_bytes();
    // Zero takes one byte too.
    let skip = rest.iter().take_while(|byte| **byte == 0).count().min(7);
    let mut packed = vec![0xe0 | (8 - low_byte(skip as u64))];
    packed.extend_from_slice(&rest[skip..]);
    packed
}

/// The record number that [`unsigned`] packed.
pub fn unpack_unsigned(packed: &[u8]) -> Option<u64> {
    let (&first, rest) = packed.split_first()?;
    match first >> 5 {
        0b100 | 0b101 => Some(u64::from(first & 0x3f)),
        0b110 => Some(((u64::from(first & 0x1f) << 8) | u64::from(*rest.first()?)) + (1 << 6)),
        0b111 => {
            let bytes = rest.get(..usize::from(first & 0xf))?;
            let number = bytes
                .iter()
                .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
            number.checked_add((1 << 13) + (1 << 6))
        }
        _ => None,
    }
}

/// A signed number.
pub fn signed(number: i64) -> Vec<u8> {
    const ONE_BYTE_MIN: i64 = -(1 << 6);
    const TWO_BYTES_MIN: i64 = -(1 << 13) + ONE_BYTE_MIN;
    if let Ok(number) = u64::try_from(number) {
        return unsigned(number);
    }
    if number >= ONE_BYTE_MIN {
        return vec![0x40 | low_byte((number - ONE_BYTE_MIN).unsigned_abs())];
    }
    if number >= TWO_BYTES_MIN {
        let rest = (number - TWO_BYTES_MIN).unsigned_abs();
        return vec![0x20 | low_byte(rest >> 8), low_byte(rest)];
    }
    // The leading bytes of all ones go; how many tells how negative the number is.
    let rest = (number - TWO_BYTES_MIN).to_be_bytes();
    let skip = rest.iter().take_while(|byte| **byte == 0xff).count();
    let mut packed = vec![0x10 | low_byte(skip as u64)];
    packed.extend_from_slice(&rest[skip..]);
    packed
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low byte is what is wanted"
)]
fn low_byte(number: u64) -> u8 {
    number as u8
}
