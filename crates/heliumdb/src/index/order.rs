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
        let keys = Keys {
            block,
            heads: &block.heads()[..len],
        };
        // Appended above all, and in order: the usual end of a rising load.
        let tail = &slots[sorted.saturating_sub(1)..];
        if !tail.is_sorted_by(|&a, &b| keys.is_less(a, b)) {
            let mut appended = [0; SLOTS_MAX];
            let appended = &mut appended[..len - sorted];
            keys.sort(&slots[sorted..], appended);
            keys.merge(slots, sorted, appended);
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

/// The keys of a block's slots, as they are compared. Heads order as keys do, so that few tails
/// are looked at.
struct Keys<'g> {
    block: Block<'g>,
    heads: &'g [u32],
}

impl Keys<'_> {
    #[inline]
    fn compare(&self, a: u8, b: u8) -> Ordering {
        let (a, b) = (usize::from(a), usize::from(b));
        self.heads[a]
            .cmp(&self.heads[b])
            .then_with(|| self.block.tail(a).cmp(self.block.tail(b)))
    }

    #[inline]
    fn is_less(&self, a: u8, b: u8) -> bool {
        self.compare(a, b) == Ordering::Less
    }

    /// Sorts `slots` into `to`.
    fn sort(&self, slots: &[u8], to: &mut [u8]) {
        let mut heads = [0; SLOTS_MAX];
        let heads = &mut heads[..slots.len()];
        for (to, &slot) in heads.iter_mut().zip(slots) {
            *to = u64::from(self.heads[usize::from(slot)]) << 8 | u64::from(slot);
        }
        heads.sort_unstable();
        for (to, &head) in to.iter_mut().zip(&*heads) {
            *to = head as u8;
        }
        if !to.is_sorted_by(|&a, &b| self.is_less(a, b)) {
            to.sort_unstable_by(|&a, &b| self.compare(a, b));
        }
    }

    /// Merges what is sorted in the first `middle` slots with what was appended, from the back.
    fn merge(&self, slots: &mut [u8], middle: usize, appended: &[u8]) {
        let (mut left, mut right) = (middle, appended.len());
        while right > 0 {
            let at = left + right - 1;
            if left > 0 && self.is_less(appended[right - 1], slots[left - 1]) {
                left -= 1;
                slots[at] = slots[left];
            } else {
                right -= 1;
                slots[at] = appended[right];
            }
        }
    }
}
