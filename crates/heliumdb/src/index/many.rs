//! Several keys at once: their descents go side by side, so that the processor waits for the
//! memory of all of them together.
//!
//! Invariant: each key is found as [`Tree::get`] finds it.

use super::{
    Tree,
    descend::{Place, covering_child, look_at},
    node::{Content, Node},
};
use crossbeam_epoch::Guard;

/// Descents that go side by side: each asks for several lines, and a core has a dozen or two under
/// way at once.
const ABREAST: usize = 8;

/// How far a key's descent is.
#[derive(Clone, Copy)]
enum Stage<'g> {
    At(&'g Node),
    Found(Place<'g>),
}

impl Tree {
    /// Hands `found` the words of `keys`, 0 for those that are not there, in their order.
    pub(crate) fn get_many<'k>(
        &self,
        keys: impl Iterator<Item = &'k [u8]>,
        guard: &Guard,
        mut found: impl FnMut(u64),
    ) {
        self.descend_many(
            keys,
            guard,
            |place| {
                if let Some(slot) = place.found.slot {
                    place.block.prefetch_word(slot);
                }
            },
            |place| found(place.word()),
        );
    }

    /// Brings what writes of `keys` will touch into the processor's cache.
    pub(crate) fn prepare_many<'k>(&self, keys: impl Iterator<Item = &'k [u8]>, guard: &Guard) {
        self.descend_many(
            keys,
            guard,
            |place| match place.found.slot {
                Some(slot) => place.block.prefetch_word(slot),
                None => place.block.prefetch_spare(),
            },
            |_| {},
        );
    }

    /// Descends to the leaf of each key: `arrived` hears of each as it gets there, `found` of all
    /// of a group together, in the order of the keys.
    fn descend_many<'k>(
        &self,
        mut keys: impl Iterator<Item = &'k [u8]>,
        guard: &Guard,
        arrived: impl Fn(&Place<'_>),
        mut found: impl FnMut(&Place<'_>),
    ) {
        let mut group: [&[u8]; ABREAST] = [&[]; ABREAST];
        loop {
            let mut len = 0;
            for (to, key) in group.iter_mut().zip(keys.by_ref()) {
                *to = key;
                len += 1;
            }
            let mut stages = [Stage::At(self.root.get(guard)); ABREAST];
            let (group, stages) = (&group[..len], &mut stages[..len]);
            let mut left = len;
            while left > 0 {
                for stage in &*stages {
                    if let Stage::At(node) = stage
                        && let Content::Block(block) = node.content(guard)
                    {
                        block.prefetch();
                    }
                }
                for (stage, key) in stages.iter_mut().zip(group) {
                    let Stage::At(node) = *stage else { continue };
                    *stage = match look_at(node, key, guard, |_| {}) {
                        Ok(place) if place.block.level() == 0 => {
                            arrived(&place);
                            left -= 1;
                            Stage::Found(place)
                        }
                        Ok(place) => Stage::At(place.block.child(covering_child(place.found))),
                        Err(elsewhere) => Stage::At(elsewhere),
                    };
                    if let Stage::At(node) = stage {
                        node.prefetch();
                    }
                }
            }
            for stage in &*stages {
                if let Stage::Found(place) = stage {
                    found(place);
                }
            }
            if len < ABREAST {
                return;
            }
        }
    }
}
