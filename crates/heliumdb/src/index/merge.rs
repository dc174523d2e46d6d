//! Removing a key from a leaf, merging nodes with a sibling where they got small.
//!
//! Invariant: of two siblings under one parent the left absorbs the right, with all
//! three latched, in this order: parent, left, right. Other latches are taken one at a
//! time, so nobody waits in a circle. A node that its parent does not know yet is
//! neither absorbed nor absorbs.

use super::{
    Tree,
    block::Block,
    build::{Frame, OwnedBlock},
    descend::covering_child,
    entries::Entries,
    node::{Content, Latched, Node},
    split::{BLOCK_KEY_BYTES_MAX, build, build_with_spare, keys_max, keys_to_split},
};
use crossbeam_epoch::Guard;

/// What an attempt to merge came to.
enum Outcome {
    /// Two siblings were merged, the right one of which had this low fence; so many
    /// keys are left in the parent.
    Merged { fence: Vec<u8>, keys: usize },
    /// There is no sibling under the same parent.
    Alone,
    /// They are too full, or just being changed; or there is no parent.
    Not,
}

/// Which siblings to try first.
#[derive(Clone, Copy)]
enum With {
    Right,
    Left,
}

impl Tree {
    /// Makes `slot` of `block`, which is current in the `latched` node, dead.
    pub(super) fn remove<'g>(
        &'g self,
        latched: Latched<'g>,
        block: Block<'g>,
        (slot, word): (usize, u64),
        guard: &'g Guard,
    ) {
        block.set_word(&latched, slot, word, 0);
        let live = block.live();
        if (block.len() - live) * 4 >= block.len() {
            let rest = build_with_spare(&Entries::of(block), &Frame::of(block));
            latched.publish(rest, &self.counters, guard);
        }
        drop(latched);
        if is_small(live, 0) {
            self.merge_around(0, block.low(), With::Right, guard);
        }
    }

    /// Merges the node of `level` that covers `key` with a sibling if they fit, and then
    /// whatever that makes small.
    fn merge_around<'g>(&'g self, level: u8, key: &[u8], with: With, guard: &'g Guard) {
        match self.try_merge(level, key, with, guard) {
            Outcome::Merged { fence, keys } => {
                // Their last and first child are siblings only now.
                if level > 0 {
                    self.merge_around(level - 1, &fence, With::Left, guard);
                }
                if is_small(keys, level + 1) {
                    self.merge_around(level + 1, key, With::Right, guard);
                }
            }
            Outcome::Alone => self.merge_around(level + 1, key, With::Right, guard),
            Outcome::Not => {}
        }
    }

    fn try_merge<'g>(&'g self, level: u8, key: &[u8], with: With, guard: &'g Guard) -> Outcome {
        if self.height(guard) <= level {
            return Outcome::Not;
        }
        let (latched, parent) = self.find_latched(key, level + 1, guard);
        let keys = parent.block.len();
        if keys == 0 {
            return Outcome::Alone;
        }
        let child = covering_child(parent.found);
        let pairs = match with {
            With::Right => [child + 1, child],
            With::Left => [child, child + 1],
        };
        for right in pairs {
            if right == 0 || right > keys {
                continue;
            }
            if let Some(fence) = self.try_pair(&latched, parent.block, right, guard) {
                return Outcome::Merged {
                    fence,
                    keys: keys - 1,
                };
            }
        }
        Outcome::Not
    }

    /// Merges the child at `right` into the one before, if they fit.
    fn try_pair<'g>(
        &'g self,
        parent: &Latched<'g>,
        block: Block<'g>,
        right: usize,
        guard: &'g Guard,
    ) -> Option<Vec<u8>> {
        let left_node = block.child(right - 1).latch();
        let right_node = block.child(right).latch();
        let left = current(left_node.node(), guard)?;
        let right_block = current(right_node.node(), guard)?;
        // Else a node between them waits to be entered in the parent.
        if !left
            .next()
            .is_some_and(|next| std::ptr::eq(next, right_node.node()))
        {
            return None;
        }
        let merged = join(left, right_block)?;
        let shrunk = build(&Entries::removing(block, right - 1), &Frame::of(block));
        let fence = right_block.low().to_vec();
        left_node.absorb(right_node, merged, parent, shrunk, &self.counters, guard);
        Some(fence)
    }
}

fn current<'g>(node: &'g Node, guard: &'g Guard) -> Option<Block<'g>> {
    match node.content(guard) {
        Content::Block(block) => Some(block),
        Content::Moved(_) => None,
    }
}

/// One block in the place of two neighbours, if it leaves room for more keys.
fn join(left: Block<'_>, right: Block<'_>) -> Option<OwnedBlock> {
    let level = left.level();
    let fewer = left.live().min(right.live());
    // What holds next to nothing goes in any case.
    let most = if fewer <= 1 {
        keys_max(level)
    } else {
        keys_max(level) * 3 / 4
    };
    // Of inner nodes, the right one's first child gets a key.
    if left.live() + right.live() + usize::from(level > 0) > most {
        return None;
    }
    let entries = Entries::joining(left, right);
    let measure = entries.measure();
    let is_light = measure.suffix_bytes <= BLOCK_KEY_BYTES_MAX * 3 / 4
        || measure.count < keys_to_split(level)
        || fewer == 0;
    if !is_light {
        return None;
    }
    let frame = Frame {
        high: right.high(),
        next: right.next(),
        ..Frame::of(left)
    };
    Some(OwnedBlock::build(&entries, &measure, &frame))
}

/// Whether it is time to look for a sibling to merge with: when a quarter is left, and
/// at each halving from there, so that full siblings are not looked at in vain for ever.
fn is_small(count: usize, level: u8) -> bool {
    count <= keys_max(level) / 4 && (count == 0 || count.is_power_of_two())
}
