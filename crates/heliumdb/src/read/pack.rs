//! A copy of neighbours: the values of a leaf's items, side by side in memory in the order of their keys.
//!
//! Invariant: a copy knows its items by their positions in the log, which are never used twice. So it is never wrong, whatever
//! became of the leaf since: an item that was written again has another position, and is not found here.
//!
//! | part | size | what |
//! |---|---|---|
//! | number | 8 | of items, n |
//! | positions | 8 n | where in the log the items are |
//! | ends | 4 n | where their values end, counted from the first value's start |
//! | values | | one after the other |

use crate::{index::Direction, memory::prefetch};

const NUMBER_BYTES: usize = 8;
const POSITION_BYTES: usize = 8;
const END_BYTES: usize = 4;

/// What is asked of the processor when a copy is found: the rest follows by itself.
const PREFETCH_BYTES: usize = 1024;

/// See the module.
pub(super) struct Pack<'g> {
    positions: &'g [[u8; POSITION_BYTES]],
    ends: &'g [[u8; END_BYTES]],
    values: &'g [u8],
    /// Which item is expected to be asked for.
    next: usize,
    direction: Direction,
}

impl<'g> Pack<'g> {
    /// The copy in `bytes`, for a walk in this direction.
    pub(super) fn of(bytes: &'g [u8], direction: Direction) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk::<NUMBER_BYTES>()?;
        let number = u64::from_le_bytes(*number) as usize;
        let (positions, rest) = rest.split_at_checked(number.checked_mul(POSITION_BYTES)?)?;
        let (ends, values) = rest.split_at_checked(number.checked_mul(END_BYTES)?)?;
        prefetch(bytes, positions.len().min(PREFETCH_BYTES));
        Some(Self {
            positions: positions.as_chunks().0,
            ends: ends.as_chunks().0,
            values,
            next: 0,
            direction,
        })
    }

    /// The item of that rank in its leaf will be asked for next. Where the leaf is as it was copied it is that here.
    #[inline]
    pub(super) fn expect(&mut self, rank: usize) {
        self.next = rank;
    }

    /// The value of the item at this position, if it is here.
    #[inline]
    pub(super) fn find(&mut self, position: u64) -> Option<&'g [u8]> {
        let position = position.to_le_bytes();
        let at = match self.positions.get(self.next) {
            Some(next) if *next == position => self.next,
            _ => self.positions.iter().position(|its| *its == position)?,
        };
        self.next = match self.direction {
            Direction::Forward => at + 1,
            Direction::Backward => at.wrapping_sub(1),
        };
        let end = |at: usize| Some(u32::from_le_bytes(*self.ends.get(at)?) as usize);
        let start = at.checked_sub(1).map_or(Some(0), end)?;
        self.values.get(start..end(at)?)
    }
}

/// A copy that is being made.
#[derive(Default)]
pub(super) struct Packing {
    positions: Vec<u8>,
    ends: Vec<u8>,
    values: Vec<u8>,
}

impl Packing {
    /// Adds the item at a position in the log, if `append` appends its value and says so; whether it did.
    pub(super) fn add(&mut self, position: u64, append: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let before = self.values.len();
        let is_there = append(&mut self.values);
        if is_there {
            self.positions.extend_from_slice(&position.to_le_bytes());
            let end = self.values.len() as u32;
            self.ends.extend_from_slice(&end.to_le_bytes());
        } else {
            self.values.truncate(before);
        }
        is_there
    }

    /// How many items it has.
    pub(super) fn len(&self) -> usize {
        self.ends.len() / END_BYTES
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        let number = self.len() as u64;
        [
            &number.to_le_bytes(),
            &self.positions[..],
            &self.ends,
            &self.values,
        ]
        .concat()
    }
}
