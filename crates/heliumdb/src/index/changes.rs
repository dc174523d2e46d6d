//! Which parts of the tree have changed since they were last asked for.
//!
//! A leaf's block is marked after each change to it, and born marked. Invariant: a change that
//! was complete when a walk began lies in a range that this walk, or one before it, reports
//! after the change. For a leaf is asked for by key, so that each key's leaf is met wherever
//! it went meanwhile; and its mark is taken away before its range is reported, so that whoever
//! reads the range after that reads the change too, or its mark stays for the next walk.

use super::{Tree, block::Block, descend::find_along};
use crossbeam_epoch::pin;
use std::sync::atomic::Ordering;

/// Leaves looked at under one guard.
const LEAVES_PER_GUARD: usize = 256;

impl Block<'_> {
    /// After a change: see the module.
    pub(super) fn mark_changed(self) {
        let changed = &self.header().changed;
        if !changed.load(Ordering::Relaxed) {
            // Release: whoever takes the mark sees the change.
            changed.store(true, Ordering::Release);
        }
    }

    /// Takes the mark away, unless a word is one to `keep` it for; whether it was there.
    fn take_change(self, keep: &impl Fn(u64) -> bool) -> bool {
        let changed = &self.header().changed;
        if !changed.swap(false, Ordering::AcqRel) {
            return false;
        }
        let mut words = (0..self.len()).map(|slot| self.word(slot).load(Ordering::Acquire));
        if words.any(keep) {
            changed.store(true, Ordering::Release);
        }
        true
    }
}

impl Tree {
    /// Reports the key ranges, low and high, in which something has changed since they were last
    /// reported, in order. A leaf with a word that `keep` says so of will be reported again.
    pub(crate) fn take_changes(
        &self,
        keep: impl Fn(u64) -> bool,
        mut report: impl FnMut(&[u8], Option<&[u8]>),
    ) {
        self.for_each_leaf(|block| {
            if block.take_change(&keep) {
                report(block.low(), block.high());
            }
        });
    }

    /// Bytes that all leaves would take more if they kept whole keys.
    pub(crate) fn prefix_bytes(&self) -> u64 {
        let mut bytes = 0;
        self.for_each_leaf(|block| {
            let others = block.len().saturating_sub(1);
            bytes += (block.prefix().len() * others) as u64;
        });
        bytes
    }

    /// Shows all leaves, in order.
    fn for_each_leaf(&self, mut show: impl FnMut(Block<'_>)) {
        let mut from = Vec::new();
        loop {
            let guard = pin();
            let mut place = self.find(&from, 0, &guard);
            let mut left = LEAVES_PER_GUARD;
            loop {
                let block = place.block;
                show(block);
                let (Some(high), Some(next)) = (block.high(), block.next()) else {
                    return;
                };
                left -= 1;
                if left == 0 {
                    from.clear();
                    from.extend_from_slice(high);
                    break;
                }
                place = find_along(next, high, &guard);
            }
        }
    }
}
