//! Where an item is, and the one word by which the index refers to it.
//!
//! A slot of the index is a [`Word`]: nothing, a [`Location`] in the log, or a
//! pointer to a chain of versions. The two low bits tell which.

use crate::limits::ITEM_ALIGN;

/// Position in the log: segment sequence number * segment bytes + offset in the segment.
pub(crate) type Lsn = u64;

/// Bits that count [`ITEM_ALIGN`] units of address space.
const UNIT_BITS: u32 = 40;
/// Mantissa bits of a size class.
const MANTISSA_BITS: u32 = 4;

/// An item's place in the log and its rounded-up length: 48 bits in all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Location {
    unit: u64,
    class: u8,
}

impl Location {
    /// The item of `bytes` bytes (header, key, value and padding) at byte `address`
    /// of the volume's address space. `address` is a multiple of [`ITEM_ALIGN`].
    pub fn new(address: u64, bytes: usize) -> Self {
        debug_assert_eq!(address % ITEM_ALIGN as u64, 0);
        let unit = address / ITEM_ALIGN as u64;
        debug_assert!(unit < 1 << UNIT_BITS);
        Self {
            unit,
            class: class_of(bytes.div_ceil(ITEM_ALIGN) as u64),
        }
    }

    /// Byte address in the volume's address space.
    pub fn address(self) -> u64 {
        self.unit * ITEM_ALIGN as u64
    }

    /// Both in 48 bits, the unit above the class.
    pub fn packed(self) -> u64 {
        self.unit << 8 | u64::from(self.class)
    }

    /// What [`Location::packed`] made; higher bits are ignored.
    pub fn unpacked(packed: u64) -> Self {
        Self {
            unit: packed >> 8 & ((1 << UNIT_BITS) - 1),
            class: packed as u8,
        }
    }

    /// Upper bound of the item's length in bytes, at most 1/16 above it: what one
    /// device read fetches, and what space accounting adds and later subtracts.
    pub fn class_bytes(self) -> usize {
        class_units(self.class) as usize * ITEM_ALIGN
    }
}

/// Rounds up a number of units to a class: exact below 16, then 16 steps an octave.
fn class_of(units: u64) -> u8 {
    if units < 1 << MANTISSA_BITS {
        return units as u8;
    }
    let exponent = units.ilog2() - MANTISSA_BITS;
    let mantissa = units.div_ceil(1 << exponent);
    // A mantissa rounded up to 32 is the next octave's first step.
    ((exponent + 1) << MANTISSA_BITS) as u8 + (mantissa - 16) as u8
}

fn class_units(class: u8) -> u64 {
    let class = u64::from(class);
    if class < 16 {
        return class;
    }
    (16 + (class & 15)) << ((class >> MANTISSA_BITS) - 1)
}

/// A slot of the index.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Word(pub u64);

/// What a [`Word`] says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// No item.
    Empty,
    /// The item at this place.
    At(Location),
    /// The address of a chain of versions.
    Chain(usize),
}

const TAG_LOCATION: u64 = 1;
const TAG_CHAIN: u64 = 2;
const TAG_MASK: u64 = 3;

impl Word {
    /// The empty slot; an index holds no such word.
    pub const EMPTY: Self = Self(0);

    /// A slot that refers to the log.
    pub fn at(location: Location) -> Self {
        // Bits 2 to 15 stay free for the residency tag of a cache.
        Self(location.unit << 24 | u64::from(location.class) << 16 | TAG_LOCATION)
    }

    /// A slot that refers to a chain; `address` is a multiple of 4.
    pub fn chain(address: usize) -> Self {
        debug_assert_eq!(address as u64 & TAG_MASK, 0);
        Self(address as u64 | TAG_CHAIN)
    }

    /// What the slot says.
    pub fn slot(self) -> Slot {
        match self.0 & TAG_MASK {
            TAG_LOCATION => Slot::At(Location {
                unit: self.0 >> 24,
                class: (self.0 >> 16) as u8,
            }),
            TAG_CHAIN => Slot::Chain((self.0 & !TAG_MASK) as usize),
            _ => Slot::Empty,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_never_understates_and_overstates_by_a_sixteenth_at_most() {
        for units in 0..100_000u64 {
            let up = class_units(class_of(units));
            assert!(up >= units && up - units <= units / 16, "{units} -> {up}");
        }
    }

    #[test]
    fn words_round_trip() {
        let at = Location::new((1 << 44) - 16, 777);
        assert_eq!(Word::at(at).slot(), Slot::At(at));
        assert_eq!(
            Word::chain(0x7fff_1234_5678).slot(),
            Slot::Chain(0x7fff_1234_5678)
        );
        assert_eq!(Word::EMPTY.slot(), Slot::Empty);
    }
}
