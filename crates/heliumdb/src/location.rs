//! Where an item is, and the one word by which the index refers to it.
//!
//! A slot of the index is a [`Word`]: nothing, a [`Location`] in the log, or a
//! pointer to a chain of versions. The two low bits tell which.

use std::hash::{Hash, Hasher};

use crate::limits::ITEM_ALIGN;

/// Position in the log: segment sequence number * segment bytes + offset in the segment.
pub(crate) type Lsn = u64;

/// Bits that count [`ITEM_ALIGN`] units of address space.
const UNIT_BITS: u32 = 40;
/// Mantissa bits of a size class.
const MANTISSA_BITS: u32 = 4;
/// Bits that say how far an item ends before its size class.
const SHORTFALL_BITS: u32 = 14;

/// An item's place in the log and its rounded-up length: 48 bits in all. Where its value is kept as it is, in one piece,
/// 14 bits more say its length exactly; they are no part of what tells one place from another.
#[derive(Clone, Copy, Debug)]
pub struct Location {
    unit: u64,
    class: u8,
    /// One more than the bytes from the item's end to that of its class; 0 if that is not known.
    shortfall: u16,
}

impl PartialEq for Location {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.packed() == other.packed()
    }
}

impl Eq for Location {}

impl Hash for Location {
    fn hash<H: Hasher>(&self, to: &mut H) {
        self.packed().hash(to);
    }
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
            shortfall: 0,
        }
    }

    /// As [`Location::new`], of an item with so many bytes of header, key and value: the last of them is told from the
    /// place alone then, if the item is not very long.
    pub(crate) fn exact(address: u64, bytes: usize) -> Self {
        let rounded = Self::new(address, bytes);
        Self {
            shortfall: shortfall_of(rounded.class_bytes() - bytes),
            ..rounded
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
            shortfall: 0,
        }
    }

    /// The same place, with what [`Location::shortfall`] said of it.
    pub(crate) fn with_shortfall(self, shortfall: u64) -> Option<Self> {
        let shortfall = u16::try_from(shortfall).ok()?;
        (shortfall < 1 << SHORTFALL_BITS).then_some(Self { shortfall, ..self })
    }

    /// What, with the size class, says how long the item is; 0 if nothing does.
    pub(crate) fn shortfall(self) -> u64 {
        self.shortfall.into()
    }

    /// Bytes of the item's header, key and value, if they are known exactly.
    #[inline]
    pub(crate) fn exact_bytes(self) -> Option<usize> {
        let short = usize::from(self.shortfall).checked_sub(1)?;
        self.class_bytes().checked_sub(short)
    }

    /// Upper bound of the item's length in bytes, at most 1/16 above it: what one
    /// device read fetches, and what space accounting adds and later subtracts.
    pub fn class_bytes(self) -> usize {
        class_units(self.class) as usize * ITEM_ALIGN
    }
}

/// How [`Location::exact`] keeps a number of bytes.
fn shortfall_of(bytes: usize) -> u16 {
    match bytes + 1 {
        kept if kept < 1 << SHORTFALL_BITS => kept as u16,
        _ => 0,
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
        let shortfall = u64::from(location.shortfall) << 2;
        Self(location.unit << 24 | u64::from(location.class) << 16 | shortfall | TAG_LOCATION)
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
                shortfall: self.0 as u16 >> 2,
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
    fn lengths_are_exact_up_to_a_quarter_of_a_mebibyte() {
        for bytes in 1..(256 << 10) + 1 {
            let at = Location::exact(1 << 30, bytes);
            assert_eq!(at, Location::new(1 << 30, bytes));
            assert_eq!(at.exact_bytes(), Some(bytes));
            let Slot::At(found) = Word::at(at).slot() else {
                panic!("a word that is no place");
            };
            assert_eq!((found, found.exact_bytes()), (at, Some(bytes)));
            let kept = Location::unpacked(at.packed()).with_shortfall(at.shortfall());
            assert_eq!(kept.and_then(Location::exact_bytes), Some(bytes));
        }
        for bytes in (256 << 10) + 1..330 << 10 {
            let found = Location::exact(0, bytes).exact_bytes();
            assert!(found.is_none_or(|found| found == bytes), "{bytes}");
        }
        assert_eq!(Location::new(0, 100).exact_bytes(), None);
        assert!(Location::new(0, 100).with_shortfall(1 << 14).is_none());
    }

    #[test]
    fn words_round_trip() {
        let at = Location::new((1 << 44) - 16, 777);
        assert_eq!(Word::at(at).slot(), Slot::At(at));
        assert_eq!(Location::unpacked(at.packed()).exact_bytes(), None);
        assert_eq!(
            Word::chain(0x7fff_1234_5678).slot(),
            Slot::Chain(0x7fff_1234_5678)
        );
        assert_eq!(Word::EMPTY.slot(), Slot::Empty);
    }
}
