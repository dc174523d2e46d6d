//! The key order of a block's slots.
//!
//! Invariant: an order covers the slots that the block had when it was made; slots do
//! not move, so it stays true of them.

use super::block::Block;
use std::cmp::Ordering;

/// Most slots that a block may have.
pub(super) const SLOTS_MAX: usize = 128;

/// The slots of a block, dead ones included, in the order of their keys.
pub(super) struct Order {
    slots: [u8; SLOTS_MAX],
    len: usize,
}

impl Order {
    /// The order of `block`'s slots.
    pub(super) fn of(block: Block<'_>) -> Self {
        let mut order = Self {
            slots: [0; SLOTS_MAX],
            len: 0,
        };
        order.set(block);
        order
    }

    /// Makes it that of `block`'s slots.
    pub(super) fn set(&mut self, block: Block<'_>) {
        let (sorted, len) = (block.sorted(), block.len());
        let slots = &mut self.slots[..len];
        for (slot, at) in slots.iter_mut().enumerate() {
            *at = slot as u8;
        }
        self.len = len;
        let less = |a: &u8, b: &u8| block.compare_slots((*a).into(), (*b).into());
        // Appended above all, and in order: the usual end of a rising load.
        let tail = &slots[sorted.saturating_sub(1)..];
        if !tail.is_sorted_by(|a, b| less(a, b) == Ordering::Less) {
            // Two runs at most in what is sorted already, which this sort makes use of.
            slots[sorted..].sort_unstable_by(less);
            merge(slots, sorted, less);
        }
    }

    /// How many slots there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The slot of the key of that rank.
    #[inline]
    pub(super) fn slot(&self, rank: usize) -> usize {
        usize::from(self.slots[..self.len][rank])
    }
}

/// Merges the two sorted runs that meet at `middle`, from the back.
fn merge(slots: &mut [u8], middle: usize, less: impl Fn(&u8, &u8) -> Ordering) {
    let mut appended = [0; SLOTS_MAX];
    let appended = &mut appended[..slots.len() - middle];
    appended.copy_from_slice(&slots[middle..]);
    let (mut left, mut right) = (middle, appended.len());
    while right > 0 {
        let at = left + right - 1;
        if left > 0 && less(&slots[left - 1], &appended[right - 1]) == Ordering::Greater {
            left -= 1;
            slots[at] = slots[left];
        } else {
            right -= 1;
            slots[at] = appended[right];
        }
    }
}
