//! Asking the processor for what changes of several keys will touch, all of them at once.
//!
//! A descent of a large index is a chain of cache misses, each of which waits for the one before.
//! Those of several keys do not wait for each other: step by step they are asked for together.
//! Invariant: nothing depends on it. What is found here may be out of date at once.

use super::{
    Tree,
    block::Block,
    descend::covering_child,
    node::{Content, Node},
};
use crossbeam_epoch::Guard;

/// Keys that go down together: more do not fit the processor's queue of misses.
const TOGETHER: usize = 16;

impl Tree {
    /// Brings close what [`Tree::update`] of each of `keys` is going to touch.
    pub(crate) fn warm<'k>(&self, keys: impl Iterator<Item = &'k [u8]>, guard: &Guard) {
        let mut together: [(&[u8], &Node); TOGETHER] = [(&[], self.root.get(guard)); TOGETHER];
        let mut count = 0;
        for key in keys {
            together[count].0 = key;
            count += 1;
            if count == TOGETHER {
                self.go_down(&mut together, guard);
                count = 0;
            }
        }
        self.go_down(&mut together[..count], guard);
    }

    fn go_down<'g>(&'g self, keys: &mut [(&[u8], &'g Node)], guard: &'g Guard) {
        let root = self.root.get(guard);
        keys.iter_mut().for_each(|(_, node)| *node = root);
        loop {
            for (_, node) in &*keys {
                if let Content::Block(block) = node.content(guard) {
                    block.prefetch();
                }
            }
            let mut level = 0;
            for (key, node) in &mut *keys {
                let Content::Block(block) = node.content(guard) else {
                    continue;
                };
                if block.level() == 0 {
                    block.prefetch_match(key);
                    continue;
                }
                level = level.max(block.level());
                *node = block.child(covering_child(block.search(key)));
                node.prefetch();
            }
            if level == 0 {
                return;
            }
        }
    }
}

impl Block<'_> {
    /// Asks for what is compared and changed if the key is there.
    fn prefetch_match(self, key: &[u8]) {
        let suffix = key.get(self.prefix().len()..).unwrap_or_default();
        let head = super::search::head(suffix);
        if let Some(slot) = self.heads().iter().position(|&h| h == head) {
            self.prefetch_slot(slot);
        }
    }
}
